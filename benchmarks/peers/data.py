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


def geometry_of(task):
    """Return of both axes: size of the kernel, stride, dilation, (zeros before, behind), outputs."""
    sizes = task["size"] if isinstance(task["size"], (list, tuple)) else [task["size"]] * 2
    pads = task["padding"] if isinstance(task["padding"], (list, tuple)) else [task["padding"]] * 2
    stride, dilation = task.get("stride", 1), task.get("dilation", 1)
    axes = []
    for whole, size, pad in zip((task["h"], task["w"]), sizes, pads, strict=True):
        around = {"valid": (0, 0), "same": ((size - 1) // 2, size // 2)}.get(pad) or (pad, pad)
        outputs = (whole + sum(around) - dilation * (size - 1) - 1) // stride + 1
        axes.append([size, stride, dilation, around, outputs])
    return axes


def conv_arrays(task, dtype):
    """Return x (n, h, w, c), kernel (kh, kw, c // groups, f) and dy (n, oh, ow, f) of a convolution.

    They hold float32 values whatever the dtype, so that results of two dtypes compare.
    """
    rng = np.random.default_rng(0)
    n, h, w, c, filters, groups = (task[name] for name in ("n", "h", "w", "c", "filters", "groups"))
    (kh, *_, oh), (kw, *_, ow) = geometry_of(task)
    scale = 1 / np.sqrt(kh * kw * c / groups)
    shapes = (n, h, w, c), (kh, kw, c // groups, filters), (n, oh, ow, filters)
    x, kernel, dy = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return aligned(x, dtype), aligned(kernel * np.float32(scale), dtype), aligned(dy, dtype)
