"""Write src/serkit/app/averages.csv from RAVDESS speech: ``make averages SERKIT_DATA=folder``.

The folder holds ``ravdess/``. Song is left out: users of the page upload speech, and sung clips have different values.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from serkit.app.averages import table
from serkit.corpora import read_corpus
from serkit.features import describe

TARGET = Path(__file__).resolve().parent.parent / "src" / "serkit" / "app" / "averages.csv"


def clips(data: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the label and the measures of each clip."""
    corpus = read_corpus(data / "ravdess", kind="ravdess", channel="speech")
    for number, (_, row) in enumerate(corpus.table.iterrows(), start=1):
        yield row["emotion"], describe(corpus.load(row)).measures
        if number % 100 == 0:
            print(f"{number} of {len(corpus.table)}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit("Say where the corpus is: make averages SERKIT_DATA=folder")
    TARGET.write_text(table(clips(Path(sys.argv[1]))), encoding="utf-8")
    print(TARGET)
