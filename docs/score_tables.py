"""The tables of the models that ship, in README and docs/models.md, from the files in docs/scores and the bundles.

``docs/measure.py`` writes ``{recipe}-{protocol}-{seed}.json``. ``cnn-transfer-{corpus}.json`` is the result of
``ser transfer`` with the CNN that shipped before. A cell whose file is missing is –.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from serkit.bundle import Bundle, read_bundle
from serkit.corpora.registry import published
from serkit.errors import BundleError
from serkit.evaluation.left_out import means_of
from serkit.training.recipe_files import load_recipe

ROOT = Path(__file__).resolve().parent.parent
SCORES = ROOT / "docs" / "scores"
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
MODELS = ("default", "fast", "open")
NOT_OURS = "not measured here: we do not have these corpora"
NONE = "–"

#: What, best elsewhere, before, target, measured; a name of a cell in :func:`_measured` is replaced by its value.
TARGETS = (
    ("RAVDESS speech, `speaker`", "XLSR, 317 M: 81.8 accuracy; people 67", "67.9", "80", "ravdess speech speaker"),
    ("RAVDESS speech, EmoBox's folds", "Whisper-large-v3: 75.3", NONE, "80", "emobox"),
    ("RAVDESS speech, `speaker+enrolled`", NONE, "70.0", "85", "ravdess speech speaker+enrolled"),
    ("RAVDESS song, `speaker`", NONE, "77.2", "82", "ravdess song speaker"),
    ("RAVDESS song, `speaker+enrolled`", NONE, "81.7", "86", "ravdess song speaker+enrolled"),
    ("CREMA-D (Opus), `speaker`", "people 45 by majority vote", "63.0", "75", "crema_d speech speaker"),
    ("CREMA-D (Opus), `speaker+enrolled`", NONE, "62.8", "80", "crema_d speech speaker+enrolled"),
    ("six corpora left out in turn, `corpus`", NONE, NONE, "before + 10", "corpus"),
    ("six corpora left out in turn, `corpus+adapted`", NONE, NONE, "before + 18", "corpus+adapted"),
    ("the four that the earlier model never heard, `corpus`", NONE, "cnn", "before + 10", "corpus never heard"),
    ("the same four, `corpus+adapted`", NONE, "cnn", "before + 18", "corpus+adapted never heard"),
    ("nine other corpora, plain / adapted", NONE, "40", "60 / 68", NOT_OURS),
    ("calibration error, RAVDESS speech, `speaker`", "3.2", "2.2", "3", "ece speech"),
    ("calibration error, six left out in turn, `corpus`", NONE, NONE, "6", "ece corpus"),
    ("calibration error, the four, `corpus`", NONE, "cnn ece", "6", "ece never heard"),
    ("accuracy of the most confident half, nine other corpora, plain / adapted", NONE, NONE, "75 / 82", NOT_OURS),
    ("accuracy of the most confident half, six left out in turn, plain / adapted", NONE, NONE, NONE, "halves"),
    ("`fast`: RAVDESS speech, `speaker`", "WavLM-large, 316 M: 72.0", NONE, "74", "fast speech"),
    ("`open`: CREMA-D (Opus), `speaker`", NONE, NONE, "73", "open crema"),
    ("`open`: nine other corpora, plain / adapted", NONE, NONE, "53 / 62", NOT_OURS),
    ("`default`: download", NONE, "3 MB", "20 MB", "size"),
    ("`fast`: download", NONE, NONE, "6 MB", "fast size"),
    (
        "`default`: a clip of 3 s, warm, one core (measured: about 4 s)",
        "Keras 117 ms, openSMILE 77, Whisper base 1,285",
        "10 ms",
        "30 ms",
        "warm",
    ),
    (
        "`default`: `ser predict`, fresh process",
        "Keras 6.4 s, openSMILE 1.9, Whisper base 8.5",
        "0.39 s",
        "0.7 s",
        "cold",
    ),
)

Rows = list[dict[str, Any]]  # scores of one kind, one row per seed


@dataclass(frozen=True)
class Scores:
    """The result files of one folder."""

    folder: Path

    def of(self, recipe: str, protocol: str, corpus: str = "") -> Rows:
        """Return the documents of a recipe under a protocol, by seed."""
        stem = "-".join(filter(None, [recipe, corpus, protocol.replace("+", "-")]))
        found = [path for path in self.folder.glob(f"{stem}-*.json") if re.fullmatch(rf"{stem}-\d+", path.stem)]
        documents = [json.loads(path.read_text(encoding="utf-8")) for path in found]
        return sorted(documents, key=lambda document: document["seed"])

    def channel(self, recipe: str, protocol: str, corpus: str, name: str) -> Rows:
        """Return the scores of one channel of one corpus."""
        rows = []
        for document in self.of(recipe, protocol):
            groups = document["metrics"]["groups"]
            if corpus in groups["corpus"]:
                key = f"{corpus}/{name}" if f"{corpus}/{name}" in groups["channel"] else name
                rows += [groups["channel"][key]] if key in groups["channel"] else []
        return rows

    def means(self, recipe: str, protocol: str) -> Rows:
        """Return the means over the corpora left out."""
        return [means for document in self.of(recipe, protocol) if (means := means_of(document)) is not None]

    def before(self) -> dict[str, dict[str, Any]]:
        """Return the scores of the CNN that shipped before, by corpus that it never heard."""
        paths = sorted(self.folder.glob("cnn-transfer-*.json"))
        return {path.stem.rsplit("-", 1)[1]: json.loads(path.read_text(encoding="utf-8"))["metrics"] for path in paths}


def mean(rows: Sequence[dict[str, Any]], score: str, *, spread: bool = True) -> str:
    """Return the mean of a score over seeds in percent, with the standard deviation if there are several."""
    values = [100 * row[score] for row in rows]
    if not values:
        return NONE
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if spread and len(values) > 1 else "")


def uar(rows: Sequence[dict[str, Any]]) -> str:
    """Return the mean UAR with its interval, each end averaged over seeds."""
    if not rows:
        return NONE
    low, high = (fmean(100 * row["intervals"]["uar"][end] for row in rows) for end in (0, 1))
    return f"{mean(rows, 'uar')} [{low:.1f}, {high:.1f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def bundle_of(recipe: str) -> Bundle | None:
    """Return the bundle that ships, if it was made by the recipe as it is."""
    try:
        bundle = read_bundle(recipe)
    except BundleError:
        return None
    return bundle if bundle.manifest.recipe_hash == load_recipe(recipe).hash else None


def megabytes(recipe: str) -> str:
    """Return the size of a bundle."""
    bundle = bundle_of(recipe)
    return NONE if bundle is None else f"{bundle.size / 1e6:.1f} MB"


def commercial(found: Scores, recipe: str) -> str:
    """Return whether the licences of the corpora that a model was measured with allow commercial use."""
    documents = found.of(recipe, "speaker")
    if not documents:
        return NONE
    names = documents[0]["corpus"].split(" ")[0].split("+")
    return "yes" if all(published()[name].commercial for name in names) else "no"


def scores(folder: Path = SCORES) -> str:
    """Return the table of the models that ship: each as a stranger, and after unlabelled clips."""
    found = Scores(folder)
    head = ["model", "commercial use", "size", "adapted", "RAVDESS speech", "RAVDESS song", "CREMA-D (Opus)"]
    head += ["a corpus left out", "calibration error: voice / corpus"]
    rows = []
    for recipe in MODELS:
        for adapted, voice, place in (("no", "speaker", "corpus"), ("yes", "speaker+enrolled", "corpus+adapted")):
            first = [f"**{recipe}**", commercial(found, recipe), megabytes(recipe)] if adapted == "no" else ["", "", ""]
            parts = (("ravdess", "speech"), ("ravdess", "song"), ("crema_d", "speech"))
            cells = [uar(found.channel(recipe, voice, corpus, name)) for corpus, name in parts]
            means = found.means(recipe, place)
            whole = [document["metrics"] for document in found.of(recipe, voice)]
            rows.append([*first, adapted, *cells, uar(means), f"{mean(whole, 'ece')} / {mean(means, 'ece')}"])
    return table(head, rows) + "\n\n" + made(found)


def headline(folder: Path = SCORES) -> str:
    """Return README's small table: each model for a new voice, for a new place, and for a place after adapting."""
    found = Scores(folder)
    head = ["model", "size", "commercial use", "new voice: RAVDESS speech / CREMA-D", "new place / adapted"]
    head += ["calibration error: voice / place"]
    rows = []
    for recipe in MODELS:
        voices = (("ravdess", "speech"), ("crema_d", "speech"))
        voice = " / ".join(mean(found.channel(recipe, "speaker", *where), "uar", spread=False) for where in voices)
        plain, adapted = (found.means(recipe, protocol) for protocol in ("corpus", "corpus+adapted"))
        place = f"{mean(plain, 'uar', spread=False)} / {mean(adapted, 'uar', spread=False)}"
        whole = [document["metrics"] for document in found.of(recipe, "speaker")]
        errors = f"{mean(whole, 'ece', spread=False)} / {mean(plain, 'ece', spread=False)}"
        rows.append([f"`{recipe}`", megabytes(recipe), commercial(found, recipe), voice, place, errors])
    return table(head, rows)


