"""A reader for the outline of an ONNX file: inputs, outputs, operator domains, references to other files.

The use road has no ``onnx`` package, and ONNX Runtime follows references to external files while it loads. So the
graph of a bundle is looked over here first, with nothing but the protobuf wire format; tensors are skipped.
Field numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from serkit.bundle.manifest import Manifest

__all__ = ["STANDARD_DOMAINS", "GraphOutline", "Value", "check_graph", "read_outline"]

#: Operator sets of the ONNX standard, written in full.
STANDARD_DOMAINS = frozenset({"ai.onnx", "ai.onnx.ml"})

_FLOAT32 = 1
_MAX_DEPTH = 32


@dataclass(frozen=True)
class Value:
    """One graph input or output.

    Attributes
    ----------
    name : str
    float32 : bool
        Whether it is a tensor of float32.
    shape : tuple of int or None, or None
        Sizes, None where a size is free; None as a whole if the file states no shape.
    """

    name: str
    float32: bool
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class GraphOutline:
    """What :func:`read_outline` finds: graph inputs (without constants), outputs, domains and external data."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    foreign_domains: tuple[str, ...]
    external_data: bool


def read_outline(data: bytes) -> GraphOutline:
    """Read the outline of a serialised ONNX model.

    Parameters
    ----------
    data : bytes
        The content of an ``.onnx`` file.

    Returns
    -------
    GraphOutline

    Raises
    ------
    ValueError
        If the bytes are no ONNX model or end too early.
    """
    model = memoryview(data)
    graphs = [value for number, value in _messages(model) if number == 7]
    if len(graphs) != 1:
        raise ValueError("it holds no graph")
    functions = [value for number, value in _messages(model) if number == 25]
    own = {_text(value) for function in functions for number, value in _messages(function) if number == 10}
    seen = _Seen(set(), False)
    _walk_graph(graphs[0], seen, 0)
    for function in functions:
        for number, value in _messages(function):
            if number == 7:
                _walk_node(value, seen, 0)
    constants, inputs, outputs = set(), [], []
    for number, value in _messages(graphs[0]):
        if number == 5:
            constants |= {_text(name) for field, name in _messages(value) if field == 8}
        elif number == 11:
            inputs.append(_value(value))
        elif number == 12:
            outputs.append(_value(value))
    return GraphOutline(
        inputs=tuple(value for value in inputs if value.name not in constants),
        outputs=tuple(outputs),
        foreign_domains=tuple(sorted(seen.domains - STANDARD_DOMAINS - own - {""})),
        external_data=seen.external,
    )


def check_graph(data: bytes, manifest: Manifest) -> None:
    """Refuse a graph that needs other files or foreign operators, or whose ends do not fit the manifest.

    Raises
    ------
    ValueError
        Says what is wrong, as the rest of a sentence that begins with the file's name.
    """
    try:
        outline = read_outline(data)
    except ValueError as error:
        raise ValueError(f"is no ONNX model: {error}") from None
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
    layout = "waveform" if kind == "waveform" else manifest.input["extractor"].get("layout")
    rank = {"waveform": 2, "mean_std": 2, "flat": 2, "frames": 3}.get(layout)
    if not given.float32 or not _fits(given.shape, rank):
        axes = f" with {rank} axes" if rank else ""
        raise ValueError(f"must take '{kind}' as float32 of shape (1, …){axes}, but takes {_shape(given)}")
    if kind == "waveform" and given.shape is not None and given.shape[1] is not None:
        raise ValueError(f"must take any number of samples, but takes exactly {given.shape[1]:,}")
    results = [value for value in outline.outputs if value.name == "probabilities"]
    if not results:
        names = [value.name for value in outline.outputs]
        raise ValueError(f"has the outputs {names}, but none named 'probabilities'")
    if not results[0].float32 or not _fits(results[0].shape, 2):
        raise ValueError(f"must give 'probabilities' as float32 of shape (1, {count}), but gives {_shape(results[0])}")
    if results[0].shape is not None and results[0].shape[1] not in (None, count):
        raise ValueError(f"gives {results[0].shape[1]} probabilities, but the manifest names {count} labels")


def _fits(shape: tuple[int | None, ...] | None, rank: int | None) -> bool:
    """Whether a shape has one clip as its first axis and the right number of axes; an unstated shape fits."""
    return shape is None or (len(shape) >= 2 and shape[0] in (None, 1) and rank in (None, len(shape)))


def _shape(value: Value) -> str:
    sizes = "any" if value.shape is None else ", ".join("any" if n is None else str(n) for n in value.shape)
    return f"{'float32' if value.float32 else 'another type'} of shape ({sizes})"


@dataclass
class _Seen:
    domains: set[str]
    external: bool


def _walk_graph(graph: memoryview, seen: _Seen, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("its graphs are nested too deeply")
    for number, value in _messages(graph):
        if number == 1:
            _walk_node(value, seen, depth)
        elif number == 5:
            _walk_tensor(value, seen)
        elif number == 15:
            _walk_sparse(value, seen)


def _walk_node(node: memoryview, seen: _Seen, depth: int) -> None:
    for number, value in _messages(node):
        if number == 7:
            seen.domains.add(_text(value))
        elif number == 5:
            for field, part in _messages(value):
                if field in (5, 10):
                    _walk_tensor(part, seen)
                elif field in (6, 11):
                    _walk_graph(part, seen, depth + 1)
                elif field in (22, 23):
                    _walk_sparse(part, seen)


def _walk_tensor(tensor: memoryview, seen: _Seen) -> None:
    for number, value in _fields(tensor):
        if number == 13 or (number == 14 and value == 1):
            seen.external = True


def _walk_sparse(tensor: memoryview, seen: _Seen) -> None:
    for number, value in _messages(tensor):
        if number in (1, 2):
            _walk_tensor(value, seen)


def _value(info: memoryview) -> Value:
    name, float32 = "", False
    shape: tuple[int | None, ...] | None = None
    for number, value in _messages(info):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for field, tensor in _messages(value):
                if field != 1:
                    continue
                for part, content in _fields(tensor):
                    if part == 1:
                        float32 = content == _FLOAT32
                    elif part == 2 and isinstance(content, memoryview):
                        shape = tuple(_size(dim) for key, dim in _messages(content) if key == 1)
    return Value(name, float32, shape)


def _size(dim: memoryview) -> int | None:
    for number, value in _fields(dim):
        if number == 1 and isinstance(value, int):
            return value
    return None


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8")  # UnicodeDecodeError is a ValueError


def _messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    for number, value in _fields(data):
        if isinstance(value, memoryview):
            yield number, value


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of one protobuf message: number and integer, or number and bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("it is no protobuf message")
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("it is no protobuf message")
        if at + length > len(data):
            raise ValueError("it ends too early")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise ValueError("it ends too early")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
    raise ValueError("it is no protobuf message")
