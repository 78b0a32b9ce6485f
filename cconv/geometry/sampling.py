"""Where the pixels of a resized image lie between those of the input, along one axis."""

from typing import NamedTuple

import numpy as np

INTERPOLATIONS = ("bilinear", "nearest")
LONGEST = 2**24  # most pixels of a resized image along an axis: tables have an entry for each


def check_sides(where: str, *outputs: int) -> None:
    """Raise a ValueError if an image of this size has too many pixels along an axis."""
    if max(outputs) > LONGEST:
        raise ValueError(
            f"{where}: the output must have at most {LONGEST} pixels along an axis, got {max(outputs)}"
        )


class Axis(NamedTuple):
    """Table of one axis: output i is ``x[at] * (1 - share) + x[at + 1] * share``; share 0: only x[at].

    Attributes
    ----------
    size : int
        Pixels of the input.
    at : ndarray (outputs,) of int64
        The first pixel that an output uses; ascending.
    share : ndarray (outputs,) of float64
        The weight of the next pixel, in [0, 1).
    reach : ndarray (size, 2) of int64
        For each pixel of the input, the first output that uses it, and one past the last.
    """

    size: int
    at: np.ndarray
    share: np.ndarray
    reach: np.ndarray


def resized_axis(size: int, outputs: int, interpolation: str, part: tuple[int, int] | None = None) -> Axis:
    """Return where `outputs` pixels lie that cover the input, or a part of it, evenly.

    The centre of output i is at ``(i + 1/2) * extent / outputs`` (half-pixel centres, as Keras and PyTorch
    without ``align_corners``), and that of an input pixel p at ``p + 1/2``. "bilinear" interpolates between
    the two pixel centres around it; outside of all centres it takes the pixel at the edge. "nearest" takes
    the pixel that contains the centre. All is computed in integers, so that no rounding chooses a pixel.

    Parameters
    ----------
    size : int
        Pixels of the input.
    outputs : int
        Pixels of the result.
    interpolation : "bilinear" or "nearest"
    part : (first, extent), optional
        The part of the input that is resized: `extent` pixels from `first` on; by default all.

    Examples
    --------
    >>> axis = resized_axis(2, 4, "bilinear")
    >>> axis.at, axis.share
    (array([0, 0, 0, 1]), array([0.  , 0.25, 0.75, 0.  ]))
    >>> axis.reach
    array([[0, 3],
           [1, 4]])
    """
    first, extent = (0, size) if part is None else part
    centres = (2 * np.arange(outputs, dtype=np.int64) + 1) * extent
    if interpolation == "nearest":
        at, rest = centres // (2 * outputs), np.zeros(outputs, np.int64)
    else:
        at, rest = np.divmod(np.maximum(centres - outputs, 0), 2 * outputs)
        rest[at >= extent - 1] = 0
        at = np.minimum(at, extent - 1)
    return _axis_of(size, at + first, rest / (2 * outputs))


def _axis_of(size: int, at: np.ndarray, share: np.ndarray) -> Axis:
    """Return the table with these columns, and the `reach` that follows from them."""
    pixels = np.arange(size, dtype=np.int64)
    last = at + (share > 0)  # the last pixel that an output uses: ascending, as `at` is
    reach = np.stack([np.searchsorted(last, pixels), np.searchsorted(at, pixels, "right")], axis=1)
    axis = Axis(size, at, share, np.ascontiguousarray(reach.astype(np.int64)))
    for table in (axis.at, axis.share, axis.reach):
        table.setflags(write=False)
    return axis


# How other frameworks map output pixels to the input, and round to a pixel: the names are those of ONNX.
COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def sampled_axis(
    size: int, outputs: int, interpolation: str, coordinates: str, rounding: str, scale: float | None = None
) -> Axis:
    """Return where `outputs` pixels lie by the rules of ONNX' operator Resize.

    Parameters
    ----------
    size, outputs : int
        Pixels of the input and of the result.
    interpolation : "bilinear" or "nearest"
    coordinates : str
        One of `COORDINATES`.
    rounding : str
        One of `ROUNDINGS`, for "nearest".
    scale : float, optional
        Outputs for each pixel, if it is not ``outputs / size``.

    Examples
    --------
    >>> sampled_axis(2, 4, "nearest", "asymmetric", "floor").at
    array([0, 0, 1, 1])
    >>> sampled_axis(3, 5, "bilinear", "align_corners", "floor").share
    array([0. , 0.5, 0. , 0.5, 0. ])
    """
    ratio = outputs / size if scale is None else scale
    places = np.arange(outputs, dtype=np.float64)
    if coordinates == "align_corners":
        places = places * (size - 1) / max(outputs - 1, 1)
    elif coordinates == "asymmetric":
        places = places / ratio
    elif coordinates == "pytorch_half_pixel" and outputs == 1:
        places = np.zeros(1)
    else:
        places = (places + 0.5) / ratio - 0.5
        if coordinates == "half_pixel_symmetric":
            adjusted = outputs / (size * ratio)
            places = places + size / 2 * (1 - adjusted)
    if interpolation == "nearest":
        # Each rounding mode is a floor or a ceil, shifted by half a pixel or not.
        half = {"round_prefer_ceil": 0.5, "round_prefer_floor": -0.5}.get(rounding, 0.0)
        down = rounding in ("floor", "round_prefer_ceil")
        nearest = np.floor(places + half) if down else np.ceil(places + half)
        return _axis_of(size, np.clip(nearest, 0, size - 1).astype(np.int64), np.zeros(outputs))
    places = np.clip(places, 0, size - 1)
    at = np.minimum(np.floor(places), max(size - 2, 0)).astype(np.int64)
    share = places - at
    full = share >= 1
    return _axis_of(size, at + full, np.where(full, 0.0, share))
