"""From results and predictions to one self-contained HTML file, and a summary for the terminal."""

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
from serkit.evaluation.left_out import chance, headline, means_of
from serkit.files import write_atomic

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["PROTOCOL_TEXT", "summary_table", "write_report"]

#: Protocol -> start of the report's first sentence, and explanation.
PROTOCOL_TEXT: dict[str, tuple[str, str]] = {
    "speaker": (
        "On voices it has never heard",
        "Protocol <b>speaker</b>: each fold is tested on speakers who take no part in its training, tuning or early "
        "stopping. The score is what to expect for a new voice.",
    ),
    "leave-one-speaker-out": (
        "On voices it has never heard",
        "Protocol <b>leave-one-speaker-out</b>: each speaker in turn is tested with a model trained on the others. "
        "The score is what to expect for a new voice.",
    ),
    "speaker+enrolled": (
        "On new voices after a short enrolment",
        "Protocol <b>speaker+enrolled</b>: tested speakers take no part in training. Some of their unlabelled "
        "clips are used to standardise their features or, if the recipe says so, to correct the answers. "
        "The score is what to expect for a new voice after a few seconds of enrolment.",
    ),
    "random": (
        "On voices it knows from training",
        "Protocol <b>random</b>: clips are assigned to folds at random, so every tested voice is also in training. "
        "The score is what to expect for known voices, and is higher than for new ones.",
    ),
    "augmented-random": (
        "On clips whose altered copies it was trained on",
        "Protocol <b>augmented-random</b>: clips are augmented before they are assigned to folds, so altered copies "
        "of tested clips are in training. The score only shows whether a published number can be reproduced.",
    ),
    "corpus": (
        "On corpora it never heard",
        "Protocol <b>corpus</b>: each corpus in turn is tested by a model made from all the others. The score says "
        "what to expect of other people, rooms, languages and ways of labelling.",
    ),
    "corpus+adapted": (
        "On corpora it never heard, adapted to each by unlabelled clips",
        "Protocol <b>corpus+adapted</b>: each corpus in turn is tested by a model made from all the others. Some "
        "of its clips, drawn at random, may be used without their labels and are not scored. The score says what to "
        "expect of other people, rooms and languages once the model has heard a few dozen recordings of them.",
    ),
    "emobox": (
        "On voices it has never heard",
        "Protocol <b>emobox</b>: the six folds of RAVDESS' speech that EmoBox published (arXiv:2406.07162), four "
        "actors each. The tested actors take no part in training, so the score can be compared with EmoBox's table.",
    ),
    "cross-corpus": (
        "On a corpus it was never trained on",
        "Protocol <b>cross-corpus</b>: a finished model answers the clips of a corpus it was never trained on. "
        "Nothing is tuned. The score is what to expect for other people, rooms and labels.",
    ),
}


def write_report(
    results: Mapping[str, Any],
    predictions: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    curves: Sequence[Mapping[str, Sequence[float | None]]] | None = None,
) -> Path:
    """Write a report as one HTML file with its figures, without scripts or external files, for light and dark mode.

    Parameters
    ----------
    results : mapping
        The document of :func:`serkit.evaluation.scores.results`, or the same read from ``results.json``.
    predictions : pandas.DataFrame
        The predictions behind the results, as in :func:`serkit.evaluation.scores.evaluate`.
    path : path
        File to write or replace.
    curves : sequence of mapping, optional
        Training curves, one mapping per fold: ``"epoch"`` and, of the same length, any of ``"train_loss"``,
        ``"valid_loss"``, ``"train_uar"``, ``"valid_uar"``; None for a missing value.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TrainingError
        If the results have another format or belong to other predictions, or a curve has an unknown name.
    """
    metrics = _metrics(results)
    if len(predictions) != metrics["n_clips"]:
        raise TrainingError(
            f"The results cover {metrics['n_clips']} clips, the predictions {len(predictions)}: "
            "give the table that the results were computed from."
        )
    template = resources.files("serkit.evaluation").joinpath("report_template.html").read_text(encoding="utf-8")
    recipe, protocol = str(results["recipe"] or "unnamed recipe"), str(results["protocol"] or "")
    other = f"Protocol <b>{escape(protocol)}</b>." if protocol else "The protocol is not known."
    start, explanation = PROTOCOL_TEXT.get(protocol, ("On the test clips", other))
    warning = results["warning"]
    shown = headline(results)
    page = Template(template).substitute(
        version=escape(str(results["serkit"])),
        title=escape(f"{recipe}: UAR {shown['uar']:.1%}"),
        heading=escape(recipe),
        subtitle=escape(" · ".join(str(x) for x in (results["corpus"], protocol, results["date"][:10]) if x)),
        warning=f'<p class="warning" role="alert"><b>Leakage.</b> {escape(str(warning))}</p>' if warning else "",
        lead=(report_left_out if means_of(results) else sections).lead(metrics, start, chance(results)),
        tiles=sections.tiles(shown, chance(results)),
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
                sections.mistakes(predictions, metrics["labels"]),
                _recordings(results),
                sections.appendix(results),
            ]
        ),
    )
    return write_atomic(page, path)


