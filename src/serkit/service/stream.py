"""``WS /v1/stream``: sound in while it is heard, events out; docs/service.md describes the protocol."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serkit.errors import SerkitError
from serkit.files import parse_json
from serkit.recognition.profile import Profile
from serkit.recognition.stream import Stream
from serkit.service.frames import Decoder, decoder
from serkit.service.gate import given_key
from serkit.service.problems import Problem, invalid, mistake, unexpected
from serkit.service.state import State, state_of

__all__ = ["Start", "router"]

router = APIRouter()

_POLICY, _TOO_MUCH, _FAILED, _LATER = 1008, 1009, 1011, 1013
_CLOSING = {401: _POLICY, 413: _TOO_MUCH, 429: _LATER, 500: _FAILED, 503: _LATER}
_MOST_WAITING = 16  # messages taken from the connection before they are answered; then it is not read


class Start(BaseModel):
    """The first message of a stream."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["pcm16", "float32", "opus"] = "pcm16"
    rate: int = Field(16000, ge=4000, le=192_000)
    channels: int = Field(1, ge=1, le=8)
    key: str | None = Field(None, max_length=500)
    model: str | None = Field(None, max_length=200)
    channel: str = Field("mix", max_length=20)
    min_confidence: float | None = Field(None, ge=0, le=1)
    labels: str | None = Field(None, max_length=2000)
    profile: dict[str, Any] | None = None
    window: float | None = Field(None, gt=0, le=600)
    pause: float = Field(0.24, ge=0.1, le=5)
    smooth: bool = True
    partial: float | None = Field(0.5, ge=0.1, le=60)


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    """Answer one stream."""
    state = state_of(socket)
    if not _allowed_origin(socket, state.settings.cors):
        await socket.close(_POLICY)  # before it is accepted: 403
        return
    await socket.accept()
    try:
        with state.one_stream():
            await _serve(socket, state)
    except WebSocketDisconnect:
        pass
    except Problem as problem:
        await _refuse(socket, problem)
    except SerkitError as error:
        await _refuse(socket, mistake(error))
    except Exception as error:
        await _refuse(socket, unexpected(error, "stream"))


async def _serve(socket: WebSocket, state: State) -> None:
    start = await _begun(socket, state)

    def made() -> tuple[Stream, Decoder, dict[str, Any]]:
        recognizer = state.models.get(start.model)
        profile = None if start.profile is None else Profile.from_dict(start.profile)
        names = ("channel", "min_confidence", "labels", "window", "pause", "smooth", "partial")
        found = Stream(
            recognizer, sample_rate=start.rate, profile=profile, **{name: getattr(start, name) for name in names}
        )
        labels = list(recognizer.among(start.labels).labels)
        manifest = recognizer.manifest
        ready = {"event": "ready", "model": f"{manifest.name} {manifest.version}", "labels": labels}
        return found, decoder(start.format, start.rate, start.channels), ready

    answering, decode, ready = await state.pool.feed(made)
    await socket.send_text(json.dumps(ready))
    incoming = _Incoming(socket, state.settings.stream_idle_seconds)
    try:
        last = False
        while not last:
            given, last = await incoming.taken()

            def answer(given: list[bytes] = given, last: bool = last) -> list[dict[str, Any]]:
                chunks = [chunk for chunk in map(decode, given) if len(chunk)]
                if chunks:
                    joined = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
                    answering.feed(joined, partial=not state.pool.behind)
                if last:
                    answering.finish()
                return [event.to_dict() for event in answering.events()]

            for event in await state.pool.feed(answer):
                await socket.send_text(json.dumps(event))
            if answering.seconds > state.settings.stream_seconds:
                raise Problem(413, f"A stream holds at most {state.settings.stream_seconds:g} s: begin another one.")
        await socket.send_text(json.dumps({"event": "end", "seconds": answering.seconds}))
        await socket.close()
        state.metrics.sound.inc(answering.seconds)
    finally:
        incoming.end()


