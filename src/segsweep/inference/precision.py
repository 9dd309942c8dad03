"""In which precision an ONNX file keeps its weights, read from the file itself: the edge has no `onnx` package.

An ONNX file is a protobuf message (protobuf.dev/programming-guides/encoding); its fields are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Tensors' contents are skipped, not read.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

UNKNOWN = "unknown"

# Numbers of fields: ModelProto.graph, GraphProto.node and .initializer, NodeProto.attribute, AttributeProto.t, and
# TensorProto.dims and .data_type.
_GRAPH, _NODE, _INITIALIZER, _ATTRIBUTE, _TENSOR, _DIMS, _DATA_TYPE = 7, 1, 5, 5, 5, 1, 2
# TensorProto.DataType
_PRECISIONS = {1: "fp32", 10: "fp16", 11: "fp64", 16: "bf16", 2: "int8", 3: "int8", 21: "int4", 22: "int4"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Span = tuple[int, int]


def weight_precision(path: Path) -> str:
    """`fp32`, `fp16`, `bf16`, `int8` or the like: what most numbers of the file's weights are; else `unknown`.

    Args:
        path: An ONNX file; one that is none is `unknown`.
    """
    counts: Counter[str] = Counter()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for graph in _inner(data, (0, len(data)), _GRAPH):
                for tensor in _tensors(data, graph):
                    data_type, elements = _kind(data, tensor)
                    if data_type in _PRECISIONS:
                        counts[_PRECISIONS[data_type]] += elements
    except (OSError, ValueError, IndexError):
        return UNKNOWN
    return counts.most_common(1)[0][0] if counts else UNKNOWN


def _tensors(data: mmap.mmap, graph: Span) -> Iterator[Span]:
    """The weights: initializers, and the values of constant nodes."""
    yield from _inner(data, graph, _INITIALIZER)
    for node in _inner(data, graph, _NODE):
        for attribute in _inner(data, node, _ATTRIBUTE):
            yield from _inner(data, attribute, _TENSOR)


def _kind(data: mmap.mmap, tensor: Span) -> tuple[int, int]:
    """Data type and number of elements."""
    dims: list[int] = []
    data_type = 0
    for number, wire, value in _fields(data, tensor):
        if number == _DATA_TYPE and isinstance(value, int):
            data_type = value
        elif number == _DIMS and isinstance(value, int):
            dims.append(value)
        elif number == _DIMS and wire == _BYTES and isinstance(value, tuple):  # packed
            at, end = value
            while at < end:
                dim, at = _varint(data, at)
                dims.append(dim)
    return data_type, math.prod(dims)


def _inner(data: mmap.mmap, span: Span, wanted: int) -> Iterator[Span]:
    """Messages in a field of a message."""
    for number, wire, value in _fields(data, span):
        if number == wanted and wire == _BYTES and isinstance(value, tuple):
            yield value


def _fields(data: mmap.mmap, span: Span) -> Iterator[tuple[int, int, int | Span]]:
    """Number, wire type and value of each field; of bytes their span.

    Raises:
        ValueError, IndexError: It is no message.
    """
    at, end = span
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
        elif wire == _BYTES:
            size, at = _varint(data, at)
            if at + size > end:
                raise ValueError("a field reaches beyond its message")
            yield number, wire, (at, at + size)
            at += size
        elif wire in (_FIXED32, _FIXED64):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} is none of ONNX")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """A number and where it ends; seven bits a byte, the least first."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is longer than 10 bytes")
