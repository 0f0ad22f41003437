"""``--device``: where models run, what is said where there is no GPU, and the graph that a GPU gets."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import soundfile as sf

import serkit
from serkit import devices
from serkit.bundle import packaged
from serkit.errors import SerkitError
from serkit.recognition.gpu_batches import Batches
from serkit.recognition.gpu_graph import for_gpu
from serkit.recognition.recognizer import load
from tests.conftest import Ser, voice
from tests.tiny_models import write_tiny

needs_no_gpu = pytest.mark.skipif(devices.missing() is None, reason="there is a GPU")

#: NVIDIA's library with two GPUs, of which the second does not answer.
NVML = """
#include <string.h>
int nvmlInit_v2(void) { return FAILS; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *number) { *number = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned at, void **gpu) { *gpu = (void *)1; return at == 0 ? 0 : 15; }
int nvmlDeviceGetName(void *gpu, char *name, unsigned size) { strncpy(name, "A GPU", size); return 0; }
"""


#: Sums in another order are rounded otherwise, and the rounding to int8 makes that larger: docs/gpu.md.
ROUNDING = 0.02


def on_processor(data: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices")
    write_tiny(folder / "tiny")
    sf.write(folder / "a.wav", voice(3, 1), 16000)
    return folder


@pytest.mark.parametrize("fails", [0, 9])
def test_the_driver_says_which_gpus_there_are(fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or os.name == "nt":
        pytest.skip("there is no C compiler")
    (tmp_path / "nvml.c").write_text(NVML, encoding="utf-8")
    library = tmp_path / "libnvml.so"
    subprocess.run([compiler, "-shared", "-fPIC", f"-DFAILS={fails}", "-o", library, tmp_path / "nvml.c"], check=True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.gpus(str(library)) == ([] if fails else ["A GPU"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.gpus(str(library)) == []


def test_auto_is_the_gpu_only_where_all_of_it_is_there() -> None:
    both, one = [devices.CUDA, "CPUExecutionProvider"], ["CPUExecutionProvider"]
    assert devices.chosen("auto", offered=both, found=["A GPU"]) == "cuda"
    assert devices.chosen("auto", offered=both, found=[]) == "cpu"
    assert devices.chosen("auto", offered=one, found=["A GPU"]) == "cpu"
    assert devices.chosen("cpu", offered=both, found=["A GPU"]) == "cpu"
    with pytest.raises(SerkitError, match=r"cuda cannot be used: the ONNX Runtime .* has no CUDA: pip install 'se"):
        devices.chosen("cuda", offered=one, found=["A GPU"])
    with pytest.raises(SerkitError, match="cuda cannot be used: NVIDIA's driver shows no GPU: check nvidia-smi"):
        devices.chosen("cuda", offered=both, found=[])
    with pytest.raises(SerkitError, match="The device is auto, cpu or cuda, got 'gpu'"):
        devices.chosen("gpu")


@needs_no_gpu
def test_without_a_gpu_auto_is_the_processor_and_cuda_is_refused(ser: Ser, place: Path) -> None:
    recognizer = load(place / "tiny")
    assert recognizer.device == "cpu"
    assert recognizer.predict(place / "a.wav") == load(place / "tiny", device="cpu").predict(place / "a.wav")
    with pytest.raises(SerkitError, match="The device cuda cannot be used: "):
        load(place / "tiny", device="cuda")
    for words in (
        ("predict", place / "a.wav"),
        ("timeline", place / "a.wav"),
        ("explain", place / "a.wav", "--json"),
        ("enrol", place / "a.wav", "--out", place / "p.json"),
        ("adapt", place, "--out", place / "p.json"),
    ):
        code, out, err = ser(*words, "-m", place / "tiny", "--device", "cuda")
        assert (code, out) == (2, "")
        assert err.startswith("ser: The device cuda cannot be used: ")
        assert len(err.splitlines()) == 1
    code, out, _ = ser("predict", place / "a.wav", "-m", place / "tiny", "--device", "auto", "--json")
    assert code == 0
    assert '"emotion"' in out


@needs_no_gpu
def test_a_session_that_takes_no_gpu_is_noticed() -> None:
    """ONNX Runtime without CUDA falls back to the processor by itself, as it does where cuDNN is missing."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [x],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        session = ort.InferenceSession(
            model.SerializeToString(), options, providers=[devices.CUDA, "CPUExecutionProvider"]
        )
    assert devices.runs_on(session) == "cpu"


def test_a_model_keeps_the_device_it_was_asked_for_on_its_way(place: Path) -> None:
    recognizer = load(place / "tiny", device="cpu")
    assert pickle.loads(pickle.dumps(recognizer)).asked_device == "cpu"
    sent = recognizer.sent_to("auto")
    assert (sent.asked_device, sent.device, recognizer.asked_device) == ("auto", "cpu", "cpu")
    assert pickle.loads(pickle.dumps(sent)).asked_device == "auto"
    assert sent.among(["happy", "sad"]).asked_device == "auto"
    if devices.missing() is not None:
        with pytest.raises(
            SerkitError, match="The device cuda cannot be used"
        ):  # where it arrives, not where it is sent
            pickle.loads(pickle.dumps(recognizer.sent_to("cuda")))
    with pytest.raises(SerkitError, match="got 'tpu'"):
        recognizer.sent_to("tpu")


