"""What it costs to decode in a process of its own: the same files through it, and in this process.

    python benchmarks/decode_process.py

Prints, for short and long recordings, the median time of each way and the ratio, and how long a first start takes.
Both ways decode with FFmpeg and average the channels; the files are made here, with PyAV.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from serkit import audio
from serkit.audio import worker
from serkit.audio.channels import Choice
from serkit.audio.ffmpeg_process import Recording
from serkit.audio.signatures import DEMUXERS

_RATE = 48000
#: Container, its name in serkit, codec, channels, seconds, how often.
_CASES = [
    ("mp4", "MP4/M4A", "aac", 1, 3.5, 100),
    ("webm", "WebM/Matroska", "libopus", 1, 3.5, 100),
    ("mp4", "MP4/M4A", "aac", 2, 600.0, 7),
    ("matroska", "WebM/Matroska", "pcm_s16le", 8, 60.0, 7),
]


def recording(kind: str, codec: str, channels: int, seconds: float) -> bytes:
    """A tone over noise."""
    layout = {1: "mono", 2: "stereo", 8: "7.1"}[channels]
    t = np.arange(round(seconds * _RATE)) / _RATE
    noise = np.random.default_rng(0).standard_normal(len(t))
    sound = (0.3 * np.sin(2 * np.pi * 300 * t) + 0.02 * noise).astype(np.float32)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        track = container.add_stream(codec, rate=_RATE)
        track.layout = layout
        size = track.codec_context.frame_size or 1024
        convert = av.AudioResampler(format=track.codec_context.format, layout=layout, rate=_RATE, frame_size=size)
        packed = np.repeat(sound, channels)[None]
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate = _RATE
        for piece in (frame, None):
            for part in convert.resample(piece):
                container.mux(track.encode(part))
        container.mux(track.encode(None))
    return buffer.getvalue()


def in_process(path: Path, kind: str) -> np.ndarray:
    found = Recording(str(path), DEMUXERS[kind])
    mix = Choice("mix").mono
    blocks = [mix(np.frombuffer(data, np.float32).reshape(-1, found.channels)) for data in found.blocks(0, None)]
    found.close()
    return np.concatenate(blocks)


def through_serkit(path: Path) -> np.ndarray:
    return audio.load(path, channel="mix").samples


def alternately(
    first: Callable[[], object], second: Callable[[], object], times: int
) -> tuple[list[float], list[float]]:
    """Seconds of each, taken in turns, so that what else the machine does concerns both."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for call, into in zip((first, second), taken, strict=True):
            begun = time.perf_counter()
            call()
            into.append(time.perf_counter() - begun)
    return taken


def main() -> None:
    print("| recording | in this process | in its own | ratio |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording")
        for kind, name, codec, channels, seconds, times in _CASES:
            path.write_bytes(recording(kind, codec, channels, seconds))
            np.testing.assert_array_equal(through_serkit(path), in_process(path, name))
            here, apart = alternately(lambda n=name: in_process(path, n), lambda: through_serkit(path), times)
            a, b = statistics.median(here), statistics.median(apart)
            what = f"{kind} {codec}, {channels} ch, {seconds:g} s"
            print(f"| {what} | {1000 * a:.2f} ms | {1000 * b:.2f} ms | {b / a:.2f} |")
        path.write_bytes(recording("mp4", "aac", 1, 3.5))
        starts = []
        for _ in range(9):
            worker._end_all()
            begun = time.perf_counter()
            through_serkit(path)
            starts.append(time.perf_counter() - begun)
    print(f"\nThe first recording, with the start of the process: {1000 * statistics.median(starts):.0f} ms.")


if __name__ == "__main__":
    main()
