"""Recordings in, :class:`Waveform` out: at once, in pieces, or only the header."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np
import soxr

from serkit.audio import decode
from serkit.audio.arrays import MAX_RATE, MIN_RATE, MIN_SECONDS, ArrayReader, check_rate, checked
from serkit.audio.channels import Channel, Choice, Levels, channel_number, check_channel, choose, every_channel
from serkit.audio.quality import Meter
from serkit.audio.reader import AudioInfo, Reader
from serkit.audio.waveform import QUALITY, Waveform, Window, own, resample
from serkit.errors import AudioError, TruncatedError

if TYPE_CHECKING:
    from serkit.audio.live_pcm import LivePcm

__all__ = [
    "MAX_RATE",
    "MIN_RATE",
    "MIN_SECONDS",
    "AudioInfo",
    "Recording",
    "Source",
    "Track",
    "Waveform",
    "Window",
    "channels_of",
    "load",
    "load_chosen",
    "probe",
    "resample",
    "stream",
]

#: One recording in memory, or live on a pipe. A mapping is a row of
#: Hugging Face datasets: ``{"array": ..., "sampling_rate": ...}`` or ``{"bytes": ..., "path": ...}``.
Recording: TypeAlias = "bytes | bytearray | memoryview | BinaryIO | np.ndarray | Waveform | Mapping[str, Any] | LivePcm"
#: Called with a sentence that says what is wrong with a recording that breaks off.
OnBreak: TypeAlias = "Callable[[str], object]"
#: What can be read.
Source: TypeAlias = "str | os.PathLike[str] | Recording"


def load(
    source: Source,
    *,
    sample_rate: int | None = None,
    target_rate: int | None = None,
    offset: float = 0.0,
    duration: float | None = None,
    channel: Channel = "auto",
    on_break: OnBreak | None = None,
) -> Waveform:
    """Read a recording as one mono waveform.

    Parameters
    ----------
    source : path, bytes, binary file object, np.ndarray, Waveform or mapping
        WAV, FLAC, Ogg Vorbis or Opus, MP3, AIFF, AU, CAF, W64; with the extra ``formats`` also M4A, MP4, AAC,
        WebM, Matroska, AMR, WMA, AC3, AVI, FLV and MPEG-TS. The content decides, not the suffix. File objects are
        read from the start. Arrays have shape (n,), (n, channels) or (channels, n): the shorter axis is the channels.
        Integers are scaled by the range of their type, floats are kept as they are. A mapping has ``"array"`` and
        ``"sampling_rate"``, or ``"bytes"`` and ``"path"``, as rows of Hugging Face datasets do, decoded or not.
    sample_rate : int, optional
        Rate of an array in Hz, 4,000 to 192,000. Files state their own.
    target_rate : int, optional
        Resample to this rate in Hz (soxr, high quality).
    offset, duration : float
        Which part to read, in seconds; only this part is decoded where the format allows. A recording that
        ends before ``offset + duration`` gives the rest.
    channel : {"auto", "mix", "left", "right"} or int
        Which channel to use, or its number from 1; ``"mix"`` is the mean of all. By default the mean, unless it
        would lose the voice because the channels cancel or all but one are empty
        (:mod:`serkit.audio.channels` has the rule); judged by the part that is read.
    on_break : callable, optional
        Called with a sentence that says what is wrong when a recording breaks off; what could be read is then
        returned. By default such a recording is refused.

    Returns
    -------
    Waveform

    Raises
    ------
    AudioError
        If there is nothing to read, the recording breaks off, is damaged, holds values that are not finite,
        or is shorter than 0.1 s.
    MissingExtraError
        If the format needs PyAV and that is not installed.

    Examples
    --------
    >>> stereo = np.zeros((2, 16000), dtype=np.int16)
    >>> load(stereo, sample_rate=16000, target_rate=8000)
    Waveform(1.000 s, 8000 Hz)

    See Also
    --------
    stream : the same in pieces, for recordings of any length.
    probe : what the header says.
    """
    return load_chosen(
        source,
        sample_rate=sample_rate,
        target_rate=target_rate,
        offset=offset,
        duration=duration,
        channel=channel,
        on_break=on_break,
    )[0]


def load_chosen(
    source: Source,
    *,
    sample_rate: int | None = None,
    target_rate: int | None = None,
    offset: float = 0.0,
    duration: float | None = None,
    channel: Channel = "auto",
    on_break: OnBreak | None = None,
) -> tuple[Waveform, Choice]:
    """Read what :func:`load` reads, and say which channel it is."""
    wanted = check_channel(channel)
    if not (math.isfinite(offset) and offset >= 0):
        raise AudioError(f"offset must be 0 s or more, got {offset}.")
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise AudioError(f"duration must be more than 0 s, got {duration}.")
    target = None if target_rate is None else check_rate(target_rate, "target_rate")
    with _open(source, sample_rate) as reader:
        rate = reader.info.sample_rate
        start = round(offset * rate)
        stop = None if duration is None else start + max(round(duration * rate), 1)
        broken: list[TruncatedError] = []
        blocks = _until_break(reader.blocks(start, stop), broken)
        if wanted == "auto" and reader.info.channels > 1:
            held = list(blocks)
            choice, blocks = _choice(held, reader), iter(held)
        else:
            choice = channel_number(wanted, reader.info.channels, reader.name)
        pieces = list(checked(map(choice.mono, blocks), start, rate, reader.name))
        if broken and (on_break is None or sum(map(len, pieces)) < MIN_SECONDS * rate):
            raise broken[0]
        if not pieces:
            length = reader.info.duration
            says = f"which is {length:.3f} s long" if length is not None else "which ends earlier"
            raise AudioError(f"nothing is left of {reader.name}, {says}, from {offset:g} s on.")
        samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        _check_length(len(samples), rate, reader.name)
        if broken and on_break is not None:
            on_break(str(broken[0]))
    wave = own(samples, rate)
    return (wave if target is None else resample(wave, target)), choice


def _until_break(blocks: Iterable[np.ndarray], broken: list[TruncatedError]) -> Iterator[np.ndarray]:
    """The blocks that could be read; if a recording breaks off, the reason is put in `broken`."""
    try:
        yield from blocks
    except TruncatedError as error:
        broken.append(error)


def stream(
    source: Source,
    *,
    sample_rate: int | None = None,
    target_rate: int | None = None,
    block: float = 30.0,
    channel: Channel = "auto",
    on_break: OnBreak | None = None,
) -> Iterator[Waveform]:
    """Read a recording of any length as consecutive waveforms, holding one at a time.

    Put together, the pieces are what :func:`load` returns.

    Parameters
    ----------
    source, sample_rate, target_rate, channel
        As for :func:`load`. With ``"auto"``, a recording with several channels is read twice to choose one; a pipe is
        copied for that, to a temporary file if it is long.
    block : float
        Length of a piece in seconds, at least 0.1; the last one may be shorter.
    on_break : callable, optional
        Called before the last piece of a recording that breaks off. By default the error is raised after that piece.

    Yields
    ------
    Waveform

    Raises
    ------
    AudioError
        As for :func:`load`; a recording that breaks off raises after the pieces that could be read.

    Examples
    --------
    >>> [piece.duration for piece in stream(np.zeros(20000, dtype=np.float32), sample_rate=8000, block=1)]
    [1.0, 1.0, 0.5]

    See Also
    --------
    load : all of it, or a part, as one waveform.
    """
    return iter(
        Track(
            source,
            sample_rate=sample_rate,
            target_rate=target_rate,
            block=block,
            channel=channel,
            on_break=on_break,
        )
    )


class Track:
    """The pieces that :func:`stream` yields, and what was learned while reading them.

    Parameters
    ----------
    source, sample_rate, target_rate, block, channel, on_break
        As for :func:`stream`; `channel` may also be a choice that :func:`channels_of` gave.

    Attributes
    ----------
    choice : Choice
        The channel in use; known once the first waveform is read.
    meter : Meter
        Level and clipping of what was read so far, at the recording's own rate.
    rate : int
        The recording's own rate, Hz, and ``name``, its name in messages; known once :meth:`blocks` has begun.
    """

    choice: Choice
    meter: Meter
    rate: int
    name: str

    def __init__(
        self,
        source: Source,
        *,
        sample_rate: int | None = None,
        target_rate: int | None = None,
        block: float = 30.0,
        channel: Channel | Choice = "auto",
        on_break: OnBreak | None = None,
    ) -> None:
        if not (math.isfinite(block) and block >= MIN_SECONDS):
            raise AudioError(f"block must be at least {MIN_SECONDS} s, got {block}.")
        self._source, self._given, self._block = source, sample_rate, block
        self._target = None if target_rate is None else check_rate(target_rate, "target_rate")
        self._on_break = on_break
        self._wanted = channel if isinstance(channel, Choice) else check_channel(channel)

    def __iter__(self) -> Iterator[Waveform]:
        with self._opened() as reader:
            self.meter = Meter(reader.info.sample_rate)
            rate = self._target or reader.info.sample_rate
            size = round(self._block * rate)
            held: list[np.ndarray] = []
            count, first = 0, True
            broken: list[TruncatedError] = []
            for piece in _resampled(_until_break(self._heard(reader), broken), reader, rate):
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
            if broken and self._on_break is not None:
                self._on_break(str(broken[0]))
            if count:
                yield own(np.concatenate(held), rate)
            if broken and self._on_break is None:
                raise broken[0]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the recording as it is: blocks of all its channels at its own rate, float32, shape (n, channels).

        Neither `block` nor `target_rate` matter here, and `meter` stays empty. A recording that breaks off raises
        TruncatedError after the blocks that could be read; values that are not finite raise AudioError.
        """
        with self._opened() as reader:
            self.rate, self.name = reader.info.sample_rate, reader.name
            at = 0
            for block in reader.blocks():
                data = np.asarray(block, dtype=np.float32).reshape(len(block), -1)
                for _ in checked([data.reshape(-1)], at * data.shape[1], self.rate * data.shape[1], self.name):
                    yield data
                at += len(data)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Reader]:
        """The recording, opened to be read, after the channel has been chosen."""
        with decode.reopenable(self._source) as source:
            with _open(source, self._given) as reader:
                channels = reader.info.channels
                if isinstance(self._wanted, Choice):
                    self.choice = self._wanted
                elif self._wanted != "auto" or channels == 1:
                    self.choice = channel_number(self._wanted, channels, reader.name)
                else:
                    self.choice = _choice(reader.blocks(), reader)
                    channels = 0  # already read: open it again
                if channels:
                    yield reader
                    return
            with _open(source, self._given) as reader:
                yield reader

    def _heard(self, reader: Reader) -> Iterator[np.ndarray]:
        for block in reader.blocks():
            self.meter.add(self.choice.heard(block))
            yield self.choice.mono(block)


