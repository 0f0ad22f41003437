"""From a clip to its emotion: the whole command and the warm call, compared with other tools (peers/)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import joblib
from measure import ENCODER, HEAD, KERAS, MODELS, ROOT, SMILE, Peer, race, row, run
from peers import forest
from threadpoolctl import threadpool_limits

import serkit

FOREST = ROOT / "benchmarks" / "peers" / "forest.py"
PEERS = {"keras": (KERAS, "s3.keras"), "smile": (SMILE, "svm.joblib"), "encoder": (ENCODER, "whisper-base")}


def ser() -> str:
    """Return the command that belongs to this Python."""
    found = shutil.which("ser", path=str(Path(sys.executable).parent))
    if found is None:
        raise SystemExit("The command ser is not installed for this Python: run 'make bench'.")
    return found


def peers() -> list[tuple[Peer, Path]]:
    """Return the peers whose environments exist, each with its model, which is made if it is missing."""
    MODELS.mkdir(exist_ok=True)
    there = [(peer, MODELS / name) for peer, name in PEERS.values() if not peer.missing]
    for peer, model in there:
        if not model.exists():
            peer("make", model)
    return there


def measure(clips: Sequence[Path], repeats: int, model: str) -> str:
    """Time the whole command in a fresh process, then the call in a warm one.

    Returns
    -------
    str
        Markdown.
    """
    MODELS.mkdir(exist_ok=True)
    path = MODELS / "forest.joblib"
    run(sys.executable, FOREST, "train", path, "0")
    clip = str(clips[0])
    commands = {"librosa + random forest (S1's way)": lambda: run(sys.executable, FOREST, "predict", path, clip)}
    for peer, saved in peers():
        commands[peer.name] = lambda peer=peer, saved=saved: peer("predict", saved, clip)  # type: ignore[misc]
    rows = []
    for name, command in commands.items():
        both = (lambda: run(ser(), "predict", "--model", model, clip), command)
        race(*both, 1)  # disk caches, and librosa's compilation at its very first call
        rows.append(row(f"fresh process: {name}", *race(*both, repeats), unit="s"))
    with threadpool_limits(1):
        recognizer = serkit.load(model)
        loaded = joblib.load(path)
        for one in clips:
            recognizer.predict(one)
            forest.predict(loaded, str(one))
        ours: list[float] = []
        theirs: list[float] = []
        for one in clips:
            fast, slow = race(lambda: recognizer.predict(one), lambda: forest.predict(loaded, str(one)), repeats)  # noqa: B023
            ours += fast
            theirs += slow
        rows.append(row("warm: librosa + random forest (S1's way)", ours, theirs))
        for peer, saved in peers():
            with peer.serve(saved, clips[0]) as served:
                ours, theirs = [], []
                for one in clips:
                    for _ in range(repeats):
                        start = perf_counter()
                        recognizer.predict(one)
                        ours.append(perf_counter() - start)
                        theirs.append(served.seconds([one]))
            rows.append(row(f"warm: {peer.name}", ours, theirs))
    left_out = [f"{peer.missing}." for peer, _ in PEERS.values() if peer.missing]
    about = (
        f"Model {recognizer.manifest.name} {recognizer.manifest.version}. Peers have untrained weights, since only "
        "their speed matters here: a forest of 200 trees on 120 librosa features; 2,376 librosa features and a Keras "
        "CNN of 7.19 million parameters; 6,373 openSMILE functionals and a linear SVM; the encoder of Whisper base, "
        "padded to 30 s, and a logistic regression. Fresh process: `ser predict CLIP` and "
        f"the peer's script, one clip, {repeats} runs after an uncounted one. Warm: `Recognizer.predict` and "
        f"the peer's call, starting from the file, {len(clips)} clips, {repeats} runs each, one thread."
    )
    return "\n".join([f"## One clip: `{recognizer.manifest.name}`", "", " ".join([about, *left_out]), "", HEAD, *rows])
