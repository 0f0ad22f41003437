"""A reader for the outline of an ONNX file: inputs, outputs, metadata, operators, references to other files.

The use road has no ``onnx`` package, and ONNX Runtime follows references to external files while it loads. So the
graph of a bundle is checked here first, from the protobuf wire format alone; the values of tensors are
skipped. Field numbers are those of ``onnx.proto``. All places that can hold a tensor, a node or a graph are walked:
the graph, functions and the defaults of their attributes, training information, and attributes of nodes with all
that is nested in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["STANDARD_DOMAINS", "GraphOutline", "Value", "read_outline"]

#: Operator sets of the ONNX standard, written in full.
STANDARD_DOMAINS = frozenset({"ai.onnx", "ai.onnx.ml"})

_FLOAT32 = 1
_OPTIONAL_INPUTS = 4  # the first version of the format (IR) in which an initializer is an input's default value
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
    """What :func:`read_outline` finds.

    Attributes
    ----------
    inputs : tuple of Value
        The graph inputs that a caller must give.
    optional : tuple of Value
        Those with an initializer of the same name, which is their default value: a caller may leave them out. Before
        version 4 of the format they are constants, so there are none.
    outputs : tuple of Value
    foreign_domains : tuple of str
        Operator sets outside the standard.
    external_data : bool
        Whether a tensor is kept in another file.
    metadata : mapping of str to str
    """

    inputs: tuple[Value, ...]
    optional: tuple[Value, ...]
    outputs: tuple[Value, ...]
    foreign_domains: tuple[str, ...]
    external_data: bool
    metadata: Mapping[str, str]


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
        If the bytes are not an ONNX model or end too early.
    """
    model = memoryview(data)
    graphs = [value for number, value in _messages(model) if number == 7]
    if len(graphs) != 1:
        raise ValueError("it holds no graph")
    seen = _Seen(set(), False)
    _walk_graph(graphs[0], seen, 0)
    own = set()
    metadata: dict[str, str] = {}
    for number, value in _messages(model):
        if number == 25:
            own.add(_walk_function(value, seen))
        elif number == 20:  # training information: two graphs
            for field, graph in _messages(value):
                if field in (1, 2):
                    _walk_graph(graph, seen, 0)
        elif number == 14:
            entry = {field: _text(text) for field, text in _messages(value)}
            key = entry.get(1, "")
            if key in metadata:
                raise ValueError(f"its metadata has the key {key!r:.80} twice")
            metadata[key] = entry.get(2, "")
    version = max((value for number, value in _fields(model) if number == 1 and isinstance(value, int)), default=0)
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
        optional=tuple(value for value in inputs if value.name in constants and version >= _OPTIONAL_INPUTS),
        outputs=tuple(outputs),
        # A node may call a function of the file itself, whatever its domain, but nothing else of that domain.
        foreign_domains=tuple(sorted({domain for domain, _ in seen.operators - own} - STANDARD_DOMAINS - {""})),
        external_data=seen.external,
        metadata=metadata,
    )


@dataclass
class _Seen:
    operators: set[tuple[str, str]]  # domain and name
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


def _walk_function(function: memoryview, seen: _Seen) -> tuple[str, str]:
    """Walk a function of the file and return its domain and name."""
    domain = name = ""
    for number, value in _messages(function):
        if number == 1:
            name = _text(value)
        elif number == 10:
            domain = _text(value)
        elif number == 7:
            _walk_node(value, seen, 0)
        elif number == 11:
            _walk_attribute(value, seen, 0)
    return domain, name


def _walk_node(node: memoryview, seen: _Seen, depth: int) -> None:
    domain = name = ""
    for number, value in _messages(node):
        if number == 7:
            domain = _text(value)
        elif number == 4:
            name = _text(value)
        elif number == 5:
            _walk_attribute(value, seen, depth)
    seen.operators.add((domain, name))


def _walk_attribute(attribute: memoryview, seen: _Seen, depth: int) -> None:
    for field, part in _messages(attribute):
        if field in (5, 10):
            _walk_tensor(part, seen)
        elif field in (6, 11):
            _walk_graph(part, seen, depth + 1)
        elif field in (22, 23):
            _walk_sparse(part, seen)


def _walk_tensor(tensor: memoryview, seen: _Seen) -> None:
    for number, value in _fields(tensor):
        if number == 13 or (number == 14 and value != 0):
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
        if not 0 < number < 1 << 29:  # other readers would cut a longer one off
            raise ValueError("it is not a protobuf message")
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("it is not a protobuf message")
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
    raise ValueError("it is not a protobuf message")
