"""The answers to many clips as files: CSV, JSON, and one self-contained HTML page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from html import escape

from serkit.app import clips
from serkit.app.truth import Comparison
from serkit.app.words import per_cent
from serkit.recognition.csv_text import csv_line, guard
from serkit.recognition.prediction import Prediction
from serkit.terminal import printable

__all__ = ["as_csv", "as_json", "page"]

_GREY = "#8c8c8c"
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8885; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.bar { height: 1rem; border-radius: .2rem; }
.wide { overflow-x: auto; }
.dim { opacity: .75; }
"""


def as_csv(rows: Sequence[Prediction], labels: Sequence[str], given: Sequence[str | None]) -> bytes:
    """Return what ``ser predict --csv`` writes, with a column ``label`` at the end if any true label is given.

    Parameters
    ----------
    rows : sequence of Prediction
    labels : sequence of str
        Those of the model.
    given : sequence of str or None
        The true label of each row.
    """
    data = clips.as_csv(rows, labels)
    if not any(given):
        return data
    head, *lines = csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline=""))
    cells = [[*head, "label"], *([*line, guard(label or "")] for line, label in zip(lines, given, strict=True))]
    return "".join(map(csv_line, cells)).encode("utf-8", "surrogateescape")


def as_json(rows: Sequence[Prediction], given: Sequence[str | None]) -> bytes:
    """Return what ``ser predict --json`` prints, with the key ``label`` in each row if any true label is given."""
    data = clips.as_json(rows)
    if not any(given):
        return data
    found = [{**row, "label": label} for row, label in zip(json.loads(data), given, strict=True)]
    return f"{json.dumps(found, indent=2)}\n".encode("ascii")


def page(
    rows: Sequence[Prediction],
    counts: Mapping[str, tuple[int, str]],
    *,
    model: str,
    comparison: Comparison | None = None,
    given: Sequence[str | None] = (),
) -> str:
    """Write the page.

    Parameters
    ----------
    rows : sequence of Prediction
        Including failures.
    counts : mapping
        Answer -> (number of clips, hex colour or ``""``).
    model : str
        Name and version.
    comparison : Comparison, optional
        Comparison with labels, if any.
    given : sequence of str or None
        The true label of each row, where any is known.
    """
    failed = [row for row in rows if row.error is not None]
    known = [label or "" for label in given] or [""] * len(rows)
    answered = [(row, label) for row, label in zip(rows, known, strict=True) if row.error is None]
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    parts = [
        "<h1>Emotions in recordings</h1>",
        f'<p class="dim">{len(answered)} of {len(rows)} recordings answered by {_text(model)}, {date}. '
        "An answer says how a voice sounds to a model, not what a person feels.</p>",
        "<h2>Distribution</h2>",
        _bars(counts),
    ]
    if comparison is not None:
        parts.append(_comparison(comparison))
    parts.append("<h2>Recordings</h2>")
    says: dict[str, Callable[[Prediction, str], str]] = {
        "label": lambda row, label: label,
        "channel": lambda row, label: row.channel or "",
        "warnings": lambda row, label: ", ".join(row.warnings),
    }
    told = [(name, say) for name, say in says.items() if any(say(*one) for one in answered)]
    parts.append(
        _table(
            ("file", "emotion", "confidence", "seconds", *(name for name, _ in told)),
            [
                (
                    _text(row.path or ""),
                    _text(row.answer),
                    "" if row.confidence is None else per_cent(row.confidence),
                    f"{row.end:.1f}",
                    *(_text(say(row, label)) for _, say in told),
                )
                for row, label in answered
            ],
        )
    )
    if failed:
        parts.append(f"<h2>Not answered: {len(failed)}</h2>")
        parts.append(_table(("file", "reason"), [(_text(row.path or ""), _text(row.error or "")) for row in failed]))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Emotions in recordings</title><style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _bars(counts: Mapping[str, tuple[int, str]]) -> str:
    most = max((n for n, _ in counts.values()), default=0) or 1
    lines = [
        f'<tr><td>{_text(name)}</td><td style="width:70%"><div class="bar" style="width:{100 * n / most:.1f}%;'
        f'background:{hue or _GREY}"></div></td><td class="n">{n}</td></tr>'
        for name, (n, hue) in counts.items()
    ]
    return f"<table>{''.join(lines)}</table>"


def _comparison(found: Comparison) -> str:
    left_out = f"; {found.unanswered} without an emotion are not counted" if found.unanswered else ""
    head = "".join(f"<th>{_text(label)}</th>" for label in found.labels)
    lines = "".join(
        f"<tr><th>{_text(label)}</th>{''.join(f'<td class=n>{n}</td>' for n in row)}</tr>"
        for label, row in zip(found.labels, found.confusion, strict=True)
    )
    return (
        f"<h2>Comparison with labels</h2><p>Accuracy {100 * found.accuracy:.1f} %, UAR {100 * found.uar:.1f} %, "
        f"{found.n} clips{left_out}. Rows: the label; columns: the answer. "
        "These are not valid scores if the model was trained on these clips.</p>"
        f'<div class="wide"><table><tr><th></th>{head}</tr>{lines}</table></div>'
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _text(value: str) -> str:
    return escape(printable(value))
