"""What the pages show works: every `ser` line has commands and options that exist, every block of Python runs."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
import typer

import serkit
from serkit.cli import COMMANDS, app
from serkit.encoders.folder import weights_hash
from serkit.training.recipe_files import parse_recipe
from tests.small_recipes import HUB

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A block with one of these comments needs what is not here, such as a corpus; or is part of a file (test_extending.py).
NEEDS = re.compile(r"# (needs (.+)|(src|tests)/)")


def blocks(page: Path, *kinds: str) -> list[str]:
    return [content for kind, content in BLOCK.findall(page.read_text(encoding="utf-8")) if kind in kinds]


def commands(page: Path) -> list[str]:
    """The `ser` lines of a page, without comments; a backslash at the end of a line continues it on the next.

    Commands inside a sentence or a table count too.
    """
    lines = "\n".join(blocks(page, "", "console", "bash", "sh")).replace("\\\n", " ").splitlines()
    lines += re.findall(r"`(ser [^`]+)`", BLOCK.sub("", page.read_text(encoding="utf-8")))
    found = []
    for line in lines:
        for part in re.split(r" [|&]+ ", re.sub(r"(^| )# .*", "", line.removeprefix("$ "))):
            command = re.sub(r" <? ?(2>&1|[0-9]?>>? ?\S+|< ?\S+)", "", part.strip())
            if command.startswith("ser "):
                found.append(command)
    return found


@pytest.fixture(scope="module")
def ser() -> Any:
    for name in sorted(set(COMMANDS.values())):
        importlib.import_module(f"serkit.cli.{name}")
    return typer.main.get_command(app)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_on_pages_have_options_that_exist(page: Path, ser: Any) -> None:
    if page.name == "cli.md":  # generated from the commands
        return
    for line in commands(page):
        command, words = ser, shlex.split(line)[1:]
        context = typer.Context(command, info_name="ser")
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            name, found, words = command.resolve_command(context, words)
            assert found is not None, line
            command, context = found, typer.Context(found, info_name=name, parent=context)
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = [word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]
        assert set(used) <= options | {"--help", "-h"}, line


RECIPES = [(page.stem, text) for page in PAGES for text in blocks(page, "toml") if re.match("name = ", text)]


@pytest.mark.parametrize("text", [text for _, text in RECIPES], ids=[page for page, _ in RECIPES])
def test_recipes_on_pages_are_accepted(text: str) -> None:
    known = weights_hash(HUB)
    parse_recipe(text.replace("openai/whisper-base", str(HUB)).replace("[2, 3, 4]", "[1, 2, 3]").replace("...", known))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages name."""
    folder = tmp_path_factory.mktemp("pages")
    clips = sorted((ROOT / "examples").glob("*.opus"))
    (folder / "calls").mkdir()
    for k in range(24):
        shutil.copy(clips[k % len(clips)], folder / "calls" / f"{k:02}.opus")
    samples = serkit.load_audio(clips[0], target_rate=16000).samples
    for name in ("call.wav", "meeting.wav", "ann1.wav", "ann2.wav", "ann3.wav", "clip-16k-mono.wav"):
        soundfile.write(folder / name, samples, 16000)
    shutil.copy(folder / "meeting.wav", folder / "meeting.mp4")  # the content counts, not the name
    for k, clip in enumerate(clips + sorted((ROOT / "tests/voices").glob("*.flac"))):
        label = folder / "my-clips" / ("stressed" if k % 2 else "relaxed")
        label.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, label)
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "src").symlink_to(ROOT / "src")
    (folder / "model.onnx").symlink_to(ROOT / "src/serkit/bundles/default/model.onnx")
    serkit.load().adapt(folder / "calls").save(folder / "here.json")
    for folds in (ROOT / "src/serkit/protocol/yardstick").glob("*.csv"):
        (folder / folds.name).symlink_to(folds)
    return folder


# Those of client.md need a service: test_client_page.py runs them.
WITH_PYTHON = [page for page in PAGES if blocks(page, "python") and page.stem != "client"]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_python_on_pages_runs(page: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "own", symlinks=True))
    names: dict[str, object] = {}
    for content in blocks(page, "python"):
        if not NEEDS.search(content):
            exec(compile(content, page.name, "exec"), names)
