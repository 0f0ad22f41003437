"""What is usual for an embedding, clips heard of a voice or place, and the distance: by hand, and as an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit.bundle import Manifest
from serkit.errors import TrainingError
from serkit.training import adaptation
from serkit.training.adaptation import Reference
from serkit.training.adaptive_graph import adaptive_graph, softening_graph
from serkit.training.clips import Clips
from serkit.training.familiarity import Distance, familiarity
from serkit.training.recipe import Adaptation

SETTINGS = Adaptation(prior=3.0, caution=0.5)


def clips_of(rows: Sequence[tuple[str, str, str, Sequence[float]]], copies: Sequence[int] = ()) -> Clips:
    """Clips of (corpus, speaker, emotion, embedding); `copies` are the rows that are altered copies."""
    table = pd.DataFrame([row[:3] for row in rows], columns=["corpus", "speaker", "emotion"])
    table["copy"] = [int(k in copies) for k in range(len(rows))]
    return Clips(table, [np.array(row[3], dtype=np.float32) for row in rows])


def distance_of(Z: np.ndarray, places: Sequence[str], settings: Adaptation = SETTINGS) -> Distance:
    """The distance from clips that are standardised already."""
    clips = clips_of([(place, "1", "sad", z) for place, z in zip(places, Z, strict=True)])
    return Distance.of(clips, Reference(np.zeros(Z.shape[1]), np.ones(Z.shape[1]), 3.0), settings)


def some_reference(d: int = 5, prior: float = 3.0, seed: int = 0) -> Reference:
    rng = np.random.default_rng(seed)
    return Reference(rng.normal(size=d), rng.uniform(0.5, 2, d), prior)


# ---------------------------------------------------------------------------------------------- the arithmetic


def test_the_usual_by_hand() -> None:
    clips = clips_of(
        [
            ("a", "1", "sad", [0, 7]),
            ("a", "1", "calm", [2, 7]),
            ("a", "2", "sad", [4, 7]),
            ("a", "2", "calm", [8, 7]),
            ("b", "1", "sad", [10, 7]),  # another voice than a's 1
            ("b", "1", "sad", [10, 7]),
            ("b", "1", "sad", [1000, 1000]),
        ],
        copies=[6],
    )
    usual = Reference.of(clips, prior=2.0)
    np.testing.assert_allclose(usual.mean, [(3.5 + 10) / 2, 7])
    # Within a: variances 1 and 4 of its voices. A value that never changes is left as it is.
    np.testing.assert_allclose(usual.deviation, [np.sqrt((2.5 + 0) / 2), 1])
    assert usual.prior == 2.0


def test_clips_heard_weigh_as_many_as_they_are_by_hand() -> None:
    usual = Reference(np.array([0.0]), np.array([2.0]), prior=2.0)
    X, heard = np.array([[5.0]], np.float32), np.array([[1.0], [3.0]], np.float32)
    # Two heard beside a prior of 2: mean (2 + 0) / 2, variance (1 + 4) / 2.
    np.testing.assert_allclose(usual.standardise(X, heard), [[4 / np.sqrt(2.5)]], rtol=1e-6)
    # Six heard: weights 0.75 and 0.25.
    six = np.repeat(heard, 3, axis=0)
    np.testing.assert_allclose(usual.standardise(X, six), [[(5 - 1.5) / np.sqrt(0.75 + 1)]], rtol=1e-6)
    np.testing.assert_allclose(usual.standardise(X), [[2.5]])
    np.testing.assert_array_equal(usual.standardise(X, heard[:0]), usual.standardise(X))
    assert usual.standardise(X, heard).dtype == np.float32


# From six clips on: two that are nearly alike have so small a deviation that even the smallest prior shows.
@settings(derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(6, 40))
def test_from_what_was_heard_alone_to_a_stranger(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    X, heard = rng.normal(size=(3, 5)), rng.normal(1, 3, size=(n, 5))
    alone = some_reference(prior=1e-9).standardise(X, heard)
    np.testing.assert_allclose(alone, (X - heard.mean(0)) / heard.std(0), rtol=1e-3, atol=1e-4)
    stranger = some_reference(prior=1e9)
    np.testing.assert_allclose(stranger.standardise(X, heard), stranger.standardise(X), rtol=1e-4, atol=1e-5)
    between = [some_reference(prior=prior).standardise(X, heard) for prior in (0.1, 3.0, 100.0)]
    gaps = [float(np.abs(found - stranger.standardise(X)).max()) for found in (alone, *between)]
    assert gaps[-1] < gaps[0]


@settings(derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.01, 100),
    shift=st.floats(-100, 100),
    n=st.integers(0, 20),
)
def test_units_and_order_have_no_say(seed: int, scale: float, shift: float, n: int) -> None:
    """Another unit for the embedding, in training and of what is heard, changes nothing; neither does the order."""
    rng = np.random.default_rng(seed)
    usual, X, heard = some_reference(seed=seed % 7), rng.normal(size=(4, 5)), rng.normal(size=(n, 5))
    other = Reference(scale * usual.mean + shift, scale * usual.deviation, usual.prior)
    plain = usual.standardise(X, heard)
    np.testing.assert_allclose(other.standardise(scale * X + shift, scale * heard + shift), plain, atol=1e-3)
    np.testing.assert_allclose(usual.standardise(X, rng.permutation(heard)), plain, atol=1e-5)
    order = rng.permutation(4)
    np.testing.assert_array_equal(usual.standardise(X[order], heard), plain[order])


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.1, 10), shift=st.floats(-10, 10))
def test_a_channel_that_is_heard_too_is_taken_out(seed: int, scale: float, shift: float) -> None:
    """What a microphone does to a voice's clips, heard and asked for alike, vanishes as more of it is heard."""
    rng = np.random.default_rng(seed)
    X, heard = rng.normal(size=(4, 5)), rng.normal(size=(30, 5))
    usual = some_reference(prior=1e-6)
    plain, there = usual.standardise(X, heard), usual.standardise(scale * X + shift, scale * heard + shift)
    np.testing.assert_allclose(there, plain, atol=1e-2)


