"""Where the time of one warm clip goes, stage by stage, and how that compares with what the machine can do."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime
import soundfile as sf
import soxr
from threadpoolctl import threadpool_limits

import serkit
from serkit import audio
from serkit.audio import voice_activity
from serkit.audio.waveform import QUALITY


def measure(clips: Sequence[Path], repeats: int, model: str) -> str:
    """Time the stages of `Recognizer.predict` on each clip, one thread, warm.

    Returns
    -------
    str
        Markdown.
    """
    recognizer = serkit.load(model)
    graph = _Graph(recognizer.bundle.onnx)
    sums: dict[str, list[float]] = defaultdict(list)
    with threadpool_limits(1):
        products, transforms = _products_per_second(), _transforms_per_second()
        for clip in clips:
            for key, value in _clip(recognizer, graph, clip, repeats).items():
                sums[key].append(value)
    typical = {key: mean(values) for key, values in sums.items()}
    typical["voice activity, limit"] = typical["transforms"] / transforms
    for stage in ("front end", "network"):
        typical[f"{stage}, limit"] = typical[f"{stage}, work"] / products
    stages = {
        "decode": f"{typical['bytes'] / 1024:.0f} KiB; libsndfile alone",
        "resample": "soxr alone",
        "voice activity": f"{typical['transforms']:.0f} transforms of {voice_activity._N_FFT} samples",
        "front end": f"{typical['front end, work'] / 1e6:.0f} million multiply-adds",
        "network": f"{typical['network, work'] / 1e6:.0f} million multiply-adds",
    }
    rows = []
    for stage, work in stages.items():
        rows.append(_row(stage, typical[stage], typical["whole"], work, typical[f"{stage}, limit"]))
    rest = typical["whole"] - sum(typical[stage] for stage in stages)
    limit = sum(typical[f"{stage}, limit"] for stage in stages)
    rows += [
        _row("the rest (Python)", rest, typical["whole"], "", 0.0),
        _row("total", typical["whole"], typical["whole"], "", limit),
    ]
    length = typical["seconds of sound"]
    about = (
        f"{len(clips)} clips of {length:.1f} s on average, from file to answer, warm, one thread, the fastest "
        f"of {repeats} runs, mean over the clips: {length / typical['whole']:.0f} times real time on a core. The limit "
        "is the time of the same work under ideal conditions, measured in the same run: "
        f"{products / 1e9:.0f} billion multiply-adds per second in a matrix product, "
        f"{1e6 / transforms:.1f} µs for a real transform of {voice_activity._N_FFT} samples, libsndfile and soxr "
        "called directly. Network and front end share one graph; ONNX Runtime's own profile gives the time of each."
    )
    head = "| stage | ms | share | work | limit, ms | ratio to limit |\n| --- | --- | --- | --- | --- | --- |"
    return "\n".join(["## Where the time goes", "", about, "", head, *rows])


def _clip(recognizer: serkit.Recognizer, graph: _Graph, clip: Path, repeats: int) -> dict[str, float]:
    """Return the seconds and the amount of work of each stage for one clip."""
    rate = recognizer.sample_rate
    raw = audio.load(clip)
    wave = audio.resample(raw, rate)
    inputs = {recognizer.manifest.input["kind"]: recognizer._prepare(wave)}
    run = _fast(lambda: graph.session.run(None, inputs), repeats)
    front, rest, work_front, work_rest = graph.profile(inputs)
    alone = _fast(lambda: soxr.resample(raw.samples, raw.sample_rate, rate, quality=QUALITY), repeats)
    return {
        "seconds of sound": wave.duration,
        "whole": _fast(lambda: recognizer.predict(clip), repeats),
        "decode": _fast(lambda: audio.load(clip), repeats),
        "decode, limit": _fast(lambda: sf.read(clip, dtype="float32"), repeats),
        "bytes": clip.stat().st_size,
        "resample": _fast(lambda: audio.resample(raw, rate), repeats),
        "resample, limit": alone if raw.sample_rate != rate else 0.0,
        "voice activity": _fast(lambda: voice_activity.speech_activity(wave), repeats),
        "transforms": _transforms(wave),
        "front end": run * front / (front + rest) + _fast(lambda: recognizer._prepare(wave), repeats),
        "front end, work": work_front,
        "network": run * rest / (front + rest),
        "network, work": work_rest,
    }


def _transforms(wave: audio.Waveform) -> int:
    """Count the transforms of voice activity detection: one per frame, and another per loud frame."""
    counts: list[int] = []
    voicing, spectra = voice_activity._voicing, voice_activity._spectra

    def counted(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        def call(given: np.ndarray) -> np.ndarray:
            made = function(given)
            counts.append(len(made))
            return made

        return call

    voice_activity._voicing, voice_activity._spectra = counted(voicing), counted(spectra)
    try:
        voice_activity.speech_activity(wave)
    finally:
        voice_activity._voicing, voice_activity._spectra = voicing, spectra
    return sum(counts)


def _row(stage: str, seconds: float, whole: float, work: str, limit: float) -> str:
    far = f"{1e3 * limit:.2f} | {seconds / limit:.1f}" if limit else "– | –"
    return f"| {stage} | {1e3 * seconds:.2f} | {100 * seconds / whole:.0f} % | {work} | {far} |"


def _fast(call: Callable[[], Any], repeats: int) -> float:
    """The fastest of some runs, after one that is not counted."""
    call()
    seconds = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return min(seconds)


def _products_per_second() -> float:
    """Multiply-adds a second of a product of single-precision matrices."""
    a = np.ones((512, 512), np.float32)
    return 512**3 / _fast(lambda: a @ a, 20)


def _transforms_per_second() -> float:
    """Real transforms a second of the size that the search for speech uses."""
    rows = np.ones((32, voice_activity._N_FFT), np.float32)
    return 32 / _fast(lambda: np.fft.rfft(rows), 20)


class _Graph:
    """A session that keeps a profile, to tell the front end from the network and to count their arithmetic."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.session = self._open(None)

    def _open(self, prefix: str | None) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        if prefix is not None:
            options.enable_profiling = True
            options.profile_file_prefix = prefix
        return onnxruntime.InferenceSession(self._data, options, providers=["CPUExecutionProvider"])

    def profile(self, inputs: dict[str, np.ndarray]) -> tuple[float, float, float, float]:
        """Time and multiply-adds of the front end and of the rest; times are medians of ten runs."""
        with tempfile.TemporaryDirectory() as folder:
            session = self._open(str(Path(folder, "profile")))
            for _ in range(10):
                session.run(None, inputs)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        times: dict[str, list[float]] = defaultdict(list)
        work: dict[str, float] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                times[event["name"]].append(event["dur"])
                work[event["name"]] = _multiply_adds(event["args"])
        front = [name for name in times if name.startswith("frontend_")]
        others = [name for name in times if name not in front]
        took = [sum(median(times[name]) for name in names) for names in (front, others)]
        return took[0], max(took[1], 1e-3), sum(work[name] for name in front), sum(work[name] for name in others)


def _multiply_adds(node: dict[str, Any]) -> float:
    """Multiply-adds of a convolution or product, from the shapes that ONNX Runtime saw."""
    shapes = [next(iter(shape.values())) for shape in node["input_type_shape"]]
    made = float(np.prod(next(iter(node["output_type_shape"][0].values()))))
    if node["op_name"] in ("Conv", "FusedConv"):
        return made * float(np.prod(shapes[1][1:]))
    if node["op_name"] in ("MatMul", "Gemm", "FusedMatMul", "FusedGemm"):
        return made * shapes[0][-1]
    return 0.0
