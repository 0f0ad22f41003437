"""Recognizer: whatever a recording comes in, the same answer; a failure is a reason; nothing is kept between calls."""

from __future__ import annotations

import io
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile as sf

import serkit
from serkit import audio
from serkit.audio.voice_activity import speech_activity
from serkit.emotions import LABELS
from serkit.errors import AudioError, BundleError
from serkit.features import Extractor, Feature
from serkit.recognition.inputs import find_inputs
from serkit.recognition.recognizer import Prediction, Recognizer, load
from tests.conftest import voice
from tests.tiny_models import BIAS, SLOPE, WAVEFORM_INPUT, expected, features_graph, softmax, waveform_graph, write_tiny


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny(folder)
    return load(folder)


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return voice(3, 1, seconds=2.0)


def test_a_waveform_gives_what_the_formula_gives(recognizer: Recognizer, sound: np.ndarray) -> None:
    answer = recognizer.predict(sound, sample_rate=16000)
    wanted = expected(sound)
    assert list(answer.probabilities) == list(LABELS)
    assert np.allclose(list(answer.probabilities.values()), wanted, atol=1e-6)
    assert answer.emotion == LABELS[int(wanted.argmax())]
    assert answer.confidence == max(answer.probabilities.values())
    assert (answer.path, answer.start, answer.end, answer.speech, answer.error) == (None, 0.0, 2.0, True, None)


def test_level_decides_with_this_model(recognizer: Recognizer, sound: np.ndarray) -> None:
    loud, quiet = (recognizer.predict(sound * gain, sample_rate=16000) for gain in (3.0, 0.05))
    assert (loud.emotion, quiet.emotion) == ("surprised", "neutral")


def test_every_way_in_gives_the_same_answer(recognizer: Recognizer, sound: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, sound, 16000, subtype="FLOAT")
    wanted = recognizer.predict(sound, sample_rate=16000)
    with path.open("rb") as file:
        answers = [
            recognizer.predict(path.read_bytes()),
            recognizer.predict(file),
            recognizer.predict(io.BytesIO(path.read_bytes())),
            recognizer.predict(audio.load(path)),
            recognizer.predict({"array": sound, "sampling_rate": 16000}),
        ]
    assert all(answer == wanted for answer in answers)
    stereo = recognizer.predict(np.stack([sound, sound]), sample_rate=16000)
    assert stereo == replace(wanted, channel="mix")
    by_path = recognizer.predict(str(path))
    assert by_path.path == str(path)
    assert recognizer.predict(path) == by_path
    assert by_path.probabilities == wanted.probabilities


def test_it_equals_raw_onnx_runtime(recognizer: Recognizer, sound: np.ndarray) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(recognizer.bundle.onnx, options, providers=["CPUExecutionProvider"])
    (raw,) = session.run(["probabilities"], {"waveform": sound[np.newaxis]})
    answer = recognizer.predict(sound, sample_rate=16000)
    assert list(answer.probabilities.values()) == raw[0].tolist()


def test_other_rates_are_resampled(recognizer: Recognizer, sound: np.ndarray) -> None:
    wave = audio.load(sound, sample_rate=22050)
    wanted = expected(audio.resample(wave, 16000).samples)
    answer = recognizer.predict(wave)
    assert np.allclose(list(answer.probabilities.values()), wanted, atol=1e-6)
    assert answer.end == 32000 / 22050


def test_a_features_bundle(tmp_path: Path, sound: np.ndarray) -> None:
    window = audio.Window(length=1.0)
    extractor = Extractor(22050, window, (Feature("mfcc", {"n_mfcc": 5}), Feature("rms")), "mean_std")
    weights = np.random.default_rng(0).normal(0, 0.05, (12, 8)).astype(np.float32)
    given = {"kind": "features", "extractor": extractor.to_dict()}
    write_tiny(tmp_path / "b", graph=features_graph(weights), input=given)
    recognizer = load(tmp_path / "b")
    assert recognizer.sample_rate == 22050
    answer = recognizer.predict(sound, sample_rate=16000)
    wanted = softmax(extractor(audio.load(sound, sample_rate=16000)).astype(np.float64) @ weights)
    assert np.allclose(list(answer.probabilities.values()), wanted, atol=1e-5)


def test_features_that_this_serkit_does_not_know(tmp_path: Path) -> None:
    extractor = {"sample_rate": 16000, "layout": "mean_std", "window": {}, "features": [{"name": "aura", "params": {}}]}
    write_tiny(
        tmp_path / "b",
        graph=features_graph(np.ones((4, 8))),
        input={"kind": "features", "extractor": extractor},
    )
    with pytest.raises(BundleError, match=r"cannot make the features of the model: .*aura"):
        load(tmp_path / "b")


