"""docs/extending.md holds: its blocks, copied into the files that they name, pass the tests that the page gives."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.test_pages import ROOT, blocks

PLACE = re.compile(r"# ((?:src|tests)/\S+\.py)(?:, below (.+))?\n")


def put(block: str, checkout: Path) -> str:
    """Put a block into its file: below the line that begins as the block says, else at the end; return the file."""
    place = PLACE.match(block)
    assert place is not None, block
    file, text = checkout / place[1], block[place.end() :]
    if place[2] is not None:
        line = rf"^( *{re.escape(place[2])}.*\n)"
        before, found, after = re.split(line, file.read_text("utf-8"), maxsplit=1, flags=re.MULTILINE)
        text = before + found + text + after
    elif file.exists():
        text = f"{file.read_text('utf-8')}\n\n{text}"
    file.write_text(text, "utf-8")
    return place[1]


def copied(checkout: Path) -> None:
    """Make a checkout whose Python files are copies; all others are links."""
    for folder in ("src", "tests"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                there = checkout / path.relative_to(ROOT)
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, there) if path.suffix == ".py" else there.symlink_to(path)
    for name in ("examples", "pyproject.toml", "docs"):
        (checkout / name).symlink_to(ROOT / name)


def test_the_code_of_the_page_passes_its_tests(tmp_path: Path) -> None:
    copied(tmp_path)
    places = [put(block, tmp_path) for block in blocks(ROOT / "docs" / "extending.md", "python")]
    chosen = {place for place in places if place.startswith("tests/")} | {"tests/features/test_extractor.py"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    added = ("harbour", "crest", "plain_encoder", "discriminant")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", " or ".join(added), *sorted(chosen)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in added:
        assert re.search(rf"{name}.* PASSED", done.stdout), done.stdout
