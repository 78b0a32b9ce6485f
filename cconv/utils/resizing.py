"""Resizing of pictures: `tf.image.resize` without antialiasing, in NumPy.

Each output pixel is a weighted sum of a few input pixels, first along rows, then along columns. The weights
are those of a kernel around the output pixel's centre; pixel i of n is at (i + 1/2) / n. Weights outside of
the picture are left out, and the others are divided by their sum. Keys 1981, "Cubic convolution interpolation
for digital image processing"; Mitchell and Netravali 1988, "Reconstruction filters in computer graphics".
"""

from collections.abc import Callable

import numpy as np


def _cubic(x: np.ndarray) -> np.ndarray:
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _mitchell(x: np.ndarray) -> np.ndarray:
    near = (7 / 6 * x - 2) * x * x + 8 / 9
    far = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(radius: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0.0)


# Radius of each kernel, and its value at a distance from the centre.
KERNELS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    "bicubic": (2, _cubic),
    "mitchellcubic": (2, _mitchell),
    "lanczos3": (3, _lanczos(3)),
    "lanczos5": (5, _lanczos(5)),
    "gaussian": (1.5, lambda x: np.where(x < 1.5, np.exp(-2 * x * x), 0.0)),
}
INTERPOLATIONS = (*KERNELS, "nearest", "area")


def taps(n: int, size: int, interpolation: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers and weights of the input pixels (of `n`) for each of `size` output pixels.

    Returns
    -------
    numbers, weights : ndarray of shape (size, taps)

    Examples
    --------
    >>> numbers, weights = taps(4, 2, "bilinear")
    >>> (numbers * weights).sum(axis=1).tolist()
    [0.5, 2.5]
    """
    step = n / size
    middle = (np.arange(size) + 0.5) * step
    if interpolation == "nearest":
        return np.minimum(np.floor(middle).astype(np.intp), n - 1)[:, np.newaxis], np.ones((size, 1))
    if interpolation == "area":
        begin = (middle - step / 2)[:, np.newaxis]
        numbers = np.floor(begin).astype(np.intp) + np.arange(int(np.ceil(step)) + 1)
        weights = np.minimum(numbers + 1, begin + step) - np.maximum(numbers, begin)
    else:
        radius, kernel = KERNELS[interpolation]
        first = np.ceil(middle - radius - 0.5).astype(np.intp)[:, np.newaxis]
        numbers = first + np.arange(int(2 * radius) + 1)
        weights = kernel(np.abs(numbers + 0.5 - middle[:, np.newaxis]))
    weights = np.where(
        (numbers >= 0) & (numbers < n), np.maximum(weights, 0) if interpolation == "area" else weights, 0
    )
    return np.clip(numbers, 0, n - 1), weights / weights.sum(axis=1, keepdims=True)


def resize(image: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Return a picture resized to `size`.

    Parameters
    ----------
    image : ndarray of shape (h, w, c), float32
    size : (height, width)
    interpolation : str
        One of `INTERPOLATIONS`.

    Returns
    -------
    ndarray of shape (height, width, c), float32

    Examples
    --------
    >>> resize(np.arange(4, dtype=np.float32).reshape(1, 4, 1), (1, 2), "bilinear").ravel().tolist()
    [0.5, 2.5]
    """
    for axis in (1, 0):
        if image.shape[axis] != size[axis]:
            image = _along(image, axis, *taps(image.shape[axis], size[axis], interpolation))
    return image


def _along(image: np.ndarray, axis: int, numbers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return weighted sums along an axis: of the pixels with these numbers, with these weights."""
    shape = (-1, 1) if axis == 1 else (-1, 1, 1)
    total = np.zeros((), np.float32)
    for number, weight in zip(numbers.T, weights.T.astype(np.float32), strict=True):
        total = total + image.take(number, axis=axis) * weight.reshape(shape)
    return total


def cropped(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the largest centred part of a picture with the aspect ratio of `size`, as in Keras."""
    height, width = image.shape[:2]
    high = max(min(height, int(width * size[0] / size[1])), 1)
    wide = max(min(width, int(height * size[1] / size[0])), 1)
    top, left = int((height - high) / 2), int((width - wide) / 2)
    return image[top : top + high, left : left + wide]


def padded(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a picture padded with zeros on two sides to the aspect ratio of `size`."""
    height, width = image.shape[:2]
    high, wide = max(height, int(width * size[0] / size[1])), max(width, int(height * size[1] / size[0]))
    top, left = int((high - height) / 2), int((wide - width) / 2)
    out = np.zeros((high, wide, image.shape[2]), image.dtype)
    out[top : top + height, left : left + width] = image
    return out
