"""Write the generated parts of the documentation: scores, the comparison, the model card, the command reference.

Run ``make docs``. In README.md only the marked regions change.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import typer
from typer.cli import get_docs_for_click

from serkit.bundle import Bundle, read_bundle

ROOT = Path(__file__).resolve().parent.parent
SCORES = ROOT / "docs" / "scores"
COMPARISON = ROOT / "docs" / "results.json"
PACKAGED = ROOT / "src" / "serkit" / "protocol" / "yardstick" / "results.json"
CARD = ROOT / "src" / "serkit" / "bundles" / "default" / "README.md"
TITLES = {"ravdess": "RAVDESS", "crema_d": "CREMA-D (Opus)"}
ORDER = (
    *("speaker", "speaker+enrolled", "leave-one-speaker-out", "corpus", "corpus+adapted", "emobox"),
    *("random", "augmented-random", "cross-corpus"),
)


Documents = list[dict[str, Any]]  # one per seed


def documents() -> dict[tuple[str, str], Documents]:
    """Return the results of the shipped recipe by corpus and protocol, the largest corpus and the headline first."""
    found: dict[tuple[str, str], Documents] = {}
    for path in sorted(SCORES.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault((document["corpus"].split(" ")[0], document["protocol"]), []).append(document)
    order = sorted(found, key=lambda key: (-key[0].count("+"), key[0], ORDER.index(key[1])))
    return {key: found[key] for key in order}


def mean(rows: Sequence[dict[str, Any]], score: str) -> str:
    """Return the mean of a score over seeds in percent, with the standard deviation if there are several."""
    values = [100 * row[score] for row in rows]
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def channels(several: Documents, corpus: str, name: str) -> list[dict[str, Any]]:
    """Return the scores of one channel of one corpus, one row per seed."""
    found = []
    for document in several:
        groups = document["metrics"]["groups"]
        if corpus in groups["corpus"]:
            key = f"{corpus}/{name}" if f"{corpus}/{name}" in groups["channel"] else name
            found += [groups["channel"][key]] if key in groups["channel"] else []
    return found


def interval(rows: Sequence[dict[str, Any]], score: str) -> str:
    """Return the interval over speakers, each end averaged over seeds."""
    low, high = (fmean(100 * row["intervals"][score][end] for row in rows) for end in (0, 1))
    return f"[{low:.1f}, {high:.1f}]"


def made(several: Documents) -> str:
    """Return folds, seeds and date, and whether an earlier recipe was measured."""
    seeds = ", ".join(str(d["seed"]) for d in several)
    text = f"{several[0]['folds']} folds, seed{'s' if len(several) > 1 else ''} {seeds}, {several[-1]['date'][:10]}"
    same = {d["recipe_hash"] for d in several} == {read_bundle("default").manifest.recipe_hash}
    return text if same else f"{text}; an earlier recipe"


def scores() -> str:
    """Return the table of the shipped recipe's scores."""
    lines = [
        "| trained on | protocol | RAVDESS speech: accuracy / UAR | RAVDESS song | CREMA-D (Opus) | ECE | made by |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (corpus, protocol), several in documents().items():
        if protocol == "cross-corpus":  # of a bundle, not of the recipe
            continue
        cells = [" + ".join(TITLES.get(name, name) for name in corpus.split("+")), f"`{protocol}`"]
        for part, name in (("ravdess", "speech"), ("ravdess", "song"), ("crema_d", "speech")):
            rows = channels(several, part, name)
            cells.append(f"{mean(rows, 'accuracy')} / {mean(rows, 'uar')} {interval(rows, 'uar')}" if rows else "–")
        whole = [d["metrics"] for d in several]
        lines.append("| " + " | ".join([*cells, mean(whole, "ece"), made(several)]) + " |")
        if several[0]["warning"]:
            lines.append(f"| ⚠ | {several[0]['warning']} | | | | | |")
    return "\n".join(lines)


def targets() -> str:
    """Return targets and results of the shipped recipe, trained on all recordings and on RAVDESS alone."""
    found = documents()
    joined = max((corpus for corpus, _ in found), key=lambda corpus: corpus.count("+"))

    def measured(protocol: str, corpus: str, channel: str, score: str, *, spread: bool = True) -> list[str]:
        cells = []
        for trained in (joined, "ravdess"):
            rows = channels(found.get((trained, protocol), []), corpus, channel)
            cells.append("–" if not rows else mean(rows, score) + (f" {interval(rows, score)}" if spread else ""))
        return cells

    def abroad() -> str:
        rows = [d["metrics"] for d in found.get(("crema_d", "cross-corpus"), [])]
        return f"CREMA-D (Opus) {mean(rows, 'uar')} {interval(rows, 'uar')}" if rows else "–"

    bundle = read_bundle("default")
    size = f"{bundle.size / 1e6:.1f} MB, {arithmetic(bundle):.2f} GFLOP"
    speech, enrolled = ("speaker", "ravdess", "speech"), ("speaker+enrolled", "ravdess", "speech")
    crema = measured("speaker", "crema_d", "speech", "uar")
    rows = [
        ("UAR, speech", "62.3 ResLSTM from scratch; people 67", "72", *measured(*speech, "uar")),
        ("UAR, speech, `speaker+enrolled`", "73 a small encoder", "78", *measured(*enrolled, "uar")),
        ("UAR, song", "61 ComParE", "78", *measured("speaker", "ravdess", "song", "uar")),
        ("expected calibration error, speech", "3.2 to 3.6", "3", *measured(*speech, "ece", spread=False)),
        (
            "accuracy of the most confident half, speech",
            "81.7",
            "88",
            *measured(*speech, "accuracy_surest_half", spread=False),
        ),
        ("size; arithmetic for 3 s", "S3: 7.2 M weights, 4 GFLOP", "8 MB; 0.3 GFLOP", size, "the same"),
        ("UAR, CREMA-D (Opus), `speaker`", "people 45 by majority vote", "68", *crema),
        ("UAR, a corpus never trained on", "14 hand-crafted, 38 WavLM", "55", "we had no third corpus", abroad()),
    ]
    head = [
        "| score | elsewhere | target | trained on both | trained on RAVDESS alone |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)])


def arithmetic(bundle: Bundle) -> float:
    """Count the floating-point operations (1e9) of the graph's convolutions and matrix products for 3 s of sound.

    Each multiplication and each addition counts as one. All other operations add a few percent, not counted here.
    """
    import numpy as np
    import onnx
    import onnxruntime

    model = onnx.load_from_string(bundle.onnx)
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    names = {name for node in nodes for name in (node.input[0], node.output[0]) if name not in weights}
    known = {output.name for output in model.graph.output} | {given.name for given in model.graph.input}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(names - known))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    samples = np.random.default_rng(0).normal(size=(1, 3 * bundle.manifest.sample_rate)).astype(np.float32)
    outputs = [output.name for output in session.get_outputs()]
    shapes = {name: value.shape for name, value in zip(outputs, session.run(None, {"waveform": samples}), strict=True)}
    shapes |= weights | {"waveform": samples.shape}
    total = 0
    for node in nodes:
        # The terms of one sum: all of a filter, or the last axis of the left matrix.
        terms = math.prod(weights[node.input[1]][1:]) if node.op_type == "Conv" else shapes[node.input[0]][-1]
        total += 2 * terms * math.prod(shapes[node.output[0]])
    return total / 1e9


def comparison() -> str:
    """Return the first table of docs/results.md, with its warning."""
    from serkit.compare.page import overview

    return overview(json.loads(COMPARISON.read_text(encoding="utf-8")))


def fill(path: Path, region: str, text: str) -> None:
    """Replace the text between ``<!-- region -->`` and ``<!-- /region -->``."""
    old = path.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {region} -->\n).*?(\n<!-- /{region} -->)", re.DOTALL)
    if not pattern.search(old):
        sys.exit(f"{path.name} has no region <!-- {region} --> … <!-- /{region} -->: add both markers.")
    path.write_text(pattern.sub(lambda m: m[1] + text + m[2], old), encoding="utf-8")


