"""What convolution and pooling share: padding, and the pixels under a tap."""

from collections.abc import Iterator

import numpy as np

from cconv.geometry.shapes import Window


def taps(window: Window) -> Iterator[tuple[int, int]]:
    """Yield every position (u, v) inside the window, row by row."""
    kh, kw = window.kernel_size
    return ((u, v) for u in range(kh) for v in range(kw))


def pad(x: np.ndarray, window: Window, value: float = 0) -> np.ndarray:
    """Return x (n, h, w, c), padded with `value` so that every window lies inside.

    With ceil_mode the last window may reach beyond the padding that was asked for.
    """
    widths = [(0, 0)]
    for axis in (0, 1):
        before, after = window.pads[axis]
        extent = window.dilation[axis] * (window.kernel_size[axis] - 1) + 1
        end = (window.output_size[axis] - 1) * window.strides[axis] + extent
        widths.append((before, max(after, end - before - window.input_size[axis])))
    return np.pad(x, [*widths, (0, 0)], constant_values=value)


def unpad(padded: np.ndarray, window: Window) -> np.ndarray:
    """Return the part of a padded array that was the input."""
    (top, _), (left, _) = window.pads
    height, width = window.input_size
    return np.ascontiguousarray(padded[:, top : top + height, left : left + width])


def under(padded: np.ndarray, window: Window, u: int, v: int) -> np.ndarray:
    """Return a view (n, oh, ow, c): for each output pixel, the padded pixel under tap (u, v)."""
    sh, sw = window.strides
    dh, dw = window.dilation
    oh, ow = window.output_size
    return padded[
        :,
        u * dh : u * dh + (oh - 1) * sh + 1 : sh,
        v * dw : v * dw + (ow - 1) * sw + 1 : sw,
    ]
