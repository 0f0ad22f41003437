"""From a clip to its emotion: serkit against librosa's features and a scikit-learn forest (peers/forest.py)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import joblib
from measure import HEAD, ROOT, race, row
from peers import forest
from threadpoolctl import threadpool_limits

import serkit

PEER = ROOT / "benchmarks" / "peers" / "forest.py"


def measure(clips: Sequence[Path], repeats: int, model: str) -> str:
    """Time the whole command in a fresh process, then the call in a warm one.

    Returns
    -------
    str
        Markdown.
    """
    ser = shutil.which("ser", path=str(Path(sys.executable).parent))
    if ser is None:
        raise SystemExit("The command ser is not beside this Python: run 'make bench'.")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "forest.joblib")
        subprocess.run([sys.executable, PEER, "train", path, "0"], check=True)
        cold = (
            lambda: _run(ser, "predict", "--model", model, str(clips[0])),
            lambda: _run(sys.executable, str(PEER), "predict", path, str(clips[0])),
        )
        race(*cold, 1)  # disk caches, and librosa's compilation at its very first call
        rows = [row("`ser predict`, a fresh process", *race(*cold, repeats), unit="s")]
        peer = joblib.load(path)
    with threadpool_limits(1):
        recognizer = serkit.load(model)
        ours: list[float] = []
        theirs: list[float] = []
        for clip in clips:
            warm = (lambda: recognizer.predict(clip), lambda: forest.predict(peer, str(clip)))  # noqa: B023
            race(*warm, 1)
            fast, slow = race(*warm, repeats)
            ours += fast
            theirs += slow
        rows.append(row("`Recognizer.predict`, warm", ours, theirs))
    about = (
        f"Model {recognizer.manifest.name} {recognizer.manifest.version}. The peer loads a clip and computes S1's "
        "features with librosa, and asks a forest of 200 trees (joblib, one thread). Whole commands: one clip, "
        f"{repeats} runs, after one that is not counted. Warm: {len(clips)} clips from the file on, {repeats} runs "
        "each, one thread."
    )
    return "\n".join(["## One clip", "", about, "", HEAD, *rows])


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} fails: {done.stderr.strip()}")
