"""A small picture of a circle, with lines in every direction, to try kernels on."""

import numpy as np

from cconv.arguments.control import controlled
from cconv.arguments.numbers import positive_int


@controlled
def load_data(size: int = 10) -> np.ndarray:
    """Draw a circle of one pixel's thickness, one pixel away from the border.

    A pixel is on the line if the distance of its centre from the picture's centre differs from
    the radius, ``size/2 - 1``, by at most half a pixel.

    Parameters
    ----------
    size : int
        Height and width in pixels.

    Returns
    -------
    array
        float32 (size, size): 1 on the line, 0 elsewhere.

    Raises
    ------
    TypeError, ValueError
        For a size that is not a positive int.

    Examples
    --------
    >>> from cconv.datasets import circle
    >>> for row in circle.load_data():
    ...     print("".join("-#"[int(pixel)] for pixel in row))
    ----------
    --######--
    -##----##-
    -#------#-
    -#------#-
    -#------#-
    -#------#-
    -##----##-
    --######--
    ----------
    """
    size = positive_int("datasets.circle", "size", size)
    offset = np.arange(size) - (size - 1) / 2
    distance = np.hypot(offset[:, None], offset[None, :])
    return (np.abs(distance - (size / 2 - 1)) <= 0.5).astype(np.float32)
