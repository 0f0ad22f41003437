"""``ser listen``: the microphone, answered while somebody speaks."""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from serkit import terminal
from serkit.cli import app
from serkit.cli.options import DeviceOption, LabelsOption, MinConfidenceOption, ModelOption
from serkit.cli.runs import count
from serkit.devices import DEVICES
from serkit.errors import AudioError, MissingExtraError, SerkitError

if TYPE_CHECKING:
    from serkit.recognition.stream import Event

_BLOCK = 0.064  # s of sound handed over at a time
_PATIENCE = 2.0  # s without any sound before the device is asked whether it is still there
_WIDTH = 24  # cells of the meter
_RANGE_DB = 60.0


@app.command()
def listen(
    model: ModelOption = "default",
    microphone: Annotated[
        str | None, typer.Option("--microphone", metavar="NAME", help="Number or part of the name of a microphone.")
    ] = None,
    device: DeviceOption = "auto",
    show_devices: Annotated[bool, typer.Option("--list", help="List the microphones and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each event.")] = False,
    min_confidence: MinConfidenceOption = None,
    labels: LabelsOption = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", help="Stop after this many seconds; by default at Ctrl-C.")
    ] = None,
) -> None:
    """Recognise emotions from the microphone while somebody speaks.

    Each utterance gets a line when it ends; on a terminal, a meter shows the level and the answer so far. Nothing is
    stored. Needs the extra `live`.

    Exit code 0: stopped by Ctrl-C or --seconds. 1: the microphone was disconnected. 2: wrong usage or no microphone.
    """
    from serkit.recognition.prediction import check_confidence

    if min_confidence is not None:
        check_confidence(min_confidence)
    if seconds is not None and not seconds > 0:
        raise typer.BadParameter("--seconds must be more than 0.")
    if device not in DEVICES:
        raise typer.BadParameter(
            f"--device takes auto, cpu or cuda, got {device!r}: --microphone names the microphone."
        )
    sound = _sounddevice()
    if show_devices:
        for text in _listed(sound):
            print(text)
        return
    from serkit.cli.live import LiveAnswers
    from serkit.recognition.recognizer import load

    chosen = _chosen(sound, microphone)
    recognizer = load(model, device=device).among(labels)
    rate = round(chosen["default_samplerate"])
    watched = watched_terminal() and not as_json
    meter = _Meter(watched)
    live = LiveAnswers(
        recognizer,
        rate,
        1,
        as_json=as_json,
        partial=watched or as_json,
        tell_partial=as_json,
        before=meter.clear,
        min_confidence=min_confidence,
    )
    typer.echo(f"ser: listening to {terminal.printable(chosen['name'])}; Ctrl-C stops.", err=True)
    gone: str | None = None
    odd = 0
    try:
        for chunk in _chunks(sound, chosen, rate):
            if not np.isfinite(chunk).all():  # a driver that hiccups
                odd += 1
                chunk = np.zeros_like(chunk)
            meter.show(chunk, live.feed(chunk))
            if seconds is not None and live.stream.seconds >= seconds:
                break
    except KeyboardInterrupt:
        pass
    except AudioError as error:
        gone = str(error)
    meter.clear()
    found = live.finish()
    if odd:
        blocks = count(odd, "block of sound was", "blocks of sound were")
        typer.echo(f"ser: {blocks} skipped: the microphone gave NaN.", err=True)
    if gone is not None:
        typer.echo(f"ser: {gone} The {found.duration:.1f} s before are answered.", err=True)
        raise typer.Exit(1)


def watched_terminal() -> bool:
    """Whether somebody may look at the meter."""
    return sys.stderr.isatty()


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise MissingExtraError("Listening to a microphone", "sounddevice", "live") from error
    except OSError:
        raise SerkitError(
            "Listening to a microphone needs the PortAudio library, which is not installed: install it, on Debian by "
            "apt-get install libportaudio2."
        ) from None
    return sounddevice


def _inputs(sound: Any) -> list[dict[str, Any]]:
    return [dict(one) for one in sound.query_devices() if one["max_input_channels"] > 0]


def _listed(sound: Any) -> Iterator[str]:
    found = _inputs(sound)
    if not found:
        raise SerkitError("There is no microphone: plug one in, or allow this program to use it.")
    for one in found:
        facts = f"{one['max_input_channels']} channels, {one['default_samplerate']:.0f} Hz"
        yield f"{one['index']:3d}  {terminal.printable(one['name'])}  ({facts})"


def _chosen(sound: Any, microphone: str | None) -> dict[str, Any]:
    """The microphone of that number or name; without one, the system's own choice."""
    found = _inputs(sound)
    if not found:
        raise SerkitError("There is no microphone: plug one in, or allow this program to use it.")
    if microphone is None:
        try:
            return dict(sound.query_devices(kind="input"))
        except (sound.PortAudioError, ValueError):
            return found[0]
    near = [one for one in found if str(one["index"]) == microphone] or [
        one for one in found if microphone.lower() in one["name"].lower()
    ]
    if len(near) != 1:
        what = "several microphones" if near else "no microphone"
        raise SerkitError(f"{microphone!r} names {what}: ser listen --list shows them with their numbers.")
    return near[0]


def _chunks(sound: Any, device: dict[str, Any], rate: int) -> Iterator[np.ndarray]:
    """What the microphone hears, float32, shape (n, 1); AudioError when it goes away."""
    heard: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()

    def take(data: np.ndarray, frames: int, time: Any, status: Any) -> None:
        heard.put(data.copy())

    name = terminal.printable(device["name"])
    try:
        with sound.InputStream(
            samplerate=rate,
            device=device["index"],
            channels=1,
            dtype="float32",
            blocksize=round(_BLOCK * rate),
            callback=take,
            finished_callback=lambda: heard.put(None),
        ) as stream:
            while True:
                try:
                    chunk = heard.get(timeout=_PATIENCE)
                except queue.Empty:
                    if stream.active:
                        continue
                    chunk = None
                if chunk is None:
                    raise AudioError(f"The microphone {name} went away.")
                yield chunk
    except sound.PortAudioError as error:
        raise AudioError(f"The microphone {name} cannot be used ({error}).") from None


class _Meter:
    """The level and the answer so far, on one line of standard error."""

    def __init__(self, watched: bool) -> None:
        self._watched = watched
        self._said = ""

    def show(self, chunk: np.ndarray, events: list[Event]) -> None:
        if not self._watched:
            return
        from serkit.recognition.track_formats import said

        for event in events:
            self._said = said(event.segment) + " so far" if event.kind == "partial" else ""
        level = 20 * np.log10(float(np.sqrt(np.mean(np.square(chunk)))) + 1e-9)
        cells = round(_WIDTH * min(max(1 + level / _RANGE_DB, 0.0), 1.0))
        bar = "#" * cells + "." * (_WIDTH - cells)
        sys.stderr.write(f"\r\x1b[K[{bar}] {terminal.printable(self._said)}")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._watched:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
