"""Convolutions, dense layers and poolings as ONNX nodes, with the channels in front."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from cconv.geometry.shapes import Window
from cconv.io.onnx.writing.activations import activate
from cconv.io.onnx.writing.sheet import Sheet, Value
from cconv.layers.spatial import Spatial


def images(sheet: Sheet, layer: Spatial, x: Value) -> str:
    """Return the name of an input with the channels in front: (n, c, h, w), or of sequences (n, c, steps)."""
    return x.name if layer._turns and not x.first else sheet.first(x).name


def own(layer: Spatial, name: str) -> Value:
    """Return a layer's output, with the channels in front, as a value."""
    return Value(name, layer._inner(layer.output_shape), not layer._turns)


def spatial(layer: Any, pair: Iterable[Any]) -> list[Any]:
    """Return the entries for the axes of an image; for a sequence only the second."""
    return list(pair)[1 if layer.ranks == (2,) else 0 :]


def window(layer: Any, given: Window) -> dict[str, Any]:
    """Return the attributes of a window."""
    before, after = ([pads[side] for pads in spatial(layer, given.pads)] for side in (0, 1))
    return {
        "kernel_shape": spatial(layer, given.kernel_size),
        "strides": spatial(layer, _strides(given)),
        "dilations": spatial(layer, given.dilation),
        "pads": [*before, *after],
    }


def _strides(given: Window) -> tuple[int, ...]:
    """Return strides with which ONNX, which is not given an output size, computes the same size.

    A `Window` with one output has stride 1, even if there is room for more outputs.
    """
    return tuple(
        n + sum(pads) if outputs == 1 and n + sum(pads) > dilation * (taps - 1) + 1 else stride
        for n, pads, outputs, dilation, taps, stride in zip(
            *(given.input_size, given.pads, given.output_size, given.dilation),
            *(given.kernel_size, given.strides),
            strict=True,
        )
    )


def _rounds_up(given: Window) -> bool:
    """Whether a partial window counts on any axis; otherwise ONNX' ceil_mode is not set.

    With ceil_mode some readers also count windows that begin behind the image.
    """
    rooms = (
        n + sum(pads) - dilation * (taps - 1) - 1
        for n, pads, dilation, taps in zip(
            given.input_size, given.pads, given.dilation, given.kernel_size, strict=True
        )
    )
    return any(
        outputs > room // stride + 1
        for room, stride, outputs in zip(rooms, _strides(given), given.output_size, strict=True)
    )


def _kernel(sheet: Sheet, layer: Any, name: str, taps: np.ndarray) -> str:
    """Add a kernel (kh, kw, in, out) as (out, in, kh, kw), of sequences as (out, in, k)."""
    turned = taps.transpose(3, 2, 0, 1)
    return sheet.weight(name, turned[:, :, 0] if layer.ranks == (2,) else turned)


def _with_bias(sheet: Sheet, layer: Any, inputs: list[str]) -> list[str]:
    bias = layer.params.get("bias")
    return inputs if bias is None else [*inputs, sheet.weight("bias", bias)]


