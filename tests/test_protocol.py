"""What each protocol promises, over made-up corpora of any shape; and that a broken promise is noticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serkit.corpora import COLUMNS, Corpus, read_corpus
from serkit.corpora.table import Listing
from serkit.errors import ProtocolError
from serkit.protocol import LEAVES_OUT, PROTOCOLS, Split, make_split
from serkit.protocol.folds import enrolment, recording_groups, some_clips, speaker_folds

#: Those that split any corpus; tests/test_left_out.py and tests/test_emobox.py have the others.
ALONE = tuple(name for name in PROTOCOLS if name not in (*LEAVES_OUT, "emobox"))
CLEAN = tuple(name for name in ALONE if name != "augmented-random")
BY_SPEAKER = ("speaker", "speaker+enrolled", "leave-one-speaker-out")
EMOTIONS = ("neutral", "happy", "sad", "angry")


def corpus_of(rows: list[dict]) -> Corpus:
    """A corpus without sound: every row has its own hash unless it says otherwise."""
    filled = [
        dict.fromkeys(COLUMNS, "")
        | {"start": 0.0, "end": 2.5, "corpus": "made", "channel": "speech", "audio_hash": f"hash {i}"}
        | row
        for i, row in enumerate(rows)
    ]
    table = pd.DataFrame(filled)[list(COLUMNS)]
    table = table.sort_values(["path", "start", "end"], ignore_index=True)
    return Corpus("made", Path("made"), table, "", "")


def grid(speakers: int = 8, per_class: int = 3, emotions: tuple[str, ...] = EMOTIONS) -> list[dict]:
    return [
        {
            "path": f"{speaker}/{emotion}-{i}.wav",
            "emotion": emotion,
            "speaker": f"s{speaker}",
            "sex": "female" if speaker % 2 else "male",
            "channel": "song" if i == 2 else "speech",
        }
        for speaker in range(speakers)
        for emotion in emotions
        for i in range(per_class)
    ]


@st.composite
def corpora(draw: st.DrawFn) -> Corpus:
    """Uneven speakers, missing classes, two channels, duplicates within a speaker, pieces that overlap in one file."""
    rows = []
    for speaker in range(draw(st.integers(3, 9))):
        sex = draw(st.sampled_from(["female", "male", ""]))
        for i in range(draw(st.integers(4, 20))):
            emotion = draw(st.sampled_from(EMOTIONS))
            piece = draw(st.integers(0, 5))
            row = {
                "path": f"s{speaker}/{i if piece else 'long'}.wav",
                "emotion": emotion,
                "speaker": f"s{speaker}",
                "sex": sex,
                "channel": draw(st.sampled_from(["speech", "song"])),
            }
            if not piece:  # from i to i + 0.7 or i + 1.5 s of one file: some overlap
                row |= {"start": float(i), "end": i + draw(st.sampled_from([0.7, 1.5]))}
            if draw(st.integers(0, 7)) == 0:
                row["audio_hash"] = f"twin of {speaker}"
            rows.append(row)
    return corpus_of(rows)


def joined(split: Split, corpus: Corpus) -> pd.DataFrame:
    return split.table.merge(corpus.table, on=["path", "start", "end"], validate="many_to_one")


@settings(max_examples=30, deadline=None)
@given(corpus=corpora(), protocol=st.sampled_from(ALONE), seed=st.integers(0, 5), n_folds=st.integers(2, 4))
def test_promises_hold_for_any_corpus(corpus: Corpus, protocol: str, seed: int, n_folds: int) -> None:
    try:
        split = make_split(corpus, protocol, seed=seed, n_folds=n_folds)
    except ProtocolError as error:
        known = (
            "needs at least",
            "no training clips of",
            "no speaker for validation",
            "no validation clips",
            "no clip to enrol",
        )
        if not any(words in str(error) for words in known):
            pytest.fail(f"an error that nobody foresaw: {error}")
        assume(False)
    rows = joined(split, corpus)
    copies = 4 if protocol == "augmented-random" else 1
    assert len(rows) == split.n_folds * copies * len(corpus.table)
    held = rows[rows["role"].isin(["test", "enrol"])]
    assert len(held) == copies * len(corpus.table)
    assert not held.duplicated(["path", "start", "end", "copy"]).any()
    for k in range(split.n_folds):
        fold = rows[rows["fold"] == k]
        sides = {role: fold[fold["role"] == role] for role in ("train", "validation", "test", "enrol")}
        assert len(sides["train"]) > 0
        assert len(sides["validation"]) > 0
        assert len(sides["test"]) > 0
        assert set(sides["train"]["emotion"]) == set(corpus.table["emotion"])
        assert (len(sides["enrol"]) > 0) == (protocol == "speaker+enrolled")
        if protocol != "augmented-random":
            for a, b in [("train", "test"), ("validation", "test"), ("train", "validation"), ("enrol", "test")]:
                assert set(sides[a]["audio_hash"]).isdisjoint(sides[b]["audio_hash"])
                pieces = [side[side["path"].str.endswith("long.wav")] for side in (sides[a], sides[b])]
                pairs = pieces[0].merge(pieces[1], on="path")
                assert not ((pairs["start_x"] < pairs["end_y"]) & (pairs["start_y"] < pairs["end_x"])).any()
        if protocol in BY_SPEAKER:
            voices = {role: set(side["speaker"]) for role, side in sides.items()}
            assert voices["test"].isdisjoint(voices["train"] | voices["validation"])
            assert voices["train"].isdisjoint(voices["validation"])
            assert voices["enrol"] <= voices["test"]
        if protocol == "speaker+enrolled":
            assert voices["enrol"] == voices["test"]
            seconds = (sides["enrol"]["end"] - sides["enrol"]["start"]).groupby(sides["enrol"]["speaker"]).sum()
            assert seconds.max() <= 30
    split.check(corpus)


@settings(max_examples=15, deadline=None)
@given(corpus=corpora(), protocol=st.sampled_from(ALONE), order=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(corpus: Corpus, protocol: str, order) -> None:
    try:
        split = make_split(corpus, protocol, seed=1, n_folds=3)
    except ProtocolError:
        assume(False)
    positions = list(range(len(corpus.table)))
    order.shuffle(positions)
    shuffled = Corpus("made", corpus.root, corpus.table.iloc[positions], "", "")
    again = make_split(shuffled, protocol, seed=1, n_folds=3)
    assert again.hash == split.hash
    pd.testing.assert_frame_equal(again.table, split.table)
    split.table = split.table.sample(frac=1, random_state=0)
    assert split.hash == again.hash


@pytest.mark.parametrize("protocol", ["random", "augmented-random"])
def test_random_is_stratified_by_emotion_and_channel(protocol: str) -> None:
    corpus = corpus_of(grid(speakers=10))
    rows = joined(make_split(corpus, protocol, seed=2), corpus)
    copies = 4 if protocol == "augmented-random" else 1
    test = rows[rows["role"] == "test"].groupby(["fold", "emotion", "channel"]).size().unstack()
    assert (test["speech"] == 4 * copies).all()
    assert (test["song"] == 2 * copies).all()
    shares = rows["role"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2)
    assert shares["validation"] == pytest.approx(0.08, abs=0.005)


def test_augmented_random_leaks_and_says_so() -> None:
    corpus = corpus_of(grid())
    split = make_split(corpus, "augmented-random", n_copies=2)
    assert set(split.table["copy"]) == {0, 1, 2}
    assert split.warning is not None
    assert "leaks" in split.warning
    fold = split.fold(0)
    tested = set(fold.loc[fold["role"] == "test", "path"])
    trained = set(fold.loc[fold["role"] == "train", "path"])
    assert len(tested & trained) > len(tested) / 2
    assert all(make_split(corpus, name).warning is None for name in CLEAN)


def test_speaker_folds_are_balanced_by_sex_and_clips() -> None:
    people = {f"{i:02d}": ("male" if i % 2 else "female", 60 if i == 18 else 104) for i in range(1, 25)}
    for seed in range(20):
        folds = speaker_folds(people, 5, seed=seed)
        for sex in ("male", "female"):
            counts = np.bincount([fold for speaker, fold in folds.items() if people[speaker][0] == sex], minlength=5)
            assert sorted(counts) == [2, 2, 2, 3, 3]
        assert sorted(np.bincount(list(folds.values()))) == [4, 5, 5, 5, 5]
    # six large and six small speakers: each fold gets as many of each
    sizes = {f"s{i}": ("", 100 if i < 6 else 10) for i in range(12)}
    clips = np.bincount(list(speaker_folds(sizes, 3, seed=0).values()), weights=[n for _, n in sizes.values()])
    assert clips.tolist() == [220, 220, 220]


def test_another_seed_another_assignment() -> None:
    corpus = corpus_of(grid())
    for protocol in ALONE:
        splits = [make_split(corpus, protocol, seed=seed, n_folds=4) for seed in (0, 0, 1)]
        assert splits[0].hash == splits[1].hash
        roles = [split.table["role"].tolist() for split in splits]
        assert roles[0] == roles[1]
        assert roles[0] != roles[2]


def test_validation_speakers_are_of_both_sexes_and_about_a_seventh() -> None:
    corpus = corpus_of(grid(speakers=24, per_class=1))
    rows = joined(make_split(corpus, "speaker"), corpus)
    chosen = rows[rows["role"] == "validation"].groupby("fold")
    assert set(chosen["speaker"].nunique()) == {3}
    assert set(chosen["sex"].nunique()) == {2}


def test_enrolled_has_the_folds_of_speaker() -> None:
    corpus = corpus_of(grid(speakers=6, per_class=9))  # 36 clips of 2.5 s each: 12 make 30 s
    plain, enrolled = (make_split(corpus, name, seed=4, n_folds=3) for name in ("speaker", "speaker+enrolled"))
    assert plain.table["role"].tolist() == enrolled.table["role"].replace("enrol", "test").tolist()
    rows = joined(enrolled, corpus)
    assert set(rows[rows["role"] == "enrol"].groupby(["fold", "speaker"]).size()) == {12}
    assert set(rows[rows["role"] == "test"].groupby(["fold", "speaker"]).size()) == {24}


def test_enrolment_takes_at_most_half_and_keeps_twins_together() -> None:
    names = list("abcdef")
    for seed in range(10):
        chosen = enrolment(names, [1.0] * 6, [0, 0, 1, 2, 3, 4], limit=30, seed=seed, purpose="x")
        assert 1 <= len(chosen) <= 3
        assert (0 in chosen) == (1 in chosen)
    assert len(enrolment(names, [20.0] * 6, range(6), limit=30, seed=0, purpose="x")) == 1
    assert enrolment(names, [31.0] * 6, range(6), limit=30, seed=0, purpose="x") == []
    assert enrolment(["a"], [1.0], [0], limit=30, seed=0, purpose="x") == []


def test_some_clips_are_at_most_half_and_keep_twins_together() -> None:
    names, groups = [f"clip {i}" for i in range(40)], [*range(38), 37, 37]
    seen = []
    for seed in range(20):
        chosen = some_clips(names, groups, count=10, seed=seed, purpose="x")
        assert len(chosen) == len(set(chosen)) == 10
        assert len({i in chosen for i in (37, 38, 39)}) == 1
        seen += chosen
    assert len(set(seen)) > 35  # no clip is favoured
    assert len(some_clips(names, groups, count=100, seed=0, purpose="x")) == 20
    few, more = (some_clips(names[:30], range(30), count=n, seed=0, purpose="x") for n in (5, 10))
    assert more[:5] == few
    assert some_clips(["a"], [0], count=5, seed=0, purpose="x") == []
    assert some_clips(names, [0] * 40, count=5, seed=0, purpose="x") == []


def test_leave_one_speaker_out_has_a_fold_a_speaker() -> None:
    corpus = corpus_of(grid(speakers=7, per_class=1))
    split = make_split(corpus, "leave-one-speaker-out")
    rows = joined(split, corpus)
    assert split.n_folds == 7
    assert rows[rows["role"] == "test"].groupby("fold")["speaker"].agg(lambda s: "".join(set(s))).tolist() == [
        f"s{i}" for i in range(7)
    ]


def test_groups_join_by_hash_and_by_overlap() -> None:
    table = pd.DataFrame(
        [
            ("a", 0.0, 10.0, "1"),
            ("a", 1.0, 2.0, "2"),
            ("a", 9.0, 12.0, "3"),
            ("a", 12.0, 13.0, "4"),  # touches, shares nothing
            ("b", 0.0, 1.0, "4"),
            ("c", 0.0, 1.0, ""),
            ("d", 0.0, 1.0, ""),  # unknown is not the same
        ],
        columns=["path", "start", "end", "audio_hash"],
    )
    groups = recording_groups(table)
    assert groups[0] == groups[1] == groups[2]
    assert groups[3] == groups[4]
    assert len(set(groups)) == 4


# --- what cannot be split ---------------------------------------------------------------------------------------------


def test_an_unknown_protocol_names_the_nearest() -> None:
    with pytest.raises(ProtocolError, match=r"Unknown protocol 'speakers': expected .* Did you mean speaker\?"):
        make_split(corpus_of(grid()), "speakers")
    with pytest.raises(ProtocolError, match="at least 2 folds"):
        make_split(corpus_of(grid()), "random", n_folds=1)


@pytest.mark.parametrize("protocol", BY_SPEAKER)
def test_too_few_speakers_say_so(protocol: str) -> None:
    needs = rf"has 1 speaker, but {protocol.replace('+', '.')} needs at least .* random"
    with pytest.raises(ProtocolError, match=needs):
        make_split(corpus_of(grid(speakers=1, per_class=20)), protocol)
    with pytest.raises(ProtocolError, match="has 2 speakers"):
        make_split(corpus_of(grid(speakers=2)), protocol, n_folds=2)
    if protocol != "leave-one-speaker-out":
        with pytest.raises(ProtocolError, match=r"has 4 speakers, .* \(one for each of 5 folds\): use fewer"):
            make_split(corpus_of(grid(speakers=4)), protocol)


def test_clips_without_a_speaker_are_counted() -> None:
    rows = grid()
    rows[0]["speaker"] = rows[1]["speaker"] = ""
    with pytest.raises(ProtocolError, match=f"2 of {len(rows)} clips of made have no speaker"):
        make_split(corpus_of(rows), "speaker")
    assert make_split(corpus_of(rows), "random").n_folds == 5


def test_one_recording_under_two_speakers_is_refused() -> None:
    rows = grid()
    rows[0]["audio_hash"] = rows[-1]["audio_hash"] = "same"
    with pytest.raises(ProtocolError, match=r"different speakers \(s0, s7\): 0/neutral-0.wav, 7/angry-2.wav"):
        make_split(corpus_of(rows), "speaker")


def test_the_same_name_in_two_corpora_is_two_speakers() -> None:
    rows = [{**row, "corpus": name, "path": f"{name}/{row['path']}"} for name in "ab" for row in grid(speakers=3)]
    split = make_split(corpus_of(rows), "leave-one-speaker-out")
    assert split.n_folds == 6


def test_a_class_with_too_few_clips_is_named() -> None:
    rows = [*grid(), *grid(speakers=4, per_class=1, emotions=("disgust",))]
    for protocol in ("random", "speaker", "speaker+enrolled", "augmented-random"):
        with pytest.raises(ProtocolError, match=r"class disgust has 4 .* 5 folds needs at least 5"):
            make_split(corpus_of(rows), protocol)
    twins = [{**row, "audio_hash": "same"} if row["emotion"] == "angry" else row for row in grid()]
    with pytest.raises(ProtocolError, match="class angry has 1 different recordings"):
        make_split(corpus_of(twins), "random")


def test_a_class_that_one_speaker_alone_has_cannot_be_trained() -> None:
    rows = [*grid(), *({"path": f"x{i}", "emotion": "calm", "speaker": "s0"} for i in range(9))]
    for protocol in BY_SPEAKER:
        with pytest.raises(ProtocolError, match="has no training clips of calm"):
            make_split(corpus_of(rows), protocol)


def test_validation_never_takes_the_last_clips_of_a_class() -> None:
    rows = [*grid(speakers=6), *({"path": f"{s}/calm", "emotion": "calm", "speaker": f"s{s}"} for s in (0, 1))]
    for seed in range(5):
        make_split(corpus_of(rows), "leave-one-speaker-out", seed=seed)
        make_split(corpus_of(rows), "random", n_folds=2, seed=seed)


# --- Split ------------------------------------------------------------------------------------------------------------


def test_the_hash_of_a_small_split_is_known() -> None:
    table = pd.DataFrame(
        [("a/b.wav", 0.0, 1.5, 0, 0, "test"), ("ü.wav", 0.25, 2.0, 0, 0, "train")],
        columns=["path", "start", "end", "copy", "fold", "role"],
    )
    split = Split("random", 7, 1, "made", table)
    # from outside: printf with the fields, "\0" between them and "\0\n" between the rows, into sha256sum
    golden = "9217e589e2db1e9a7b94ea40cd0d89db29ba49ffce6af0836b9b51ce7e2e05f6"
    assert split.hash == golden
    changed = table.copy()
    changed.loc[0, "role"] = "train"
    assert Split("random", 7, 1, "made", changed).hash != golden
    assert Split("speaker", 7, 1, "made", table).hash != golden
    table["start"] += 1e-5  # far below a millisecond
    assert split.hash == golden


def test_the_assignment_is_the_same_everywhere() -> None:
    """A change of these values breaks every stored split: it needs a line in the changelog."""
    corpus = corpus_of(grid(speakers=5, per_class=5))
    assert {protocol: make_split(corpus, protocol, seed=1).hash[:8] for protocol in ALONE} == {
        "random": "2ff07b0f",
        "speaker": "e0acec26",
        "speaker+enrolled": "48972a94",
        "augmented-random": "c3478bc0",
        "leave-one-speaker-out": "8088f35e",
    }


@pytest.mark.parametrize("protocol", ALONE)
def test_csv_keeps_everything(tmp_path: Path, protocol: str) -> None:
    rows = grid()
    rows[0] |= {"path": 'NA, "odd"\nname.wav', "start": 1 / 3, "end": 2 / 3}
    corpus = corpus_of(rows)
    split = make_split(corpus, protocol, seed=5, n_folds=4)
    split.to_csv(tmp_path / "split.csv")
    again = Split.from_csv(tmp_path / "split.csv")
    assert again.hash == split.hash
    assert (again.protocol, again.seed, again.n_folds, again.corpus) == (protocol, 5, split.n_folds, "made")
    pd.testing.assert_frame_equal(again.table, split.table, check_dtype=False)
    again.check(corpus)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (",test\n", ",train\n", "was changed after it was written"),
        ('"seed": 0', '"seed": 1', "was changed after it was written"),
        ('"protocol": "random"', '"protocol": "speaker"', "was changed after it was written"),
        ("# serkit split", "# my split", "is not a split"),
        ('"seed": 0,', "", "is not a readable split"),
        ('{"protocol"', '{"protocol', "is not a readable split"),
        ("path,start", "file,start", "is not a readable split"),
        (",0,train\n", ",zero,train\n", "is not a readable split"),
    ],
)
def test_a_changed_csv_is_refused(tmp_path: Path, before: str, after: str, message: str) -> None:
    file = tmp_path / "split.csv"
    make_split(corpus_of(grid()), "random").to_csv(file)
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))
    with pytest.raises(ProtocolError, match=message):
        Split.from_csv(file)


def test_a_csv_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="cannot be read"):
        Split.from_csv(tmp_path / "nothing.csv")


def test_fold_gives_one_fold() -> None:
    split = make_split(corpus_of(grid()), "random")
    assert set(split.fold(2)["fold"]) == {2}
    assert split.fold(2).index.tolist() == list(range(len(split.fold(2))))
    with pytest.raises(ProtocolError, match="There is no fold 5: this split has folds 0 to 4"):
        split.fold(5)


def test_check_notices_other_recordings() -> None:
    corpus, more = corpus_of(grid()), corpus_of(grid(speakers=9))
    split = make_split(corpus, "random")
    with pytest.raises(ProtocolError, match=r"8/.* is in the corpus but not in the split"):
        split.check(more)
    with pytest.raises(ProtocolError, match=r"8/.* is in the split but not in the corpus"):
        make_split(more, "random").check(corpus)


def change(split: Split, rows: pd.Series, role: str) -> Split:
    table = split.table.copy()
    table.loc[rows, "role"] = role
    return Split(split.protocol, split.seed, split.n_folds, split.corpus, table)


def test_check_notices_broken_promises() -> None:
    rows = grid()
    rows[0]["audio_hash"] = rows[1]["audio_hash"] = "same"
    corpus = corpus_of(rows)
    split = make_split(corpus, "random")
    table = split.table
    tested = (table["fold"] == 0) & (table["role"] == "test")
    with pytest.raises(ProtocolError, match="not held out in exactly one fold"):
        change(split, tested, "train").check(corpus)
    with pytest.raises(ProtocolError, match="the role 'exam'"):
        change(split, tested, "exam").check(corpus)
    with pytest.raises(ProtocolError, match="not listed exactly once in every fold"):
        Split("random", 0, 5, "made", table.drop(index=3)).check(corpus)
    with pytest.raises(ProtocolError, match="not listed exactly once in every fold"):
        Split("random", 0, 5, "made", pd.concat([table, table.head(1)])).check(corpus)
    with pytest.raises(ProtocolError, match=r"folds \[0, 1, 2, 3, 4\], expected 4 folds"):
        Split("random", 0, 4, "made", table).check(corpus)
    with pytest.raises(ProtocolError, match=r"one speaker on two sides .*, which speaker does not allow"):
        Split("speaker", 0, 5, "made", table).check(corpus)
    with pytest.raises(ProtocolError, match="Fold 1 has no validation clips"):
        change(split, (table["fold"] == 1) & (table["role"] == "validation"), "train").check(corpus)
    twin = (table["path"] == rows[0]["path"]) & (table["role"] == "train")
    with pytest.raises(ProtocolError, match=r"one recording on two sides \(see 0/neutral-0.wav\)"):
        change(split, twin, "validation").check(corpus)
    angry = table["path"].str.contains("angry") & (table["fold"] == 2) & (table["role"] == "train")
    with pytest.raises(ProtocolError, match="Fold 2 has no training clips of angry"):
        change(split, angry, "validation").check(corpus)
    leaky = make_split(corpus, "augmented-random", n_copies=1)
    with pytest.raises(ProtocolError, match="random has augmented copies"):
        Split("random", 0, 5, "made", leaky.table).check(corpus)
    enrolled = make_split(corpus, "speaker+enrolled", n_folds=4)
    own = enrolled.table["path"].str.startswith("3/") & (enrolled.table["role"] == "test")
    with pytest.raises(ProtocolError, match="enrols made/s3 but tests none of their clips"):
        change(enrolled, own, "enrol").check(corpus)


# --- the real one -----------------------------------------------------------------------------------------------------


@pytest.mark.ravdess
def test_ravdess_twins_are_on_one_side(ravdess_dir: Path) -> None:
    """All 2,452 names, with the hash of each file's own name but for the documented pair."""
    from serkit.corpora.readers import ravdess

    listing: Listing = ravdess.read(ravdess_dir)
    twins = ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")
    rows = [
        {**row, "end": 4.0, "audio_hash": "twin" if Path(row["path"]).stem in twins else row["path"]}
        for row in listing.rows
    ]
    corpus = corpus_of(rows)
    assert len(corpus) == 2452
    for protocol in CLEAN:
        for seed in (0, 1):
            split = make_split(corpus, protocol, seed=seed)
            pair = split.table[split.table["path"].map(lambda path: Path(path).stem in twins)]
            assert (pair.groupby("fold")["role"].nunique() == 1).all()
    folds = joined(make_split(corpus, "speaker"), corpus).groupby(["fold", "role"])["speaker"].nunique().unstack()
    assert sorted(folds["test"]) == [4, 5, 5, 5, 5]
    assert set(folds["validation"]) == {3}


def test_the_tiny_corpus_goes_through_every_protocol(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path))
    corpus = read_corpus(tiny_corpus)
    for protocol in ALONE:
        make_split(corpus, protocol, n_folds=3).check(corpus)


@pytest.mark.parametrize("protocol", ["random", "speaker", "speaker+enrolled", "augmented-random"])
def test_folders_and_containers_have_no_say(protocol: str) -> None:
    rows = [{**row, "path": Path(row["path"]).as_posix().replace("/", "-")} for row in grid()]
    there = [{**row, "path": f"deep/{row['speaker']}/{row['path'].removesuffix('.wav')}.flac"} for row in rows]
    here, moved = (make_split(corpus_of(r), protocol, seed=3).table for r in (rows, there))
    keys = ["clip", "copy", "fold"]
    here, moved = (t.assign(clip=t["path"].map(lambda p: Path(p).stem)).set_index(keys)["role"] for t in (here, moved))
    assert here.sort_index().equals(moved.sort_index())