# ---------------------------------------------------------------------------------------------- clips


def three_voices() -> Clips:
    """A voice with three labels and one with two in corpus a, one with four in b, and two altered copies."""
    rng = np.random.default_rng(0)
    said = [("a", "1", "sad calm happy sad"), ("a", "2", "sad calm sad"), ("b", "1", "sad calm happy angry")]
    rows = [(corpus, who, label, rng.normal(size=3)) for corpus, who, labels in said for label in labels.split()]
    return clips_of([*rows, *rows[:2]], copies=[11, 12])


def test_each_voice_and_each_place_is_standardised_by_its_own_clips() -> None:
    clips = three_voices()
    usual = Reference.of(clips, prior=1.5)
    X = np.stack(clips.arrays)
    heard = clips.where((clips.rows["copy"] == 0).to_numpy())
    places = (clips.rows["corpus"] == "a").to_numpy()
    by_place = np.stack(usual.adapted(clips, heard, "place").arrays)
    np.testing.assert_array_equal(by_place[places], usual.standardise(X[places], X[:7]))
    np.testing.assert_array_equal(by_place[~places], usual.standardise(X[~places], X[7:11]))
    by_voice = np.stack(usual.adapted(clips, heard, "voice").arrays)
    np.testing.assert_array_equal(by_voice[4:7], usual.standardise(X[4:7], X[4:7]))
    np.testing.assert_array_equal(by_voice[7:11], usual.standardise(X[7:11], X[7:11]))
    assert usual.adapted(clips).rows is clips.rows
    np.testing.assert_array_equal(np.stack(usual.adapted(clips).arrays), usual.standardise(X))


