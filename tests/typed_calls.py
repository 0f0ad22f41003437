"""What a type checker says of the calls that users make: `make lint` reads this file, nothing runs it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import serkit
from serkit.client import Client
from serkit.recognition.recognizer import Recognizer

if TYPE_CHECKING:
    from typing_extensions import assert_type


def names() -> Iterator[Path]:
    yield Path("a.wav")


def calls(recognizer: Recognizer) -> None:
    """One recording gives a Prediction, many or each channel a list; a path may be a folder, which no type tells."""
    assert_type(serkit.predict(b""), serkit.Prediction)
    assert_type(serkit.predict(np.zeros(8000), sample_rate=8000, channel="left"), serkit.Prediction)
    assert_type(recognizer.predict(io.BytesIO()), serkit.Prediction)
    assert_type(recognizer.predict({"array": np.zeros(8000), "sampling_rate": 8000}), serkit.Prediction)
    assert_type(recognizer.predict("a.wav"), serkit.Prediction | Any)
    assert_type(serkit.predict(Path("a.wav"), channel=2), serkit.Prediction | Any)
    assert_type(serkit.predict(["a.wav", b""]), list[serkit.Prediction])
    assert_type(recognizer.predict(names()), list[serkit.Prediction])
    assert_type(recognizer.predict("a.wav", channel="each"), list[serkit.Prediction])
    assert_type(serkit.predict(b"", channel="each"), list[serkit.Prediction])
    client = Client()
    assert_type(client.predict(b""), serkit.Prediction)
    assert_type(client.predict("a.wav", labels="happy,sad"), serkit.Prediction | Any)
    assert_type(client.predict(names(), model="fast"), list[serkit.Prediction])
    assert_type(client.predict("a.wav", channel="each"), list[serkit.Prediction])
    client.predict("a.wav", colour="red")  # type: ignore[call-overload]
    serkit.predict(3)  # type: ignore[call-overload]
    serkit.predict("a.wav", channel="lft")  # type: ignore[call-overload]
    serkit.load_audio("a.wav", channel="each")  # type: ignore[arg-type]
