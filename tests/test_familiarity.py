"""How familiar a recording is to the model, and the confidence below which it names no emotion by itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

import serkit
from serkit.audio.voice_activity import speech_activity
from serkit.emotions import LABELS
from serkit.recognition.prediction import Prediction
from serkit.recognition.segments import segments
from tests.conftest import Ser, voice
from tests.known_speech import timeline_of
from tests.tiny_models import FAMILIARITY, distance_of, tiny_manifest, write_adaptable, write_tiny

RATE = 16000
NEAR, FAR = 0.6 * voice(6, 1, seconds=2.0), 2.5 * voice(8, 1, seconds=2.0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> serkit.Recognizer:
    folder = tmp_path_factory.mktemp("familiarity") / "tiny"
    write_adaptable(folder)
    return serkit.load(folder)


def of_distance(distance: float) -> float:
    """By NumPy: 1 minus the percentile rank, for the percentiles 0.00, 0.02, ... 2.00."""
    return float(1 - np.interp(distance, FAMILIARITY["distances"], np.arange(101)) / 100)


rising = st.lists(st.floats(0.001, 10), min_size=100, max_size=100).map(lambda steps: [0.0, *np.cumsum(steps).tolist()])


@given(rising, st.floats(-5, 1200))
def test_familiarity_is_one_minus_the_percentile_rank(distances: list[float], distance: float) -> None:
    manifest = tiny_manifest(familiarity={"distances": distances, "unfamiliar": 0.5})
    wanted = 1 - np.interp(distance, distances, np.linspace(0, 1, 101))
    got = manifest.familiarity_of(distance)
    assert got == pytest.approx(wanted, abs=1e-9)
    assert got is not None
    assert manifest.is_unfamiliar(got) == (got < 0.5)


def test_equal_percentiles_are_no_division_by_zero() -> None:
    manifest = tiny_manifest(familiarity={"distances": [1.0] * 50 + [2.0] * 51, "unfamiliar": 0.5})
    found = [manifest.familiarity_of(distance) for distance in (0.5, 1.0, 1.5, 2.0)]
    assert found == pytest.approx([1.0, 0.51, 0.505, 0.0])


def test_rows_tell_how_familiar_a_recording_is(tiny: serkit.Recognizer) -> None:
    near, far = (tiny.predict(sound, sample_rate=RATE) for sound in (NEAR, FAR))
    assert near.familiarity == pytest.approx(of_distance(distance_of(NEAR)), abs=1e-5)
    assert near.familiarity is not None
    assert 0.1 < near.familiarity < 1
    assert "unfamiliar" not in near.warnings
    assert (far.familiarity, far.warnings[-1]) == (0.0, "unfamiliar")
    assert (far.emotion is None) == far.unsure  # it is still answered
    silent = tiny.predict(np.zeros(2 * RATE), sample_rate=RATE)
    assert (silent.speech, silent.familiarity, silent.warnings) == (False, None, ())
    assert near.at_least(1.0).familiarity == near.familiarity


def test_the_limit_itself_is_familiar(tmp_path: Path, tiny: serkit.Recognizer) -> None:
    found = tiny.predict(NEAR, sample_rate=RATE).familiarity
    assert found is not None
    for limit, told in ((found, False), (float(np.nextafter(found, 1)), True)):
        write_adaptable(tmp_path / "b", familiarity={**FAMILIARITY, "unfamiliar": limit})
        assert ("unfamiliar" in serkit.load(tmp_path / "b").predict(NEAR, sample_rate=RATE).warnings) == told


def test_a_long_recording_has_the_mean_over_its_pieces(tiny: serkit.Recognizer) -> None:
    parts = voice(5, 1, seconds=10.0), 2.0 * voice(8, 1, seconds=6.0)
    answer = tiny.predict(np.concatenate(parts), sample_rate=RATE)
    seconds = [speech_activity(serkit.load_audio(part, sample_rate=RATE)).seconds for part in parts]
    single = [of_distance(distance_of(part)) for part in parts]
    assert abs(single[0] - single[1]) > 0.1
    assert answer.familiarity == pytest.approx(np.average(single, weights=seconds), abs=1e-4)
    pause = np.zeros(RATE, np.float32)
    found = timeline_of(tiny, np.concatenate([parts[0], pause, parts[1]]), sample_rate=RATE, window=10.0)
    assert [part.familiarity for part in found.tracks[0].speech] == pytest.approx(single, abs=0.02)


def test_a_segment_has_the_mean_over_its_time() -> None:
    def window(start: float, familiarity: float | None, *warnings: str) -> Prediction:
        found = {"happy": 0.75, "sad": 0.25}
        return Prediction(
            None, start, start + 2, "happy", 0.75, found, speech=True, warnings=warnings, familiarity=familiarity
        )

    # Cells of 1.5, 1 and 1.5 s.
    (one,) = segments([window(0.0, 0.5), window(1.0, 0.0, "unfamiliar"), window(2.0, 1.0)])
    assert (one.familiarity, one.warnings) == ((1.5 * 0.5 + 1.5) / 4, ("unfamiliar",))
    (one,) = segments([window(0.0, None), window(1.0, None)])
    assert one.familiarity is None


def test_a_voice_or_place_changes_no_familiarity(tiny: serkit.Recognizer) -> None:
    who = tiny.enrol(0.5 * voice(3, 1, seconds=4.0), sample_rate=RATE)
    plain, adapted = (tiny.predict(NEAR, sample_rate=RATE, profile=profile) for profile in (None, who))
    assert plain.familiarity == adapted.familiarity
    assert plain.probabilities != adapted.probabilities


def test_files_and_tables_hold_it(tiny: serkit.Recognizer, ser: Ser, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    folder = tmp_path / "calls"
    folder.mkdir()
    for name, sound in (("far", FAR), ("near", NEAR), ("silent", np.zeros(RATE))):
        sf.write(folder / f"{name}.wav", sound, RATE, subtype="FLOAT")
    (folder / "z.wav").write_bytes(b"")
    wanted = [row.familiarity for row in tiny.predict(folder)]
    assert wanted[0] == 0.0
    assert wanted[2:] == [None, None]
    words = ["predict", folder, "-m", tiny.bundle.path]
    rows = json.loads(ser(*words, "--json")[1])
    assert [row["familiarity"] for row in rows] == wanted
    assert [row["warnings"][-1:] for row in rows] == [["unfamiliar"], [], [], []]
    cells = list(csv.DictReader(io.StringIO(ser(*words, "--csv", "-")[1])))
    assert [row["familiarity"] for row in cells] == ["" if value is None else str(value) for value in wanted]
    ser(*words, "--out", tmp_path / "rows.parquet")
    table = pq.read_table(tmp_path / "rows.parquet")
    assert str(table.schema.field("familiarity").type) == "double"
    assert table["familiarity"].to_pylist() == wanted
    lines = ser(*words)[1].splitlines()
    assert ["unfamiliar" in line for line in lines if ".wav" in line] == [True, False, False]


def test_models_without_it_tell_nothing(tmp_path: Path) -> None:
    write_tiny(tmp_path / "plain")
    plain = serkit.load(tmp_path / "plain")
    assert plain.predict(FAR, sample_rate=RATE).familiarity is None
    assert all(one.familiarity is None for one in timeline_of(plain, FAR, sample_rate=RATE).segments)


# --------------------------------------------------------------------------------------- the model's own confidence


def ways(model: Path, sound: np.ndarray, path: Path, **asked: Any) -> list[Prediction]:
    recognizer = serkit.load(model)
    return [
        recognizer.predict(path, **asked),
        *recognizer.predict([path], **asked),
        *recognizer.predict(path.parent, **asked),
        *recognizer.predict(path, channel="each", **asked),
        *recognizer.predict_iter([path], **asked),
        *(row for rows in recognizer.rows_of([path], **asked) for row in rows),
        serkit.predict(path, model=model, **asked),
        *timeline_of(recognizer, sound, sample_rate=RATE, **asked).segments,
    ]


def test_the_models_own_limit_holds_on_every_way_in_and_the_callers_wins(tmp_path: Path, ser: Ser) -> None:
    write_adaptable(tmp_path / "model")
    path = tmp_path / "calls" / "a.wav"
    path.parent.mkdir()
    sf.write(path, NEAR, RATE, subtype="FLOAT")
    confidence = serkit.load(tmp_path / "model").predict(path).confidence
    assert confidence is not None
    above = float(np.nextafter(confidence, 1))
    cases: list[tuple[float | None, dict[str, Any], bool]] = [
        (None, {}, False),
        (confidence, {}, False),
        (above, {}, True),
        (above, {"min_confidence": None}, True),
        (above, {"min_confidence": 0.0}, False),
        (None, {"min_confidence": above}, True),
        (0.0, {"min_confidence": above}, True),
        (1.0, {"min_confidence": confidence}, False),
    ]
    for own, asked, unsure in cases:
        write_adaptable(tmp_path / "model", min_confidence=own)
        found = ways(tmp_path / "model", NEAR, path, **asked)
        assert {(row.unsure, row.emotion is None, row.confidence) for row in found} == {(unsure, unsure, confidence)}
        limit = asked.get("min_confidence")
        words = [] if limit is None else ["--min-confidence", repr(limit)]
        (row,) = json.loads(ser("predict", path, "-m", tmp_path / "model", "--json", *words)[1])
        assert row["unsure"] == unsure


def test_a_file_of_answers_is_resumed_with_the_same_limit(tmp_path: Path, ser: Ser) -> None:
    write_adaptable(tmp_path / "model", min_confidence=0.4)
    sf.write(tmp_path / "a.wav", NEAR, RATE)
    words = ["predict", tmp_path / "a.wav", "-m", tmp_path / "model", "--out", tmp_path / "rows.csv"]
    assert ser(*words)[0] == 0
    assert ser(*words, "--resume", "--min-confidence", "0.4")[0] == 0
    code, _, err = ser(*words, "--resume", "--min-confidence", "0")
    assert (code, "with other options: min-confidence was 0.4, now 0.0" in err) == (2, True)


# ------------------------------------------------------------------------------------------------- the manifest


def told(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    content = {"distances": list(FAMILIARITY["distances"]), "unfamiliar": 0.1}
    change(content)
    return content


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("adaptation", {"size": 0}, "'adaptation.size' must be a count from 1 to 65,536, got 0"),
        ("adaptation", {"size": 6.0}, "'adaptation.size' must be a count"),
        ("adaptation", {"size": True}, "'adaptation.size' must be a count"),
        ("adaptation", {"sizes": 6}, "'adaptation.size' must be a count from 1 to 65,536, got None"),
        ("adaptation", {"size": 6, "more": float("nan")}, "neither text nor a finite number"),
        ("adaptation", [6], "'adaptation' must be an object, got a list"),
        ("familiarity", {"unfamiliar": 0.1}, "'familiarity.distances' must be a list of 101 numbers"),
        ("familiarity", told(lambda c: c["distances"].pop()), "percentiles 0 to 100, got 100"),
        ("familiarity", told(lambda c: c["distances"].__setitem__(7, None)), "finite numbers, each at least the one"),
        ("familiarity", told(lambda c: c["distances"].__setitem__(7, 0.0)), "at least the one before it, got 0.0"),
        ("familiarity", told(lambda c: c["distances"].__setitem__(100, float("inf"))), "finite numbers, each at least"),
        ("familiarity", told(lambda c: c.update(distances=[1.0] * 101)), "must rise, but all are 1.0"),
        ("familiarity", told(lambda c: c.pop("unfamiliar")), "'familiarity.unfamiliar' must be a number from 0 to 1"),
        ("familiarity", told(lambda c: c.update(unfamiliar=1.5)), "must be a number from 0 to 1, got 1.5"),
        ("familiarity", 0.5, "'familiarity' must be an object, got a number"),
        ("min_confidence", 40, "'min_confidence' must be a number from 0 to 1 or null, got 40"),
        ("min_confidence", -0.1, "'min_confidence' must be a number from 0 to 1 or null"),
        ("min_confidence", True, "'min_confidence' must be a number from 0 to 1 or null, got True"),
        ("min_confidence", "0.4", "'min_confidence' must be a number from 0 to 1 or null, got '0.4'"),
        ("min_confidence", float("nan"), "'min_confidence' must be a number from 0 to 1 or null, got nan"),
    ],
)
def test_what_a_manifest_says_is_checked(field: str, value: Any, says: str) -> None:
    with pytest.raises(serkit.BundleError) as caught:
        tiny_manifest(**{field: value})
    assert says in str(caught.value)


def test_an_older_manifest_says_nothing_of_these() -> None:
    content = tiny_manifest().to_dict()
    for field, value in (("adaptation", {}), ("familiarity", {}), ("min_confidence", None)):
        assert content.pop(field) == value
    assert serkit.bundle.Manifest.from_dict(content) == tiny_manifest()
    full = tiny_manifest(adaptation={"size": 6}, familiarity=FAMILIARITY, min_confidence=0.4)
    assert serkit.bundle.Manifest.from_dict(json.loads(json.dumps(full.to_dict()))) == full
    assert replace(full, labels=LABELS) == full
