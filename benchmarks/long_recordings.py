"""Measure timelines and write the numbers into docs/long-recordings.md: detectors, utterances, speed, memory, live.

    python benchmarks/long_recordings.py --data folder

The folder holds ravdess/, crema_d/ and, if there, nemo/, banglaser/ and resd/: clips are joined with known pauses.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from measure import ROOT, machine, run
from speech_truth import CONDITIONS, RATE, Made, choose, make, music, pink

import serkit
from serkit.audio import voice_activity
from serkit.audio.speech_frames import SpeechFrames
from serkit.audio.utterances import Cutter
from serkit.recognition.tracks import Timeline

PAGE = ROOT / "docs" / "long-recordings.md"
_CELLS = 100  # a second
_CODES = {"01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful", "07": "disgust",
          "08": "surprised"}  # fmt: skip
_NAMES = {"ANG": "angry", "DIS": "disgust", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}

LONG = """
import json, re, sys, time, serkit
recognizer = serkit.load(sys.argv[2])
begun, used = time.perf_counter(), time.process_time()
found = recognizer.timeline(sys.argv[1])
wall, cpu = time.perf_counter() - begun, time.process_time() - used
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(json.dumps({"seconds": found.duration, "wall": wall, "cpu": cpu, "mib": int(peak[1]) / 1024,
                  "segments": len(found.segments)}))
