"""WAV, FLAC, Ogg, MP3, AIFF and the like, through libsndfile, corrected where it would misread them or stop early."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile as sf

from serkit.audio import headers
from serkit.audio.mp3 import mp3_header, mp3_note
from serkit.audio.reader import SLACK, AudioInfo
from serkit.audio.suffixes import has_audio_suffix
from serkit.audio.virtual_file import Sound, VirtualFile
from serkit.errors import AudioError, TruncatedError

__all__ = ["NotForLibsndfileError", "SoundFileReader"]

_BLOCK = 1 << 14  # frames decoded at a time


class NotForLibsndfileError(AudioError):
    """libsndfile cannot open the file, but another decoder may."""


class SoundFileReader:
    """The bytes `begin` to `end` of a file.

    Parameters
    ----------
    file : binary file object
    name : str
        Its name in messages.
    begin, end : int
    stack : ExitStack
        Closes what is opened.
    """

    def __init__(self, file: BinaryIO, name: str, begin: int, end: int, stack: contextlib.ExitStack) -> None:
        self.name = name
        self.broken: str | None = None
        chunk = headers.data_chunk(file, end) if begin == 0 else None
        self._view = view = self._mend(file, begin, end, chunk)
        try:
            self._sound = sound = stack.enter_context(Sound(view))
        except sf.LibsndfileError as error:
            view.check()
            raise self._refused(error, headers.read_at(file, begin, 4096)) from None
        if sound.samplerate < 1 or sound.channels < 1:
            raise AudioError(
                f"{name} is damaged: its header says {sound.samplerate} Hz and {sound.channels} "
                f"channel{'' if sound.channels == 1 else 's'}."
            )
        self._frames = sound.frames if 0 < sound.frames < 1 << 62 else None
        seconds = sound.frames / sound.samplerate if self._frames else None
        self.info = AudioInfo(seconds, sound.samplerate, sound.channels, sound.format, sound.subtype)
        if chunk is not None:
            self._check_chunk(chunk)
        if sound.frames == 0:
            raise AudioError(f"{name} holds no samples, only a header.")

    def _mend(self, file: BinaryIO, begin: int, end: int, chunk: headers.DataChunk | None) -> VirtualFile:
        """Look for what libsndfile would silently get wrong, and correct or refuse it."""
        if chunk is not None:
            if chunk.promised is not None or not chunk.present:
                return VirtualFile(file, end=end)
            head = headers.read_at(file, 0, chunk.size_at)  # written to a pipe: all that follows is sound
            order = "<" if head[:4] == b"RIFF" else ">"
            length = min(chunk.present, 0xFFFFFFFF)
            return VirtualFile(file, head + struct.pack(order + "I", length), chunk.size_at + 4, end)
        magic = headers.read_at(file, begin, 4)
        if magic == b"OggS":
            from serkit.audio.breaks import ogg_cut_off

            if ogg_cut_off(file, end):
                self.broken = f"{self.name} is truncated: its last Ogg page breaks off."
            return VirtualFile(file, skip=begin, end=end)
        if magic in (b"caff", b"Crea", b"NIST"):
            from serkit.audio.breaks import ends_early

            if ends_early(file, end, headers.read_at(file, begin, 4096)):
                self.broken = f"{self.name} is truncated: its end is missing."
            return VirtualFile(file, skip=begin, end=end)
        mp3 = mp3_header(file, begin)
        if mp3 is None:
            return VirtualFile(file, skip=begin, end=end)
        there = end - mp3.start
        if there < 2 * mp3.frame_bytes:
            raise AudioError(f"{self.name} holds fewer than two MP3 frames: it is truncated or not a recording.")
        if mp3.seconds is None:
            note, cut = mp3_note(file, end, mp3.start)
            if cut:
                self.broken = f"{self.name} is truncated: its last MP3 frame breaks off."
            return VirtualFile(file, note, mp3.start, end)
        if mp3.promised and there < 0.99 * mp3.promised:
            self._note_break(mp3.seconds, mp3.seconds * there / mp3.promised)
        return VirtualFile(file, skip=begin, end=end)

    def _check_chunk(self, chunk: headers.DataChunk) -> None:
        seconds = (self._frames or 0) / self.info.sample_rate
        if chunk.promised and chunk.present == 0:
            raise AudioError(
                f"{self.name} is truncated: its header promises {chunk.promised} bytes of sound, but none follow."
            )
        if chunk.present == 0:
            if seconds:
                raise self._lie(0.0, seconds)
            return
        if chunk.promised is not None and seconds > 0:
            promised = seconds * chunk.promised / chunk.present
            if promised - seconds > 0.01:
                self._note_break(promised, seconds)
        if chunk.more and seconds * chunk.more / chunk.present > 0.01:
            raise self._lie(seconds, seconds * chunk.more / chunk.present)

    def _lie(self, said: float, more: float) -> AudioError:
        return AudioError(
            f"the header of {self.name} is wrong about its length: it says {said:.2f} s, but {more:.2f} s more "
            "follow; write the file again."
        )

    def _note_break(self, promised: float, present: float) -> None:
        self.broken = f"{self.name} is truncated: header says {promised:.2f} s, {present:.2f} s could be read."

    def _refused(self, error: sf.LibsndfileError, head: bytes) -> AudioError:
        if headers.looks_like_text(head):
            odd = ", despite its name" if has_audio_suffix(self.name.strip("'")) else ""
            return AudioError(f"{self.name} is text, not audio{odd}.")
        if error.code == 1:  # SF_ERR_UNRECOGNISED_FORMAT
            return NotForLibsndfileError(
                f"{self.name} is not an audio file of a known format (it begins with {head[:8]!r})."
            )
        reason = error.error_string.rstrip(".").lower()
        if error.code == 2:  # SF_ERR_SYSTEM: its text is about pipes, but it means an early end of file
            reason = "it ends inside its header"
        return NotForLibsndfileError(f"{self.name} is truncated or damaged and cannot be decoded ({reason}).")

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        rate = self.info.sample_rate
        end = self._frames if stop is None else min(stop, self._frames or stop)
        at = 0 if self.info.format == "MP3" else start  # seeking in MP3 is not exact: decode and drop
        if end is None or start < end:
            if at:
                self._seek(at)
            while end is None or at < end:
                data, reason = self._read(_BLOCK if end is None else min(_BLOCK, end - at))
                at += len(data)
                if at > start and len(data):
                    yield data[max(start - at, -len(data)) :]
                if reason is not None:
                    raise self._damaged(at, reason)
                if len(data) == 0:
                    break
        slack = SLACK if self.info.format in ("MP3", "OGG") else 0.01
        if self.broken is None and self._frames is not None and end is not None and end - at > slack * rate:
            self._note_break(self._frames / rate, at / rate)
        if self.broken is not None and (stop is None or stop > at):
            raise TruncatedError(self.broken)

    def _seek(self, at: int) -> None:
        try:
            self._sound.seek(at)
        except sf.LibsndfileError as error:
            self._view.check()
            raise self._damaged(0, error.error_string.rstrip(".")) from None

    def _read(self, count: int) -> tuple[np.ndarray, str | None]:
        """Read up to `count` frames; where decoding fails, those before the damage and the reason."""
        data = np.full((count, self.info.channels), np.nan, dtype=np.float32)
        reason = None
        try:
            data = self._sound.read(out=data)
        except sf.LibsndfileError as error:
            reason = error.error_string.rstrip(".")
            missing = np.isnan(data[:, 0])  # libsndfile does not say how far it got
            data = data[: int(missing.argmax()) if missing.any() else count]
        self._view.check()
        return data, reason

    def _damaged(self, at: int, reason: str) -> AudioError:
        rate = self.info.sample_rate
        if self.broken is not None:
            message = self.broken
        elif self._frames is not None:
            message = (
                f"{self.name} is truncated or damaged: header says {self._frames / rate:.2f} s, "
                f"{at / rate:.2f} s could be read."
            )
        else:
            message = f"{self.name} is damaged after {at / rate:.2f} s ({reason})."
        return TruncatedError(message) if at else AudioError(message)
