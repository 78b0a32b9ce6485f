"""channels_first and channels_last: the only place that converts one into the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np


def to_channels_last(x: np.ndarray, data_format: str) -> np.ndarray:
    """Return x as (n, h, w, c), a view."""
    return x.transpose(0, 2, 3, 1) if data_format == "channels_first" else x


def from_channels_last(x: np.ndarray, data_format: str) -> np.ndarray:
    """Return x (n, h, w, c) in the layout of data_format, C-contiguous; a reshape if c is 1."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if data_format == "channels_first" else x


def shape_to_channels_last(shape: Sequence[int], data_format: str) -> tuple[int, int, int, int]:
    """Return a shape in the layout of data_format as (n, h, w, c)."""
    if data_format == "channels_first":
        n, channels, height, width = shape
    else:
        n, height, width, channels = shape
    return n, height, width, channels


MOST_COLOURS = 4  # images have 1 to 4 channels: grey or red-green-blue, each with alpha or without


def channels_hint(shape: Sequence[int], data_format: str, input_shape: Sequence[int] | None = None) -> str:
    """Return what an error message adds for a sample without a batch, or images in the other layout, or "".

    Parameters
    ----------
    shape : tuple of int
        Shape of the images as given, batch included.
    data_format : str
        The layout in which they were read.
    input_shape : tuple of int, optional
        Expected shape of one sample; if it is not given, few channels beside long sides are looked for.

    Examples
    --------
    >>> channels_hint((8, 3, 32, 32), "channels_last")
    "; x looks like (n, channels, height, width): that is data_format='channels_first'"
    >>> channels_hint((8, 32, 32, 3), "channels_last")
    ''
    >>> channels_hint((28, 28, 1), "channels_last", (28, 28, 1))
    '; x looks like one sample: x[np.newaxis] is a batch of it'
    """
    if input_shape is not None and tuple(shape) in (tuple(input_shape), _without_one(input_shape)):
        return "; x looks like one sample: x[np.newaxis] is a batch of it"
    if len(shape) != 4:
        return ""
    rows = tuple(shape[1:])
    first = data_format == "channels_last"  # the other layout begins with the channels
    channels, sides = (rows[0], rows[1:]) if first else (rows[2], rows[:2])
    if input_shape is None:
        looks = channels <= MOST_COLOURS < min(sides)
    else:
        looks = tuple(input_shape) == ((*sides, channels) if first else (channels, *sides))
    if not looks:
        return ""
    axes, other = (
        ("channels, height, width", "channels_first")
        if first
        else ("height, width, channels", "channels_last")
    )
    return f"; x looks like (n, {axes}): that is data_format={other!r}"


def _without_one(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a sample's shape without a last axis of 1, as the pixels of a grey image have it."""
    return tuple(shape[:-1]) if len(shape) > 1 and shape[-1] == 1 else tuple(shape)


@contextmanager
def naming_channels_first(shape: Sequence[int], data_format: str) -> Iterator[None]:
    """Add `channels_hint` to a ValueError of the ``with`` block, which builds something for images."""
    try:
        yield
    except ValueError as error:
        hint = channels_hint(shape, data_format)
        if not hint:
            raise
        raise ValueError(f"{error}{hint}") from error
