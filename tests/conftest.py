"""Shared fixtures: the real corpus where available, and a tiny synthetic one everywhere else."""

from __future__ import annotations

import io
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# The tests run side by side, one process a core: more threads in each would only get in each other's way.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import soundfile as sf  # noqa: E402
from hypothesis import Phase, settings  # noqa: E402

from serkit import cli  # noqa: E402
from tests import webapp  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from serkit.corpora import Corpus
    from serkit.training.feature_cache import FeatureCache

# How long an example takes says how busy the machine is, nothing else.
settings.register_profile("serkit", deadline=None)
# For tests/mutants.py, which asks only whether an example fails, not for the simplest one.
settings.register_profile("mutants", deadline=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("serkit")

#: What the fixture `ser` is: words of the command line and standard input -> exit code, standard output and error.
Ser = Callable[..., tuple[int, str, str]]


def data_dir() -> Path | None:
    """The folder that SERKIT_DATA names, if it holds RAVDESS."""
    value = os.environ.get("SERKIT_DATA")
    if value and (Path(value) / "ravdess").is_dir():
        return Path(value)
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "slow" not in (config.getoption("markexpr") or ""):
        later = pytest.mark.skip(reason="it takes long: run it with -m slow")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(later)
    order = os.environ.get("SERKIT_TEST_ORDER", "")
    if order == "reverse":
        items.reverse()
    elif order:  # a seed: the modules in random order, and the tests of each
        rng = random.Random(order)
        modules: dict[Path, list[pytest.Item]] = {}
        for item in items:
            modules.setdefault(item.path, []).append(item)
        groups = list(modules.values())
        rng.shuffle(groups)
        for group in groups:
            rng.shuffle(group)
        items[:] = [item for group in groups for item in group]
    if data_dir() is None:
        skip = pytest.mark.skip(reason="RAVDESS is not at hand: set SERKIT_DATA to the folder that holds ravdess/")
        for item in items:
            if "ravdess" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this run, one for all workers: the real corpora are decoded and hashed once."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "shared_cache"


@pytest.fixture(scope="session", autouse=True)
def no_cache_at_home(shared_cache: Path) -> Iterator[None]:
    """Keep the tests out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(shared_cache))
        yield


@pytest.fixture(scope="session")
def ravdess_dir() -> Path:
    """Folder with RAVDESS (speech/ and song/); use with @pytest.mark.ravdess."""
    root = data_dir()
    assert root is not None
    return root / "ravdess"


@pytest.fixture(scope="session")
def crema_dir() -> Path:
    """Folder with CREMA-D; use with @pytest.mark.ravdess."""
    root = data_dir()
    assert root is not None
    return root / "crema_d"


def call_ser(*words: object, stdin: bytes = b"") -> int:
    """Run ``ser`` in this process, as the shell would, and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ser", *map(str, words)])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as done:
            cli.main()
    return int(done.value.code or 0)


@pytest.fixture
def ser(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ser:
    """Run ``ser`` in this process: exit code, standard output and error, in which no traceback may stand."""
    monkeypatch.setenv("COLUMNS", "150")

    def run(*words: object, stdin: bytes = b"") -> tuple[int, str, str]:
        capsys.readouterr()
        code = call_ser(*words, stdin=stdin)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def voice(emotion: int, speaker: int, *, seconds: float = 1.0, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """A voice-like sound: a harmonic glide shaped by formants and syllables, different per emotion and speaker."""
    rng = np.random.default_rng([seed, emotion, speaker])
    t = np.arange(int(seconds * rate)) / rate
    f0 = (110 if speaker % 2 else 200) * (1 + 0.05 * speaker % 0.3) * (1 + 0.12 * emotion)
    glide = f0 * (1 + 0.15 * np.sin(2 * np.pi * (1 + 0.5 * emotion) * t) + 0.01 * rng.standard_normal())
    phase = 2 * np.pi * np.cumsum(glide) / rate
    formants = (500 + 60 * emotion, 1500 + 80 * speaker % 300, 2500)
    sound = np.zeros_like(t)
    for k in range(1, 25):
        gain = sum(np.exp(-0.5 * ((k * f0 - f) / 180) ** 2) for f in formants) + 0.02
        if k * f0 * 1.3 < rate / 2:
            sound += gain * np.sin(k * phase)
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * (3 + 0.5 * emotion) * t)
    sound = sound * syllables
    sound = 0.3 * sound / np.abs(sound).max() + 0.002 * rng.standard_normal(len(t))
    return sound.astype(np.float32)


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voice-like sounds under RAVDESS names: six speakers, eight emotions, 90 WAV files of 1 s."""
    root = tmp_path_factory.mktemp("tiny_ravdess")
    for speaker in range(1, 7):
        folder = root / f"Actor_{speaker:02d}"
        folder.mkdir()
        for emotion in range(1, 9):
            for intensity in (1, 2):
                if emotion == 1 and intensity == 2:
                    continue
                sound = voice(emotion, speaker, seed=intensity)
                name = f"03-01-{emotion:02d}-{intensity:02d}-{1 + emotion % 2:02d}-01-{speaker:02d}.wav"
                sf.write(folder / name, sound, 16000, subtype="PCM_16")
    return root


@pytest.fixture(scope="module")
def corpus(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The tiny corpus, read."""
    from serkit.corpora import read_corpus

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("digests")))
        return read_corpus(tiny_corpus)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """A feature cache of the tests of one file."""
    from serkit.training.feature_cache import FeatureCache

    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="session")
def both(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ravdess/ (six speakers, eight emotions) and crema_d/ (four speakers, six emotions)."""
    root = tmp_path_factory.mktemp("both")
    (root / "ravdess").symlink_to(tiny_corpus)
    (root / "crema_d" / "AudioWAV").mkdir(parents=True)
    for speaker in range(1, 5):
        for code, emotion in {"ANG": 5, "DIS": 7, "FEA": 6, "HAP": 3, "NEU": 1, "SAD": 4}.items():
            for k, sentence in enumerate(("DFA", "IEO", "TIE")):
                path = root / "crema_d" / "AudioWAV" / f"{1000 + speaker}_{sentence}_{code}_XX.wav"
                sf.write(path, voice(emotion, 10 + speaker, seconds=0.6, seed=k), 16000, subtype="PCM_16")
    return root


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Headless Chromium whose microphone hears voice(4, 1); closed after the module, for its event loop bars others."""
    if webapp.MISSING is not None:
        pytest.skip(webapp.MISSING)
    said = tmp_path_factory.mktemp("microphone") / "voice.wav"
    sf.write(said, voice(4, 1, seconds=6.0, rate=48000), 48000, subtype="PCM_16")
    fake = "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={said}"
    with webapp.launched("--use-fake-ui-for-media-stream", *fake) as browser:
        yield browser
