"""Which stretches and which frequency bands of a recording moved the answer: occlusion, without a gradient.

Each part of the sound is covered in turn and the model answers again (Zeiler and Fergus, 2014). The model stays a
black box, so this works for every bundle: a waveform graph is given the covered waveform, the features of a
features graph are made from it.

To cover is not to delete. Digital silence in the middle of a recording is an event that no model has met, and a hard
edge is a click: both would move the answer by themselves. A covered part is instead lowered to the recording's
own noise floor, sample by sample or, in a band, bin by bin, with short fades. Speech goes where the pauses are; what
is a pause already stays as it is and has no effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit import audio
from serkit.audio import Channel, Source, Waveform
from serkit.audio.waveform import own
from serkit.errors import AudioError, SerkitError, nearest
from serkit.features.banks import mel_frequencies
from serkit.recognition.prediction import Prediction, in_order, path_of
from serkit.recognition.profile import Profile, check_profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serkit.recognition.runner import Runner

__all__ = ["Explanation", "cover_bands", "cover_stretches", "explain", "stretches"]

_STRETCH = 0.2  # s; about a syllable
_MOST = 100  # stretches; those of long recordings are longer
_FADE = 0.01  # s
_FRAME = 0.02  # s, in which the level is measured
_FLOOR = 10  # per cent of the frames are pauses, if any
_DEPTH = 10 ** (-25 / 20)  # without pauses the floor is this far below the loud frames, where a voice is inaudible
_BANDS, _LOWEST = 12, 60.0  # bands, Hz
_FFT_SECONDS = 0.064
_LEAST = 1e-6  # a smaller probability counts as this, so that its logarithm stays finite


@dataclass(frozen=True, eq=False)
class Explanation:
    """What moved an answer.

    An effect is ``ln(p / p_covered)``, where `p` is the probability of the emotion and `p_covered` the same with that
    part of the sound covered. More than 0: the part speaks for the emotion, which is less probable without it. Less
    than 0: it speaks against it. 0.69 means half the probability.

    Attributes
    ----------
    prediction : Prediction
        The answer to the recording, or to the part of it that was chosen.
    emotion : str
        The label that is explained.
    probability : float
        Its probability in that answer, 0 to 1.
    times : np.ndarray, shape=(n, 2)
        Start and end of each stretch, in s of the recording. Neighbours overlap by half.
    time_effect : np.ndarray, shape=(n,)
        Effect of each stretch.
    bands : np.ndarray, shape=(m, 2)
        Lower and upper end of each band, Hz.
    band_effect : np.ndarray, shape=(m,)
        Effect of each band.
    wave : Waveform
        What was explained, at the model's rate.
    model : str
        Name and version.
    profile : Profile or None
        The voice or place that the answers were adapted to, including those for the covered recording.

    See Also
    --------
    serkit.Recognizer.explain : Makes one.
    serkit.recognition.explain_page.write_explanation : Writes it as an HTML page.
    """

    prediction: Prediction
    emotion: str
    probability: float
    times: np.ndarray
    time_effect: np.ndarray
    bands: np.ndarray
    band_effect: np.ndarray
    wave: Waveform = field(repr=False)
    model: str = ""
    profile: Profile | None = None

    def covered(self, effect: float) -> float:
        """Return the probability of the emotion without a part of that effect."""
        return min(self.probability * math.exp(-effect), 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the waveform, ready for JSON; of a profile, only what it was made from."""
        used = self.profile
        return {
            "model": self.model,
            "profile": None
            if used is None
            else {"kind": used.kind, "utterances": used.utterances, "seconds": used.seconds},
            "prediction": self.prediction.to_dict(),
            "emotion": self.emotion,
            "probability": self.probability,
            "stretches": [
                {"start": start, "end": end, "effect": effect}
                for (start, end), effect in zip(self.times.tolist(), self.time_effect.tolist(), strict=True)
            ],
            "bands": [
                {"low": low, "high": high, "effect": effect}
                for (low, high), effect in zip(self.bands.tolist(), self.band_effect.tolist(), strict=True)
            ],
        }


