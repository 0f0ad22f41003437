"""docs/your-own-data.md, line by line: its blocks run in order, and its commands print what the page shows."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.conftest import call_ser

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "your-own-data.md"


def test_the_page_works_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    blocks = re.findall(r"^```(console|python)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    for kind, content in blocks:
        if kind == "python":
            exec(compile(content, PAGE.name, "exec"), {})
            continue
        for command, shown in re.findall(r"^\$ ser (.*)\n((?:(?!\$ ).*\n)*)", content, re.MULTILINE):
            words = shlex.split(command)
            target = words[words.index(">") + 1] if ">" in words else None
            assert call_ser(*(words[: words.index(">")] if target else words)) == 0, command
            printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()) + "\n"
            if target:
                Path(target).write_text(printed, encoding="utf-8")
            if shown:
                assert printed == shown, command
    assert (tmp_path / "my-run/report.html").is_file()
    assert (tmp_path / "my-model/model.onnx").is_file()


def test_the_tables_of_the_pages_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from serkit.corpora import tables

    page = PAGE.read_text("utf-8")
    for own, others in tables.ALIASES.items():
        listed = ", ".join(f"`{name}`" for name in others)
        assert f"| `{own}` | {listed} |" in page
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import corpora_table

    try:
        text = (ROOT / "docs/corpora.md").read_text("utf-8")
        assert corpora_table.table() in text, "docs/corpora.md is old: run make docs"
    finally:
        sys.modules.pop("corpora_table", None)
