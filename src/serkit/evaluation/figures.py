"""The figures of a report as files of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from serkit.evaluation.plots import curves_svg, reliability_svg, risk_coverage_svg, save_confusion
from serkit.files import write_atomic

__all__ = ["save_figures"]


def save_figures(
    metrics: Mapping[str, Any], folder: Path, *, curves: Sequence[Mapping[str, Sequence[float | None]]] = ()
) -> list[Path]:
    """Save confusion matrix, reliability, risk and coverage, and training curves where there are any.

    Parameters
    ----------
    metrics : mapping
        As returned by :func:`serkit.evaluation.scores.evaluate`.
    folder : Path
        Where the files go.
    curves : sequence of mapping
        As for :func:`serkit.evaluation.plots.curves_svg`.

    Returns
    -------
    list of Path
        ``confusion.png``, ``reliability.svg``, ``risk-coverage.svg``, and ``loss.svg`` and ``uar.svg`` of the training.
    """
    drawn = {
        "reliability": reliability_svg(metrics),
        "risk-coverage": risk_coverage_svg(metrics),
        "loss": curves_svg(curves, "loss"),
        "uar": curves_svg(curves, "uar"),
    }
    template = resources.files("serkit.evaluation").joinpath("report_template.html").read_text(encoding="utf-8")
    style = re.findall(r"<style>(.*?)</style>", template, re.DOTALL)[0]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" style="background:var(--card)"><style>{style}</style><svg '
    found = [save_confusion(metrics, folder / "confusion.png")]
    for name, svg in drawn.items():
        if svg:
            size = re.findall(r'viewBox="[^"]*"', svg)[0]
            whole = svg.replace("<svg ", head.replace("<svg xmlns", f"<svg {size} xmlns"), 1)
            found.append(write_atomic(f"{whole}</svg>", folder / f"{name}.svg"))
    return found
