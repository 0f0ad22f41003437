"""The table of docs/corpora.md: every published corpus that serkit reads."""

from __future__ import annotations

from serkit.corpora.named import LANGUAGES
from serkit.corpora.registry import published

__all__ = ["table"]


def table() -> str:
    """Return the corpora as a Markdown table, then what is known to be wrong with each."""
    lines = [
        "| name | corpus | language | speakers | clips | labels | licence | get it |",
        "| --- | --- | --- | ---: | ---: | --- | --- | --- |",
    ]
    defects = []
    for name, corpus in published().items():
        fetched = corpus.archives or corpus.repository
        get = f"`ser data get {name}`" if fetched else f"<{corpus.source.split(' ')[0]}>"
        counts = (f"{corpus.speakers:,}", f"{corpus.clips:,}") if corpus.clips else ("not stated", "not stated")
        licence = corpus.licence.partition(" (http")[0]
        cells = (
            f"`{name}`",
            corpus.title,
            LANGUAGES[corpus.language],
            *counts,
            ", ".join(corpus.labels),
            licence,
            get,
        )
        lines.append(f"| {' | '.join(cells)} |")
        if corpus.defects:
            defects.append(f"- **{corpus.title}**: {corpus.defects}")
    return "\n".join([*lines, "", "What is known to be wrong with them:", "", *defects])
