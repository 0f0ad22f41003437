"""Many clips: `ser predict` on a folder and the peers in a loop, and one worker and two."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from measure import ENCODER, HEAD, KERAS, SMILE, race, row, run, spread
from predict import peers, ser
from threadpoolctl import threadpool_limits

import serkit
from serkit.audio import probe


def measure(folder: Path, clips: Sequence[Path], sample: int, repeats: int, model: str) -> str:
    """Time all clips of a folder; the peers answer an even sample of them, and their time is scaled up.

    Parameters
    ----------
    folder : Path
    clips : sequence of Path
        All recordings of `folder`.
    sample : int
        Clips that a peer answers.
    repeats : int
    model : str

    Returns
    -------
    str
        Markdown.
    """
    seconds = sum(probe(clip).duration or 0.0 for clip in clips)
    times = []
    with tempfile.TemporaryDirectory() as place:
        for number in range(repeats):
            start = perf_counter()
            run(ser(), "predict", folder, "-r", "--model", model, "--out", Path(place, f"{number}.csv"))
            times.append(perf_counter() - start)
    rows = []
    few = clips[:: max(1, len(clips) // sample)][:sample]
    for peer, saved in peers():
        tried = few[::10] if peer is ENCODER else few  # about a second a clip
        with peer.serve(saved, clips[0], threads=2) as served:
            theirs = [len(clips) / len(tried) * served.seconds(tried) for _ in times]
        rows.append(row(f"`ser predict FOLDER`, {len(clips):,} clips; {peer.name}", times, theirs, unit="s"))
    recognizer = serkit.load(model)
    chosen = clips[:: max(1, len(clips) // 400)]
    with threadpool_limits(1):
        list(recognizer.predict_iter(chosen))
        two, one = race(
            lambda: list(recognizer.predict_iter(chosen, workers=2)),
            lambda: list(recognizer.predict_iter(chosen, workers=1)),
            repeats,
        )
    rows.append(row(f"2 workers (left) and 1 worker (right), {len(chosen):,} clips", two, one, unit="s"))
    real_time, pace = [seconds / t for t in times], [len(clips) / t for t in times]
    about = (
        f"{len(clips):,} clips, {seconds / 3600:.2f} h of sound, in {spread(times, 2)} s, including process start, "
        f"with as many workers as cores: {spread(real_time, 0)} times real time, {spread(pace, 0)} files per second. "
        f"{repeats} runs. Peers run in a loop, warm, with 2 threads, over {len(few):,} of the clips (transformers: "
        f"{len(few[::10])}); their time is scaled up to all clips."
    )
    left_out = [f"{peer.missing}." for peer in (KERAS, SMILE, ENCODER) if peer.missing]
    return "\n".join([f"## A folder: `{recognizer.manifest.name}`", "", " ".join([about, *left_out]), "", HEAD, *rows])
