"""channels_first and channels_last: the one place that turns one into the other."""

from collections.abc import Sequence

import numpy as np


def to_channels_last(x: np.ndarray, data_format: str) -> np.ndarray:
    """Return x as (n, h, w, c), a view."""
    return x.transpose(0, 2, 3, 1) if data_format == "channels_first" else x


def from_channels_last(x: np.ndarray, data_format: str) -> np.ndarray:
    """Return x (n, h, w, c) in the layout of data_format, C-contiguous; with one channel it is a reshape."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if data_format == "channels_first" else x


def shape_to_channels_last(shape: Sequence[int], data_format: str) -> tuple[int, int, int, int]:
    """Return a shape in the layout of data_format as (n, h, w, c)."""
    if data_format == "channels_first":
        n, channels, height, width = shape
    else:
        n, height, width, channels = shape
    return n, height, width, channels