def explain(
    recognizer: Runner,
    source: Source,
    *,
    sample_rate: int | None = None,
    emotion: str | None = None,
    offset: float = 0.0,
    duration: float | None = None,
    profile: Profile | None = None,
    channel: Channel = "auto",
) -> Explanation:
    """Cover each stretch and each band of a recording in turn, and measure what that does to the answer.

    Stretches last 0.2 s and start every 0.1 s; in recordings of more than 10 s they are longer, so that there are
    at most about a hundred. The 12 bands are equally wide in mel, from 60 Hz to half the model's rate. A recording of
    3 s takes 43 runs of the model, one of 10 s or more takes 113.

    An effect shows what the model used, not why, and not what the speaker felt. Parts are covered one at a time: if
    two carry the same information, covering one of them changes little. And no covered recording is quite like one
    that the model was trained on.

    Parameters
    ----------
    recognizer : Recognizer
    source, sample_rate, emotion, offset, duration, profile, channel
        As for :meth:`serkit.Recognizer.explain`.

    Returns
    -------
    Explanation

    Raises
    ------
    AudioError, SerkitError
        As :meth:`serkit.Recognizer.explain`.

    References
    ----------
    Zeiler MD, Fergus R (2014). Visualizing and understanding convolutional networks. ECCV, 818-833.
    """
    manifest = recognizer.manifest
    recognizer.need_labels("explain an answer")
    if emotion in manifest.labels and emotion not in recognizer.labels:
        raise SerkitError(
            f"{emotion!r} is not among the labels that are answered, so it cannot be explained: "
            f"choose one of {', '.join(recognizer.labels)}."
        )
    if emotion is not None and emotion not in recognizer.labels:
        raise SerkitError(
            f"The model {manifest.name} does not know {emotion!r}{nearest(emotion, recognizer.labels)} "
            f"It answers with {', '.join(recognizer.labels)}."
        )
    check_profile(profile, manifest)
    most = manifest.max_seconds
    path = path_of(source)
    length = most + 1 if duration is None else min(duration, most + 1)  # do not read an hour only to refuse it
    broken: list[str] = []
    heard, choice = audio.load_chosen(
        source, sample_rate=sample_rate, offset=offset, duration=length, channel=channel, on_break=broken.append
    )
    if len(heard.samples) > round(most * heard.sample_rate):
        raise AudioError(
            f"There are more than {most:g} s to explain, the most that the model {manifest.name} takes at once: "
            "choose a part by offset and duration."
        )
    answer = recognizer.answer(heard, profile=profile)
    warnings = [*answer.warnings, *(["one-sided"] if choice.one_sided else []), *(["truncated"] if broken else [])]
    prediction = replace(
        answer,
        path=path,
        start=offset,
        end=offset + heard.duration,
        channel=choice.name,
        warnings=in_order(warnings),
    )
    if not prediction.speech:
        raise AudioError(f"There is no speech in {path or 'the recording'}, so there is no answer to explain.")
    wave = audio.resample(heard, recognizer.sample_rate)
    label = emotion or prediction.top(1)[0][0]
    at = recognizer.labels.index(label)

    def probability(samples: np.ndarray) -> float:
        return float(recognizer.probabilities(own(samples, wave.sample_rate), profile=profile)[at])

    # One by one: a graph takes one recording at a time (docs/architecture.md).
    whole = probability(wave.samples)
    times, bands = stretches(wave.duration), _bands(wave.sample_rate)
    by_time = [_effect(whole, probability(samples)) for samples in cover_stretches(wave, times)]
    by_band = [_effect(whole, probability(samples)) for samples in cover_bands(wave, bands)]
    return Explanation(
        prediction=prediction,
        emotion=label,
        probability=whole,
        times=times + offset,
        time_effect=np.array(by_time),
        bands=bands,
        band_effect=np.array(by_band),
        wave=wave,
        model=f"{manifest.name} {manifest.version}",
        profile=profile,
    )


def _effect(whole: float, covered: float) -> float:
    return math.log(max(whole, _LEAST)) - math.log(max(covered, _LEAST))


def stretches(duration: float) -> np.ndarray:
    """Return start and end of the stretches of a recording, s: equally long, overlapping by half, covering all of it.

    Parameters
    ----------
    duration : float
        s.

    Returns
    -------
    np.ndarray, shape=(n, 2)

    Examples
    --------
    >>> stretches(0.4).tolist()
    [[0.0, 0.2], [0.1, 0.3], [0.2, 0.4]]
    """
    length = min(max(_STRETCH, 2 * duration / _MOST), duration)
    count = 1 + math.ceil((duration - length) / (length / 2) - 1e-9)
    starts = np.linspace(0.0, duration - length, count)
    return np.round(np.stack([starts, starts + length], axis=1), 6)


