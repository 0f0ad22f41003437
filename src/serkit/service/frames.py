"""The binary messages of a stream -> samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from serkit.errors import AudioError, MissingExtraError

__all__ = ["Decoder", "decoder"]

#: Turns a message into samples, float32 or int16, shape (n, channels).
Decoder: TypeAlias = "Callable[[bytes], np.ndarray]"

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


def decoder(kind: Literal["pcm16", "float32", "opus"], rate: int, channels: int) -> Decoder:
    """Return what decodes the messages of a stream.

    Parameters
    ----------
    kind : {"pcm16", "float32", "opus"}
        Interleaved little-endian samples, or a packet of Opus in each message.
    rate : int
        Hz.
    channels : int

    Raises
    ------
    AudioError
        If Opus cannot have this rate or number of channels.
    MissingExtraError
        For Opus, if PyAV is not installed.

    Examples
    --------
    >>> decoder("pcm16", 16000, 2)(bytes([1, 0, 2, 0, 3, 0, 4, 0])).tolist()
    [[1, 2], [3, 4]]
    """
    if kind == "opus":
        return _opus(rate, channels)
    dtype = np.dtype("<i2" if kind == "pcm16" else "<f4")

    def samples(message: bytes) -> np.ndarray:
        if len(message) % (dtype.itemsize * channels):
            raise AudioError(
                f"A message of {len(message)} bytes is no whole number of {kind} frames of {channels} channels: send "
                f"a multiple of {dtype.itemsize * channels} bytes."
            )
        return np.frombuffer(message, dtype).reshape(-1, channels)

    return samples


def _opus(rate: int, channels: int) -> Decoder:
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise MissingExtraError("A stream of Opus", "av", "formats") from error
    if rate not in _OPUS_RATES or channels > 2:
        raise AudioError(f"Opus has 1 or 2 channels at {', '.join(map(str, _OPUS_RATES))} Hz: got {channels}, {rate}.")
    layout = "mono" if channels == 1 else "stereo"
    codec: Any = av.CodecContext.create("opus", "r")
    codec.sample_rate, codec.layout = 48000, layout
    convert: Any = av.AudioResampler(format="flt", layout=layout, rate=rate)

    def samples(message: bytes) -> np.ndarray:
        try:
            found = [
                np.frombuffer(bytes(part.planes[0])[: 4 * part.samples * channels], np.float32)
                for frame in codec.decode(av.Packet(message))
                for part in convert.resample(frame)
            ]
        except (FFmpegError, ValueError) as error:
            raise AudioError(f"A message is no packet of Opus ({type(error).__name__}): send one in each.") from None
        return np.concatenate([*found, np.zeros(0, np.float32)]).reshape(-1, channels)

    return samples