def channels_of(source: Source, *, sample_rate: int | None = None) -> list[Choice]:
    """Return one choice for each channel of a recording, for :class:`Track`."""
    with _open(source, sample_rate) as reader:
        return every_channel(reader.info.channels)


def _choice(blocks: Iterable[np.ndarray], reader: Reader) -> Choice:
    """The channel that holds the voice; of a recording that breaks off, as far as it goes."""
    levels = Levels(reader.info.channels, reader.info.sample_rate)
    with contextlib.suppress(AudioError):  # the next read reports it
        for block in blocks:
            levels.add(block)
    return choose(levels)


@contextlib.contextmanager
def _open(source: Source, sample_rate: int | None) -> Iterator[Reader]:
    """Open any source, and determine its rate."""
    if isinstance(source, Mapping):
        decoded = _row(source, sample_rate)
        source, sample_rate = decoded if isinstance(decoded, tuple) else (decoded, sample_rate)
    given = None if sample_rate is None else check_rate(sample_rate, "sample_rate")
    if hasattr(source, "chunks"):  # the module of live sound need not be loaded to know it
        live = cast("LivePcm", source)
        _check_given(given, live)
        yield live
        return
    if isinstance(source, Waveform):
        reader: Reader = ArrayReader(source.samples, source.sample_rate, "the waveform")
    elif hasattr(source, "__array__"):
        if given is None:
            raise AudioError("an array has no rate of its own: give sample_rate=... in Hz.")
        reader = ArrayReader(np.asarray(source), given)
    else:
        with decode.open_reader(source) as reader:
            check_rate(reader.info.sample_rate, f"the sample rate of {reader.name}")
            _check_given(given, reader)
            yield reader
        return
    _check_given(given, reader)
    yield reader


