"""Shared by the peers: they answer clips on standard input, so their runs and serkit's can alternate."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter


def serve(predict: Callable[[str], str], warm_up: str) -> None:
    """Answer each line with ``{"seconds": ..., "answers": [...]}``: a clip, or several with tabs between them."""
    predict(warm_up)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        start = perf_counter()
        answers = [predict(path) for path in line.rstrip("\n").split("\t")]
        print(json.dumps({"seconds": perf_counter() - start, "answers": answers}), flush=True)
