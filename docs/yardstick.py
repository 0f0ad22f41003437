"""Write the fold files below src/serkit/yardstick from the corpora: ``make yardstick SERKIT_DATA=folder``.

The folder holds ``ravdess/``, ``crema_d/``, ``nemo/``, ``emospeech/``, ``banglaser/`` and ``resd/``. The files change
only where the corpora or the protocols do, and then every score that was made with them is of the past.
"""

from __future__ import annotations

import sys
from pathlib import Path

from serkit.corpora import read_corpus
from serkit.protocol.yardstick import write_yardstick

TARGET = Path(__file__).resolve().parent.parent / "src" / "serkit" / "protocol" / "yardstick"
SEEDS = {"ravdess": (0, 1, 2), "crema_d": (0,), "nemo": (0,), "emospeech": (0,), "banglaser": (0,), "resd": (0,)}


def main(data: Path) -> None:
    """Write all fold files."""
    for kind, seeds in SEEDS.items():
        corpus = read_corpus(data / kind, kind=kind)
        # RESD's speakers are its dialogues, which a random split would tear apart.
        for protocol in ("random", "speaker", "speaker+enrolled")[kind == "resd" :]:
            for seed in seeds:
                print(write_yardstick(corpus, TARGET, protocol, seed=seed))
    speech = read_corpus(data / "ravdess", kind="ravdess", channel="speech")
    print(write_yardstick(speech, TARGET, "emobox"))


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit("Say where the corpora are: make yardstick SERKIT_DATA=folder")
    main(Path(sys.argv[1]))