def made(found: Scores) -> str:
    """Return which seeds were measured and when, and which recipes have changed since."""
    every = {
        recipe: [document for protocol in ("speaker", "corpus") for document in found.of(recipe, protocol)]
        for recipe in MODELS
    }
    documents = [document for several in every.values() for document in several]
    if not documents:
        return "Not measured yet."
    seeds = ", ".join(map(str, sorted({document["seed"] for document in documents})))
    text = f"Seeds {seeds}; last measured on {max(document['date'] for document in documents)[:10]}."
    timed = [document["time"]["folds"] for document in every["default"] if document["protocol"] == "speaker"]
    if timed:
        text += f" The folds of `default` under `speaker` took {fmean(timed) / 60:.0f} minutes a seed."
    old = [
        recipe
        for recipe, several in every.items()
        if {document["recipe_hash"] for document in several} - {load_recipe(recipe).hash}
    ]
    return text + (f" Measured with an earlier recipe: {', '.join(old)}." if old else "")


def speed(row: str, unit: str) -> str:
    """Return a median from docs/benchmarks.md, if the model that ships was measured there."""
    bundle, page = bundle_of("default"), BENCHMARKS.read_text(encoding="utf-8")
    value = re.search(rf"^\| {row}: .*?\| ([\d.,]+) \[.*?\] {unit} \|", page, re.MULTILINE)
    if bundle is None or value is None or f"Model default {bundle.manifest.version}. " not in page:
        return NONE
    return f"{value[1]} {unit}"