def demo() -> str:
    """Return what ``make demo`` prints."""
    command = [Path(sys.executable).with_name("ser"), "predict", "examples/"]
    environment = {**os.environ, "COLUMNS": "110"}
    shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment).stdout
    return "```\n" + "\n".join(line.rstrip() for line in shown.splitlines()) + "\n```"


def reference() -> str:
    """Return every command and option of ``ser`` as Markdown."""
    from serkit.cli import COMMANDS, app

    for name in sorted(set(COMMANDS.values())):
        importlib.import_module(f"serkit.cli.{name}")  # registers its commands
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="ser")
    return get_docs_for_click(obj=command, ctx=context, name="ser").strip() + "\n"


def main() -> None:
    """Write README's regions, docs/model-card.md, docs/cli.md and the results that ``ser score`` compares with."""
    fill(ROOT / "README.md", "demo", demo())
    fill(ROOT / "README.md", "scores", scores())
    fill(ROOT / "README.md", "targets", targets())
    fill(ROOT / "README.md", "comparison", comparison())
    PACKAGED.write_bytes(COMPARISON.read_bytes())
    (ROOT / "docs" / "model-card.md").write_text(CARD.read_text(encoding="utf-8"), encoding="utf-8")
    (ROOT / "docs" / "cli.md").write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
