"""MaxPool, AveragePool and global poolings."""

from typing import Any

from cconv import layers
from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.operators.windows import (
    as_image,
    as_sequence,
    padding,
    pads_of,
    positive,
    spatial,
)
from cconv.io.onnx.reading.translating import Translator, operator
from cconv.io.onnx.reading.values import Unread, Value, images_last


def _ceil(node: Node, sizes: Any, kernel: Any, strides: Any, dilations: Any, pads: Any) -> bool:
    """Whether rounding up adds an output."""
    if not node("ceil_mode", 0):
        return False
    for size, taps, stride, dilation, (before, behind) in zip(
        sizes, kernel, strides, dilations, pads, strict=True
    ):
        room = size + before + behind - dilation * (taps - 1) - 1
        if room % stride and (room // stride + 1) * stride < size + before:
            return True
    return False


def _windowed(t: Translator, node: Node, value: Value, kind: str, **more: Any) -> Value:
    x = spatial(t, value)
    count = x.rank - 2
    if node("kernel_shape") is None:
        raise ValueError("it has no kernel_shape")
    kernel, strides = positive(node, "kernel_shape", count), positive(node, "strides", count)
    dilations = positive(node, "dilations", count)
    if node("storage_order", 0):
        raise Unread("with storage_order")
    if kind == "AveragePooling2D" and max(dilations) > 1:
        raise Unread("with dilations")
    pads = pads_of(node, x.shape[2:], kernel, strides, dilations)
    ceil = _ceil(node, x.shape[2:], kernel, strides, dilations, pads)
    image = as_image(t, x)
    if count == 1:
        kernel, strides, dilations = (1, *kernel), (1, *strides), (1, *dilations)
        pads = ((0, 0), *pads)
    options = {"pool_size": kernel, "strides": strides, "padding": padding(pads), **more}
    if ceil:
        options["ceil_mode"] = True
    if max(dilations) > 1:
        options["dilation_rate"] = dilations
    y = t.add(getattr(layers, kind), image, images_last(4), options=options)
    return as_sequence(t, y, x.rank)


@operator("MaxPool")
def max_pool(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a max pooling."""
    return _windowed(t, node, given[0], "MaxPooling2D")


@operator("AveragePool")
def average_pool(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make an average pooling."""
    counted = bool(node("count_include_pad", 0))
    return _windowed(
        t, node, given[0], "AveragePooling2D", **({"count_include_pad": True} if counted else {})
    )


@operator("GlobalAveragePool")
def global_average_pool(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make the mean over a whole image."""
    return _whole(t, node, given[0], "GlobalAveragePooling2D")


@operator("GlobalMaxPool")
def global_max_pool(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make the maximum over a whole image."""
    return _whole(t, node, given[0], "GlobalMaxPooling2D")


def _whole(t: Translator, node: Node, value: Value, kind: str) -> Value:
    """Return (n, c, 1, 1), of sequences (n, c, 1); or (n, c) if all readers flatten it."""
    x = spatial(t, value)
    image = as_image(t, x)
    n, c = x.shape[:2]
    make, shape = getattr(layers, kind), (n, c, *(1,) * (x.rank - 2))
    if x.rank == 4 and not t.readers.get(node.outputs[0], set()) <= {"Flatten", "Reshape", "Squeeze"}:
        return t.add(make, image, images_last(4), shape, options={"keepdims": True})
    return t.reshaped(t.add(make, image, (0, 1), (n, c)), shape)
