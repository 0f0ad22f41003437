"""The process that decodes with FFmpeg: requests on standard input, samples on standard output.

:mod:`serkit.audio.worker` runs this file as a script. It imports neither serkit nor NumPy, so that it starts fast and
does not import the user's main module again. A request is a line of JSON; an answer is one letter, the length of its
data and the data: ``I`` the header's content, ``P`` interleaved float32 samples, ``D`` decoding is done, ``C`` the
recording is closed, ``E`` a reason why it cannot be read.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

_MEMORY = 4 << 30  # bytes of address space; a damaged header that asks for more gets an error instead
_BLOCK = 1 << 17  # bytes of samples sent at a time, at least
_MOST_CHANNELS = 64
_MOST_SAMPLES = 1 << 24  # in one frame


class Recording:
    """The sound track of a file.

    Parameters
    ----------
    path : str
    demuxer : str
        Name of FFmpeg's reader for the container, so that FFmpeg does not guess.

    Raises
    ------
    ValueError
        If it cannot be read; the message is the end of a sentence.
    """

    def __init__(self, path: str, demuxer: str) -> None:
        import av

        self._av = av
        self._file = open(path, "rb")  # noqa: SIM115, PTH123 - FFmpeg would take some names for addresses
        # PyAV 19 no longer has metadata_errors: it replaces what is not UTF-8 by itself.
        how = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
        self._container = av.open(self._file, mode="r", format=demuxer, **how)
        if not self._container.streams.audio:
            raise ValueError("no sound")
        self._stream = self._container.streams.audio[0]
        codec = self._stream.codec_context  # None if FFmpeg has no decoder for it
        self.rate = codec.sample_rate if codec is not None else 0
        self.layout = codec.layout if self.rate else None
        self.channels = _channels(self.layout) if self.rate else 0
        if not 1 <= self.rate <= 768_000 or not 1 <= self.channels <= _MOST_CHANNELS:
            raise ValueError("no sense")
        seconds = None
        if self._stream.duration is not None and self._stream.time_base is not None:
            seconds = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration is not None:
            seconds = self._container.duration / av.time_base
        self.info = {
            "seconds": seconds,
            "rate": self.rate,
            "channels": self.channels,
            "codec": codec.name.upper(),
            "of_stream": self._stream.duration is not None or len(self._container.streams) == 1,
        }

    def blocks(self, start: int, stop: int | None) -> Iterator[bytes]:
        """Yield interleaved float32 of the frames `start` to `stop`; what is before `start` is decoded and dropped."""
        at, width, held = 0, 4 * self.channels, bytearray()
        failed: Exception | None = None
        frames = self._packed()
        while stop is None or at < stop:
            try:
                data = next(frames, None)
            except Exception as error:  # the samples before it are sent first
                failed = error
                break
            if data is None:
                break
            count = len(data) // width
            first, last = max(start - at, 0), count if stop is None else min(max(stop - at, 0), count)
            at += count
            held += data[first * width : last * width]
            if len(held) >= _BLOCK:
                yield bytes(held)
                held.clear()
        if held:
            yield bytes(held)
        if failed is not None:
            raise failed

    def _packed(self) -> Iterator[memoryview]:
        """Every frame, interleaved. (Planes are not: PyAV loses those after the eighth.)"""
        convert: Any = None
        before: tuple[Any, ...] | None = None
        for frame in self._container.decode(self._stream):
            channels = _channels(frame.layout)
            if not (0 < frame.samples <= _MOST_SAMPLES and frame.sample_rate > 0 and 0 < channels <= _MOST_CHANNELS):
                raise ValueError("a frame of impossible size")
            kind = (frame.format.name, frame.layout.name, channels, frame.sample_rate)
            if kind != before:
                if convert is not None:
                    yield from map(self._bytes, convert.resample(None))
                convert, before = self._av.AudioResampler(format="flt", layout=self.layout, rate=self.rate), kind
            frame.pts = None  # with damaged times the converter would fill gaps
            yield from map(self._bytes, convert.resample(frame))
        if convert is not None:
            yield from map(self._bytes, convert.resample(None))

    def _bytes(self, frame: Any) -> memoryview:
        size = frame.samples * self.channels * 4
        data = memoryview(frame.planes[0]).cast("B")
        if frame.format.name != "flt" or _channels(frame.layout) != self.channels or len(data) < size:
            raise ValueError("a frame of impossible size")
        return data[:size]

    def close(self) -> None:
        self._container.close()
        self._file.close()


def _channels(layout: Any) -> int:
    return int(layout.nb_channels) if hasattr(layout, "nb_channels") else len(layout.channels)


def _limit() -> None:
    """Leave Ctrl-C to the parent, write no core dumps, and take no more memory than any recording needs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    except (ImportError, OSError, ValueError):  # not Unix, or not allowed
        pass


def _listen(requests: queue.SimpleQueue[Any], lines: BinaryIO) -> None:
    for line in lines:
        requests.put(json.loads(line))
    os._exit(0)  # the parent has ended; stop even if busy


def serve(open_one: Callable[[dict[str, Any]], Any]) -> None:
    """Answer requests until the parent ends.

    Parameters
    ----------
    open_one : callable
        Called with the request to open a recording; returns it, with `info`, `blocks` and `close` as
        :class:`Recording` has them.
    """
    _limit()
    lines = os.fdopen(os.dup(0), "rb")
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # FFmpeg's own output must not mix with the answers
        os.dup2(null, number)
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, lines), daemon=True).start()

    def answer(letter: bytes, data: bytes | dict[str, Any] = b"") -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        message = memoryview(struct.pack("<cI", letter, len(body)) + body)
        while message:
            message = message[out.write(message) :]

    recording: Any = None
    while True:
        request = requests.get()
        try:
            if "open" in request:
                recording = open_one(request)
                answer(b"I", recording.info)
            elif "read" in request:
                if recording is not None:
                    for block in recording.blocks(*request["read"]):
                        answer(b"P", block)
                        if not requests.empty():  # the reader needs no more
                            break
                answer(b"D")
            else:
                if recording is not None:
                    recording.close()
                recording = None
                answer(b"C")
        except BrokenPipeError:
            os._exit(0)
        except BaseException as error:
            reason = getattr(error, "strerror", None) or str(error) or "not enough memory"
            answer(b"E", {"kind": type(error).__name__, "reason": reason})


if __name__ == "__main__":
    serve(lambda request: Recording(request["open"], request["demuxer"]))
