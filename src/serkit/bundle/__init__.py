"""A trained model as a folder or zip: the ONNX graph, its manifest and its card. Reading checks everything."""

from serkit.bundle.manifest import FORMAT_VERSION, Manifest
from serkit.bundle.onnxfile import add_metadata
from serkit.bundle.store import Bundle, check_target, find_bundles, locate, pack, packaged, read_bundle, write_bundle

__all__ = [
    "FORMAT_VERSION",
    "Bundle",
    "Manifest",
    "add_metadata",
    "check_target",
    "find_bundles",
    "locate",
    "pack",
    "packaged",
    "read_bundle",
    "write_bundle",
]
