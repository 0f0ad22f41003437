"""The example clips: eight actors of CREMA-D, copied unchanged, whom no shipped model was trained on."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from serkit import audio
from serkit.app.clips import examples
from serkit.bundle import packaged, read_bundle
from serkit.bundle.clips import known_clips
from serkit.corpora.readers.crema_d import parse_stem

EXAMPLES = Path(__file__).parent.parent / "examples"

#: Name -> stem in CREMA-D and the first 16 digits of the file's SHA-256.
CHOSEN = {
    "neutral_1005.opus": ("1005_DFA_NEU_XX", "2519a0023d57ab8a"),
    "happy_1016.opus": ("1016_IEO_HAP_HI", "a3a32c849ae88656"),
    "sad_1027.opus": ("1027_IOM_SAD_XX", "eba6403a2bbaf3f6"),
    "angry_1038.opus": ("1038_ITH_ANG_XX", "27dacd414a9858fc"),
    "fearful_1049.opus": ("1049_ITS_FEA_XX", "0178214e96612aac"),
    "disgust_1060.opus": ("1060_IWL_DIS_XX", "859abfaf40a9636b"),
    "happy_1071.opus": ("1071_IWW_HAP_XX", "8d55679e73d4aca0"),
    "sad_1082.opus": ("1082_MTI_SAD_XX", "7e146ea06620a8a0"),
}


def test_the_examples_are_the_eight_that_the_rule_chose() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {"README.md", *CHOSEN}
    for number, (name, (stem, digest)) in enumerate(CHOSEN.items()):
        assert hashlib.sha256((EXAMPLES / name).read_bytes()).hexdigest()[:16] == digest
        facts = parse_stem(stem)
        assert name == f"{facts['emotion']}_{facts['speaker']}.opus"
        assert int(facts["speaker"]) == 1005 + 11 * number
        assert 1 < audio.load(EXAMPLES / name).duration < 5


def test_the_page_about_the_examples_names_each_with_its_source_and_licence() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` \| `(\S+)` \|.*\| (\w+) \| [\w ]+ \|$", page, re.MULTILINE)
    assert rows == [(name, stem, parse_stem(stem)["emotion"]) for name, (stem, _) in CHOSEN.items()]
    for needed in (
        "opendatacommons.org/licenses/odbl/1.0",
        "CheyneyComputerScience/CREMA-D",
        "10.1109/TAFFC.2014.2336244",
    ):
        assert needed in page


def test_the_app_offers_them() -> None:
    assert [clip.name for clip in examples()] == sorted(CHOSEN)
    assert {clip.mime for clip in examples()} == {"audio/ogg"}


@pytest.fixture(params=sorted(packaged()))
def trained_on(request: pytest.FixtureRequest) -> bytes:
    """The hashes of the clips that a shipped model was trained on."""
    bundle = read_bundle(request.param)
    if not getattr(bundle.manifest, "adaptation", {}):
        pytest.skip(f"{bundle.manifest.name} {bundle.manifest.version} was trained on all actors of CREMA-D")
    assert bundle.clips
    return bundle.clips


def test_no_shipped_model_was_trained_on_an_example(trained_on: bytes) -> None:
    hashes = [audio.load(path).digest for path in EXAMPLES.glob("*.opus")]
    assert known_clips(trained_on, hashes) == [False] * 8


@pytest.mark.ravdess
def test_no_shipped_model_was_trained_on_an_actor_of_the_examples(trained_on: bytes, crema_dir: Path) -> None:
    def known(actor: int) -> list[bool]:
        # Not the name, but the sound: as in the corpus table that a model is trained from.
        return known_clips(trained_on, [audio.load(path).digest for path in crema_dir.rglob(f"{actor}_*_XX.*")])

    for actor in range(1005, 1083, 11):
        assert not any(known(actor))
        assert all(known(actor + 1)), "the clips of others are recognised"


@pytest.mark.ravdess
def test_the_examples_are_unchanged_copies(crema_dir: Path) -> None:
    for name, (stem, _) in CHOSEN.items():
        (original,) = crema_dir.rglob(f"{stem}.opus")
        assert (EXAMPLES / name).read_bytes() == original.read_bytes()
