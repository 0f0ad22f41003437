"""From results and predictions to one HTML file that needs nothing else, and a summary for the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import pandas as pd

from serkit.errors import TrainingError
from serkit.evaluation import report_left_out
from serkit.evaluation import report_sections as sections
from serkit.evaluation.left_out import PROTOCOL, headline
from serkit.files import write_atomic

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["PROTOCOL_TEXT", "summary_table", "write_report"]

#: What each protocol means: the start of the report's first sentence, and an explanation.
PROTOCOL_TEXT: dict[str, tuple[str, str]] = {
    "speaker": (
        "On voices it never heard",
        "Protocol <b>speaker</b>: each fold is tested on speakers who take no part in its training, tuning or early "
        "stopping. The score says what to expect on an unknown voice.",
    ),
    "leave-one-speaker-out": (
        "On voices it never heard",
        "Protocol <b>leave-one-speaker-out</b>: each speaker in turn is tested by a model made from all the others. "
        "The score says what to expect on an unknown voice.",
    ),
    "speaker+enrolled": (
        "On new voices after a short enrolment",
        "Protocol <b>speaker+enrolled</b>: tested speakers take no part in training, but their features are "
        "standardised by some unlabelled clips of theirs, or, where the recipe says so, the answers are adjusted by "
        "them. The score says what to expect on an unknown voice once it "
        "has spoken for a few seconds.",
    ),
    "random": (
        "On voices it knows from training",
        "Protocol <b>random</b>: clips are dealt to folds by chance, so every tested voice also speaks in training. "
        "The score says what to expect on known voices, and is higher than on unknown ones.",
    ),
    "augmented-random": (
        "On clips whose altered copies it was trained on",
        "Protocol <b>augmented-random</b>: clips are augmented first and dealt to folds afterwards, so altered copies "
        "of tested clips are in training. The score only answers whether a published number can be reproduced.",
    ),
    "corpus": (
        "On corpora it never heard",
        "Protocol <b>corpus</b>: each corpus in turn is tested by a model made from all the others. The score says "
        "what to expect of other people, rooms, languages and ways of labelling.",
    ),
    "cross-corpus": (
        "On a corpus it was never trained on",
        "Protocol <b>cross-corpus</b>: a finished model answers the clips of a corpus of which it heard nothing. "
        "Nothing is tuned. The score says what to expect of other people, rooms and ways of labelling.",
    ),
}


def write_report(
    results: Mapping[str, Any],
    predictions: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    curves: Sequence[Mapping[str, Sequence[float | None]]] | None = None,
) -> Path:
    """Write a report as one HTML file: figures inside, no scripts, nothing loaded, light and dark.

    Parameters
    ----------
    results : mapping
        The document of :func:`serkit.evaluation.scores.results`, or the same read from ``results.json``.
    predictions : pandas.DataFrame
        The table that the results were made from, as in :func:`serkit.evaluation.scores.evaluate`.
    path : path
        File to write or replace.
    curves : sequence of mapping, optional
        Training curves, one mapping a fold: ``"epoch"`` and, of the same length, any of ``"train_loss"``,
        ``"valid_loss"``, ``"train_uar"``, ``"valid_uar"``; None where there is no value.

    Returns
    -------
    Path
        Where it stands.

    Raises
    ------
    TrainingError
        If the results are of another format, belong to other predictions, or a curve has an unknown name.
    """
    metrics = _metrics(results)
    if len(predictions) != metrics["n_clips"]:
        raise TrainingError(
            f"The results are about {metrics['n_clips']} clips, the predictions about {len(predictions)}: "
            "give the table that the results were made from."
        )
    template = resources.files("serkit.evaluation").joinpath("report_template.html").read_text(encoding="utf-8")
    recipe, protocol = str(results["recipe"] or "unnamed recipe"), str(results["protocol"] or "")
    other = f"Protocol <b>{escape(protocol)}</b>." if protocol else "The protocol is not known."
    start, explanation = PROTOCOL_TEXT.get(protocol, ("On the test clips", other))
    warning = results["warning"]
    shown = headline(results)
    left_out = protocol == PROTOCOL and metrics.get("mean_over_corpora")
    page = Template(template).substitute(
        version=escape(str(results["serkit"])),
        title=escape(f"{recipe}: UAR {shown['uar']:.1%}"),
        heading=escape(recipe),
        subtitle=escape(" · ".join(str(x) for x in (results["corpus"], protocol, results["date"][:10]) if x)),
        warning=f'<p class="warning" role="alert"><b>Leakage.</b> {escape(str(warning))}</p>' if warning else "",
        lead=(report_left_out if left_out else sections).lead(metrics, start),
        tiles=sections.tiles(shown),
        protocol=explanation + sections.interval_note(metrics),
        facts=sections.facts(results),
        sections="\n".join(
            [
                _transfer(results),
                report_left_out.section(results),
                sections.classes(metrics),
                sections.confusion(metrics),
                sections.confidence(metrics),
                sections.voices(metrics, predictions),
                sections.training(curves or []),
                sections.choices(results),
                sections.mistakes(predictions),
                sections.appendix(results),
            ]
        ),
    )
    return write_atomic(page, path)


def _transfer(results: Mapping[str, Any]) -> str:
    """Which labels two corpora share, and what could not be scored; nothing where a recipe was evaluated."""
    found, model = results.get("transfer"), results.get("model")
    if not found or not model:
        return ""

    def counted(counts: Mapping[str, int]) -> str:
        return escape(", ".join(f"{label} {n:,}" for label, n in counts.items())) or "none"

    failed = [f"{row['path']}: {row['error']}" for row in found["failures"][: sections.MOST_ROWS]]
    if len(found["failures"]) > len(failed):
        failed.append(f"and {len(found['failures']) - len(failed)} more in results.json")
    rows = {
        "Model": escape(f"{model['name']}, version {model['version']}, trained on {model['trained_on']}"),
        "Shared labels, which are scored": escape(", ".join(found["labels"])),
        "Labels of the model that the corpus never gives": escape(", ".join(found["dropped"])) or "none",
        "Clips left out, because the model lacks their label": counted(found["left_out"]),
        "Clips left out, because they were in the model's training": f"{found.get('heard', 0):,}",
        "Answers that were one of the model's other labels": f"{found['outside']['n']:,} "
        f"({found['outside']['share']:.1%}): {counted(found['outside']['labels'])}",
        "Clips that failed, which are not scored": "<br>".join(map(escape, failed)) or "none",
    }
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="left">{text}</td></tr>' for name, text in rows.items()
    )
    return (
        f'<section class="card"><h2>What the two corpora share</h2><div class="scroll"><table><tbody>{body}</tbody>'
        '</table></div><p class="note-text" style="margin:10px 0 0">Each clip is scored over the labels that its '
        "corpus gives: the model's probabilities of others are dropped and the rest sums to 1 again. How often such a "
        "label was the answer before stands above.</p></section>"
    )


def summary_table(results: Mapping[str, Any]) -> Table:
    """Make the headline scores as a table for the terminal.

    Parameters
    ----------
    results : mapping
        As in :func:`write_report`.

    Returns
    -------
    rich.table.Table
        Score, value and 95 % interval; the leakage warning, if any, stands below in red.
    """
    from rich.table import Table
    from rich.text import Text

    _metrics(results)
    metrics = headline(results)
    title = " · ".join(str(x) for x in (results["recipe"], results["corpus"], results["protocol"]) if x)
    caption = Text(
        f"{metrics['n_clips']:,} clips, {metrics['n_speakers']} speakers; resampled by {metrics['interval_unit']}"
    )
    if results["protocol"] == PROTOCOL and metrics["mean_over_corpora"]:
        by_name = ", ".join(f"{name} {row['uar']:.1%}" for name, row in metrics["groups"]["corpus"].items())
        caption.append(f"\nMeans over {metrics['mean_over_corpora']['n']} corpora left out; UAR of each: {by_name}")
    if results["warning"]:
        caption.append(f"\n{results['warning']}", style="bold red")
    table = Table(title=Text(title), caption=caption)
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    rows = {"UAR": "uar", "accuracy": "accuracy", "macro F1": "f1_macro", "weighted F1": "f1_weighted"}
    for name, key in rows.items():
        low, high = metrics["intervals"][key]
        table.add_row(name, f"{metrics[key]:.1%}", f"{low:.1%} to {high:.1%}", style="bold" if key == "uar" else "")
    for name, key in {"accuracy, surest half": "accuracy_surest_half", "calibration error": "ece"}.items():
        if metrics[key] is not None:  # None where there are no probabilities
            table.add_row(name, f"{metrics[key]:.1%}", "")
    return table


def _metrics(results: Mapping[str, Any]) -> Mapping[str, Any]:
    if results.get("format") != 1:
        raise TrainingError(
            f"These results have the format {results.get('format')!r}; this version of serkit reads format 1."
        )
    return results["metrics"]
