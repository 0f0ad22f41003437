"""The tables and pictures of docs/leakage.md and docs/doubt.md say what the committed results hold."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def stories(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("stories")


@pytest.mark.parametrize("name", ["leakage", "doubt"])
def test_the_table_on_the_page_is_that_of_the_results(name: str, stories: ModuleType) -> None:
    page = (DOCS / f"{name}.md").read_text("utf-8")
    region = page.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]
    assert region == getattr(stories, name)(), "run make docs"


def test_the_pictures_are_those_of_the_results(
    stories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stories, "OUT", tmp_path)
    stories.main()
    made = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert len(made) == 4
    for name, text in made.items():
        assert (DOCS / "pictures" / name).read_text("utf-8") == text, "run make docs"
        assert "prefers-color-scheme: dark" in ElementTree.fromstring(text).findtext(f"{SVG}style", "")


def test_the_bars_are_as_long_as_the_scores() -> None:
    rows = json.loads((DOCS / "results.json").read_text("utf-8"))["rows"]
    scores = {row["protocol"]: row["accuracy"] for row in rows if row["recipe"] == "s3-efficient"}
    expected = [0.9393, scores["augmented-random"], scores["random"], scores["speaker"]]
    picture = ElementTree.parse(DOCS / "pictures" / "leakage-scores.svg").getroot()
    widths = [float(bar.get("width", 0)) for bar in picture.iter(f"{SVG}rect") if bar.get("class") != "ground"]
    assert [width / widths[0] for width in widths] == pytest.approx([x / 0.9393 for x in expected], abs=1e-3)
    assert f"{100 * scores['speaker']:.1f}\u202f%" in "".join(picture.itertext())