def _bands(rate: int) -> np.ndarray:
    edges = mel_frequencies(_BANDS + 1, _LOWEST, rate / 2)
    return np.round(np.stack([edges[:-1], edges[1:]], axis=1), 3)


def cover_stretches(wave: Waveform, times: np.ndarray) -> Iterator[np.ndarray]:
    """Lower each stretch in turn to the noise floor, with fades of 10 ms inside the stretch.

    The level is measured in frames of 20 ms. The floor is the level that a tenth of them stay below, and at most
    25 dB under the loud ones, so that a recording without pauses is covered too.

    Parameters
    ----------
    wave : Waveform
    times : np.ndarray, shape=(n, 2)
        Start and end, s.

    Yields
    ------
    np.ndarray, float32, shape=(n_samples,)
    """
    samples, rate = wave.samples, wave.sample_rate
    gain = _to_floor(samples, rate)
    fade = max(round(_FADE * rate), 1)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)
    for start, stop in np.round(times * rate).astype(int):
        cover = np.ones(stop - start)
        if start > 0:  # at its ends a recording has nothing to fade into
            cover[:fade] = np.minimum(cover[:fade], ramp[: len(cover)])
        if stop < len(samples):
            cover[-fade:] = np.minimum(cover[-fade:], ramp[::-1][-len(cover) :])
        covered = samples.copy()
        covered[start:stop] *= (1 - cover * (1 - gain[start:stop])).astype(np.float32)
        yield covered


def _to_floor(samples: np.ndarray, rate: int) -> np.ndarray:
    """The gain, in [0, 1], that lowers the level around each sample to the noise floor; shape (n_samples,)."""
    half = max(round(_FRAME / 2 * rate), 1)
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    centres = np.arange(0, len(samples), half)
    low, high = np.maximum(centres - half, 0), np.minimum(centres + half, len(samples))
    level = np.sqrt(np.maximum(sums[high] - sums[low], 0) / (high - low))
    return np.interp(np.arange(len(samples)), centres, _gain(level, level))


def _gain(level: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The gain that lowers levels over time, the first axis, to the floor of the `known` ones."""
    floor = np.minimum(np.percentile(known, _FLOOR, axis=0), _DEPTH * np.percentile(known, 95, axis=0))
    return np.where(level > floor, floor / np.maximum(level, 1e-30), 1.0)


def cover_bands(wave: Waveform, bands: np.ndarray) -> Iterator[np.ndarray]:
    """Lower each band in turn to its noise floor: the floor of each bin of the spectrum, phases kept.

    Frames of about 64 ms, a quarter of that apart. The floor is found as in :func:`cover_stretches`.

    Parameters
    ----------
    wave : Waveform
    bands : np.ndarray, shape=(m, 2)
        Lower and upper end, Hz; a bin at the lower end belongs to the band, one at the upper end to the next.

    Yields
    ------
    np.ndarray, float32, shape=(n_samples,)
    """
    samples, rate = wave.samples, wave.sample_rate
    size = 2 ** round(math.log2(_FFT_SECONDS * rate))
    hop = size // 4
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    padded = np.pad(samples.astype(np.float64), (size, size + -len(samples) % hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * taper
    spectrum = np.fft.rfft(frames)
    centres = np.arange(len(frames)) * hop - size // 2
    inside = (centres >= 0) & (centres < len(samples))  # the others hold more padding than sound
    level = np.abs(spectrum)
    removed = spectrum * (1 - _gain(level, level[inside]))
    hz = np.fft.rfftfreq(size, 1 / rate)
    for low, high in bands:
        chosen = (hz >= low) & ((hz < high) | (hz >= rate / 2) & (high >= rate / 2))
        parts = np.fft.irfft(removed * chosen, size) * (
            taper / 1.5
        )  # squared Hann windows a quarter apart add up to 1.5
        taken = np.zeros(len(padded))
        for k in range(4):
            rows = parts[k::4]
            taken[k * hop : k * hop + rows.size] += rows.reshape(-1)
        yield (samples - taken[size : size + len(samples)]).astype(np.float32)
