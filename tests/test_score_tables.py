"""The tables of scores in README and docs/models.md say what the result files hold, and – where a file is missing."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("score_tables")


def row(uar: float, low: float, high: float, ece: float = 0.05) -> dict[str, Any]:
    return {"uar": uar, "intervals": {"uar": [low, high]}, "ece": ece, "accuracy_surest_half": 0.75}


def write(folder: Path, name: str, protocol: str, seed: int, *, corpus: str = "ravdess", **metrics: Any) -> None:
    document: dict[str, Any] = {
        "protocol": protocol,
        "seed": seed,
        "date": f"2026-11-2{seed}T10:00:00+00:00",
        "recipe_hash": "old",
    }
    document["corpus"] = f"{corpus} speech"
    document["time"] = {"folds": 60.0 * (seed + 1)}
    (folder / f"{name}.json").write_text(json.dumps({**document, "metrics": metrics}), encoding="utf-8")


def cells(table: str, first: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_scores_are_means_over_seeds_with_spread_and_averaged_interval(tables: ModuleType, tmp_path: Path) -> None:
    for seed, uar in enumerate((0.70, 0.72, 0.74)):
        groups = {
            "corpus": {"ravdess": {}, "crema_d": {}},
            "channel": {"ravdess/speech": row(uar, 0.6 + seed / 100, 0.8), "song": row(0.5, 0.4, 0.6)},
        }
        write(tmp_path, f"default-speaker-{seed}", "speaker", seed, groups=groups, ece=0.03)
        write(tmp_path, f"default-speaker-enrolled-{seed}", "speaker+enrolled", seed, groups=groups, ece=0.5)
    write(tmp_path, "open-speaker-0", "speaker", 0, corpus="crema_d+resd", groups={"corpus": {}}, ece=0.1)
    shown = tables.scores(tmp_path)
    model, commercial, _, adapted, speech, song, crema, left_out, errors = cells(shown, "**default**")
    assert (model, commercial, adapted) == ("**default**", "no", "no")
    assert speech == "72.0 ± 2.0 [61.0, 80.0]"
    assert song == "50.0 ± 0.0 [40.0, 60.0]"
    assert (crema, left_out, errors) == ("–", "–", "3.0 ± 0.0 / –")
    assert shown.splitlines()[-1] == (
        "Seeds 0, 1, 2; last measured on 2026-11-22. The folds of `default` under `speaker` took 2 minutes a seed. "
        "Measured with an earlier recipe: default, open."
    )
    assert [cells(shown, f"**{name}**")[1] for name in ("open", "fast")] == ["yes", "–"]


def test_headline_shows_means_over_seeds_and_plain_beside_adapted(tables: ModuleType, tmp_path: Path) -> None:
    for seed, uar in enumerate((0.70, 0.74)):
        groups = {"corpus": {"ravdess": {}, "crema_d": {}}, "channel": {"ravdess/speech": row(uar, 0.6, 0.8)}}
        write(tmp_path, f"default-speaker-{seed}", "speaker", seed, groups=groups, ece=0.03)
        for protocol, moved in (("corpus", 0.0), ("corpus+adapted", 0.1)):
            means = {"n": 2, **row(uar - 0.3 + moved, 0.3, 0.5, ece=0.1)}
            name = f"default-{protocol.replace('+', '-')}-{seed}"
            write(tmp_path, name, protocol, seed, groups={"corpus": {}, "channel": {}}, mean_over_corpora=means)
    shown = cells(tables.headline(tmp_path), "`default`")
    assert shown[2:] == ["no", "72.0 / –", "42.0 / 52.0", "3.0 / 10.0"]


def test_targets_take_corpora_left_out_from_the_files_and_compare_the_same_corpora(
    tables: ModuleType, tmp_path: Path
) -> None:
    corpora = {"nemo": {"uar": 0.4, "ece": 0.1}, "resd": {"uar": 0.3, "ece": 0.2}, "ravdess": {"uar": 0.9, "ece": 0.9}}
    means = {"n": 3, **row(0.5333, 0.5, 0.6, ece=0.08)}
    for seed in (0, 1):
        groups = {"corpus": corpora, "channel": {}}
        write(tmp_path, f"default-corpus-{seed}", "corpus", seed, groups=groups, mean_over_corpora=means)
    write(tmp_path, "cnn-transfer-nemo", "cross-corpus", 0, uar=0.25, ece=0.3)
    write(tmp_path, "cnn-transfer-resd", "cross-corpus", 0, uar=0.15, ece=0.1)
    write(tmp_path, "default-ravdess-emobox-0", "emobox", 0, **row(0.8, 0.75, 0.85))
    shown = tables.targets(tmp_path)
    assert cells(shown, "six corpora left out in turn, `corpus`")[-1] == "53.3 ± 0.0 [50.0, 60.0]"
    assert cells(shown, "the four that the earlier model never heard, `corpus`")[2:] == [
        "20.0",
        "before + 10",
        "35.0 ± 0.0",
    ]
    assert cells(shown, "calibration error, six left out in turn, `corpus`")[-1] == "8.0 ± 0.0"
    assert cells(shown, "calibration error, the four, `corpus`")[2:] == ["20.0", "6", "15.0 ± 0.0"]
    assert (
        cells(shown, "accuracy of the most confident half, six left out in turn, plain / adapted")[-1]
        == "75.0 ± 0.0 / –"
    )
    assert cells(shown, "RAVDESS speech, EmoBox's folds")[-1] == "80.0 [75.0, 85.0]"
    assert cells(shown, "nine other corpora, plain / adapted")[-1].startswith("not measured here")


def test_without_files_every_measured_score_is_a_dash(tables: ModuleType, tmp_path: Path) -> None:
    found = tables._measured(tables.Scores(tmp_path))
    of_files = {name: cell for name, cell in found.items() if name not in ("size", "fast size", "warm", "cold")}
    assert set(of_files.values()) == {"–", "– / –"}
    assert tables.scores(tmp_path).endswith("Not measured yet.")
    unused = set(found) - {cell for line in tables.TARGETS for cell in line}
    assert unused == set()
