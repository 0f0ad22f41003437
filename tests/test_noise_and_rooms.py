"""The chains that take recordings from a folder: what is heard, what the cache key hangs on, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import correlate

from serkit.audio import Waveform
from serkit.corpora import Corpus, read_corpus
from serkit.errors import AudioError, RecipeError, TrainingError
from serkit.protocol import make_split
from serkit.training import noise_and_rooms
from serkit.training.augment import augment, chain_key
from serkit.training.noise_and_rooms import SoundFolder, SoundFolders
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation
from tests.conftest import voice

RATE = 16000
RECIPE = """
name = "quick"
description = "Loudness and logistic regression."
[features]
sample_rate = 16000
features = [{ name = "rms" }, { name = "zcr" }]
[model]
name = "logistic"
"""


@pytest.fixture(autouse=True)
def _memory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def clip() -> Waveform:
    return Waveform(voice(3, 2), RATE)


def folder_of(path: Path, *, rate: int = RATE, **sounds: np.ndarray) -> Path:
    """A folder with one WAV (float, so that nothing is rounded) a sound."""
    path.mkdir(parents=True, exist_ok=True)
    for name, samples in sounds.items():
        sf.write(path / f"{name}.wav", samples, rate, subtype="FLOAT")
    return path


def impulse(at: int, height: float = 1.0, *, size: int = 3000) -> np.ndarray:
    response = np.zeros(size)
    response[at] = height
    return response


def hiss(seconds: float, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


@pytest.mark.parametrize(("at", "height"), [(0, 1.0), (700, 0.2)])
def test_a_room_without_walls_changes_nothing(clip: Waveform, tmp_path: Path, at: int, height: float) -> None:
    room = SoundFolders.read(room=folder_of(tmp_path, open=impulse(at, height)))
    np.testing.assert_allclose(augment(clip, "room", seed=0, folders=room).samples, clip.samples, atol=1e-6)


def test_a_response_of_another_rate_and_two_channels_is_fitted(clip: Waveform, tmp_path: Path) -> None:
    response = np.stack([impulse(3000, size=6000)] * 2, axis=1)
    room = SoundFolders.read(room=folder_of(tmp_path, rate=48000, open=response))
    heard = augment(clip, "room", seed=0, folders=room).samples
    assert np.corrcoef(heard, clip.samples)[0, 1] > 0.999


def test_a_wall_gives_an_echo_and_the_peak_stays(clip: Waveform, tmp_path: Path) -> None:
    room = SoundFolders.read(room=folder_of(tmp_path, wall=impulse(100) + impulse(900, 0.5)))
    heard = augment(clip, "room", seed=0, folders=room).samples
    expected = clip.samples.astype(float)
    expected[800:] += 0.5 * clip.samples[:-800]
    expected *= np.abs(clip.samples).max() / np.abs(expected).max()
    np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_the_seed_draws_among_all_responses(clip: Waveform, tmp_path: Path) -> None:
    walls = {f"wall{k}": impulse(0) + impulse(300 * k, 0.4) for k in (1, 2, 3)}
    room = SoundFolders.read(room=folder_of(tmp_path, **walls))
    heard = [augment(clip, "room", seed=seed, folders=room).digest for seed in range(20)]
    assert len(set(heard)) == 3
    assert heard == [augment(clip, "room", seed=seed, folders=room).digest for seed in range(20)]


@pytest.mark.parametrize("seconds", [0.3, 1.05, 5.0])
def test_the_background_has_the_level_that_was_drawn(
    clip: Waveform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    def snr(seed: int) -> float:
        changed = augment(clip, "background", seed=seed, folders=background)
        assert changed.duration == clip.duration
        added = changed.samples.astype(float) - clip.samples
        return float(10 * np.log10(np.mean(clip.samples.astype(float) ** 2) / np.mean(added**2)))

    background = SoundFolders.read(background=folder_of(tmp_path, hiss=hiss(seconds)))
    found = [snr(seed) for seed in range(25)]
    assert 4.99 <= min(found) < 8
    assert 17 < max(found) <= 20.01
    monkeypatch.setattr(noise_and_rooms, "SNR_DB", (12.0, 12.0))
    assert [snr(seed) for seed in range(5)] == pytest.approx([12.0] * 5, abs=0.01)


def test_a_long_background_gives_different_parts_and_a_short_one_goes_round(clip: Waveform, tmp_path: Path) -> None:
    def added(name: str, seed: int) -> np.ndarray:
        background = SoundFolders.read(background=tmp_path / name)
        return augment(clip, "background", seed=seed, folders=background).samples - clip.samples

    folder_of(tmp_path / "long", hiss=hiss(6.0))
    folder_of(tmp_path / "short", hiss=hiss(0.25))
    round_ = added("short", 1)
    np.testing.assert_allclose(round_[4000:], round_[:-4000], atol=1e-6)
    parts = [added("long", seed) for seed in range(4)]
    places = []
    for part in parts:
        at = int(correlate(hiss(6.0), part, "valid", method="fft").argmax())
        places.append(at)
        source = hiss(6.0)[at : at + len(part)]
        assert np.corrcoef(part, source)[0, 1] > 0.9999
    assert len(set(places)) == 4


def test_a_pause_adds_nothing_and_a_silent_clip_stays_silent(clip: Waveform, tmp_path: Path) -> None:
    pause = SoundFolders.read(background=folder_of(tmp_path / "a", pause=np.zeros(RATE)))
    assert augment(clip, "background", seed=0, folders=pause) == clip
    both = SoundFolders.read(
        room=folder_of(tmp_path / "b", open=impulse(0)), background=folder_of(tmp_path / "c", hiss=hiss(2.0))
    )
    silence = Waveform(np.zeros(RATE, dtype=np.float32), RATE)
    assert augment(silence, "room+background", seed=0, folders=both) == silence


def test_rooms_and_backgrounds_go_with_other_chains(clip: Waveform, tmp_path: Path) -> None:
    both = SoundFolders.read(
        room=folder_of(tmp_path / "b", wall=impulse(0) + impulse(500, 0.5)),
        background=folder_of(tmp_path / "c", hiss=hiss(2.0)),
    )
    whole = augment(clip, "room+background", seed=3, folders=both)
    assert whole not in (clip, augment(clip, "room", seed=3, folders=both))
    assert augment(clip, "stretch+room+background", seed=3, folders=both).duration != clip.duration


def test_the_key_hangs_on_what_is_in_the_folder(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "first", a=hiss(0.5, 1), b=hiss(0.5, 2))

    def key(name: str, chain: str = "background") -> str:
        return chain_key(chain, SoundFolders.read(room=first, background=tmp_path / name))

    shutil.copytree(first, tmp_path / "moved")
    assert key("moved") == key("first")
    shutil.copytree(first, tmp_path / "below" / "deeper")
    folder_of(tmp_path / "other", a=hiss(0.5, 1), b=hiss(0.5, 3))
    folder_of(tmp_path / "swapped", a=hiss(0.5, 2), b=hiss(0.5, 1))
    folder_of(tmp_path / "renamed", a=hiss(0.5, 1), c=hiss(0.5, 2))
    folder_of(tmp_path / "more", a=hiss(0.5, 1), b=hiss(0.5, 2), c=hiss(0.5, 3))
    keys = [key(name) for name in ("first", "below", "other", "swapped", "renamed", "more")]
    assert len(set(keys)) == 6
    assert key("first", "room") == key("other", "room")
    assert key("first", "noise+room") == key("other", "noise+room")
    assert key("first", "room+background") != key("other", "room+background")
    (first / "notes.txt").write_text("not a sound")
    (first / ".hidden.wav").write_text("not a sound")
    assert key("first") == keys[0]


def test_a_file_that_changes_changes_the_key(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=hiss(0.5, 1))
    before = SoundFolder.read(folder).key
    folder_of(tmp_path, a=hiss(0.6, 2))
    assert SoundFolder.read(folder).key != before


def test_a_folder_that_is_of_no_use_is_refused(clip: Waveform, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"room_folder: '.*nowhere' is not a folder .relative to /.*: name one"):
        SoundFolders.read(room=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("nothing")
    with pytest.raises(TrainingError, match=r"background_folder: '.*empty' contains no recordings \(.*\.wav"):
        SoundFolders.read(background=tmp_path / "empty")
    folder_of(tmp_path / "broken", good=hiss(1.0))
    (tmp_path / "broken" / "bad.wav").write_text("no sound")
    with pytest.raises(TrainingError, match=r"room_folder: 1 of 2 clips .*bad\.wav"):
        SoundFolders.read(room=tmp_path / "broken")
    with pytest.raises(TrainingError, match=r"blip\.wav.* 0\.050 s"):
        SoundFolders.read(room=folder_of(tmp_path / "short", blip=hiss(0.05)))
    silent = SoundFolders.read(room=folder_of(tmp_path / "silent", hush=np.zeros(RATE)))
    with pytest.raises(AudioError, match=r"hush\.wav is silent: remove it"):
        augment(clip, "room", seed=0, folders=silent)


def test_a_chain_without_its_folder_is_refused(clip: Waveform, tmp_path: Path) -> None:
    background = SoundFolders.read(background=folder_of(tmp_path, hiss=hiss(1.0)))
    for given in (None, SoundFolders(), background):
        with pytest.raises(RecipeError, match="the chain 'room' takes recordings from a folder: give it as room_fol"):
            augment(clip, "noise+room", seed=0, folders=given)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('chains = ["noise+room"]', r"the chain 'room' takes .*: give it as room_folder"),
        ('chains = ["background"]\nroom_folder = "x"', "room_folder is there, but chains lack 'room'"),
        ('chains = ["background"]', "the chain 'background' takes .*: give it as background_folder"),
        ('chains = ["noise"]\nbackground_folder = "x"', "background_folder is there, but chains lack 'background'"),
        ('chains = ["room"]\nroom_folder = ""', "'augment.room_folder': .*at least 1 character"),
        ('chains = ["room"]\nrooms = "x"', r"unknown key 'rooms' in \[augment\]: did you mean 'room_folder'"),
        ('chains = ["noise", "pitch+strech"]', r"unknown chain 'strech' in .*: did you mean 'stretch'\?"),
    ],
)
def test_a_recipe_is_checked_before_anything_is_read(text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        parse_recipe(f"{RECIPE}[augment]\n{text}\n")


def test_the_hash_of_a_recipe_hangs_on_its_folders_only_where_it_has_some() -> None:
    def hash_of(text: str) -> str:
        return parse_recipe(f"{RECIPE}[augment]\n{text}\n").hash

    assert hash_of('chains = ["room"]\nroom_folder = "a"') != hash_of('chains = ["room"]\nroom_folder = "b"')
    assert hash_of('chains = ["noise", "pitch"]') != hash_of('chains = ["noise+pitch"]')
    # What it was before there were folders.
    before = parse_recipe(f'{RECIPE}[augment]\nchains = ["noise"]\n').model_dump()["augment"]
    assert before == {"chains": ("noise",), "copies": 1, "room_folder": None, "background_folder": None}


@pytest.fixture(scope="module")
def corpus(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("digests")))
        return read_corpus(tiny_corpus)


def test_training_learns_from_the_folder_and_goes_on_with_the_same_one_only(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the folders are relative to the working directory
    text = f'{RECIPE}[augment]\nchains = ["room+background"]\nroom_folder = "rooms"\nbackground_folder = "noises"\n'
    recipe = parse_recipe(text)
    split = make_split(corpus, "speaker", n_folds=2, seed=0)
    with pytest.raises(TrainingError, match="room_folder: 'rooms' is not a folder"):
        run_evaluation(recipe, corpus, split, tmp_path / "run")
    assert not (tmp_path / "run").exists()

    folder_of(tmp_path / "rooms", wall=impulse(0) + impulse(500, 0.8))
    folder_of(tmp_path / "noises", hiss=hiss(2.0))
    whole = run_evaluation(recipe, corpus, split, tmp_path / "whole")
    plain = run_evaluation(parse_recipe(RECIPE), corpus, split, tmp_path / "plain")
    columns = [name for name in whole.predictions if name.startswith("p_")]
    assert not np.allclose(whole.predictions[columns], plain.predictions[columns], atol=1e-3)

    run_evaluation(recipe, corpus, split, tmp_path / "run", folds=[0])
    folder_of(tmp_path / "noises", hiss=hiss(2.5))
    with pytest.raises(TrainingError, match="started with another content of background_folder"):
        run_evaluation(recipe, corpus, split, tmp_path / "run", resume=True)
    folder_of(tmp_path / "noises", hiss=hiss(2.0))
    resumed = run_evaluation(recipe, corpus, split, tmp_path / "run", resume=True, n_jobs=2)
    np.testing.assert_array_equal(resumed.predictions[columns], whole.predictions[columns])