def _row(row: Mapping[str, Any], sample_rate: int | None) -> tuple[np.ndarray, int] | bytes | str:
    """The array and the rate of a row of Hugging Face datasets, whose arrays of two axes are (channels, n) too.

    A row that is not decoded has the bytes of a file, or only its path.
    """
    if "array" not in row and ("bytes" in row or "path" in row):
        content = row.get("bytes") or row.get("path")
        if not content:
            raise AudioError(
                "a mapping with 'bytes' and 'path' is a recording if one of them is given, both are empty."
            )
        return cast("bytes | str", content)
    if "array" not in row or "sampling_rate" not in row:
        keys = ", ".join(map(repr, list(row)[:5])) or "none"
        raise AudioError(
            "a mapping is a recording if it has 'array' and 'sampling_rate', or 'bytes' or 'path'; this one has "
            f"{keys}."
        )
    rate = check_rate(row["sampling_rate"], "'sampling_rate'")
    if sample_rate not in (None, rate):
        raise AudioError(f"sample_rate={sample_rate} was given, but the mapping has {rate} Hz: leave it out.")
    return np.asarray(row["array"]), rate


def _check_given(given: int | None, reader: Reader) -> None:
    if given not in (None, reader.info.sample_rate):
        raise AudioError(
            f"sample_rate={given} was given, but {reader.name} has {reader.info.sample_rate} Hz: leave it "
            "out, or give target_rate to resample."
        )


