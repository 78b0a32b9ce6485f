"""Shapes of inputs that are merged element by element: how they are broadcast."""

from collections.abc import Sequence

import numpy as np

Shape = tuple[int, ...]
IMAGE = 3  # axes of an image, without the batch


def lined_up(shapes: Sequence[Shape], data_format: str) -> tuple[Shape, ...]:
    """Return the shapes of samples, all with the same rank: axes of length 1 are put in front, as in Keras.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Without the batch; images as (h, w, c).
    data_format : {"channels_last", "channels_first"}
        The format in which axes are put in front. Beside channels_first images, (a,) becomes (1, 1, a) in
        that format, which is (1, a, 1) as it is computed.

    Examples
    --------
    >>> lined_up([(8, 9, 3), (3,)], "channels_last"), lined_up([(8, 9, 3), (9,)], "channels_first")
    (((8, 9, 3), (1, 1, 3)), ((8, 9, 3), (1, 9, 1)))
    """
    rank = max(map(len, shapes))
    if data_format == "channels_last":
        return tuple(_longer(shape, rank) for shape in shapes)
    if rank == IMAGE:
        return tuple(
            shape if len(shape) == IMAGE else (*_longer(shape, IMAGE)[1:], 1)  # (1, a, b) as (a, b, 1)
            for shape in shapes
        )
    return tuple(_longer((shape[2], *shape[:2]) if len(shape) == IMAGE else shape, rank) for shape in shapes)


def _longer(shape: Shape, rank: int) -> Shape:
    return (*(1,) * (rank - len(shape)), *shape)


def spread_axes(shape: Shape, over: Shape) -> tuple[int, ...]:
    """Return the axes along which `shape` is repeated to become `over`; both have the same rank.

    Examples
    --------
    >>> spread_axes((2, 1, 1, 3), (2, 5, 1, 3))
    (1,)
    """
    return tuple(axis for axis, (own, whole) in enumerate(zip(shape, over, strict=True)) if own != whole)


def running_shapes(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Return the shape of the first input, of the first two broadcast together, …, of all of them.

    ValueError if two shapes do not fit.

    Examples
    --------
    >>> running_shapes([(1, 3), (5, 1), (5, 3)])
    ((1, 3), (5, 3), (5, 3))
    """
    running = [shapes[0]]
    for shape in shapes[1:]:
        running.append(np.broadcast_shapes(running[-1], shape))
    return tuple(running)
