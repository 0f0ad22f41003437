"""How probable speech is from one moment to the next: Silero's voice activity detector, on levelled sound.

The network is ``silero_vad_16k_sequence.onnx`` of silero-vad 6.2.3 (MIT, its licence is beside the file), written with
matrices instead of convolutions by ``benchmarks/silero_graph.py``, which makes it three times as fast. It hears
frames of 32 ms at 16 kHz one after the other and remembers what came before. Quiet recordings are raised first, because
it misses speech that is 50 dB below full scale. ``docs/long-recordings.md`` says how well it does.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import soxr

from serkit.audio.waveform import QUALITY

__all__ = ["FRAME", "FrameResampler", "SpeechFrames"]

_RATE = 16000  # Hz
_SIZE = 512  # samples in a frame
#: Length of a frame, s.
FRAME = _SIZE / _RATE

_CONTEXT = 64  # samples before a frame that the network hears too
# Frames; ONNX Runtime may round a single row otherwise than one of many, so whole groups are heard: what a frame gives
# must not depend on how the sound was cut.
_GROUP = 2
_MOST = 128  # frames at a time
_LEVEL = 0.1  # root mean square that quieter frames are raised to, by the loudest of the last seconds
_MOST_GAIN = 100.0
_FALL = 0.5 ** (FRAME / 10)  # of the remembered level in a frame: half in 10 s
_STEP = 1 / 32  # s of sound that a resampler is given at a time


class SpeechFrames:
    """The probability of speech in each frame of a recording, while it passes.

    Parameters
    ----------
    sample_rate : int
        Hz.

    See Also
    --------
    serkit.audio.voice_activity.speech_activity : Whether there is a voice at all, in a whole waveform.
    serkit.audio.utterances.Cutter : Makes utterances of the probabilities.

    Examples
    --------
    >>> frames = SpeechFrames(16000)
    >>> heard = frames.feed(np.zeros(16000, dtype=np.float32))
    >>> heard.shape, bool(heard.max() < 0.1)
    ((30,), True)
    >>> frames.finish().shape
    (2,)
    """

    def __init__(self, sample_rate: int) -> None:
        self._resampler = None if sample_rate == _RATE else FrameResampler(sample_rate, _RATE)
        self._held = np.zeros(0, np.float32)
        self._before = np.zeros(_CONTEXT, np.float32)
        self._hidden = self._cell = np.zeros((1, 1, 128), np.float32)
        self._loud = 0.0

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Hear the next samples.

        Parameters
        ----------
        samples : np.ndarray, float32, shape=(n,)
            Mono.

        Returns
        -------
        np.ndarray, float32, shape=(k,)
            For the frames that are complete by now, in [0, 1]; two frames are heard together.
        """
        if self._resampler is not None:
            samples = self._resampler.feed(samples)
        self._held = np.concatenate([self._held, samples]) if len(self._held) else samples
        return self._heard(len(self._held) // _SIZE // _GROUP * _GROUP)

    def finish(self) -> np.ndarray:
        """Return the rest: the last frame is filled up with silence."""
        if self._resampler is not None:
            self._held = np.concatenate([self._held, self._resampler.finish()])
        count = -(-len(self._held) // _SIZE)
        self._held = np.pad(self._held, (0, count * _SIZE - len(self._held)))
        return self._heard(count)

    def _heard(self, count: int) -> np.ndarray:
        """Probabilities of the next `count` frames, which are held."""
        found = [self._run(min(_MOST, count - start)) for start in range(0, count, _MOST)]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def _run(self, count: int) -> np.ndarray:
        sound, self._held = self._held[: count * _SIZE].reshape(count, _SIZE), self._held[count * _SIZE :].copy()
        tails = np.concatenate([self._before[np.newaxis], sound[:-1, -_CONTEXT:]])
        self._before = sound[-1, -_CONTEXT:].copy()
        gains = self._gains(np.sqrt(np.mean(np.square(sound), axis=1)))
        given = np.concatenate([tails, sound], axis=1) * gains[:, np.newaxis]
        found, self._hidden, self._cell = _session(os.getpid()).run(
            ["speech_probs", "hn", "cn"], {"input": given, "h": self._hidden, "c": self._cell}
        )
        return np.asarray(found).reshape(-1)

    def _gains(self, levels: np.ndarray) -> np.ndarray:
        gains = np.empty(len(levels), np.float32)
        loud = self._loud
        for k, level in enumerate(levels.tolist()):
            loud = max(level, loud * _FALL)
            gains[k] = min(max(_LEVEL / loud, 1.0), _MOST_GAIN) if loud else 1.0
        self._loud = loud
        return gains


class FrameResampler:
    """Converts a stream to another rate; what it gives does not depend on how the stream was cut.

    Parameters
    ----------
    rate, target : int
        Hz.
    """

    def __init__(self, rate: int, target: int) -> None:
        self._resampler = soxr.ResampleStream(rate, target, 1, dtype="float32", quality=QUALITY)
        self._size = max(round(rate * _STEP), 1)
        self._held = np.zeros(0, np.float32)

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Give the next samples, and take those that are ready."""
        held = np.concatenate([self._held, samples]) if len(self._held) else samples
        whole = len(held) // self._size * self._size
        self._held = held[whole:].copy()
        return self._through([held[k : k + self._size] for k in range(0, whole, self._size)])

    def finish(self) -> np.ndarray:
        """Take the rest."""
        last = self._resampler.resample_chunk(self._held, last=True)
        self._held = np.zeros(0, np.float32)
        return np.asarray(last)

    def _through(self, pieces: list[np.ndarray]) -> np.ndarray:
        if not pieces:
            return np.zeros(0, np.float32)
        return np.concatenate([self._resampler.resample_chunk(piece) for piece in pieces])


@cache
def _session(process: int) -> Any:
    """The network; a forked process makes its own, and never frees its parent's."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False
    data = resources.files("serkit.audio").joinpath("silero/silero_vad_16k_sequence.onnx").read_bytes()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
