"""``ser data overlap``: who is on both sides of published folds, on a miniature in EmoBox's format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serkit.errors import ProtocolError
from serkit.protocol.overlap import find_overlap, read_folds, speaker_reader
from tests.conftest import Ser


def write(folder: Path, name: str, k: int, sides: dict[str, list[str]], *, form: str = "jsonl") -> None:
    """Write the files of a fold as EmoBox has them."""
    place = folder / f"fold_{k}"
    place.mkdir(parents=True, exist_ok=True)
    for side, stems in sides.items():
        rows = [
            {"key": f"{name}-{stem.replace('_', '-')}", "dataset": name, "wav": f"downloads/{name}/wav/{stem}.wav"}
            for stem in stems
        ]
        if form == "jsonl":
            text = "\n".join(map(json.dumps, rows)) + "\n"
        else:
            text = json.dumps({row.pop("key"): row for row in rows}, indent=4)
        (place / f"{name}_{side}_fold_{k}.{form}").write_text(text, encoding="utf-8")


@pytest.fixture
def cremad(tmp_path: Path) -> Path:
    folder = tmp_path / "cremad"
    write(
        folder,
        "cremad",
        1,
        {
            "train": ["1001_DFA_ANG_XX", "1002_DFA_ANG_XX"],
            "valid": ["1003_DFA_SAD_XX"],
            "test": ["1001_IEO_SAD_HI", "1003_IEO_HAP_LO", "1004_DFA_ANG_XX"],
        },
    )
    write(folder, "cremad", 2, {"train": ["1001_DFA_ANG_XX"], "test": ["1002_DFA_ANG_XX"]}, form="json")
    return folder


def test_speakers_on_both_sides_are_counted_and_named(cremad: Path, ser: Ser) -> None:
    code, out, _ = ser("data", "overlap", cremad, "--json")
    assert code == 0
    first, second = json.loads(out)
    assert first == {"fold": 1, "train": 3, "test": 3, "speakers": 3, "shared": ["1001", "1003"], "shared_clips": 0}
    assert second == {"fold": 2, "train": 1, "test": 1, "speakers": 1, "shared": [], "shared_clips": 0}
    code, out, _ = ser("data", "overlap", cremad)
    assert code == 0
    assert "2 of 3" in out
    assert "Tested speakers are also in training, in fold 1" in out
    code, out, _ = ser("data", "overlap", cremad, "--speaker", r"/(\d+_DFA|\d+)_")  # anything may be kept apart
    assert "0 of 3" in out
    assert "No tested speaker is in training." in out


def test_a_clip_on_both_sides_counts_once_per_key(tmp_path: Path) -> None:
    write(tmp_path, "made", 1, {"train": ["a_1", "b_1"], "test": ["a_1", "a_2"]})
    folds = read_folds(tmp_path)
    (found,) = find_overlap(folds, speaker_reader(folds, pattern=r"/(\w)_"))
    assert (found.shared, found.shared_clips, found.speakers) == (("a",), 1, 1)


def test_what_cannot_be_compared_is_a_sentence(tmp_path: Path, cremad: Path, ser: Ser) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = ser("data", "overlap", tmp_path / "empty")
    assert code == 2
    assert "has no fold files: expected names such as cremad_train_fold_1.jsonl" in err
    folds = read_folds(cremad)
    for pattern, words in ((r"\d+", "marks no speaker"), ("(", "is not a regular"), (r"x(\d)", "does not match 'x")):
        with pytest.raises(ProtocolError, match=words):
            find_overlap(folds, speaker_reader(folds, pattern=pattern))
    write(tmp_path / "own", "own", 1, {"train": ["anna 1"], "test": ["anna 2"]})
    with pytest.raises(ProtocolError, match=r"names of no corpus it reads, such as .*anna 2\.wav: say where"):
        speaker_reader(read_folds(tmp_path / "own"))
    (tmp_path / "own" / "fold_1" / "own_test_fold_1.jsonl").write_text('{"key": "a"}\n', encoding="utf-8")
    with pytest.raises(ProtocolError, match=r'is not a fold file: expected JSON with "key" and "wav"'):
        read_folds(tmp_path / "own")
    (tmp_path / "own" / "fold_1" / "own_test_fold_1.jsonl").unlink()
    with pytest.raises(ProtocolError, match=r"Fold 1 in .* has no test clips"):
        read_folds(tmp_path / "own")