def convolution(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write Conv2D, Conv1D."""
    kernel = _kernel(sheet, layer, "kernel", layer._taps(layer.params["kernel"]))
    inputs = _with_bias(sheet, layer, [images(sheet, layer, xs[0]), kernel])
    y = sheet.node("Conv", inputs, group=layer.groups, **window(layer, layer.window))
    return activate(sheet, layer.activation, own(layer, y))


def _depthwise(sheet: Sheet, layer: Any, x: str, kernel: np.ndarray, bias: bool) -> str:
    """Write a kernel (…, in, multiplier), with the outputs of an input channel side by side."""
    taps = layer._taps(kernel)
    kernel_name = _kernel(sheet, layer, "depthwise", taps.reshape(*taps.shape[:2], 1, -1))
    inputs = _with_bias(sheet, layer, [x, kernel_name]) if bias else [x, kernel_name]
    return sheet.node("Conv", inputs, group=layer.in_channels, **window(layer, layer.window))


def depthwise(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write DepthwiseConv2D, DepthwiseConv1D."""
    (kernel,) = (array for name, array in layer.params.items() if name != "bias")
    y = _depthwise(sheet, layer, images(sheet, layer, xs[0]), kernel, True)
    return activate(sheet, layer.activation, own(layer, y))


def separable(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write SeparableConv2D, SeparableConv1D: a depthwise and a pointwise convolution."""
    between = _depthwise(sheet, layer, images(sheet, layer, xs[0]), layer.params["depthwise_kernel"], False)
    points = layer.params["pointwise_kernel"].reshape(1, 1, -1, layer.filters)
    kernel = _kernel(sheet, layer, "pointwise", points)
    y = sheet.node("Conv", _with_bias(sheet, layer, [between, kernel]))
    return activate(sheet, layer.activation, own(layer, y))


def transposed(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write Conv2DTranspose, Conv1DTranspose, with output pixels beyond the last kernel if needed."""
    taps = layer._taps(layer.params["kernel"])  # (kh, kw, filters / groups, in)
    kernel = taps.transpose(3, 2, 0, 1)
    kernel = kernel[:, :, 0] if layer.ranks == (2,) else kernel
    given = layer.window
    beyond = [
        size - ((n - 1) * stride + dilation * (extent - 1) + 1 - sum(pads))
        for size, n, stride, dilation, extent, pads in zip(
            *(given.input_size, given.output_size, given.strides, given.dilation),
            *(given.kernel_size, given.pads),
            strict=True,
        )
    ]
    inputs = _with_bias(sheet, layer, [images(sheet, layer, xs[0]), sheet.weight("kernel", kernel)])
    more = {"group": layer.groups, "output_padding": spatial(layer, beyond)}
    y = sheet.node("ConvTranspose", inputs, **more, **window(layer, given))
    return activate(sheet, layer.activation, own(layer, y))


def dense(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write Dense: for rows one node, for more axes a product along the last axis."""
    x, kernel, bias = sheet.last(xs[0]), layer.params["kernel"], layer.params.get("bias")
    shape = layer._inner(layer.output_shape)
    if len(x.shape) == 1:
        inputs = _with_bias(sheet, layer, [x.name, sheet.weight("kernel", kernel)])
        y = Value(sheet.node("Gemm", inputs), shape)
    else:
        y = Value(sheet.node("MatMul", [x.name, sheet.weight("kernel", kernel)]), shape)
        y = y if bias is None else sheet.like(y, "Add", sheet.weight("bias", bias))
    return activate(sheet, layer.activation, y)


def _pooled(sheet: Sheet, layer: Any, xs: list[Value], kind: str, opset: int, **more: Any) -> Value:
    given = window(layer, layer.window) | more | {"ceil_mode": int(_rounds_up(layer.window))}
    if kind == "AveragePool" and set(given["dilations"]) == {1}:
        del given["dilations"]
    return own(layer, sheet.node(kind, [images(sheet, layer, xs[0])], opset, **given))


def max_pooling(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write MaxPooling2D, MaxPooling1D."""
    return _pooled(sheet, layer, xs, "MaxPool", 12)


def average_pooling(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write AveragePooling2D, AveragePooling1D."""
    opset = 19 if max(layer.window.dilation) > 1 else 11
    return _pooled(sheet, layer, xs, "AveragePool", opset, count_include_pad=int(layer.count_include_pad))


def _global(sheet: Sheet, layer: Any, xs: list[Value], kind: str) -> Value:
    pooled = sheet.node(kind, [images(sheet, layer, xs[0])])
    shape = layer._inner(layer.output_shape)
    if layer.keepdims:
        return own(layer, pooled)
    return Value(sheet.node("Flatten", [pooled], axis=1), (math.prod(shape),))


def global_average(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write GlobalAveragePooling2D, GlobalAveragePooling1D."""
    return _global(sheet, layer, xs, "GlobalAveragePool")


def global_max(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write GlobalMaxPooling2D, GlobalMaxPooling1D."""
    return _global(sheet, layer, xs, "GlobalMaxPool")
