"""The report: complete, escaped, self-contained; the figures' numbers; the terminal's summary."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from rich.console import Console

from serkit.emotions import LABELS, colour
from serkit.errors import TrainingError
from serkit.evaluation.plots import curves_svg, pct, reliability_svg, risk_coverage_svg, save_confusion, speakers_svg
from serkit.evaluation.report import PROTOCOL_TEXT, summary_table, write_report
from serkit.evaluation.scores import results
from serkit.protocol import PROTOCOLS

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order; keeps tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    """Six speakers x eight emotions x two intensities; the sixth speaker is always misunderstood."""
    rng = np.random.default_rng(0)
    rows = []
    for speaker in range(6):
        for emotion, label in enumerate(LABELS):
            for intensity in ("normal", "strong"):
                right = emotion if speaker < 5 else (emotion + 1) % 8
                p = np.full(8, 0.05)
                p[right] = 0.65 + 0.001 * rng.integers(10)
                p /= p.sum()
                rows.append(
                    {
                        "path": f"Actor_{speaker:02d}/{label}_{intensity}.wav",
                        **{"start": 0.0, "end": 3.0, "copy": 0, "fold": speaker % 3},
                        **{"emotion": label, "predicted": LABELS[right], "confidence": p[right]},
                        **{f"p_{name}": p[k] for k, name in enumerate(LABELS)},
                        **{"speaker": f"{speaker:02d}", "sex": "female" if speaker % 2 else "male"},
                        **{"channel": "speech", "intensity": intensity, "statement": "", "corpus": "ravdess"},
                    }
                )
    return pd.DataFrame(rows)


INFO: dict[str, Any] = {
    "recipe": "svm-functionals",
    "recipe_text": '[model]\nname = "svm"  # <b>bold</b>\n',
    "corpus": "ravdess",
    "protocol": "speaker",
    "split_hash": "0123456789abcdef" * 4,
    "folds": 3,
    "seed": 7,
}


def render(path: Path, table: pd.DataFrame, *, curves: Any = None, **info: Any) -> tuple[Page, str]:
    document = results({**INFO, **info}, table, LABELS, n_boot=50)
    write_report(document, table, path, curves=curves)
    text = path.read_text(encoding="utf-8")
    return Page(text), text


def test_report_tells_everything(tmp_path: Path, predictions: pd.DataFrame) -> None:
    page, _ = render(tmp_path / "new" / "report.html", predictions)
    for wanted in (
        *("svm-functionals", "ravdess · speaker", "On voices it has never heard", "80 of 96", "83.3 %", "12.5 %"),
        *("Unweighted average recall", "Macro F1", "Calibration error", "take no part in its training"),
        *(
            "drawing the 6 speakers with replacement",
            "0123456789abcdef" * 4,
            "Which emotions are confused",
            "Speaker by speaker",
        ),
        *("female", "strong", "Fold", "Most confident mistakes", 'name = "svm"', "numpy", np.__version__),
        "neutral recognised as calm (17 % of the neutral clips)",
    ):
        assert wanted.replace("\u202f", " ") in page.text, wanted
    assert "under-confident by" in page.text
    assert "How training went" not in page.text
    assert "Leakage" not in page.text
    assert "Statement" not in page.text  # one value only: no table


def test_report_reads_what_json_gives_back(tmp_path: Path, predictions: pd.DataFrame) -> None:
    document = results(INFO, predictions, LABELS, n_boot=50)
    first = write_report(document, predictions, tmp_path / "a.html").read_text()
    second = write_report(json.loads(json.dumps(document)), predictions, tmp_path / "b.html").read_text()
    assert first == second


def test_report_needs_nothing_from_outside(tmp_path: Path, predictions: pd.DataFrame) -> None:
    page, text = render(tmp_path / "r.html", predictions)
    assert page.count("script") == page.count("link") == page.count("img") == page.count("iframe") == 0
    assert not [attrs for _, attrs in page.tags if {"src", "href", "xlink:href"} & set(attrs)]
    assert not re.search(r"https?:|url\(|@import", text)
    assert "prefers-color-scheme: dark" in text
    assert "default-src 'none'" in text
    assert "$" not in text


def test_everything_from_outside_is_escaped(tmp_path: Path, predictions: pd.DataFrame) -> None:
    evil = "<script>alert('x')</script>\"&"
    table = predictions.copy()
    table.loc[table["speaker"] == "05", "path"] += evil
    for column in ("speaker", "intensity", "statement", "corpus"):
        table[column] = table[column] + evil
        table.loc[0, column] = "other" + evil
    environment = {evil: evil}
    names = {"recipe": evil, "recipe_text": evil, "corpus": evil, "protocol": evil, "warning": evil}
    page, text = render(tmp_path / "r.html", table, environment=environment, time={evil: 1.0}, split_hash=evil, **names)
    assert page.count("script") == 0
    assert "<script" not in text
    assert page.text.count(evil) >= 15
    labels = [attrs["aria-label"] or "" for tag, attrs in page.tags if tag == "svg"]
    assert any(evil in label for label in labels)


def test_labels_are_escaped_too(tmp_path: Path) -> None:
    labels = ["<b>", 'a"b']
    table = pd.DataFrame(
        {
            **{"path": ["1", "2", "3"], "start": 0.0, "end": 1.0, "copy": 0, "fold": 0},
            **{"emotion": ["<b>", 'a"b', "<b>"], "predicted": ["<b>", "<b>", "<b>"], "confidence": 0.9},
            **{"p_<b>": 0.9, 'p_a"b': 0.1, "speaker": "", "sex": "", "channel": "", "intensity": ""},
            **{"statement": "", "corpus": ""},
        }
    )
    path = tmp_path / "r.html"
    write_report(results({}, table, labels, n_boot=2), table, path)
    page = Page(path.read_text(encoding="utf-8"))
    assert '<b> recognised as a"b: 0 of 2' in [attrs.get("title") for _, attrs in page.tags]
    assert "unnamed recipe" in page.text
    assert "fewer than two speakers are known" in page.text
    assert "For whom it works" not in page.text  # no speakers, no groups


def test_leakage_warning_is_shown_as_an_alert(tmp_path: Path, predictions: pd.DataFrame) -> None:
    page, _ = render(tmp_path / "r.html", predictions, warning="Copies of test clips were trained on.")
    assert "Leakage. Copies of test clips were trained on." in page.text
    assert [attrs["class"] for _, attrs in page.tags if attrs.get("role") == "alert"] == ["warning"]


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_every_protocol_is_explained(tmp_path: Path, predictions: pd.DataFrame, protocol: str) -> None:
    page, _ = render(tmp_path / "r.html", predictions, protocol=protocol)
    start, explanation = PROTOCOL_TEXT[protocol]
    assert start in page.text
    assert re.sub("<[^>]+>", " ", explanation).split(":")[1].strip() in page.text


def test_confusion_table_holds_the_counts(tmp_path: Path, predictions: pd.DataFrame) -> None:
    page, text = render(tmp_path / "r.html", predictions)
    titles = [attrs.get("title") or "" for tag, attrs in page.tags if tag == "td"]
    assert "sad recognised as sad: 10 of 12" in titles
    assert "sad recognised as angry: 2 of 12" in titles
    assert sum(bool(re.match(r"\w+ recognised as \w+: \d+ of 12", title)) for title in titles) == 64
    assert all(colour(label) in text for label in LABELS)


def test_figures_have_words_for_those_who_cannot_see_them(tmp_path: Path, predictions: pd.DataFrame) -> None:
    curves = [{"epoch": [1, 2], "train_loss": [2.0, 1.0], "valid_uar": [0.2, None]}] * 3
    page, _ = render(tmp_path / "r.html", predictions, curves=curves)
    figures = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(figures) == 5
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)
    assert "How training went" in page.text


def test_mistakes_are_the_most_confident_ones_first(tmp_path: Path, predictions: pd.DataFrame) -> None:
    table = predictions.copy()
    table.loc[90, ["p_" + name for name in LABELS]] = 0.0
    table.loc[90, "p_" + table.loc[90, "predicted"]] = 1.0
    table.loc[90, "confidence"] = 1.0
    page, _ = render(tmp_path / "r.html", table)
    assert page.count("code") == 1 + 15  # the footer's and one a mistake
    mistakes = page.text.split("Most confident mistakes")[1]
    shown = re.findall(r"Actor_05/\w+\.wav", mistakes)
    assert shown[0] == table.loc[90, "path"]
    assert len(shown) == 15
    assert "Actor_04" not in mistakes


def test_without_mistakes_there_is_no_such_table(tmp_path: Path, predictions: pd.DataFrame) -> None:
    page, _ = render(tmp_path / "r.html", predictions[predictions["speaker"] != "05"])
    assert "Most confident mistakes" not in page.text
    assert "No two emotions are confused" in page.text


def test_segments_and_copies_are_told_apart(tmp_path: Path, predictions: pd.DataFrame) -> None:
    part = predictions.assign(start=3.0, end=6.5, copy=2)
    page, _ = render(tmp_path / "r.html", pd.concat([predictions.assign(copy=2), part], ignore_index=True))
    assert re.search(r"Actor_05/\w+\.wav 3–6\.5 s \(copy 2\)", page.text)
    assert re.search(r"Actor_05/\w+\.wav 0–3 s \(copy 2\)", page.text)


def test_report_refuses_what_does_not_belong_together(tmp_path: Path, predictions: pd.DataFrame) -> None:
    document = results(INFO, predictions, LABELS, n_boot=2)
    with pytest.raises(TrainingError, match="96 clips, the predictions 95"):
        write_report(document, predictions.iloc[1:], tmp_path / "r.html")
    with pytest.raises(TrainingError, match="format 2"):
        write_report({**document, "format": 2}, predictions, tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []


def test_speakers_are_ranked_and_the_marks_tell_their_sex() -> None:
    speakers = {"a": {"accuracy": 0.25, "n": 8}, "b": {"accuracy": 0.75, "n": 8}, "c": {"accuracy": 0.5, "n": 8}}
    svg = speakers_svg(speakers, 0.5, {"a": "female", "b": "male"})
    page = Page(svg)
    assert re.findall(r"<text[^>]*>([abc])</text>", svg) == ["b", "c", "a"]
    kinds = [attrs["class"] for tag, attrs in page.tags if tag in ("circle", "path")]
    assert (kinds.count("female"), kinds.count("male"), kinds.count("other")) == (1, 1, 1)
    centres = {attrs["class"]: float(attrs["cx"] or "nan") for tag, attrs in page.tags if tag == "circle"}
    (quarter, half), width = (centres["female"], centres["other"]), 360
    left, right = half - 2 * (half - quarter), half + 2 * (half - quarter)
    assert 0 < left < right < width  # 0 and 100 % lie inside the picture, dots in proportion
    assert "best b with 75.0\u202f%, worst a with 25.0\u202f%" in svg
    # Wilson's interval of 2 in 8, from the closed form of his paper: 7.1 to 59.1 %.
    whisker = [attrs["d"] for tag, attrs in page.tags if attrs.get("class") == "whisker"][2]
    ends = [float(x) for x in re.findall(r"[ML](\S+) ", whisker or "")]
    assert [(x - left) / (right - left) for x in ends] == pytest.approx([0.0715, 0.5907], abs=0.001)


def test_many_speakers_stay_a_small_picture() -> None:
    svg = speakers_svg({f"s{k}": {"accuracy": k / 90, "n": 10} for k in range(91)}, 0.5, {})
    height = float(re.findall(r'viewBox="0 0 360 (\S+)"', svg)[0])
    assert height < 800
    assert svg.count('class="other"') == 91


def test_reliability_bars_stand_at_the_accuracy(predictions: pd.DataFrame) -> None:
    metrics = results(INFO, predictions, LABELS, n_boot=2)["metrics"]
    filled = [row for row in metrics["reliability"] if row["n"]]
    page = Page(reliability_svg(metrics))
    bars = [attrs for tag, attrs in page.tags if attrs.get("class") == "bar"]
    assert len(bars) == len(filled)
    ideal = next(attrs["d"] for _, attrs in page.tags if attrs.get("class") == "ideal")
    floor, top = (float(y) for y in re.findall(r" (\d+\.\d)", ideal or ""))
    for attrs, row in zip(bars, filled, strict=True):
        share = float(attrs["height"] or "nan") / (floor - top)
        assert share == pytest.approx(min(row["accuracy"], row["confidence"]), abs=0.001)


def test_risk_coverage_names_the_surest_half(predictions: pd.DataFrame) -> None:
    metrics = results(INFO, predictions, LABELS, n_boot=2)["metrics"]
    assert pct(metrics["accuracy_surest_half"]) in risk_coverage_svg(metrics)


def test_curves_leave_gaps_and_refuse_unknown_names() -> None:
    series = {"epoch": [1, 2, 3, 4], "train_loss": [3.0, 2.0, float("nan"), 1.0], "valid_loss": [3.0, None, 2.0, 2.0]}
    svg = curves_svg([series], "loss")
    lines = re.findall(r'class="curve fold0( dashed)?" d="([^"]+)"', svg)
    assert [(bool(dashed), d.count("M"), d.count("L")) for dashed, d in lines] == [(True, 2, 1), (False, 2, 1)]
    assert curves_svg([series], "uar") == ""
    assert curves_svg([], "loss") == ""
    with pytest.raises(TrainingError, match="'los'"):
        curves_svg([{"epoch": [1], "los": [1.0]}], "loss")
    with pytest.raises(TrainingError, match="no 'epoch'"):
        curves_svg([{"train_loss": [1.0]}], "loss")
    with pytest.raises(TrainingError, match="2 values for 1 epochs"):
        curves_svg([{"epoch": [1], "train_loss": [1.0, 2.0]}], "loss")


def test_one_epoch_and_zero_loss_still_draw() -> None:
    svg = curves_svg([{"epoch": [1], "train_loss": [0.0]}], "loss")
    assert "nan" not in svg
    assert "inf" not in svg


def test_confusion_picture(tmp_path: Path, predictions: pd.DataFrame) -> None:
    metrics = results(INFO, predictions, LABELS, n_boot=2)["metrics"]
    path = save_confusion(metrics, tmp_path / "figures" / "confusion.png", title="svm")
    pixels = imread(path)
    assert min(pixels.shape[:2]) > 800
    blue = (pixels[..., 2] - pixels[..., 0] > 0.4).mean()  # the diagonal, eight of 64 cells
    assert 0.05 < blue < 0.13


def test_summary_for_the_terminal(predictions: pd.DataFrame) -> None:
    info = {**INFO, "recipe": "svm [red]", "warning": "Known voices."}
    document = results(info, predictions, LABELS, n_boot=50)
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(summary_table(document))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    low, high = document["metrics"]["intervals"]["uar"]
    assert re.search(rf"UAR\s+│\s+83\.3%\s+│\s+{low:.1%} to {high:.1%}", text)
    assert "svm [red] · ravdess · speaker" in text
    assert "96 clips, 6 speakers" in text
    assert "Known voices." in text


def test_percent() -> None:
    assert (pct(0.62345), pct(1, unit=False), pct(None)) == ("62.3\u202f%", "100.0", "–")
