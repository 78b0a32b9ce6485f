"""Geometry, as every windowed operation needs it."""

from typing import Any

import numpy as np

from cconv import checks
from cconv.layout import shape_to_channels_last
from cconv.shapes import Window, resolve_window


def input_shape_of(where: str, shape: Any, data_format: str) -> tuple[int, int, int, int]:
    """Return the input_shape argument of a backward pass as (n, h, w, c)."""
    return shape_to_channels_last(checks.as_shape(where, "input_shape", shape), data_format)


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
    """Resolve the geometry of an operation on x (n, h, w, c) and see that offsets into it fit."""
    n, height, width, channels = shape
    ceil_mode = checks.flag(where, "ceil_mode", ceil_mode)
    window = resolve_window(
        where, (height, width), kernel_size, strides, padding, dilation, ceil_mode, kernel_name
    )
    padded = [size + sum(pads) for size, pads in zip(window.input_size, window.pads, strict=True)]
    checks.addressable(where, "the padded input", (n, *padded, channels), dtype)
    return window