def targets(folder: Path = SCORES) -> str:
    """Return the table of issue 14: best elsewhere, before, target, measured."""
    cells = _measured(Scores(folder))
    rows = [[cells.get(cell, cell) for cell in row] for row in TARGETS]
    return table(["what", "best elsewhere", "before", "target", "measured"], rows)


def _measured(found: Scores) -> dict[str, str]:
    """Return the cells of :data:`TARGETS` that come from files, by name."""
    cells = {"size": megabytes("default"), "fast size": megabytes("fast")}
    cells |= {"warm": speed("warm", "ms"), "cold": speed("fresh process", "s")}
    for protocol in ("speaker", "speaker+enrolled"):
        for corpus, name in (("ravdess", "speech"), ("ravdess", "song"), ("crema_d", "speech")):
            cells[f"{corpus} {name} {protocol}"] = uar(found.channel("default", protocol, corpus, name))
    cells["emobox"] = uar([document["metrics"] for document in found.of("default", "emobox", "ravdess")])
    cells["fast speech"] = uar(found.channel("fast", "speaker", "ravdess", "speech"))
    cells["open crema"] = uar(found.channel("open", "speaker", "crema_d", "speech"))
    cells["ece speech"] = mean(found.channel("default", "speaker", "ravdess", "speech"), "ece")
    cells["ece corpus"] = mean(found.means("default", "corpus"), "ece")
    cnn = found.before()
    for name, score in (("cnn", "uar"), ("cnn ece", "ece")):
        cells[name] = f"{100 * fmean(metrics[score] for metrics in cnn.values()):.1f}" if cnn else NONE
    halves = []
    for protocol in ("corpus", "corpus+adapted"):
        cells[protocol] = uar(found.means("default", protocol))
        halves.append(mean(found.means("default", protocol), "accuracy_surest_half"))
        groups = [document["metrics"]["groups"]["corpus"] for document in found.of("default", protocol)]
        known = cnn and all(corpus in row for row in groups for corpus in cnn)
        four = [{score: fmean(row[name][score] for name in cnn) for score in ("uar", "ece")} for row in groups if known]
        cells[f"{protocol} never heard"] = mean(four, "uar")
        if protocol == "corpus":
            cells["ece never heard"] = mean(four, "ece")
    cells["halves"] = " / ".join(halves)
    return cells
