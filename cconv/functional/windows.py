"""The geometry of windowed operations, checked."""

from typing import Any

import numpy as np

from cconv import arguments
from cconv.arguments.arrays import any_array, ready, same_shape
from cconv.arguments.numbers import positive_int
from cconv.geometry.layout import shape_to_channels_last
from cconv.geometry.shapes import Window, argmax_cache, resolve_window


def input_shape_of(where: str, shape: Any, data_format: str) -> tuple[int, int, int, int]:
    """Return the input_shape argument of a backward pass as (n, h, w, c)."""
    return shape_to_channels_last(arguments.as_shape(where, "input_shape", shape), data_format)


def window_of(
    where: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    kernel_size: Any,
    strides: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any = False,
    kernel_name: str = "kernel_size",
) -> Window:
    """Resolve the geometry of an operation on x (n, h, w, c), and check that offsets into it fit an index."""
    n, height, width, channels = shape
    ceil_mode = arguments.flag(where, "ceil_mode", ceil_mode)
    window = resolve_window(
        where, (height, width), kernel_size, strides, padding, dilation, ceil_mode, kernel_name
    )
    padded = [size + sum(pads) for size, pads in zip(window.input_size, window.pads, strict=True)]
    arguments.addressable(where, "the padded input", (n, *padded, channels), dtype)
    return window


def channel_groups(where: str, groups: Any, channels: int, kernel_shape: tuple[int, ...]) -> int:
    """Return the number of groups, checked against kernel (kh, kw, channels // groups, filters)."""
    groups = positive_int(where, "groups", groups)
    expected, filters = kernel_shape[2] * groups, kernel_shape[3]
    if channels != expected:
        raise ValueError(
            f"{where}: x must have kernel.shape[2] * groups = {kernel_shape[2]} * {groups} = {expected} "
            f"channels, got {channels}"
        )
    if filters % groups:
        raise ValueError(f"{where}: groups must divide the {filters} filters of the kernel, got {groups}")
    return groups


def max_window(where: str, window: Window) -> Window:
    """Refuse a max pooling with more positions than its argmax can count."""
    kh, kw = window.kernel_size
    if kh * kw > np.iinfo(np.int32).max:
        raise ValueError(f"{where}: pool_size must have fewer than 2**31 positions, got {(kh, kw)}")
    return window


def _inside(window: Window, axis: int, taps: np.ndarray) -> np.ndarray:
    """Whether taps (rows or columns of the window; axis 0 is that of outputs) lie inside the input."""
    first = np.arange(window.output_size[axis], dtype=np.int64) * window.strides[axis] - window.pads[axis][0]
    at = first.reshape(-1, *[1] * (taps.ndim - 1)) + taps * np.int64(window.dilation[axis])
    return (at >= 0) & (at < window.input_size[axis])


def as_argmax(where: str, argmax: Any, shape: tuple[int, ...], window: Window) -> np.ndarray:
    """Return the argmax (n, oh, ow, c) of a max pooling for its backward pass.

    Every entry must be "none", or a position of the window that lies inside the input, because the
    backward kernel writes to that position.
    """
    array = any_array(where, "argmax", argmax, 4)
    dtype, none = argmax_cache(window)
    if array.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"{where}: argmax must be {dtype}, as max_pool2d returns it, got {array.dtype}")
    same_shape(where, "argmax", array, shape)
    array = ready(array, dtype)
    kh, kw = window.kernel_size
    for image in array:
        rows, columns = np.divmod(image.astype(np.int64), kw)
        good = (image >= 0) & (rows < kh) & _inside(window, 0, rows)
        good &= _inside(window, 1, columns.swapaxes(0, 1)).swapaxes(0, 1)
        bad = image[~good & (image != none)]
        if bad.size:
            raise ValueError(
                f"{where}: argmax must hold positions of a window of {(kh, kw)} that lie inside the input, "
                f"or {none}, got {bad[0]}"
            )
    return array
