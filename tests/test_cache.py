"""The feature cache: what a key hangs on, what happens to damaged files and interrupted work."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from serkit.audio.waveform import Window
from serkit.corpora import Corpus, read_corpus
from serkit.corpora.digests import cache_dir
from serkit.errors import TrainingError
from serkit.features import Extractor, Feature
from serkit.training import feature_cache
from serkit.training.feature_cache import ClipRequest, FeatureCache, compute_features, requests
from serkit.training.noise_and_rooms import SoundFolders

EXTRACTOR = Extractor(16000, Window(length=0.5), (Feature("rms"), Feature("zcr")), "mean_std")
CLIP = ClipRequest("a.wav", 0.0, 1.0, "ab" * 32)


@pytest.fixture(scope="module")
def corpus(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("digests")))
        return read_corpus(tiny_corpus / "Actor_01", kind="ravdess")


def clips_of(corpus: Corpus, *, copies: int = 0) -> list[ClipRequest]:
    rows = pd.concat([corpus.table.assign(copy=c) for c in range(copies + 1)])
    return requests(rows, chains=("noise", "gain"), seed=0)


def computed(monkeypatch: pytest.MonkeyPatch) -> list[ClipRequest]:
    """The requests that are computed from now on, not read."""
    seen: list[ClipRequest] = []
    original = feature_cache._extract

    def spy(corpus: Corpus, clip: ClipRequest, extractor: Extractor) -> np.ndarray:
        seen.append(clip)
        return original(corpus, clip, extractor)

    monkeypatch.setattr(feature_cache, "_extract", spy)
    return seen


def test_a_key_hangs_on_the_sound_and_on_how_it_is_looked_at() -> None:
    key = CLIP.key(EXTRACTOR)
    assert key == replace(CLIP, path="b/renamed.flac").key(EXTRACTOR)
    for other in (
        replace(CLIP, audio_hash="cd" * 32).key(EXTRACTOR),
        replace(CLIP, chain="noise").key(EXTRACTOR),
        replace(CLIP, chain="noise", seed=1).key(EXTRACTOR),
        replace(CLIP, chain="gain").key(EXTRACTOR),
        CLIP.key(replace(EXTRACTOR, hop_length=256)),
    ):
        assert other != key


def test_copies_go_through_their_chains_and_know_their_folders(tmp_path: Path) -> None:
    sf.write(tmp_path / "hiss.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    folders = SoundFolders.read(background=tmp_path)
    rows = pd.DataFrame({"path": "a.wav", "start": 0.0, "end": 1.0, "audio_hash": "ab", "copy": range(5)})
    found = requests(rows, chains=("background", "pitch+noise"), seed=0, folders=folders)
    assert [clip.chain for clip in found] == [None, "background", "pitch+noise", "background", "pitch+noise"]
    assert [clip.folders for clip in found] == [None, *[folders] * 4]
    assert len({clip.seed for clip in found}) == 5
    assert requests(rows[:1], chains=(), seed=0) == [ClipRequest("a.wav", 0.0, 1.0, "ab")]
    # Chains that take nothing from a folder have one key, with and without it.
    assert found[2].key(EXTRACTOR) == replace(found[2], folders=None).key(EXTRACTOR)


def test_another_folder_gives_other_features_and_the_same_one_elsewhere_does_not(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "digests"))
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        (tmp_path / name).mkdir()
        sf.write(tmp_path / name / "hiss.wav", 0.1 * np.random.default_rng(seed).standard_normal(32000), 16000)
    rows = pd.concat([corpus.table.assign(copy=c) for c in (0, 1, 2)])

    def features(name: str, *, backwards: bool = False) -> list[np.ndarray]:
        folders = SoundFolders.read(background=tmp_path / name)
        clips = requests(rows, chains=("background", "speed+background"), seed=0, folders=folders)
        step = -1 if backwards else 1
        found = compute_features(corpus, clips[::step], EXTRACTOR, cache=FeatureCache(tmp_path / "cache"), n_jobs=3)
        return found[::step]

    seen = computed(monkeypatch)
    n = len(corpus.table)
    one = features("one", backwards=True)
    assert len(seen) == 3 * n
    np.testing.assert_array_equal(features("same"), one)
    assert len(seen) == 3 * n
    other = features("other")
    assert len(seen) == 5 * n
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
        assert np.array_equal(a, b) == (i < n)


def test_values_are_the_extractors(corpus: Corpus, tmp_path: Path) -> None:
    clips = clips_of(corpus)
    arrays = compute_features(corpus, clips, EXTRACTOR, cache=FeatureCache(tmp_path))
    for clip, array in zip(clips, arrays, strict=True):
        np.testing.assert_array_equal(array, EXTRACTOR(corpus.load(clip.path)))


def test_the_second_time_nothing_is_computed(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = computed(monkeypatch)
    clips = clips_of(corpus, copies=2)
    first = compute_features(corpus, clips, EXTRACTOR, cache=FeatureCache(tmp_path), n_jobs=3)
    assert len(seen) == len(clips) == 3 * len(corpus.table)
    again = compute_features(corpus, clips[::-1], EXTRACTOR, cache=FeatureCache(tmp_path))
    assert len(seen) == len(clips)
    for a, b in zip(first, again[::-1], strict=True):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_array_equal(a, b)


def test_the_same_sound_is_computed_once(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = computed(monkeypatch)
    clip = clips_of(corpus)[0]
    a, b = compute_features(corpus, [clip, clip], EXTRACTOR, cache=FeatureCache(tmp_path))
    assert a is b
    assert len(seen) == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "text", "empty"])
def test_a_damaged_entry_is_computed_again_with_a_warning(corpus: Corpus, tmp_path: Path, damage: str) -> None:
    cache = FeatureCache(tmp_path)
    clips = clips_of(corpus)[:2]
    expected = compute_features(corpus, clips, EXTRACTOR, cache=cache)
    path = Path(cache.path(clips[0].key(EXTRACTOR)))
    data = bytearray(path.read_bytes())
    at = data.index(expected[0].tobytes())
    data[at] ^= 1
    path.write_bytes(
        {"cut": bytes(data[: len(data) // 2]), "flip": bytes(data), "text": b"hello", "empty": b""}[damage]
    )
    with pytest.warns(UserWarning, match="damaged .* computed again"):
        again = compute_features(corpus, clips, EXTRACTOR, cache=cache)
    np.testing.assert_array_equal(again[0], expected[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compute_features(corpus, clips, EXTRACTOR, cache=cache)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_keeps_what_was_computed_and_leaves_no_scraps(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_jobs: int
) -> None:
    cache = FeatureCache(tmp_path)
    seen = computed(monkeypatch)
    stopped = threading.Event()
    extract = feature_cache._extract

    def held(*args: Any) -> np.ndarray:
        if len(seen) > 5:  # on a busy machine all would be done before the main thread hears of the first
            stopped.wait(30)
        return extract(*args)

    monkeypatch.setattr(feature_cache, "_extract", held)

    def stop(event: dict[str, Any]) -> None:
        if event["done"] == 4:
            stopped.set()
            raise KeyboardInterrupt

    clips = clips_of(corpus)
    with pytest.raises(KeyboardInterrupt):
        compute_features(corpus, clips, EXTRACTOR, cache=cache, n_jobs=n_jobs, progress=stop)
    kept = list(tmp_path.rglob("*.npz"))
    assert 4 <= len(kept) < len(clips)
    assert not list(tmp_path.rglob("*.tmp"))
    seen.clear()
    compute_features(corpus, clips, EXTRACTOR, cache=cache)
    assert len(seen) == len(clips) - len(kept)


def test_progress_counts_to_the_end(corpus: Corpus, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    clips = clips_of(corpus)
    compute_features(corpus, clips, EXTRACTOR, cache=FeatureCache(tmp_path), progress=events.append)
    assert [e["done"] for e in events] == list(range(len(clips) + 1))
    assert {(e["total"], e["cached"]) for e in events} == {(len(clips), 0)}
    events.clear()
    compute_features(corpus, clips, EXTRACTOR, cache=FeatureCache(tmp_path), progress=events.append)
    assert [(e["done"], e["cached"]) for e in events] == [(k, len(clips)) for k in range(len(clips) + 1)]


def test_a_clip_without_features_is_an_error_that_names_it(corpus: Corpus, tmp_path: Path) -> None:
    late = replace(EXTRACTOR, window=Window(offset=5.0))
    clip = clips_of(corpus)[0]
    with pytest.raises(TrainingError, match=f"{clip.path} gives no features: nothing is left"):
        compute_features(corpus, [clip], late, cache=FeatureCache(tmp_path))
    assert not list(tmp_path.rglob("*.npz"))


def test_the_folder_is_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path))
    assert FeatureCache().folder == str(tmp_path / "features")
    monkeypatch.setenv("SERKIT_CACHE", "s3://bucket/cache/")
    assert FeatureCache().folder == "s3://bucket/cache/features"
    assert cache_dir() == Path.home() / ".cache" / "serkit"
