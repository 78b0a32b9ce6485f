"""The number of entries of a protobuf message, counted in its bytes before any object is made.

An entry takes at least two bytes in a file, and about a hundred in memory: too many are refused here. For the
encoding see https://protobuf.dev/programming-guides/encoding/, for the fields `onnx.proto`.
"""

from typing import Any

MOST_ENTRIES = 250_000  # ten times the number in a large network with documented nodes
MOST_NODES = 10_000
DEEPEST = 40  # limit of nested messages

# The fields that are messages themselves, with their own such fields.
_SHAPE: dict[int, Any] = {1: {}}
_VALUE: dict[int, Any] = {2: {1: {2: _SHAPE}}}
_TENSOR: dict[int, Any] = {13: {}}
_ATTRIBUTE: dict[int, Any] = {5: _TENSOR, 10: _TENSOR}
_NODE: dict[int, Any] = {5: _ATTRIBUTE, 9: {}}
GRAPH: dict[int, Any] = {1: _NODE, 5: _TENSOR, 11: _VALUE, 12: _VALUE, 13: _VALUE}
_ATTRIBUTE |= {6: GRAPH, 11: GRAPH}
MODEL: dict[int, Any] = {7: GRAPH, 8: {}, 14: {}, 25: {7: _NODE}}


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number, and the position behind it."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number in it does not end")


def check(data: bytes) -> None:
    """Refuse the bytes of a model that are not a complete message, or that have too many entries.

    Raises
    ------
    ValueError
        With the reason.
    """
    entries = nodes = 0
    open_: list[tuple[int, int, dict[int, Any]]] = [(0, len(data), MODEL)]
    while open_:
        at, end, kind = open_.pop()
        if len(open_) > DEEPEST:
            raise ValueError(f"there are more than {DEEPEST} messages within each other")
        while at < end:
            entries += 1
            if entries > MOST_ENTRIES:
                raise ValueError(f"it has more than {MOST_ENTRIES} entries")
            tag = data[at]
            at += 1
            if tag > 127:
                tag, at = _varint(data, at - 1, end)
            field, wire = tag >> 3, tag & 7
            if wire == 0:
                _, at = _varint(data, at, end)
                continue
            if wire == 2:
                size, at = _varint(data, at, end)
            else:
                size = 8 if wire == 1 else 4
            if wire not in (1, 2, 5) or not field:
                raise ValueError("an entry in it is of no known kind")
            if size > end - at:
                raise ValueError(f"an entry of {size} bytes does not fit into the {end - at} that are left")
            inner = kind.get(field) if wire == 2 else None
            if inner is _NODE:
                nodes += 1
                if nodes > MOST_NODES:
                    raise ValueError(f"it has more than {MOST_NODES} nodes")
            if inner is not None:
                # The rest is read later: the depth is the number of open messages.
                open_.append((at + size, end, kind))
                end, kind = at + size, inner
                if len(open_) > DEEPEST:
                    raise ValueError(f"there are more than {DEEPEST} messages within each other")
                continue
            at += size