def _transfer(results: Mapping[str, Any]) -> str:
    """Return which labels two corpora share and what could not be scored; empty if a recipe was evaluated."""
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
        "Failed clips (not scored)": "<br>".join(map(escape, failed)) or "none",
    }
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="left">{text}</td></tr>' for name, text in rows.items()
    )
    return (
        f'<section class="card"><h2>What the two corpora share</h2><div class="scroll"><table><tbody>{body}</tbody>'
        '</table></div><p class="note-text" style="margin:10px 0 0">Each clip is scored over the labels of its '
        "corpus: the model's other probabilities are dropped and the rest rescaled to sum to 1. The table says how "
        "often "
        "one of the other labels was the answer before that.</p></section>"
    )


def _recordings(results: Mapping[str, Any]) -> str:
    """Return what was noted about the recordings and which could not be read; empty if there is nothing."""
    notes, broken = results.get("notes") or [], results.get("broken") or []
    if not notes and not broken:
        return ""
    shown = [escape(reason) for reason in broken[: sections.MOST_ROWS]]
    if len(broken) > len(shown):
        shown.append(f"and {len(broken) - len(shown):,} more in results.json")
    body = "".join(f"<p>{escape(note)}</p>" for note in notes)
    if broken:
        items = "".join(f"<li>{reason}</li>" for reason in shown)
        body += f"<p>Left out, because they cannot be read ({len(broken):,}):</p><ul>{items}</ul>"
    return f'<section class="card"><h2>The recordings</h2>{body}</section>'


def summary_table(results: Mapping[str, Any]) -> Table:
    """Return the headline scores as a table for the terminal.

    Parameters
    ----------
    results : mapping
        As in :func:`write_report`.

    Returns
    -------
    rich.table.Table
        Score, value and 95 % interval; a leakage warning, if any, is below in red.
    """
    from rich.table import Table
    from rich.text import Text

    _metrics(results)
    metrics = headline(results)
    title = " · ".join(str(x) for x in (results["recipe"], results["corpus"], results["protocol"]) if x)
    caption = Text(
        f"{metrics['n_clips']:,} clips, {metrics['n_speakers']} speakers; resampled by {metrics['interval_unit']}"
    )
    means = means_of(results)
    if means:
        by_name = ", ".join(f"{name} {row['uar']:.1%}" for name, row in metrics["groups"]["corpus"].items())
        caption.append(f"\nMeans over {means['n']} corpora left out; UAR of each: {by_name}")
    if results.get("adapted"):
        counts = ", ".join(f"{name} {n:,}" for name, n in results["adapted"].items())
        caption.append(f"\nUnlabelled clips to adapt with, not scored: {counts}")
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
    for name, key in {"accuracy, most confident half": "accuracy_surest_half", "calibration error": "ece"}.items():
        if metrics[key] is not None:  # None where there are no probabilities
            table.add_row(name, f"{metrics[key]:.1%}", "")
    return table


def _metrics(results: Mapping[str, Any]) -> Mapping[str, Any]:
    if results.get("format") != 1:
        raise TrainingError(
            f"These results have the format {results.get('format')!r}; this version of serkit reads format 1."
        )
    return results["metrics"]