@pytest.mark.parametrize(("by", "name"), [("voice", "b/1"), ("place", "b")])
def test_a_voice_or_place_of_which_nothing_was_heard_is_named(by: str, name: str) -> None:
    clips = three_voices()
    usual = Reference.of(clips, prior=3.0)
    heard = clips.where((clips.rows["corpus"] == "a").to_numpy())
    with pytest.raises(TrainingError, match=f"The {by} '{name}' has no clips to adapt to"):
        usual.adapted(clips, heard, by)  # type: ignore[arg-type]


def test_training_clips_are_seen_as_a_strangers_by_place_and_by_voice() -> None:
    clips = three_voices()
    usual = Reference.of(clips, prior=3.0)
    views = usual.views(clips, 0)
    # 11 clips and two copies as strangers, 11 by place, and by voice the 4 + 4 of voices with three labels or more.
    assert len(views) == 13 + 11 + 8
    assert views.rows.index.tolist() == list(range(32))
    X, got = np.stack(clips.arrays), np.stack(views.arrays)
    np.testing.assert_array_equal(got[:13], usual.standardise(X))
    np.testing.assert_array_equal(got[13:20], usual.standardise(X[:7], X[:7]))
    np.testing.assert_array_equal(got[20:24], usual.standardise(X[7:11], X[7:11]))
    np.testing.assert_array_equal(got[24:28], usual.standardise(X[:4], X[:4]))
    np.testing.assert_array_equal(got[28:], usual.standardise(X[7:11], X[7:11]))
    assert views.rows["copy"].tolist() == [0] * 11 + [1, 1] + [0] * 19
    expected = [*clips.rows["emotion"], *clips.rows["emotion"][:11], *clips.rows["emotion"][[0, 1, 2, 3, 7, 8, 9, 10]]]
    assert views.labels.tolist() == expected


def test_without_voices_of_three_labels_there_are_two_views() -> None:
    clips = clips_of([("a", "1", label, [k, -k]) for k, label in enumerate(["sad", "calm"] * 3)])
    assert len(Reference.of(clips, prior=3.0).views(clips, 0)) == 12


def test_the_view_by_voice_is_measured_on_as_many_clips_as_an_enrolment_holds() -> None:
    rng = np.random.default_rng(4)
    said = ["sad", "calm", "happy"]
    clips = clips_of([("a", str(k % 2), said[k % 3], rng.normal(size=3)) for k in range(60)])
    usual, X = Reference.of(clips, prior=1.0), np.stack(clips.arrays)
    one, same, other = (np.stack(usual.views(clips, seed).arrays)[120:] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other, atol=1e-3)
    drawn = adaptation._some(clips, 0)
    assert [drawn[::2].sum(), drawn[1::2].sum()] == [8, 8]
    np.testing.assert_array_equal(one[::2], usual.standardise(X[::2], X[::2][drawn[::2]]))


# ---------------------------------------------------------------------------------------------- the graph


def session(reference: Reference, distance: Distance) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(adaptive_graph(reference, distance).SerializeToString(), options)


@pytest.fixture(scope="module")
def made() -> tuple[Reference, Distance, np.ndarray]:
    """What training gives for three corpora of six values that hang together, and the clips."""
    rng = np.random.default_rng(7)
    mix = rng.normal(size=(6, 6))
    rows = [
        (corpus, str(k % 4), "sad", (rng.normal(size=6) @ mix + shift).tolist())
        for corpus, n, shift in (("a", 80, 0.0), ("b", 40, 1.0), ("c", 20, -1.0))
        for k in range(n)
    ]
    clips = clips_of(rows)
    usual = Reference.of(clips, prior=3.0)
    distance = Distance.of(clips, usual, SETTINGS)
    return usual, distance, np.stack(clips.arrays)


