"""Recordings in, :class:`Waveform` out: reading, streaming, and what a folder holds."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import soxr

from serkit.audio import decode
from serkit.audio.arrays import MAX_RATE, MIN_RATE, MIN_SECONDS, ArrayReader, check_rate, checked
from serkit.audio.reader import AudioInfo, Reader
from serkit.audio.waveform import QUALITY, Waveform, Window, own, resample
from serkit.errors import AudioError, TruncatedError

__all__ = [
    "AUDIO_SUFFIXES",
    "MAX_RATE",
    "MIN_RATE",
    "MIN_SECONDS",
    "AudioInfo",
    "Source",
    "Waveform",
    "Window",
    "find_audio",
    "load",
    "probe",
    "resample",
    "stream",
]

#: What a folder scan picks up: suffixes in lower case, with the dot.
AUDIO_SUFFIXES = frozenset(
    {
        ".wav",
        ".wave",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".caf",
        ".w64",
        ".rf64",
        ".m4a",
        ".mp4",
        ".aac",
        ".webm",
        ".amr",
        ".mkv",
        ".mka",
        ".3gp",
        ".mov",
    }
)

#: Told in a sentence what is wrong with a recording that breaks off.
OnBreak: TypeAlias = "Callable[[str], object]"

#: What can be read.
Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | np.ndarray | Waveform"


def load(
    source: Source,
    *,
    sample_rate: int | None = None,
    target_rate: int | None = None,
    offset: float = 0.0,
    duration: float | None = None,
    on_break: OnBreak | None = None,
) -> Waveform:
    """Read a recording as one mono waveform.

    Parameters
    ----------
    source : path, bytes, binary file object, np.ndarray or Waveform
        WAV, FLAC, Ogg Vorbis or Opus, MP3, AIFF, AU, CAF, W64; with the extra ``formats`` also M4A, MP4, AAC,
        WebM, Matroska and AMR. The content decides, not the suffix. File objects are read from the start.
        Arrays have shape (n,), (n, channels) or (channels, n): the shorter axis is the channels. Channels are
        averaged; integers are scaled by the range of their type, floats are kept as they are.
    sample_rate : int, optional
        Rate of an array in Hz, 4,000 to 192,000. Files say their own.
    target_rate : int, optional
        Resample to this rate in Hz (soxr, high quality).
    offset, duration : float
        Which part to read, in seconds; only this part is decoded where the format allows. A recording that
        ends before ``offset + duration`` gives what there is.
    on_break : callable, optional
        For a recording that breaks off: it is given what could be read, and `on_break` is told what is wrong. By
        default such a recording is refused.

    Returns
    -------
    Waveform

    Raises
    ------
    AudioError
        If there is nothing to read, the recording is damaged, holds values that are not finite, or is shorter
        than 0.1 s.
    TruncatedError
        An AudioError: if the recording breaks off in the part that was asked for, and `on_break` was not given.
    MissingExtraError
        If the format needs PyAV and that is not installed.

    Examples
    --------
    >>> stereo = np.zeros((2, 16000), dtype=np.int16)
    >>> load(stereo, sample_rate=16000, target_rate=8000)
    Waveform(1.000 s, 8000 Hz)
    """
    if not (math.isfinite(offset) and offset >= 0):
        raise AudioError(f"offset must be 0 s or more, got {offset}.")
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise AudioError(f"duration must be more than 0 s, got {duration}.")
    target = None if target_rate is None else check_rate(target_rate, "target_rate")
    with _open(source, sample_rate) as reader:
        rate = reader.info.sample_rate
        start = round(offset * rate)
        stop = None if duration is None else start + max(round(duration * rate), 1)
        pieces, broken = _until_break(checked(reader, start, stop))
        if broken is not None and (on_break is None or sum(map(len, pieces)) < MIN_SECONDS * rate):
            raise broken
        if not pieces:
            length = reader.info.duration
            says = f"which is {length:.3f} s long" if length is not None else "which ends earlier"
            raise AudioError(f"nothing is left of {reader.name}, {says}, from {offset:g} s on.")
        samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        _check_length(len(samples), rate, reader.name)
        if broken is not None and on_break is not None:
            on_break(str(broken))
    wave = own(samples, rate)
    return wave if target is None else resample(wave, target)


def _until_break(pieces: Iterator[np.ndarray]) -> tuple[list[np.ndarray], TruncatedError | None]:
    read: list[np.ndarray] = []
    try:
        for piece in pieces:
            read.append(piece)
    except TruncatedError as error:
        return read, error
    return read, None


def stream(
    source: Source,
    *,
    sample_rate: int | None = None,
    target_rate: int | None = None,
    block: float = 30.0,
    on_break: OnBreak | None = None,
) -> Iterator[Waveform]:
    """Read a recording of any length as consecutive waveforms, holding one at a time.

    Put together, the pieces are what :func:`load` returns.

    Parameters
    ----------
    source, sample_rate, target_rate
        As for :func:`load`.
    block : float
        Length of a piece in seconds, at least 0.1; the last one may be shorter.
    on_break : callable, optional
        For a recording that breaks off: told what is wrong before the last piece. By default that is raised after it.

    Yields
    ------
    Waveform

    Raises
    ------
    AudioError
        As for :func:`load`.
    TruncatedError
        If the recording breaks off and `on_break` was not given; after all that could be read.

    Examples
    --------
    >>> [piece.duration for piece in stream(np.zeros(20000, dtype=np.float32), sample_rate=8000, block=1)]
    [1.0, 1.0, 0.5]
    """
    if not (math.isfinite(block) and block >= MIN_SECONDS):
        raise AudioError(f"block must be at least {MIN_SECONDS} s, got {block}.")
    target = None if target_rate is None else check_rate(target_rate, "target_rate")
    return _stream(source, sample_rate, target, block, on_break)


def _stream(
    source: Source, sample_rate: int | None, target: int | None, block: float, on_break: OnBreak | None
) -> Iterator[Waveform]:
    with _open(source, sample_rate) as reader:
        rate = target or reader.info.sample_rate
        size = round(block * rate)
        held: list[np.ndarray] = []
        count, first = 0, True
        broken: list[TruncatedError] = []
        for piece in _resampled(reader, rate, broken.append):
            held.append(piece)
            count += len(piece)
            if count < size:
                continue
            joined = np.concatenate(held)
            for start in range(0, count - size + 1, size):
                yield own(joined[start : start + size].copy(), rate)
            first = False
            held = [joined[count - count % size :]]
            count %= size
        if first:
            if broken and count < MIN_SECONDS * rate:
                raise broken[0]
            _check_length(count, rate, reader.name)
        if broken and on_break is not None:
            on_break(str(broken[0]))
        if count:
            yield own(np.concatenate(held), rate)
        if broken and on_break is None:
            raise broken[0]


@contextlib.contextmanager
def _open(source: Source, sample_rate: int | None) -> Iterator[Reader]:
    """Open whatever `source` is, and settle its rate."""
    given = None if sample_rate is None else check_rate(sample_rate, "sample_rate")
    if isinstance(source, Waveform):
        reader: Reader = ArrayReader(source.samples, source.sample_rate, "the waveform")
    elif hasattr(source, "__array__"):
        if given is None:
            raise AudioError("an array does not say its rate: give sample_rate=... in Hz.")
        reader = ArrayReader(np.asarray(source), given)
    else:
        with decode.open_reader(source) as reader:
            check_rate(reader.info.sample_rate, f"the sample rate of {reader.name}")
            _check_given(given, reader)
            yield reader
        return
    _check_given(given, reader)
    yield reader


def _check_given(given: int | None, reader: Reader) -> None:
    if given not in (None, reader.info.sample_rate):
        raise AudioError(
            f"sample_rate={given} was given, but {reader.name} has {reader.info.sample_rate} Hz: leave it "
            "out, or say target_rate to resample."
        )


def _check_length(count: int, rate: int, name: str) -> None:
    if count < MIN_SECONDS * rate:
        raise AudioError(f"{name} gives {count / rate:.3f} s of sound: at least {MIN_SECONDS} s are needed.")


def _resampled(reader: Reader, rate: int, on_break: Callable[[TruncatedError], None]) -> Iterator[np.ndarray]:
    same = rate == reader.info.sample_rate
    convert = None if same else soxr.ResampleStream(reader.info.sample_rate, rate, 1, dtype="float32", quality=QUALITY)
    try:
        for piece in checked(reader, 0, None):
            yield piece if convert is None else convert.resample_chunk(piece)
    except TruncatedError as error:
        on_break(error)
    if convert is not None:
        yield convert.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def probe(source: Source, *, on_break: OnBreak | None = None) -> AudioInfo:
    """Read what the header of a file, bytes or a file object says, without decoding it.

    Parameters
    ----------
    source : path, bytes or binary file object
    on_break : callable, optional
        Told what is wrong with a file that is seen to break off; by default such a file is refused.

    Returns
    -------
    AudioInfo
        duration (s, None if unknown), sample_rate (Hz), channels, format and subtype.

    Raises
    ------
    AudioError
        If it cannot be read.
    TruncatedError
        If the header promises more than the file holds, and `on_break` was not given.
    """
    if isinstance(source, (np.ndarray, Waveform)):
        raise AudioError("probe reads headers of files: an array or a Waveform has none.")
    with decode.open_reader(source) as reader:
        if reader.broken is not None:
            if on_break is None:
                raise TruncatedError(reader.broken)
            on_break(reader.broken)
        return reader.info


def find_audio(path: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """List the recordings of a folder, by suffix (:data:`AUDIO_SUFFIXES`).

    Parameters
    ----------
    path : path
        A folder; a file gives itself, whatever its suffix.
    recursive : bool
        Also look into sub-folders. Hidden files and folders are passed over.

    Returns
    -------
    list of Path
        Sorted by their POSIX form, whatever order the file system has.

    Raises
    ------
    AudioError
        If the path does not exist, may not be read, or holds no recording.
    """
    root = Path(path)
    try:
        if not root.is_dir():
            root.stat()  # a missing path raises here
            return [root]
        found = _scan(root, recursive)
        deeper = not found and not recursive and bool(_scan(root, True))
    except FileNotFoundError:
        raise decode.missing(root) from None
    except PermissionError as error:
        where = str(error.filename or root)
        raise AudioError(f"no permission to read {where!r}: change the rights of that folder.") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot read {str(root)!r}: {getattr(error, 'strerror', None) or error}.") from None
    if not found:
        hint = "; its sub-folders hold some: add --recursive (recursive=True)" if deeper else ""
        raise AudioError(f"no recording ({', '.join(sorted(AUDIO_SUFFIXES))}) in {str(root)!r}{hint}.")
    return found


def _scan(root: Path, recursive: bool) -> list[Path]:
    found: list[Path] = []
    for folder, subfolders, names in os.walk(root, onerror=_raise):
        subfolders[:] = [name for name in subfolders if recursive and not name.startswith(".")]
        found += [
            Path(folder, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES
        ]
    return sorted(found, key=lambda item: item.as_posix())


def _raise(error: OSError) -> None:
    raise error