def test_features_of_the_wrong_number_are_a_bundle_error(tmp_path: Path, sound: np.ndarray) -> None:
    extractor = Extractor(16000, audio.Window(), (Feature("rms"),), "mean_std")  # 2 values, the graph takes 4
    given = {"kind": "features", "extractor": extractor.to_dict()}
    write_tiny(tmp_path / "b", graph=features_graph(np.ones((4, 8))), input=given)
    with pytest.raises(BundleError, match="The model tiny fails on Waveform"):
        load(tmp_path / "b").predict(sound, sample_rate=16000)


def test_a_graph_that_gives_no_probabilities(tmp_path: Path, sound: np.ndarray) -> None:
    graph = waveform_graph()
    graph.graph.node[-1].op_type = "Identity"
    del graph.graph.node[-1].attribute[:]
    write_tiny(tmp_path / "b", graph=graph)
    with pytest.raises(BundleError, match="The model tiny gives no probabilities"):
        load(tmp_path / "b").predict(sound, sample_rate=16000)
    extractor = Extractor(16000, audio.Window(), (Feature("rms"),), "mean_std")
    given = {"kind": "features", "extractor": extractor.to_dict()}
    write_tiny(tmp_path / "c", graph=features_graph(np.ones((2, 5))), input=given)  # the file does not state its 5
    with pytest.raises(BundleError, match=r"gives an array of shape \(1, 5\), but its manifest names 8 labels"):
        load(tmp_path / "c").predict(sound, sample_rate=16000)


def test_a_graph_that_onnx_runtime_cannot_load(tmp_path: Path) -> None:
    graph = waveform_graph()
    graph.graph.node[0].op_type = "Divine"
    write_tiny(tmp_path / "b", graph=graph)
    with pytest.raises(BundleError, match=r"model.onnx of .* does not load: .*Divine"):
        load(tmp_path / "b")


@pytest.mark.parametrize(
    "samples",
    [np.zeros(32000), np.full(32000, 0.5), 0.01 * np.random.default_rng(1).standard_normal(32000)],
    ids=["silence", "DC", "noise"],
)
def test_no_speech_is_said_so(recognizer: Recognizer, samples: np.ndarray) -> None:
    answer = recognizer.predict(samples.astype(np.float32), sample_rate=16000)
    assert answer == Prediction(None, 0.0, 2.0, None, None, {}, speech=False, error=None)
    assert answer.to_dict() == {
        "path": None,
        "start": 0.0,
        "end": 2.0,
        "channel": None,
        "emotion": None,
        "confidence": None,
        "familiarity": None,
        "unsure": False,
        "speech": False,
        "error": None,
        "warnings": [],
        "probabilities": {},
        "dimensions": {},
        "derived": {"valence": None, "arousal": None},
    }


def test_too_short_for_the_model(recognizer: Recognizer, sound: np.ndarray) -> None:
    with pytest.raises(AudioError, match=r"lasts 0.200 s; the model tiny needs at least 0.25 s"):
        recognizer.predict(sound[:3200], sample_rate=16000)
    assert recognizer.predict(sound[:4000], sample_rate=16000).end == 0.25
    with pytest.raises(AudioError, match=r"at least 0.1 s"):
        recognizer.predict(sound[:800], sample_rate=16000)


def test_a_long_recording_is_the_mean_over_windows_weighted_by_speech(recognizer: Recognizer) -> None:
    loud, quiet = voice(5, 1, seconds=10.0), 0.1 * voice(4, 2, seconds=4.0)
    pause = np.zeros(6 * 16000, np.float32)
    rest = voice(5, 1, seconds=0.1)  # shorter than the model takes: left out
    whole = np.concatenate([loud, quiet, pause, np.zeros(160000, np.float32), rest])
    answer = recognizer.predict(whole, sample_rate=16000)
    windows = [audio.load(part, sample_rate=16000) for part in (loud, np.concatenate([quiet, pause]))]
    seconds = np.array([speech_activity(window).seconds for window in windows])
    assert seconds[0] > seconds[1] > 0
    single = np.array([expected(window.samples) for window in windows])
    wanted = seconds @ single / seconds.sum()
    assert np.allclose(list(answer.probabilities.values()), wanted, atol=1e-6)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert (answer.start, answer.end) == (0.0, pytest.approx(30.1))