@pytest.mark.parametrize("name", ["default", "fast", "open"])
def test_the_graph_of_a_gpu_answers_as_the_shipped_one(name: str) -> None:
    """Compared on the processor, which has the operators of both."""
    data = (packaged()[name] / "model.onnx").read_bytes()
    changed = for_gpu(data)
    kinds = {node.op_type for node in onnx.load_from_string(changed).graph.node}
    assert kinds.isdisjoint({"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger"})
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    shipped, other = (ort.InferenceSession(one, options, providers=["CPUExecutionProvider"]) for one in (data, changed))
    for sound in (voice(3, 1), 3 * voice(5, 2, seconds=2.3), np.zeros(8000, np.float32)):
        for there, here in zip(*(one.run(None, {"waveform": sound[None]}) for one in (shipped, other)), strict=True):
            np.testing.assert_allclose(here, there, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def fast() -> ort.InferenceSession:
    """The graph of the model "fast" that a GPU gets, on the processor."""
    return on_processor(for_gpu((packaged()["fast"] / "model.onnx").read_bytes()))


def test_recordings_that_wait_go_together_by_length(fast: ort.InferenceSession) -> None:
    batches = Batches(fast)
    assert batches.takes_several
    waves = [voice(k, k, seconds=1.0 if k % 3 else 1.5)[None] for k in range(1, 7)]
    for _ in range(2):
        batches._turn.acquire()  # as if others were running
    with ThreadPoolExecutor(len(waves)) as pool:
        asked = [pool.submit(batches.run, ["probabilities"], {"waveform": wave}) for wave in waves]
        limit = time.monotonic() + 60
        while len(batches._waiting) < len(waves) and time.monotonic() < limit:
            time.sleep(0.001)
        for _ in range(2):
            batches._turn.release()
        found = [one.result(timeout=60) for one in asked]
    assert batches.largest == 4  # of one second; the two others have another length
    for (there,), wave in zip(found, waves, strict=True):
        (alone,) = fast.run(["probabilities"], {"waveform": wave})
        assert there.shape == alone.shape
        np.testing.assert_allclose(there, alone, atol=ROUNDING)
    (values,) = batches.run(["embedding"], {"waveform": waves[0]})
    np.testing.assert_array_equal(values, fast.run(["embedding"], {"waveform": waves[0]})[0])
    with pytest.raises(Exception, match="nothing"):
        batches.run(["nothing"], {"waveform": waves[0]})


def test_a_recognizer_answers_through_batches_as_without(fast: ort.InferenceSession, tmp_path: Path) -> None:
    for k in range(4):
        sf.write(tmp_path / f"{k}.wav", voice(k + 1, k, seconds=1.2), 16000)
    recognizer = load("fast", device="cpu")
    expected = recognizer.predict(tmp_path)
    recognizer._made = Batches(fast)
    for there, here in zip(recognizer.predict(tmp_path), expected, strict=True):
        assert there.probabilities == pytest.approx(here.probabilities, abs=ROUNDING)
        assert there.warnings == here.warnings


def test_a_graph_whose_recordings_disturb_each_other_gets_one_at_a_time() -> None:
    data = (packaged()["fast"] / "model.onnx").read_bytes()
    assert not Batches(on_processor(data)).takes_several  # it says (1, samples)
    model = onnx.load_from_string(data)
    for value in (*model.graph.input[:1], *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "recordings"
    one_scale = Batches(on_processor(model.SerializeToString()))
    assert not one_scale.takes_several  # it says (recordings, samples), but has one scale for all
    wave = voice(3, 1)[None]
    (alone,) = on_processor(data).run(["probabilities"], {"waveform": wave})
    np.testing.assert_allclose(one_scale.run(["probabilities"], {"waveform": wave})[0], alone, atol=1e-5)


def test_a_graph_without_int8_is_left_as_it_is(place: Path) -> None:
    data = (place / "tiny" / "model.onnx").read_bytes()
    assert for_gpu(data) is data


def test_the_doctor_says_what_models_run_on(ser: Ser) -> None:
    from serkit.cli.diagnosis import diagnose

    found = diagnose()["gpu"]
    assert found["names"] == devices.gpus()
    assert found["ok"] is (None if not found["names"] else found["problem"] is None)


def test_listen_says_how_a_microphone_is_named(ser: Ser) -> None:
    code, _, err = ser("listen", "--device", "USB")
    assert code == 2
    assert "--device takes auto, cpu or cuda, got 'USB': --microphone names the microphone" in " ".join(err.split())


def test_the_service_refuses_a_device_before_it_listens() -> None:
    pytest.importorskip("pydantic_settings")
    from serkit.service.models import Models
    from serkit.service.settings import load_settings

    assert load_settings().device == "auto"
    with pytest.raises(SerkitError, match="The setting 'device' is 'tpu'"):
        load_settings(device="tpu")
    if devices.missing() is not None:
        with pytest.raises(SerkitError, match="The device cuda cannot be used"):
            Models(["default"], "cuda")
    assert serkit.load("fast", device="cpu").device == "cpu"
