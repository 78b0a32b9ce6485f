"""What operators with a window share: sizes, strides and pads as arguments of layers."""

from collections.abc import Sequence
from typing import Any

from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import Translator
from cconv.io.onnx.reading.values import Unread, Value, images_last

Pads = tuple[tuple[int, int], ...]
LARGEST = 1 << 24


def spatial(t: Translator, value: Value) -> Value:
    """Return images or sequences with the channels last; `Unread` for other ranks."""
    if value.rank not in (3, 4):
        raise Unread(f"in {value.rank - 2} dimensions")
    return t.channels_last(value)


def numbers(node: Node, name: str, count: int, default: int = 1) -> tuple[int, ...]:
    """Return an attribute that must be `count` ints."""
    given = node(name) or [default] * count
    if len(given) != count or not all(isinstance(n, int) and 0 <= n <= LARGEST for n in given):
        raise ValueError(f"{name} must be {count} numbers, got {given}")
    return tuple(given)


def positive(node: Node, name: str, count: int) -> tuple[int, ...]:
    """Return an attribute that must be `count` ints, each at least 1."""
    found = numbers(node, name, count)
    if min(found) < 1:
        raise ValueError(f"{name} must be positive, got {found}")
    return found


def pads_of(
    node: Node, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Pads:
    """Return the padding before and behind each axis, from `pads` or `auto_pad`."""
    auto = node("auto_pad", "NOTSET") or "NOTSET"
    count = len(sizes)
    if auto == "NOTSET":
        pads = numbers(node, "pads", 2 * count, 0)
        return tuple((pads[axis], pads[axis + count]) for axis in range(count))
    if auto == "VALID":
        return ((0, 0),) * count
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"auto_pad is {auto!r}")
    found = []
    for size, taps, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + dilation * (taps - 1) + 1 - size, 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return tuple(found)


def padding(pads: Pads) -> Any:
    """Return pads as an argument of layers: "valid" for none, one pair for a sequence."""
    if not any(map(any, pads)):
        return "valid"
    return pads[0] if len(pads) == 1 else pads


def one_dimension(name: str, value: Value) -> str:
    """Return the class' name for images or sequences: "Conv*" is Conv2D or Conv1D."""
    return f"{value.rank - 2}D".join(name.split("*"))


def as_image(t: Translator, value: Value) -> Value:
    """Return a sequence (n, c, l) as images (n, c, 1, l), channels last."""
    if value.rank == 4:
        return value
    n, c, length = value.shape
    number = t.steps.reshaped(value.number, (1, length, c))
    return Value(number, (n, c, 1, length), images_last(4))


def as_sequence(t: Translator, image: Value, rank: int) -> Value:
    """Undo `as_image` for a value that was a sequence, which `rank` tells."""
    if rank == 4:
        return image
    n, c, _, length = image.shape
    number = t.steps.reshaped(image.number, (length, c))
    return Value(number, (n, c, length), images_last(3))
