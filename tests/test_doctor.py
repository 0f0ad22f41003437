"""``ser doctor`` tries things out: what it reports when decoding, writing, the model or the cache fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import serkit.audio
from serkit.cli import trials
from serkit.recognition import parquet
from serkit.recognition.recognizer import Recognizer
from tests.conftest import Ser
from tests.tiny_models import write_tiny


@pytest.fixture(autouse=True)
def tiny_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default model is a tiny one and the cache is a folder of this test."""
    monkeypatch.setattr("serkit.bundle.store._BUNDLES", tmp_path / "bundles")
    write_tiny(tmp_path / "bundles" / "default")
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))


def examined(ser: Ser) -> tuple[int, dict[str, Any], str]:
    """The exit code, the JSON and the text of the doctor, which must agree."""
    code, out, _ = ser("doctor", "--json")
    again, text, _ = ser("doctor")
    assert again == code
    found = json.loads(out)
    assert found["ok"] is (code == 0)
    return code, found, text


def test_every_container_is_decoded_and_every_format_written(ser: Ser, tmp_path: Path) -> None:
    code, found, text = examined(ser)
    assert code == 0
    has_av = trials.importlib.util.find_spec("av") is not None
    want = {name: has_av or None if extra else True for name, (_, extra) in trials.CONTAINERS.items()}
    assert {row["container"]: row["ok"] for row in found["decoding"]} == want
    assert {"WAV", "FLAC", "Ogg Opus", "MP3", "M4A", "WebM"} <= set(want)
    has_pyarrow = trials.importlib.util.find_spec("pyarrow") is not None
    assert [(row["format"], row["ok"]) for row in found["writing"]] == [
        ("csv", True), ("jsonl", True), ("parquet", has_pyarrow or None),
    ]  # fmt: skip
    assert text.count("a row was written and read back") == 2 + has_pyarrow
    assert found["cache"]["path"] in (None, str(tmp_path / "cache"))
    assert text.splitlines()[-1] == "Everything that ser predict needs works."


def test_a_library_that_raises_what_nobody_expects_fails_the_containers_that_need_it(
    ser: Ser, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = serkit.audio.load

    def changed(source: Path, **options: Any) -> Any:
        if source.suffix in (".m4a", ".aac", ".webm"):
            raise TypeError("open() got an unexpected keyword argument 'metadata_errors'")
        return load(source, **options)

    monkeypatch.setattr(serkit.audio, "load", changed)
    code, found, text = examined(ser)
    assert code == 1
    failed = {row["container"]: row["problem"] for row in found["decoding"] if row["ok"] is False}
    assert set(failed) == {"M4A", "AAC", "WebM"}
    assert failed["M4A"] == (
        "cannot be decoded (TypeError: open() got an unexpected keyword argument 'metadata_errors'): "
        "run pip install --force-reinstall 'serkit[formats]'."
    )
    assert text.count("unexpected keyword argument") == 3
    assert text.splitlines()[-1] == "Something that ser predict needs does not work."


def test_without_the_extra_its_containers_are_left_out_and_nothing_fails(
    ser: Ser, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = serkit.audio.load

    def without_av(source: Path, **options: Any) -> Any:
        if source.suffix in (".m4a", ".aac", ".webm"):
            raise serkit.MissingExtraError("Reading MP4/M4A", "av", "formats")
        return load(source, **options)

    monkeypatch.setattr(serkit.audio, "load", without_av)
    code, found, text = examined(ser)
    assert code == 0
    assert {row["container"]: row["ok"] for row in found["decoding"]}["M4A"] is None
    assert "pip install 'serkit[formats]'" in text


def test_sound_that_comes_out_wrong_is_a_fault(ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    load = serkit.audio.load

    def octave_up(source: Path, **options: Any) -> Any:
        wave = load(source, **options)
        return serkit.Waveform(wave.samples, 2 * wave.sample_rate) if source.suffix == ".flac" else wave

    monkeypatch.setattr(serkit.audio, "load", octave_up)
    code, found, _ = examined(ser)
    assert code == 1
    (problem,) = [row["problem"] for row in found["decoding"] if row["ok"] is False]
    assert problem.startswith("a tone of 440 Hz and 0.4 s came out as 880 Hz and 0.20 s: run pip install")


def test_a_model_that_fails_to_predict_is_a_fault(ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Recognizer, *given: Any, **options: Any) -> Any:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(Recognizer, "predict", broken)
    code, found, text = examined(ser)
    assert code == 1
    assert found["model"] == {"ok": False, "name": None, "version": None, "problem": "RuntimeError: no kernel"}
    assert "RuntimeError: no kernel" in text


def test_a_format_that_cannot_be_written_is_a_fault(ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")

    def broken(*given: Any, **how: Any) -> None:
        raise AttributeError("module 'pyarrow' has no attribute 'schema'")

    monkeypatch.setattr(parquet, "merge", broken)
    code, found, _ = examined(ser)
    assert code == 1
    assert [row["ok"] for row in found["writing"]] == [True, True, False]
    assert found["writing"][2]["problem"] == (
        "cannot be written (AttributeError: module 'pyarrow' has no attribute 'schema'): "
        "run pip install --force-reinstall 'serkit[parquet]'."
    )


def test_a_cache_that_cannot_be_written_is_named_and_does_not_stop_predicting(
    ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "file"))
    code, found, text = examined(ser)
    assert code == 0
    assert found["cache"]["ok"] is False
    says = (
        f"{tmp_path / 'file'} cannot be written to (File exists): set SERKIT_CACHE to a folder that you may write to."
    )
    assert says in text


def test_a_package_that_does_not_load_is_named_and_nothing_else_breaks(
    ser: Ser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    monkeypatch.delitem(sys.modules, "serkit.cli.trials")
    monkeypatch.delattr(sys.modules["serkit.cli"], "trials")
    code, found, _ = examined(ser)
    assert code == 1
    assert [package["name"] for package in found["packages"] if not package["ok"]] == ["soxr"]