def test_two_hours_take_no_more_memory_than_ten_minutes(tmp_path: Path) -> None:
    rate = 4000
    speech, pause = 0.1 * voice(3, 1, seconds=30.0, rate=rate), np.zeros(570 * rate, np.float32)
    write_tiny(tmp_path / "b", input={**WAVEFORM_INPUT, "sample_rate": rate, "max_seconds": 30.0})
    recognizer = load(tmp_path / "b", threads=1)
    peaks = []
    for times in (1, 12):
        path = tmp_path / f"{times}.wav"
        with sf.SoundFile(path, "w", rate, 1, subtype="PCM_16") as file:
            for _ in range(times):
                file.write(speech)
                file.write(pause)
        tracemalloc.start()
        answer = recognizer.predict(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert answer.end == 600 * times
        assert np.allclose(list(answer.probabilities.values()), expected(speech), atol=1e-3)
    assert peaks[1] < 1.1 * peaks[0]


def test_a_list_keeps_its_order_and_its_failures(recognizer: Recognizer, sound: np.ndarray, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    sf.write(good, sound, 16000)
    bad.write_bytes(b"")
    answers = recognizer.predict([str(good), bad, sound, tmp_path / "missing.wav", np.zeros(16000)], sample_rate=16000)
    assert [answer.error is None for answer in answers] == [True, False, True, False, True]
    assert [answer.path for answer in answers[:4]] == [str(good), str(bad), None, str(tmp_path / "missing.wav")]
    assert answers[0] == recognizer.predict(str(good))
    assert answers[4].speech is False
    row = answers[1].to_dict()
    keys = ["path", "start", "end", "channel", "emotion", "confidence", "familiarity", "unsure", "speech", "error"]
    assert list(row) == [*keys, "warnings", "probabilities", "dimensions", "derived"]
    assert [list(answer.to_dict()) for answer in answers] == [list(row)] * 5
    assert (row["confidence"], row["probabilities"], row["speech"]) == (None, {}, None)
    assert recognizer.predict([]) == []


def test_a_list_of_numbers_is_refused(recognizer: Recognizer) -> None:
    with pytest.raises(AudioError, match=r"use np.array"):
        recognizer.predict([0.1, 0.2, 0.3], sample_rate=16000)


def test_one_failure_raises(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="missing"):
        recognizer.predict(tmp_path / "missing.wav")
    with pytest.raises(AudioError, match="rate"):
        recognizer.predict(np.zeros(16000))
    with pytest.raises(AudioError):
        recognizer.predict(tmp_path)  # a folder without recordings


def test_a_folder(recognizer: Recognizer, sound: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".hidden").mkdir()
    for name in ("b.wav", "a.flac", "deep/c.wav", "deep/.hidden/d.wav"):
        sf.write(tmp_path / name, sound, 16000)
    (tmp_path / "notes.txt").write_text("not a recording")
    (tmp_path / "broken.wav").write_text("not a recording either")
    answers = recognizer.predict(tmp_path)
    assert [Path(answer.path or "").name for answer in answers] == ["a.flac", "b.wav", "broken.wav"]
    assert [answer.error is None for answer in answers] == [True, True, False]
    deep = recognizer.predict(str(tmp_path), recursive=True)
    assert [Path(answer.path or "").name for answer in deep] == ["a.flac", "b.wav", "broken.wav", "c.wav"]


def test_a_folder_without_permission_is_one_failure(
    sound: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    for name in ("open", "shut"):
        (tmp_path / name).mkdir()
        sf.write(tmp_path / name / "a.wav", sound, 16000)
    scandir = os.scandir

    def guarded(path: str) -> object:  # permissions do not bind root, so the refusal is made up
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = find_inputs([tmp_path], recursive=True)
    assert found[0] == tmp_path / "open" / "a.wav"
    assert isinstance(found[1], Prediction)
    assert (found[1].path, found[1].error) == (str(tmp_path / "shut"), "Permission denied.")
    (alone,) = find_inputs([tmp_path / "shut"])
    assert isinstance(alone, Prediction)
    assert "permission" in (alone.error or "")


def test_threads_share_one_recognizer(recognizer: Recognizer) -> None:
    sounds = [voice(e, s, seconds=0.5 + 0.2 * e) for e in range(8) for s in range(3)]
    alone = [recognizer.predict(sound, sample_rate=16000) for sound in sounds]
    start = threading.Barrier(6)

    def work(seed: int) -> bool:
        start.wait()
        order = np.random.default_rng(seed).permutation(len(sounds))
        return all(recognizer.predict(sounds[i], sample_rate=16000) == alone[i] for i in order)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))
    assert recognizer.predict(sounds, sample_rate=16000) == alone


def test_predict_iter_reads_only_a_little_ahead(recognizer: Recognizer, sound: np.ndarray) -> None:
    taken = 0

    def sources() -> object:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield sound

    answers = recognizer.predict_iter(sources(), sample_rate=16000, workers=2)
    next(answers)
    next(answers)
    assert taken <= 6
    answers.close()
    assert taken <= 6


def test_the_convenience_call_keeps_its_model(
    sound: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny(tmp_path / "b")
    first = serkit.predict(sound, sample_rate=16000, model=tmp_path / "b")
    monkeypatch.setattr("serkit.recognition.recognizer.read_bundle", None)  # it is not read again
    assert serkit.predict(sound, sample_rate=16000, model=tmp_path / "b") == first
    monkeypatch.undo()
    assert first == serkit.load(write_tiny(tmp_path / "c").path).predict(sound, sample_rate=16000)


def test_threads_must_be_positive(tmp_path: Path) -> None:
    write_tiny(tmp_path / "b")
    with pytest.raises(ValueError, match="threads must be 1 or more, got 0"):
        load(tmp_path / "b", threads=0)
    assert load(tmp_path / "b", threads=2).labels == LABELS


def test_top_breaks_ties_by_label_order() -> None:
    answer = Prediction(None, 0, 1, "b", 0.4, {"a": 0.2, "b": 0.4, "c": 0.2, "d": 0.2}, speech=True)
    assert answer.top(3) == [("b", 0.4), ("a", 0.2), ("c", 0.2)]


def test_labels_in_another_order_stay_with_their_probabilities(tmp_path: Path, sound: np.ndarray) -> None:
    backwards = waveform_graph(slope=SLOPE[:, ::-1].copy(), bias=BIAS[:, ::-1].copy())
    write_tiny(tmp_path / "a")
    write_tiny(tmp_path / "b", graph=backwards, labels=LABELS[::-1])
    first, second = (load(tmp_path / name).predict(sound, sample_rate=16000) for name in ("a", "b"))
    assert list(second.probabilities) == list(LABELS[::-1])
    assert second.emotion == first.emotion
    assert second.probabilities == pytest.approx(first.probabilities, abs=1e-6)


def test_a_function_is_called_for_its_recording_in_a_thread(recognizer: Recognizer, sound: np.ndarray) -> None:
    threads = []

    def made() -> audio.Waveform:
        threads.append(threading.current_thread())
        return audio.load(sound, sample_rate=16000)

    def broken() -> audio.Waveform:
        raise AudioError("nothing there.")

    answers = list(recognizer.predict_iter([made, broken]))
    assert answers[0] == recognizer.predict(sound, sample_rate=16000)
    assert (answers[1].error, answers[1].emotion) == ("nothing there.", None)
    assert threads[0] is not threading.main_thread()


def test_silence_is_answered_where_speech_is_taken_for_granted(recognizer: Recognizer) -> None:
    silence = np.zeros(16000, np.float32)
    (nothing,) = recognizer.predict_iter([silence], sample_rate=16000)
    (answer,) = recognizer.predict_iter([silence], sample_rate=16000, detect_speech=False)
    assert (nothing.speech, nothing.emotion) == (False, None)
    np.testing.assert_allclose(list(answer.probabilities.values()), softmax(BIAS[0]), atol=1e-6)


def test_the_default_model_answers_the_examples() -> None:
    examples = sorted((Path(__file__).parent.parent / "examples").glob("*.opus"))
    assert len(examples) == 8
    recognizer = serkit.load()
    assert set(recognizer.labels) == set(LABELS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(recognizer.bundle.onnx, options, providers=["CPUExecutionProvider"])
    for path in examples:
        answer = recognizer.predict(path)
        wave = audio.load(path, target_rate=recognizer.sample_rate)
        (raw,) = session.run(["probabilities"], {"waveform": wave.samples[np.newaxis]})
        assert list(answer.probabilities.values()) == raw[0].tolist()
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.ravdess
def test_the_default_model_knows_its_training_clips(ravdess_dir: Path) -> None:
    clips = sorted((ravdess_dir / "speech").rglob("03-01-*-01-01-01-0[1-4].flac"))
    assert len(clips) == 32  # eight emotions, four actors
    answers = serkit.load().predict(clips)
    right = [
        answer.emotion == LABELS[int(clip.name.split("-")[2]) - 1] for clip, answer in zip(clips, answers, strict=True)
    ]
    assert np.mean(right) > 0.5  # chance is 0.125; all clips were trained on


def test_min_confidence_holds_on_every_way_in(recognizer: Recognizer, sound: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, sound, 16000, subtype="FLOAT")
    confidence = recognizer.predict(path).confidence
    assert confidence is not None
    above = float(np.nextafter(confidence, 1))
    for limit, unsure in ((confidence, False), (above, True)):
        answers = [
            recognizer.predict(path, min_confidence=limit),
            *recognizer.predict([path], min_confidence=limit),
            *recognizer.predict(tmp_path, min_confidence=limit),
            *recognizer.predict_iter([path], min_confidence=limit),
            serkit.predict(path, model=recognizer.bundle.path, min_confidence=limit),
        ]
        assert [answer.unsure for answer in answers] == [unsure] * 5
        assert all((answer.emotion is None) == unsure for answer in answers)
        assert all(answer.confidence == confidence for answer in answers)
    with pytest.raises(serkit.SerkitError, match=r"got 1\.5"):
        recognizer.predict(path, min_confidence=1.5)