async def _begun(socket: WebSocket, state: State) -> Start:
    """The first message, checked, from somebody who may ask."""
    message = await _message(socket, state)
    text = message.get("text")
    if text is None:
        raise Problem(422, 'The first message must be JSON text, as {"format": "pcm16", "rate": 16000}, got bytes.')
    try:
        start = Start.model_validate(parse_json(text.encode("utf-8", "surrogateescape")))
    except ValidationError as error:
        raise invalid(error.errors()) from None
    except ValueError as error:
        raise Problem(422, f"The first message is not JSON: {error}.") from None
    who = socket.client.host if socket.client else "anyone"
    if state.keys.needed:
        key = start.key or given_key(dict(socket.scope["headers"]))
        found = None if key is None else state.keys.name_of(key)
        if found is None:
            raise Problem(401, "A key is needed: give it as key in the first message, or as Authorization: Bearer KEY.")
        who = found
    if seconds := state.rates.wait(who):
        raise Problem(429, f"More than {state.settings.rate_per_minute:g} requests in a minute: wait {seconds:.1f} s.")
    return start


class _Incoming:
    """The binary messages of a stream, read ahead; few steps for each, because there are many."""

    def __init__(self, socket: WebSocket, idle: float) -> None:
        self._socket, self._idle = socket, idle
        self._held: list[bytes] = []
        self._last = self._quiet = False
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._reader = asyncio.ensure_future(self._read())
        self._reader.add_done_callback(lambda _: self._news.set())

    async def taken(self) -> tuple[list[bytes], bool]:
        """Return what has come since the last call, at least something, and whether it is the last."""
        timer = asyncio.get_running_loop().call_later(self._idle, self._too_quiet)
        try:
            await self._news.wait()
        finally:
            timer.cancel()
        if not self._held and not self._last:
            if self._quiet:
                raise _quiet(self._idle)
            self._reader.result()
            raise WebSocketDisconnect
        found, self._held = self._held, []
        if not self._reader.done():
            self._news.clear()
        self._room.set()
        return found, self._last

    def _too_quiet(self) -> None:
        self._quiet = True
        self._news.set()

    async def _read(self) -> None:
        while not self._last:
            message = await self._socket.receive()
            data, text = message.get("bytes"), message.get("text")
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            if data is not None:
                self._held.append(data)
            elif text is not None and text.strip() == "end":
                self._last = True
            else:
                raise Problem(
                    422, f"After the first message, send sound as binary messages, then end; got {text!r:.40}."
                )
            self._news.set()
            while len(self._held) >= _MOST_WAITING:
                self._room.clear()
                await self._room.wait()

    def end(self) -> None:
        """Read no more."""
        self._reader.cancel()


def _quiet(seconds: float) -> Problem:
    return Problem(408, f"Nothing came for {seconds:g} s: send sound, or end.")


async def _message(socket: WebSocket, state: State) -> Any:
    try:
        message = await asyncio.wait_for(socket.receive(), state.settings.stream_idle_seconds)
    except asyncio.TimeoutError:
        raise _quiet(state.settings.stream_idle_seconds) from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect
    return message


async def _refuse(socket: WebSocket, problem: Problem) -> None:
    """Say what is wrong as the last event, and close."""
    try:
        await socket.send_text(json.dumps({"event": "error", "problem": problem.to_dict()}))
        await socket.close(_CLOSING.get(problem.status, _POLICY))
    except (RuntimeError, WebSocketDisconnect):  # it is closed already
        pass


def _allowed_origin(socket: WebSocket, cors: list[str]) -> bool:
    """Whether this is no page of another origin: browsers let any page open a WebSocket."""
    origin = socket.headers.get("origin")
    if origin is None or "*" in cors or origin in cors:
        return True
    return urlsplit(origin).netloc == socket.headers.get("host")