@pytest.mark.parametrize("n", [1, 2, 7, 50])
def test_the_graph_standardises_as_training_does(n: int, made: tuple[Reference, Distance, np.ndarray]) -> None:
    usual, distance, X = made
    graph, heard = session(usual, distance), X[80 : 80 + n] * 2 + 1
    given = {
        "mean": heard.mean(0, dtype=np.float64)[None].astype(np.float32),
        "deviation": heard.std(0, dtype=np.float64)[None].astype(np.float32),
        "heard": np.array([n], np.float32),
    }
    for x in X[::20, None]:
        plain = dict(zip(("z", "d"), graph.run(["standardised", "distance"], {"features": x}), strict=True))
        np.testing.assert_allclose(plain["z"], usual.standardise(x), atol=1e-4)
        z, same, d = graph.run(["standardised", "embedding", "distance"], {"features": x, **given})
        np.testing.assert_allclose(z, usual.standardise(x, heard), rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(same, x)
        # How far a clip is from the training clips does not hang on what was heard.
        np.testing.assert_array_equal(d, plain["d"])
        np.testing.assert_allclose(d, distance(usual.standardise(x)), rtol=1e-4, atol=1e-5)
        assert d.shape == (1,)
        (warmth,) = graph.run(["temperature"], {"features": x, **given})
        np.testing.assert_allclose(warmth, 1 + 0.5 * np.maximum(d[:, None] - 1, 0), rtol=1e-5)


def test_answers_for_clips_far_away_are_softened_as_in_training(made: tuple[Reference, Distance, np.ndarray]) -> None:
    usual, distance, X = made
    Z = usual.standardise(np.concatenate([X[:3], 10 * X[:3]]))
    answers = np.random.default_rng(0).dirichlet(np.ones(4), 6).astype(np.float32)
    answers[0] = [1, 0, 0, 0]
    soft = distance.soften(answers, Z)
    powers = answers ** (1 / (1 + 0.5 * np.maximum(distance(Z) - 1, 0)))[:, None]
    np.testing.assert_allclose(soft, powers / powers.sum(axis=1, keepdims=True), atol=1e-4)
    assert (soft.max(axis=1)[3:] < answers.max(axis=1)[3:]).all()
    near = usual.standardise(X.mean(axis=0, keepdims=True))
    assert distance(near)[0] < 1
    np.testing.assert_allclose(distance.soften(answers[1:2], near), answers[1:2], atol=1e-6)
    graph = ort.InferenceSession(softening_graph(4).SerializeToString())
    for answer, z, expected in zip(answers, Z, soft, strict=True):
        temperature = 1 + 0.5 * np.maximum(distance(z[None]) - 1, 0)
        given = {"answers": answer[None], "temperature": temperature[:, None].astype(np.float32)}
        np.testing.assert_allclose(graph.run(["probabilities"], given)[0][0], expected, atol=1e-5)


def test_what_is_not_given_has_a_default() -> None:
    graph = adaptive_graph(some_reference(4), distance_of(np.eye(4, dtype=np.float32), list("abcd"))).graph
    assert [value.name for value in graph.input] == ["features", "mean", "deviation", "heard"]
    defaults = {tensor.name for tensor in graph.initializer}
    assert {"mean", "deviation", "heard"} <= defaults
    assert "features" not in defaults


# ---------------------------------------------------------------------------------------------- distance, familiarity


def test_distances_are_those_of_mahalanobis() -> None:
    rng = np.random.default_rng(1)
    Z = (rng.normal(size=(400, 3)) @ (np.eye(3) + 0.3 * rng.normal(size=(3, 3))) + 2).astype(np.float32)
    distance = distance_of(Z, ["a"] * 400)
    off = Z - Z.mean(0)
    mahalanobis = np.sqrt(np.einsum("ni,ij,nj->n", off, np.linalg.inv(np.cov(Z.T, bias=True)), off) / 3)
    np.testing.assert_allclose(distance(Z), mahalanobis, rtol=5e-3, atol=5e-3)
    assert np.sqrt(np.mean(distance(Z) ** 2)) == pytest.approx(1, abs=5e-3)


def test_places_count_alike_in_the_distance() -> None:
    rng = np.random.default_rng(2)
    Z = rng.normal(size=(60, 4)).astype(np.float32)
    Z[40:] += 3
    places = ["a"] * 40 + ["b"] * 20
    plain = distance_of(Z, places)(Z)
    again = distance_of(np.concatenate([Z, Z[:40], Z[:40]]), [*places, *["a"] * 80])(Z)
    np.testing.assert_allclose(again, plain, rtol=5e-3)


def test_fewer_clips_than_values_still_give_a_distance() -> None:
    Z = np.random.default_rng(3).normal(size=(10, 50)).astype(np.float32)
    found = distance_of(Z, ["a"] * 10)
    assert found.axes.shape == (50, 9)  # nine directions between ten clips
    assert np.isfinite(found(Z)).all()
    assert distance_of(Z, ["a"] * 10, Adaptation(directions=4)).axes.shape == (50, 4)


def heard_voices(corpora: Sequence[str], seed: int = 0, *, d: int = 20, each: int = 60) -> Clips:
    """Voices and places differ, and values hang together."""
    rng, mix = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(d, d))
    rows = []
    for corpus in corpora:
        place = 0.3 * rng.normal(size=d)
        voices = 0.5 * rng.normal(size=(6, d))
        rows += [(corpus, str(k % 6), "sad", (rng.normal(size=d) + place + voices[k % 6]) @ mix) for k in range(each)]
    return clips_of(rows)


