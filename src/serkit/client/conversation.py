"""What is said on a stream, without saying it: messages to send, events of those that come."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from serkit.client.answers import failed
from serkit.client.calls import fields
from serkit.client.steps import Reply
from serkit.errors import AudioError, SerkitError, ServiceError
from serkit.recognition.events import Event

if TYPE_CHECKING:
    import numpy as np

    from serkit.audio import Channel
    from serkit.client.calls import Calls
    from serkit.recognition.label_choice import Labels
    from serkit.recognition.profile import Profile

__all__ = ["AskedOfStream", "Conversation"]


class AskedOfStream(TypedDict, total=False):
    """What may be asked of a stream, as for :class:`serkit.Stream`."""

    model: str | None
    format: Literal["float32", "pcm16", "opus"]
    channels: int
    channel: Channel | Literal["each"]
    window: float | None
    pause: float
    smooth: bool
    min_confidence: float | None
    profile: Profile | None
    labels: Labels | None
    partial: float | None


class Conversation:
    """Both sides of a stream.

    Attributes
    ----------
    model : str
        Name and version of the model that answers; known once it is ready.
    labels : tuple of str
        What it answers with.
    seconds : float
        Seconds of sound that were given.
    """

    def __init__(self, calls: Calls, sample_rate: int, asked: Mapping[str, Any]) -> None:
        self._calls, self._rate = calls, sample_rate
        self._format, self._channels = asked.get("format", "float32"), asked.get("channels", 1)
        words = fields({name: asked.get(name) for name in ("labels", "channel")})
        profile = asked.get("profile")
        told = {name: value for name, value in asked.items() if name not in ("labels", "channel", "profile")}
        self.start = json.dumps(
            {
                **told,
                **words,
                "format": self._format,
                "rate": sample_rate,
                **({} if profile is None else {"profile": profile.to_dict()}),
            }
        )
        scheme, _, rest = calls.address.partition("://")
        self.address = f"{'wss' if scheme == 'https' else 'ws'}://{rest}/v1/stream"
        self.model, self.labels, self.seconds = "", (), 0.0
        self._events: deque[Event] = deque()
        self.ready = self.ended = False
        self.error: SerkitError | None = None

    def encoded(self, samples: np.ndarray | bytes) -> bytes:
        """Return the message for samples as :meth:`serkit.Stream.feed` takes them; bytes are sent as they are."""
        if isinstance(samples, bytes):
            return samples
        import numpy as np

        from serkit.recognition.stream import as_floats

        data = np.asarray(samples)
        if self._format == "opus" or (self._format == "pcm16" and data.dtype != np.int16):
            raise AudioError(
                f"The stream was opened for {self._format}, got an array of {data.dtype}: give "
                f"{'packets as bytes' if self._format == 'opus' else 'int16'}, or open it for float32."
            )
        found = data.reshape(len(data), -1) if self._format == "pcm16" else as_floats(data)
        if len(found) and found.shape[1] != self._channels:
            raise AudioError(f"A chunk has {found.shape[1]} channels, the stream was opened for {self._channels}.")
        self.seconds += len(found) / self._rate
        return found.astype("<i2" if self._format == "pcm16" else "<f4", copy=False).tobytes()

    def heard(self, text: str | bytes) -> None:
        """Take a message of the service."""
        message = json.loads(text)
        try:
            kind = message["event"]
            if kind == "ready":
                self.ready, self.model, self.labels = True, message["model"], tuple(message["labels"])
            elif kind == "end":
                self.ended, self.seconds = True, message["seconds"]
            elif kind == "error":
                self._failed(message["problem"])
            else:
                self._events.append(Event.from_dict(message))
        except (KeyError, TypeError):
            self.error = ServiceError(
                f"{self._calls.address} sent an event that this client does not know: install the same serkit on both."
            )

    def _failed(self, problem: Mapping[str, Any]) -> None:
        kind = {"content-type": "application/problem+json"}
        reply = Reply(int(problem["status"]), kind, json.dumps(problem).encode())
        self.error = failed(reply, self._calls.address, self._calls.key)

    def broke(self, why: object) -> None:
        """Take the end of the connection; it is an error unless everything was said."""
        if not self.ended and self.error is None:
            self.error = ServiceError(f"The stream to {self._calls.address} broke off: {str(why).rstrip('.')}.")

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self.error is not None:
            raise self.error

    def events(self) -> Iterator[Event]:
        """Yield what has come since the last call; then raise what went wrong, if anything did."""
        while self._events:
            yield self._events.popleft()
        self.check()