"""


def silero(samples: np.ndarray) -> list[tuple[float, float]]:
    """What ships."""
    frames, cutter = SpeechFrames(RATE), Cutter()
    found = cutter.feed(frames.feed(samples)) + cutter.feed(frames.finish()) + cutter.finish(len(samples) / RATE)
    return [(one.start, one.end) for one in found]


def voicing(samples: np.ndarray) -> list[tuple[float, float]]:
    """The rule of serkit.audio.voice_activity, frame by frame: voiced, and within 25 dB of the loud frames of 10 s."""
    low = soxr.resample(samples, RATE, 8000)
    frame, hop = voice_activity._FRAME, voice_activity._HOP
    count = 1 + (len(low) - frame) // hop
    voiced = [0.0, 0.0, 0.0]  # a frame is told at its middle
    for first in range(0, count, 625):
        last = min(first + 625, count)
        power = voice_activity._spectra(low[first * hop : (last - 1) * hop + frame])
        level = 10 * np.log10(power.sum(axis=1) / voice_activity._FULL_SCALE + 1e-20)
        loud = level > max(np.quantile(level, 0.9) - 25, -90)
        voiced += np.where(loud, voice_activity._voicing(power), 0).tolist()
    parts: list[list[float]] = []
    start = None
    for k, value in enumerate([*voiced, 0.0]):
        if start is None and value >= 0.28:
            start = k
        elif start is not None and value < 0.2:
            begin, end = (start - 1) * hop / 8000, (k - 1) * hop / 8000
            if parts and begin - parts[-1][1] < 0.24:
                parts[-1][1] = end
            elif end - begin >= 0.06:
                parts.append([begin, end])
            start = None
    return [(max(a - 0.05, 0), b + 0.06) for a, b in parts]


def detectors(made: Made) -> str:
    """Both detectors on each condition: precision, recall, pause time, ends; and their speed."""
    rows = []
    length = len(made.samples) / RATE
    speech, clips = _mask(made.speech, length), _mask(made.clips, length)
    for name, spoil in CONDITIONS.items():
        sound = spoil(made.samples)
        cells = []
        for find in (silero, voicing):
            begun = time.process_time()
            parts = find(sound)
            cells.append((*_scores(parts, speech, clips, made, length), length / (time.process_time() - begun)))
        rows.append(
            f"| {name} | "
            + " | ".join(f"{p:.1f} / {r:.1f} | {pause:.1f} | {ends:.1f}" for p, r, pause, ends, _ in cells)
            + " |"
        )
        speeds = [cell[4] for cell in cells]
    alone = []
    for name, sound in (("music", 0.1 * music(60 * RATE)), ("pink noise", 0.1 * pink(60 * RATE))):
        found = [sum(b - a for a, b in find(sound.astype(np.float32))) for find in (silero, voicing)]
        alone.append(f"In 60 s of {name} alone, Silero finds {found[0]:.1f} s of speech, voicing {found[1]:.1f} s.")
    head = (
        "| sound | Silero: precision / recall | pauses | ends | voicing: precision / recall | pauses | ends |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    return "\n".join(
        [
            f"{len(made.clips)} clips in {length:.0f} s, {sum(b - a for a, b in made.speech):.0f} s of them speech. In "
            "per cent: precision and recall of speech by time; the share of the time in made pauses (0.3 to 2 s) that "
            "is no speech; the share of the clips' starts and ends that an utterance meets within 0.15 s.",
            "",
            head,
            *rows,
            "",
            " ".join(alone),
            f"Times real time on one core: Silero {speeds[0]:.0f}, voicing {speeds[1]:.0f}.",
        ]
    )


def _mask(parts: list[tuple[float, float]], length: float) -> np.ndarray:
    mask = np.zeros(round(length * _CELLS), bool)
    for start, end in parts:
        mask[round(start * _CELLS) : round(end * _CELLS)] = True
    return mask


def _scores(
    parts: list[tuple[float, float]], speech: np.ndarray, clips: np.ndarray, made: Made, length: float
) -> tuple[float, float, float, float]:
    found = _mask(parts, length)
    both = (found & speech).sum()
    starts, ends = (np.array([part[side] for part in parts] or [-9.0]) for side in (0, 1))
    met = [np.abs(starts - a).min() <= 0.15 for a, _ in made.clips]
    met += [np.abs(ends - b).min() <= 0.15 for _, b in made.clips]
    precision, recall = both / max(found.sum(), 1), both / speech.sum()
    pauses = (~found & ~clips).sum() / (~clips).sum()
    return 100 * precision, 100 * recall, 100 * pauses, 100 * float(np.mean(met))


def emotion_of(path: Path) -> str | None:
    """The emotion that RAVDESS and CREMA-D name in the file name."""
    ravdess = re.fullmatch(r"03-0[12]-(0[1-8])-.*", path.stem)
    crema = re.fullmatch(r"\d{4}_[A-Z]{3}_([A-Z]{3})_[A-Z]{2}", path.stem)
    return _CODES[ravdess[1]] if ravdess else _NAMES.get(crema[1]) if crema else None


def answers(recognizer: serkit.Recognizer, made: Made) -> str:
    """Right answers of the timeline and of one answer for each true cut."""
    truth = [emotion_of(path) for path in made.paths]
    cut = [
        recognizer.predict(made.samples[round(a * RATE) : round(b * RATE)], sample_rate=RATE).emotion
        for a, b in made.clips
    ]
    lines = []
    for name, smooth in (("smoothed", True), ("not smoothed", False)):
        found = recognizer.timeline(made.samples, sample_rate=RATE, smooth=smooth)
        heard = [_longest(found, a, b) for a, b in made.clips]
        right = [sum(one == want for one, want in zip(given, truth, strict=True)) for given in (heard, cut)]
        lines.append(
            f"{name}, {100 * right[0] / len(truth):.1f} % of {len(truth)} clips are right in the timeline, "
            f"{100 * right[1] / len(truth):.1f} % by one answer for each true cut"
        )
    return (
        "The emotion of the segment that covers most of a clip: " + "; ".join(lines) + ". Unsure counts as wrong, and "
        "the shipped model has learned from some of these clips, so only the difference says something."
    )


def _longest(found: Timeline, start: float, end: float) -> str | None:
    shared = [(min(p.end, end) - max(p.start, start), k) for k, p in enumerate(found.tracks[0].speech)]
    best = max(shared, default=(0.0, -1))
    return found.tracks[0].speech[best[1]].emotion if best[0] > 0 else None


def long(models: list[str], made: Made, hours: tuple[float, ...]) -> str:
    """Speed and memory of each model for recordings of these lengths, each in a process of its own."""
    rows = []
    for model, length in ((model, length) for length in hours for model in models):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "long.flac")
            with sf.SoundFile(path, "w", RATE, 1, subtype="PCM_16", format="FLAC") as file:
                left = round(length * 3600 * RATE)
                while left > 0:
                    file.write(made.samples[:left])
                    left -= len(made.samples)
            got = json.loads(run(sys.executable, "-c", LONG, path, model))
        rows.append(
            f"| `{model}` | {60 * length:,.0f} min | {got['segments']:,} | {got['seconds'] / got['wall']:,.0f} | "
            f"{got['seconds'] / got['cpu']:,.0f} | {got['mib']:,.0f} MiB |"
        )
    head = "| model | FLAC of | segments | times real time | times real time by processor time | peak memory |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *rows])


def live(recognizer: serkit.Recognizer, made: Made) -> str:
    """How long after an utterance its answer comes, fed in chunks of 20 ms."""
    stream = serkit.Stream(recognizer, sample_rate=RATE)
    step = RATE // 50
    answers: list[float] = []  # ms from the end of an utterance to its answer, work included
    finals: list[float] = []
    work: list[float] = []
    gaps: list[float] = []
    needless, same = 0, 0
    told: float | None = None
    paused: tuple[float, serkit.Prediction] | None = None
    for at in range(0, len(made.samples), step):
        begun = time.thread_time()
        stream.feed(made.samples[at : at + step])
        events = list(stream.events())
        used = time.thread_time() - begun
        finished = next((event for event in reversed(events) if event.kind == "final"), None)
        for event in events:
            late = 1000 * (stream.seconds - event.segment.end + used)
            if event.kind == "partial":
                work.append(1000 * used)
                gaps += [] if told is None else [stream.seconds - told]
                told = stream.seconds
                if event.paused:
                    needless += paused is not None
                    paused = late, event.segment
            elif event.kind == "final" and event is not finished:
                continue  # an earlier segment of a long utterance
            elif event.kind == "final":
                finals.append(late)
                if paused is not None and paused[1].end == event.segment.end:
                    answers.append(paused[0])
                    same += paused[1].answer == event.segment.answer
                told = paused = None
    (a, b), (c, d) = (np.quantile(values, [0.5, 0.95]) for values in (answers, finals))
    return (
        f"{len(finals)} utterances in chunks of 20 ms. The answer to a whole utterance, a partial one with `paused`, "
        f"comes {a:.0f} ms (95 %: {b:.0f} ms) after its end, for {len(answers)} of them; "
        f"{100 * np.mean(np.array(answers) < 150):.0f} % of these come within 150 ms, and {same} name what the final "
        f"segment names. {needless} more came in silences that were too short to end an utterance. The final segment "
        f"comes {c:.0f} ms (95 %: {d:.0f} ms) after the end, because a pause is at least 240 ms. All times include the "
        f"processor time of the answer, {np.median(work):.0f} ms (95 %: {np.quantile(work, 0.95):.0f} ms). In speech, "
        f"a partial answer comes every {np.median(gaps):.2f} s (95 %: {np.quantile(gaps, 0.95):.2f} s)."
    )


def main() -> None:
    """Read the options, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SERKIT_DATA"), required=False)
    parser.add_argument("--model", default="default", help="The model that answers.")
    parser.add_argument("--models", default="default,fast", help="The models whose speed is measured.")
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--hours", default="0.1,1,10")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    if options.data is None:
        raise SystemExit("Say where the corpora are: --data FOLDER, or the variable SERKIT_DATA.")
    recognizer = serkit.load(options.model)
    made = make(choose(options.data, options.clips))
    known = [path for path in choose(options.data, 2 * options.clips, seed=1) if emotion_of(path)]
    labelled = make(known, seed=1)
    hours = tuple(float(word) for word in options.hours.split(","))
    models = options.models.split(",")
    manifest = recognizer.manifest
    parts = [
        f"Measured by `python benchmarks/long_recordings.py` on {datetime.now(timezone.utc):%Y-%m-%d}, model "
        f"{manifest.name} {manifest.version}. {machine()}",
        f"### Which detector\n\n{detectors(made)}",
        f"### One answer for an utterance\n\n{answers(recognizer, labelled)}",
        f"### Speed and memory\n\n{long(models, made, hours)}",
        f"### Live\n\n{live(recognizer, made)}",
    ]
    text = "\n\n".join(parts)
    page = options.out.read_text(encoding="utf-8")
    start, end = "<!-- measured -->", "<!-- /measured -->"
    before, after = page.index(start) + len(start), page.index(end)
    options.out.write_text(f"{page[:before]}\n{text}\n{page[after:]}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
