"""M4A, MP4, AAC, WebM, Matroska, AMR, WMA, AC3, AVI and more, through PyAV (FFmpeg): the extra ``formats``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from serkit.audio.reader import SLACK, AudioInfo
from serkit.errors import AudioError, MissingExtraError

__all__ = ["AvReader"]


class AvReader:
    """M4A, MP4, AAC, WebM, Matroska and AMR, through PyAV (FFmpeg)."""

    def __init__(self, file: BinaryIO, name: str, kind: str, stack: contextlib.ExitStack) -> None:
        try:
            import av
        except ImportError:
            raise MissingExtraError(f"Reading {kind} ({name})", "av", "formats") from None
        self.name, self._av = name, av
        file.seek(0)
        try:
            self._container = stack.enter_context(av.open(file, mode="r", metadata_errors="replace"))
        except (av.error.FFmpegError, OSError) as error:
            raise AudioError(f"{name} looks like {kind} but is truncated or damaged ({error.strerror}).") from None
        if not self._container.streams.audio:
            raise AudioError(f"{name} is {kind} without a sound track.")
        stream = self._stream = self._container.streams.audio[0]
        codec = stream.codec_context  # None if FFmpeg knows no decoder for it
        if codec is None or not codec.sample_rate:
            raise AudioError(f"{name} is damaged or in a coding that is not known: its {kind} header makes no sense.")
        seconds = None
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif self._container.duration is not None:
            seconds = self._container.duration / av.time_base
        # Bare streams have no header that says a length (FFmpeg estimates one); a film may outlast its sound.
        known = kind not in ("AAC", "AC3", "AMR", "DTS", "MPEG", "MPEG-TS")
        sure = known and (stream.duration is not None or len(self._container.streams) == 1)
        self._promised = seconds if sure else None
        self.info = AudioInfo(seconds, codec.sample_rate, codec.channels, kind, codec.name.upper())

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        # What stands before `start` is decoded and dropped: seeking here is not exact to the sample.
        av, rate, at = self._av, self.info.sample_rate, 0
        try:
            for frame in self._frames():
                data = frame.to_ndarray()
                piece = data.T[max(start - at, 0) : None if stop is None else max(stop - at, 0)]
                at += data.shape[1]
                if len(piece):
                    yield piece
                if stop is not None and at >= stop:
                    return
        except (av.error.FFmpegError, OSError) as error:
            raise AudioError(
                f"{self.name} is truncated or damaged after {at / rate:.2f} s ({error.strerror})."
            ) from None
        if self._promised is not None and self._promised - at / rate > SLACK:
            raise AudioError(
                f"{self.name} is truncated: header says {self._promised:.2f} s, {at / rate:.2f} s could be read."
            )

    def _frames(self) -> Iterator[Any]:
        convert = self._av.AudioResampler(format="fltp", rate=self.info.sample_rate)
        for frame in self._container.decode(self._stream):
            yield from convert.resample(frame)
        yield from convert.resample(None)
