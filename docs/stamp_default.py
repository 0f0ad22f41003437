"""Write what a bundle of an earlier serkit lacks: metadata in its ONNX file and the hashes of its training clips.

    python docs/stamp_default.py SERKIT_DATA

It was run once, for the third default model, which is older than both. The weights, the card, the scores and the date
stay as they are; a bundle that has both already is left alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from serkit.bundle import Manifest, add_metadata, read_bundle, write_bundle
from serkit.bundle.clips import CLIPS, pack_clips
from serkit.corpora import read_corpus
from serkit.errors import BundleError

BUNDLE = Path(__file__).resolve().parent.parent / "src" / "serkit" / "bundles" / "default"


def main(data: str) -> None:
    """Stamp the shipped default, whose files must be those that its manifest lists."""
    try:
        if read_bundle(BUNDLE).clips is not None:
            return
    except BundleError:  # it has no metadata yet, and so cannot be read
        pass
    manifest = Manifest.from_dict(json.loads((BUNDLE / "manifest.json").read_text("utf-8")))
    contents = {name: (BUNDLE / name).read_bytes() for name in manifest.files}
    changed = [name for name, held in contents.items() if hashlib.sha256(held).hexdigest() != manifest.files[name]]
    if changed:
        raise SystemExit(f"{changed[0]} is not the file that the manifest lists: nothing was written.")
    corpus = read_corpus(data, kind=manifest.corpus)
    trained_on = sum(map(sum, manifest.scores["speaker"]["confusion"]))
    if len(corpus) != trained_on:
        raise SystemExit(f"The corpus has {len(corpus):,} clips, the model was trained on {trained_on:,}.")
    write_bundle(
        BUNDLE,
        onnx_bytes=add_metadata(contents["model.onnx"], manifest),
        manifest=manifest,
        card=contents["README.md"].decode("utf-8"),
        extra={"LICENSE": contents["LICENSE"].decode("utf-8"), CLIPS: pack_clips(corpus.table["audio_hash"])},
    )


if __name__ == "__main__":
    main(sys.argv[1])
