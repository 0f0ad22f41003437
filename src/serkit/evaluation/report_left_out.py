"""The section of a report about the corpora that were left out in turn."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from serkit.evaluation.left_out import means_of
from serkit.evaluation.plots import NARROW, pct

__all__ = ["lead", "section"]

_ADAPTED = " Nor are the clips to adapt; the model may use them without their labels."


def lead(metrics: Mapping[str, Any], start: str, chance: float) -> str:
    """The first sentence: the mean over the corpora left out, with its interval."""
    means = metrics["mean_over_corpora"]
    low, high = means["intervals"]["uar"]
    return (
        f"{start}, the model names the right emotion for <b>{pct(means['accuracy'])}</b> of the clips, a mean over "
        f"{means['n']} corpora that were left out in turn. With every emotion counted alike it finds "
        f"<b>{pct(means['uar'])}</b> (UAR, 95{NARROW}% interval {pct(low, unit=False)} to {pct(high)}); always giving "
        f"the same answer finds {pct(chance)}. Each corpus is scored over the labels that it shares with the others."
    )


def section(results: Mapping[str, Any]) -> str:
    """The scores of each corpus by a model that was not trained on it; nothing under other protocols."""
    metrics, adapted = results["metrics"], results.get("adapted")
    if means_of(results) is None:
        return ""
    rows = ""
    for name, row in metrics["groups"]["corpus"].items():
        low, high = row["intervals"]["uar"]
        span = f"{pct(low, unit=False)} to {pct(high, unit=False)}"
        cells = [f"{row['n']:,}", *([f"{adapted.get(name, 0):,}"] if adapted else []), str(row["classes"])]
        cells += [pct(row["accuracy"], unit=False), pct(row["uar"], unit=False), span, pct(row["ece"], unit=False)]
        rows += f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    heads = ["left out", "clips", "labels", "accuracy", "UAR", "95 % interval", "calibration error"]
    if adapted:
        heads.insert(2, "clips to adapt")
    return (
        '<section class="card"><h2>Each corpus, left out</h2><div class="scroll"><table><thead><tr>'
        f"{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="note-text" style="margin:10px 0 0">In %. A corpus with fewer labels is easier by chance alone. '
        f"Clips whose label no other corpus gives are not scored.{_ADAPTED if adapted else ''}</p></section>"
    )
