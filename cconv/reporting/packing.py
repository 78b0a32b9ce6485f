"""The encoding of arrays in the page: pictures as PNG, numbers as bytes, in one block of JSON."""

import base64
import json
import math
import zlib
from typing import Any

import numpy as np

from cconv.files import png

DIGITS = 4  # significant digits of numbers that are written as text
ZERO, REACH = 128, 127  # of signed maps: the byte for zero, and the number of bytes on each side


def rounded(values: Any, digits: int = DIGITS) -> Any:
    """Return numbers, as nested lists like the array, rounded to `digits` digits; None if not finite.

    Examples
    --------
    >>> rounded([1 / 3, math.nan])
    [0.3333, None]
    """
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, list | tuple):
        return [rounded(value, digits) for value in values]
    return float(f"{values:.{digits}g}") if math.isfinite(values) else None


def picture(pixels: np.ndarray) -> str:
    """Return a picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(png.encode(pixels)).decode()


def numbers(values: np.ndarray) -> dict[str, Any]:
    """Return an array as float32, exactly: first bytes of all numbers, then second bytes, …, deflated.

    Examples
    --------
    >>> numbers(np.ones((2, 1)))["shape"]
    [2, 1]
    """
    with np.errstate(over="ignore"):
        planes = np.ascontiguousarray(values, "<f4").reshape(-1, 1).view(np.uint8).T
    return {
        "shape": list(values.shape),
        "data": base64.b64encode(zlib.compress(planes.tobytes())).decode(),
    }


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    """Return the float32 array of `numbers`; the page does the same.

    Examples
    --------
    >>> unpacked(numbers(np.array([0.5, 2]))).tolist()
    [0.5, 2.0]
    """
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), np.uint8).reshape(4, -1)
    return np.ascontiguousarray(planes.T).view("<f4").reshape(packed["shape"])


def smaller(images: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """Return images (h, w, c) reduced to at most `most` pixels in each direction, and the reduction factor.

    Each pixel is the mean of a square block of pixels.
    """
    step = math.ceil(max(images.shape[:2]) / most)
    if step == 1:
        return images, 1
    # The last blocks are filled up with copies of the edge's pixels.
    rows, columns = (np.minimum(np.arange(-(-n // step) * step), n - 1) for n in images.shape[:2])
    blocks = images[rows][:, columns].reshape(len(rows) // step, step, len(columns) // step, step, -1)
    return blocks.mean(axis=(1, 3)), step


def sprite(images: np.ndarray, most: int, side: int) -> dict[str, Any]:
    """Return the first channels of images (h, w, c) side by side, as a grey picture of bytes.

    Byte 0 means not finite. If there are negative values, bytes 1 to 255 (``ZERO`` ± 127) stand for -`reach`
    to `reach`, else for 0 to `reach`.
    """
    shown, step = smaller(images[:, :, :most].astype(np.float64), side)
    height, width, count = shown.shape
    finite = np.isfinite(shown)
    values = np.where(finite, shown, 0.0)
    low, high = float(values.min()), float(values.max())
    signed, reach = low < 0, max(-low, high) or 1.0
    levels = np.rint(ZERO + REACH * (values / reach)) if signed else np.rint(1 + 254 * (values / reach))
    columns = math.ceil(math.sqrt(count * height / width))
    tiles = np.zeros((-(-count // columns), columns, height, width), np.uint8)
    tiles.reshape(-1, height, width)[:count] = np.moveaxis(np.where(finite, levels, 0), 2, 0)
    return {
        "png": picture(tiles.swapaxes(1, 2).reshape(-1, columns * width)),
        "size": [height, width],
        "count": count,
        "of": images.shape[2],
        "columns": columns,
        "step": step,
        "best": int(np.abs(values).max(axis=(0, 1)).argmax()),
        "signed": signed,
        "reach": rounded(reach),
        "range": rounded([low, high]),
    }


def block(data: Any) -> str:
    r"""Return data as JSON that is safe inside a script element, whatever strings are in it.

    Examples
    --------
    >>> block("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