def told(found: dict) -> Manifest:  # type: ignore[type-arg]
    rate = {"kind": "waveform", "sample_rate": 16000, "min_seconds": 0.1, "max_seconds": 30.0}
    return Manifest(name="a", version="1", labels=("happy", "sad"), input=rate, licence="MIT", familiarity=found)


@pytest.mark.parametrize("corpora", [("a", "b", "c", "d"), ("a",)])
def test_half_of_the_clips_of_unheard_voices_are_familiar_and_noise_is_not(corpora: tuple[str, ...]) -> None:
    each = 60 if len(corpora) > 1 else 240
    clips = heard_voices(corpora, each=each)
    found = familiarity(clips, SETTINGS)
    assert len(found["distances"]) == 101
    assert (np.diff(found["distances"]) >= 0).all()
    assert found["distances"][0] < found["distances"][-1]
    manifest = told(found)
    usual = Reference.of(clips, prior=3.0)
    distance = Distance.of(clips, usual, SETTINGS)

    def familiar(X: np.ndarray) -> np.ndarray:
        return np.array([manifest.familiarity_of(float(d)) for d in distance(usual.standardise(X))])

    new = np.concatenate([np.stack(heard_voices(["new"], seed=s).arrays) for s in range(1, 11)])
    rated = familiar(new)
    assert 0.35 < (rated > 0.5).mean() < 0.75
    assert (rated < found["unfamiliar"]).mean() < 0.25
    noise = 20 * np.random.default_rng(5).normal(size=(50, 20)).astype(np.float32)
    silence = np.full((1, 20), -60, np.float32)
    for far in (noise, silence):
        assert (familiar(far) < found["unfamiliar"]).mean() > 0.95


def test_corpora_count_alike_in_the_percentiles_and_copies_not_at_all() -> None:
    clips = heard_voices(["a", "b", "c"])
    found = familiarity(clips, SETTINGS)["distances"]
    rows = pd.concat([clips.rows, clips.rows.assign(copy=1)], ignore_index=True)
    doubled = Clips(rows, [*clips.arrays, *(1000 * array for array in clips.arrays)])
    assert familiarity(doubled, SETTINGS)["distances"] == found
    more = Clips(
        pd.concat([clips.rows, clips.rows[:60], clips.rows[:60]], ignore_index=True),
        [*clips.arrays, *clips.arrays[:60], *clips.arrays[:60]],
    )
    np.testing.assert_allclose(familiarity(more, SETTINGS)["distances"], found, rtol=0.02)


def test_one_voice_alone_tells_nothing() -> None:
    clips = clips_of([("a", "1", "sad", [k, k * k]) for k in range(10)])
    assert familiarity(clips, SETTINGS) == {}
