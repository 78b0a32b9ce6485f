"""Conv and ConvTranspose."""

from typing import Any

import numpy as np

from cconv import layers
from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.operators.windows import (
    one_dimension,
    padding,
    pads_of,
    positive,
    spatial,
)
from cconv.io.onnx.reading.translating import Translator, constant, operator
from cconv.io.onnx.reading.values import Unread, Value, images_last
from cconv.layers import ZeroPadding1D, ZeroPadding2D


def _weights(given: list[Any]) -> tuple[np.ndarray, np.ndarray | None]:
    kernel, bias = constant(given, 1, "weights"), constant(given, 2, "a bias")
    if kernel is None:
        raise ValueError("it has no weights")
    return kernel, bias


def _shared(node: Node) -> tuple[str, ...]:
    return tuple(node.inputs[1:3])


@operator("Conv")
def conv(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a convolution of all channels, or of every channel by itself."""
    x = spatial(t, given[0])
    kernel, bias = _weights(given)
    count, channels = x.rank - 2, x.shape[1]
    groups = node("group", 1)
    if kernel.ndim != x.rank or groups < 1 or kernel.shape[1] * groups != channels:
        raise ValueError(f"weights of shape {kernel.shape} do not fit {channels} channels in {groups} groups")
    size = tuple(kernel.shape[2:])
    if node("kernel_shape") is not None and tuple(node("kernel_shape")) != size:
        raise ValueError(f"kernel_shape is {node('kernel_shape')}, the weights are {kernel.shape}")
    strides, dilations = positive(node, "strides", count), positive(node, "dilations", count)
    pads = pads_of(node, x.shape[2:], size, strides, dilations)
    options: dict[str, Any] = {
        **{"kernel_size": size, "strides": strides, "padding": padding(pads), "dilation_rate": dilations},
        "use_bias": bias is not None,
    }
    turned = kernel.transpose(*range(2, x.rank), 1, 0)
    filters = kernel.shape[0]
    if groups == channels > 1 and filters % groups == 0:
        name, options["depth_multiplier"] = "DepthwiseConv*", filters // groups
        turned = turned.reshape(*size, channels, filters // groups)
    else:
        name, options["filters"], options["groups"] = "Conv*", filters, groups
    weights = {"kernel": turned} | ({} if bias is None else {"bias": bias})
    make = getattr(layers, one_dimension(name, x))
    how = {"options": options, "weights": weights, "name": node.name, "shared": _shared(node)}
    return t.add(make, x, images_last(x.rank), **how)


@operator("ConvTranspose")
def conv_transpose(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a transposed convolution; output rows that no padding can express are padded behind it."""
    x = spatial(t, given[0])
    kernel, bias = _weights(given)
    count, groups = x.rank - 2, node("group", 1)
    if kernel.ndim != x.rank or groups < 1 or kernel.shape[0] != x.shape[1] or kernel.shape[0] % groups:
        raise ValueError(f"weights of shape {kernel.shape} do not fit {x.shape[1]} channels")
    size = tuple(kernel.shape[2:])
    strides, dilations = positive(node, "strides", count), positive(node, "dilations", count)
    pads, more = _transposed_pads(node, x.shape[2:], size, strides, dilations)
    filters = kernel.shape[1] * groups
    # (in, out // groups, …), with the inputs of a group side by side: the layer's kernel, transposed.
    turned = kernel.transpose(*range(2, x.rank), 1, 0)
    behind = tuple(extra if extra >= stride else 0 for extra, stride in zip(more, strides, strict=True))
    inside = tuple(extra - late for extra, late in zip(more, behind, strict=True))
    if any(behind) and bias is not None and np.any(bias):
        raise Unread("with an output_padding of its strides or more")
    options: dict[str, Any] = {
        **{"filters": filters, "kernel_size": size, "strides": strides, "padding": _cut(pads)},
        **{"output_padding": inside, "dilation_rate": dilations, "groups": groups},
        "use_bias": bias is not None,
    }
    weights = {"kernel": turned} | ({} if bias is None else {"bias": bias})
    make = getattr(layers, one_dimension("Conv*Transpose", x))
    how = {"options": options, "weights": weights, "name": node.name, "shared": _shared(node)}
    y = t.add(make, x, images_last(x.rank), **how)
    if not any(behind):
        return y
    zeros: Any = tuple((0, extra) for extra in behind)
    pad: Any = ZeroPadding2D if count == 2 else ZeroPadding1D
    return t.add(pad, y, images_last(x.rank), options={"padding": zeros if count == 2 else zeros[0]})


def _cut(pads: tuple[tuple[int, int], ...]) -> Any:
    return pads[0] if len(pads) == 1 else pads


def _transposed_pads(
    node: Node,
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Return the rows cut off the full extent, before and behind, and the number of pixels added behind."""
    count = len(sizes)
    more = tuple(node("output_padding") or [0] * count)
    if len(more) != count or min(more) < 0:
        raise ValueError(f"output_padding must be {count} numbers, got {list(more)}")
    auto, wanted = node("auto_pad", "NOTSET") or "NOTSET", node("output_shape")
    if wanted is None and auto in ("NOTSET", "VALID"):
        return pads_of(node, sizes, kernel, strides, dilations), more
    if wanted is None:
        wanted = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    pads = []
    for axis, target in enumerate(wanted[-count:]):
        whole = (sizes[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1
        total = whole + more[axis] - target
        if total < 0:
            raise Unread("with an output_shape beyond its extent")
        small, large = total // 2, total - total // 2
        pads.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return tuple(pads), more