def _check_length(count: int, rate: int, name: str) -> None:
    if count < MIN_SECONDS * rate:
        raise AudioError(f"{name} gives {count / rate:.3f} s of sound: at least {MIN_SECONDS} s is needed.")


def _resampled(blocks: Iterable[np.ndarray], reader: Reader, rate: int) -> Iterator[np.ndarray]:
    pieces = checked(blocks, 0, reader.info.sample_rate, reader.name)
    if rate == reader.info.sample_rate:
        yield from pieces
        return
    resampler = soxr.ResampleStream(reader.info.sample_rate, rate, 1, dtype="float32", quality=QUALITY)
    for piece in pieces:
        yield resampler.resample_chunk(piece)
    yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def probe(source: Source, *, on_break: OnBreak | None = None) -> AudioInfo:
    """Read what the header of a file, bytes or a file object says, without decoding it.

    Parameters
    ----------
    source : path, bytes or binary file object
    on_break : callable, optional
        Called with a sentence that says what is wrong with a file that breaks off; by default such a file is refused.

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
    if isinstance(source, (np.ndarray, Waveform, Mapping)):
        raise AudioError("probe reads the headers of files; an array or a Waveform has none.")
    with decode.open_reader(source) as reader:
        if reader.broken is not None:
            if on_break is None:
                raise TruncatedError(reader.broken)
            on_break(reader.broken)
        return reader.info
