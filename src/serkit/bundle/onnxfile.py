"""What a bundle's ONNX file must be: alone, of standard operators, and in agreement with the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping

from serkit.bundle.manifest import Manifest
from serkit.bundle.outline import GraphOutline, Value, read_outline
from serkit.errors import BundleError

__all__ = ["add_metadata", "check_graph"]

_LABELS, _RATE, _RECIPE = "serkit.labels", "serkit.sample_rate", "serkit.recipe_hash"
_DIMENSIONS = "serkit.dimensions"


def add_metadata(data: bytes, manifest: Manifest) -> bytes:
    """Write labels, sample rate and recipe hash into the metadata of an ONNX file.

    Everything else keeps its bytes, so the answers stay the same. Call this where the graph is made and its order of
    labels is certain; :func:`serkit.bundle.write_bundle` refuses a graph without it.

    Parameters
    ----------
    data : bytes
        A serialised ONNX model.
    manifest : Manifest

    Returns
    -------
    bytes
        The model with ``serkit.labels`` (a JSON list), ``serkit.sample_rate`` (Hz) and ``serkit.recipe_hash`` in its
        ``metadata_props``, and ``serkit.dimensions`` (a JSON list) where it has any; unchanged if it has the
        same metadata already.

    Raises
    ------
    BundleError
        If it is not an ONNX model, or already has other metadata.

    See Also
    --------
    check_graph : Compares the two.
    """
    try:
        present = read_outline(data).metadata
        if any(key in present for key in (_LABELS, _RATE, _RECIPE)):
            _check_metadata(present, manifest)
            return data
    except ValueError as error:
        raise BundleError(f"The graph cannot be given metadata: {error}.") from None
    stated = {
        _LABELS: json.dumps(list(manifest.labels), ensure_ascii=False),
        _RATE: str(manifest.sample_rate),
        _RECIPE: manifest.recipe_hash,
    }
    if manifest.dimensions:
        stated[_DIMENSIONS] = json.dumps(list(manifest.dimensions), ensure_ascii=False)
    # Protobuf: entries of a repeated field may be anywhere, so append them.
    return data + b"".join(_field(14, _field(1, k.encode()) + _field(2, v.encode())) for k, v in stated.items())


def check_graph(data: bytes, manifest: Manifest) -> None:
    """Refuse a graph that needs other files or foreign operators, or whose ends or metadata do not fit the manifest.

    Raises
    ------
    ValueError
        The message is the rest of a sentence that begins with the file's name.
    """
    try:
        outline = read_outline(data)
    except ValueError as error:
        raise ValueError(f"is not an ONNX model: {error}") from None
    if outline.external_data:
        raise ValueError("keeps tensors in other files: save it with all data inside")
    if outline.foreign_domains:
        domains = ", ".join(outline.foreign_domains)
        raise ValueError(f"needs operators outside the ONNX standard (domain {domains}), which serkit does not run")
    kind, count = manifest.input["kind"], len(manifest.labels)
    names = [value.name for value in outline.inputs]
    if names != [kind]:
        raise ValueError(f"has the inputs {names}, but the manifest expects one input named '{kind}'")
    given = outline.inputs[0]
    layout = "waveform" if kind == "waveform" else manifest.input.get("extractor", {"layout": "flat"}).get("layout")
    rank = {"waveform": 2, "mean_std": 2, "flat": 2, "frames": 3}.get(layout)
    if not given.float32 or not _fits(given.shape, rank):
        axes = f" with {rank} axes" if rank else ""
        raise ValueError(f"must take '{kind}' as float32 of shape (1, …){axes}, but takes {_shape(given)}")
    if kind == "waveform" and given.shape is not None and given.shape[1] is not None:
        raise ValueError(f"must take any number of samples, but takes exactly {given.shape[1]:,}")
    if manifest.labels:
        _check_probabilities(outline, count)
    _check_promises(outline, manifest)
    _check_metadata(outline.metadata, manifest)


def _check_probabilities(outline: GraphOutline, count: int) -> None:
    """Raise ValueError unless the graph gives one probability for each label."""
    results = [value for value in outline.outputs if value.name == "probabilities"]
    if not results:
        names = [value.name for value in outline.outputs]
        raise ValueError(f"has the outputs {names}, but none named 'probabilities'")
    if not results[0].float32 or not _fits(results[0].shape, 2):
        raise ValueError(f"must give 'probabilities' as float32 of shape (1, {count}), but gives {_shape(results[0])}")
    if results[0].shape is not None and results[0].shape[1] not in (None, count):
        raise ValueError(f"gives {results[0].shape[1]} probabilities, but the manifest names {count} labels")


def _check_promises(outline: GraphOutline, manifest: Manifest) -> None:
    """Raise ValueError if the manifest promises adaptation or familiarity and the graph lacks the ends for it."""
    if manifest.adaptation:
        size = manifest.adaptation["size"]
        optional = {value.name: value for value in outline.optional}
        for name, shape in (("mean", (1, size)), ("deviation", (1, size)), ("heard", (1,))):
            if name not in optional:
                raise ValueError(
                    f"has no optional input '{name}' (a graph input with an initializer of the same name, IR version 4 "
                    "or later), but the manifest promises adaptation"
                )
            if not optional[name].float32 or optional[name].shape != shape:
                raise ValueError(
                    f"must take '{name}' as float32 of shape {shape} for the manifest's adaptation, but takes "
                    f"{_shape(optional[name])}"
                )
        _check_output(outline, "embedding", (1, size), "adaptation")
    if manifest.familiarity:
        _check_output(outline, "distance", (1,), "familiarity")
    if manifest.dimensions:
        _check_output(outline, "dimensions", (1, len(manifest.dimensions)), "dimensions")


def _check_output(outline: GraphOutline, name: str, shape: tuple[int, ...], promise: str) -> None:
    """Raise ValueError unless the graph gives `name` as float32 of this shape; a free or unstated size fits."""
    found = next((value for value in outline.outputs if value.name == name), None)
    if found is None:
        raise ValueError(f"has no output '{name}', but the manifest promises {promise}")
    sizes = shape if found.shape is None else found.shape
    fits = len(sizes) == len(shape) and all(a in (None, b) for a, b in zip(sizes, shape, strict=True))
    if not found.float32 or not fits:
        raise ValueError(f"must give '{name}' as float32 of shape {shape}, but gives {_shape(found)}")


def _check_metadata(stated: Mapping[str, str], manifest: Manifest) -> None:
    missing = [key for key in (_LABELS, _RATE, _RECIPE) if key not in stated]
    if missing:
        raise ValueError(
            f"does not state {missing[0]} in its metadata, so the manifest's labels cannot be checked: it comes from "
            "an earlier serkit or another program, export it again with 'ser train'"
        )
    for key, what, names in ((_LABELS, "labels", manifest.labels), (_DIMENSIONS, "dimensions", manifest.dimensions)):
        text = stated.get(key, "[]")
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if given != list(names):
            named = ", ".join(map(str, given)) if isinstance(given, list) else text
            raise ValueError(
                f"has the {what} {named:.200} in its metadata, but the manifest names {', '.join(names):.200}: "
                "one of the two was changed"
            )
    if stated[_RATE] != str(manifest.sample_rate):
        raise ValueError(
            f"has the sample rate {stated[_RATE]:.20} Hz in its metadata, but the manifest says "
            f"{manifest.sample_rate} Hz"
        )
    if stated[_RECIPE] != manifest.recipe_hash:
        raise ValueError(
            f"has the recipe hash {stated[_RECIPE][:12] or 'of no recipe'} in its metadata, but the manifest says "
            f"{manifest.recipe_hash[:12] or 'none'}"
        )


def _fits(shape: tuple[int | None, ...] | None, rank: int | None) -> bool:
    """Whether a shape has one clip as its first axis and the right number of axes; an unstated shape fits."""
    return shape is None or (len(shape) >= 2 and shape[0] in (None, 1) and rank in (None, len(shape)))


def _shape(value: Value) -> str:
    sizes = "any" if value.shape is None else ", ".join("any" if n is None else str(n) for n in value.shape)
    return f"{'float32' if value.float32 else 'another type'} of shape ({sizes})"


def _field(number: int, value: bytes) -> bytes:
    """A field of bytes as protobuf writes it."""
    length, head = len(value), bytearray([number << 3 | 2])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + value
