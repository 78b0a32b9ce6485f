"""The same inputs for every peer: drawn from a fixed seed in NumPy, in the layout the peer wants."""

import numpy as np


def batch_of(task, shape, classes, dtype, layout="nhwc", pixels=False):
    """Return images (n, h, w, c), or (n, c, h, w), and class numbers int64, (n,) or (n, h, w)."""
    rng = np.random.default_rng(0)
    x = rng.random((task["batch"], *shape), np.float32).astype(dtype)
    y = rng.integers(0, classes, (task["batch"], *(shape[:2] if pixels else ())))
    return (np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if layout == "nchw" else x), y


def aligned(array, dtype):
    """Return a copy that begins on a cache line, as every framework lays out its own.

    As `cconv.arguments.aligned_empty` does, which the processes of other frameworks should not load.
    """
    copy = np.empty(array.size * np.dtype(dtype).itemsize + 64, np.uint8)
    copy = copy[-copy.ctypes.data % 64 :][: copy.size - 64].view(dtype).reshape(array.shape)
    copy[...] = array
    return copy


def conv_arrays(task, dtype):
    """Return x (n, h, w, c), kernel (size, size, c // groups, f) and dy (n, oh, ow, f) of a convolution.

    They hold float32 values whatever the dtype, so that results of two dtypes compare.
    """
    rng = np.random.default_rng(0)
    n, h, w, c, filters, size, groups = (
        task[name] for name in ("n", "h", "w", "c", "filters", "size", "groups")
    )
    oh, ow = (h, w) if task["padding"] == "same" else (h - size + 1, w - size + 1)
    scale = 1 / np.sqrt(size * size * c / groups)
    shapes = (n, h, w, c), (size, size, c // groups, filters), (n, oh, ow, filters)
    x, kernel, dy = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return aligned(x, dtype), aligned(kernel * np.float32(scale), dtype), aligned(dy, dtype)
