"""Argument checks that the functional interface, the layers and the models share.

Each function returns its argument in the form that the kernels want, or raises an error that names
the argument, what was expected and what was received. `where`, first everywhere, is the public name
that begins the message. Inputs are never modified: what the kernels cannot use as it is, is copied.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arrays import as_array
from cconv.shapes import LARGEST, Window, is_int, positive_int

ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax", "log_softmax")
DATA_FORMATS = ("channels_last", "channels_first")

# How far from 1 the probabilities of a sample may sum: float16 labels of many classes must pass.
PROBABILITY_SLACK = 1e-3

LARGEST_EXACT = 2.0**53  # above it float64 leaves whole numbers out


def _rank(where: str, name: str, array: np.ndarray, ndim: int | None) -> np.ndarray:
    if array.ndim != ndim if ndim is not None else array.ndim < 1:
        expected = "at least 1 axis" if ndim is None else f"{ndim} axes"
        raise ValueError(f"{where}: {name} must have {expected}, got shape {array.shape}")
    return array


def any_array(where: str, name: str, value: Any, ndim: int) -> np.ndarray:
    """Return value as an array of that rank, of any dtype."""
    return _rank(where, name, as_array(where, name, value), ndim)


def real_array(
    where: str, name: str, value: Any, ndim: int | None = 4, *, may_be_empty: bool = False
) -> np.ndarray:
    """Return value as an array of real numbers in whatever layout it has.

    Parameters
    ----------
    value : array-like of float32, float64, float16, integers or bool
    ndim : int or None
        The rank it must have; None means at least 1.
    may_be_empty : bool
        Whether the first axis, which counts samples, may have the length 0.

    Raises
    ------
    TypeError
        For any other dtype: complex, extended precision, objects, strings, dates.
    ValueError
        For another rank or an empty axis.
    """
    array = as_array(where, name, value)
    kind, itemsize = array.dtype.kind, array.dtype.itemsize
    if not (kind in "biu" or (kind == "f" and itemsize <= 8)):
        raise TypeError(
            f"{where}: {name} must hold real numbers (float32 or float64; float16, ints and bools are "
            f"converted), got dtype {array.dtype}"
        )
    _rank(where, name, array, ndim)
    if 0 in (array.shape[1:] if may_be_empty else array.shape):
        but = " but the first" if may_be_empty else ""
        raise ValueError(f"{where}: {name} must have no empty axis{but}, got shape {array.shape}")
    return array


def common_dtype(*arrays: np.ndarray | None) -> np.dtype:
    """Return the dtype to compute in: float64 if any of the arrays is float64, else float32."""
    wide = any(
        array is not None and array.dtype.kind == "f" and array.dtype.itemsize == 8 for array in arrays
    )
    return np.dtype(np.float64 if wide else np.float32)


def ready(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return array as kernels want it: that dtype in native order, C-contiguous, aligned.

    The array itself, and not another view of it, where it is that already.
    """
    if array.dtype == dtype and array.dtype.isnative and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.require(array, dtype.newbyteorder("="), ["C", "A"])


def as_activations(
    where: str, name: str, x: Any, ndim: int | None = 4, *, may_be_empty: bool = False
) -> np.ndarray:
    """Return x as a float32 or float64 array that kernels accept.

    float32 and float64 stay what they are; float16, integers and bools become float32. Any memory
    layout and byte order is accepted; the array itself is returned where nothing is to be changed.

    Parameters
    ----------
    x : array-like
    ndim, may_be_empty
        As for `real_array`.

    Returns
    -------
    ndarray
        C-contiguous, aligned, in native byte order.

    Raises
    ------
    TypeError
        For a dtype that is none of these.
    ValueError
        For another rank or an empty axis.

    Examples
    --------
    >>> as_activations("f", "x", [[1, 2]], ndim=2)
    array([[1., 2.]], dtype=float32)
    """
    array = real_array(where, name, x, ndim, may_be_empty=may_be_empty)
    return ready(array, common_dtype(array))


def as_shape(where: str, name: str, shape: Any, length: int = 4) -> tuple[int, ...]:
    """Return shape as a tuple of so many positive ints, of which the first, the samples, may be 0."""
    if isinstance(shape, str) or not isinstance(shape, Sequence | np.ndarray) or len(shape) != length:
        kind = ValueError if isinstance(shape, tuple | list | np.ndarray) else TypeError
        raise kind(f"{where}: {name} must be a tuple of {length} positive ints, got {shape!r}")
    samples = [0] if is_int(shape[0]) and shape[0] == 0 else [positive_int(where, f"{name}[0]", shape[0])]
    rest = (positive_int(where, f"{name}[{axis}]", extent) for axis, extent in enumerate(shape[1:], 1))
    return (*samples, *rest)


def same_shape(where: str, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse an array whose shape is not the one that the other arguments ask for."""
    if array.shape != shape:
        raise ValueError(f"{where}: {name} must have shape {shape}, got {array.shape}")


def addressable(where: str, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse sizes whose byte offsets would overflow an index."""
    nbytes = dtype.itemsize
    for extent in shape:
        nbytes *= extent
    if nbytes > LARGEST:
        raise MemoryError(f"{where}: {name} must be addressable, got {shape} elements of {dtype}")


def flag(where: str, name: str, value: Any) -> bool:
    """Return value as a bool; anything but True and False is refused."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{where}: {name} must be True or False, got {value!r}")
    return bool(value)


def _one_of(where: str, name: str, value: Any, known: tuple[str, ...], also: str = "") -> str:
    expected = f"{where}: {name} must be {also}one of {', '.join(map(repr, known))}, got {value!r}"
    if not isinstance(value, str):
        raise TypeError(expected)
    if value not in known:
        raise ValueError(expected)
    return value


def data_format(where: str, value: Any) -> str:
    """Return the name of a layout of activations."""
    return _one_of(where, "data_format", value, DATA_FORMATS)


def activation(where: str, value: Any) -> str | None:
    """Return the name of an activation, or None for the linear one."""
    if value is None:
        return None
    name = _one_of(where, "activation", value, ACTIVATIONS, also="None or ")
    return None if name == "linear" else name


def channel_groups(where: str, groups: Any, channels: int, kernel_shape: tuple[int, ...]) -> int:
    """Return the number of groups that kernel (kh, kw, channels // groups, filters) is for."""
    groups = positive_int(where, "groups", groups)
    expected, filters = kernel_shape[2] * groups, kernel_shape[3]
    if channels != expected:
        raise ValueError(
            f"{where}: x must have kernel.shape[2] * groups = {kernel_shape[2]} * {groups} = {expected} "
            f"channels, got {channels}"
        )
    if filters % groups:
        raise ValueError(f"{where}: groups must divide the {filters} filters of the kernel, got {groups}")
    return groups


def argmax_cache(window: Window) -> tuple[np.dtype, int]:
    """Return dtype and "none" of a max pooling's argmax: a byte where the positions leave one over."""
    kh, kw = window.kernel_size
    return (np.dtype(np.uint8), 255) if kh * kw <= 255 else (np.dtype(np.int32), -1)


def max_window(where: str, window: Window) -> Window:
    """Refuse a max pooling with more positions than its argmax can count."""
    kh, kw = window.kernel_size
    if kh * kw > np.iinfo(np.int32).max:
        raise ValueError(f"{where}: pool_size must have fewer than 2**31 positions, got {(kh, kw)}")
    return window


def _inside(window: Window, axis: int, taps: np.ndarray) -> np.ndarray:
    """Whether taps (rows or columns of the window, by output pixel along axis 0) are pixels of the input."""
    first = np.arange(window.output_size[axis], dtype=np.int64) * window.strides[axis] - window.pads[axis][0]
    at = first.reshape(-1, *[1] * (taps.ndim - 1)) + taps * np.int64(window.dilation[axis])
    return (at >= 0) & (at < window.input_size[axis])


def as_argmax(where: str, argmax: Any, shape: tuple[int, ...], window: Window) -> np.ndarray:
    """Return the argmax (n, oh, ow, c) of a max pooling for its backward pass.

    Every entry must be "none" or a position of the window that lies inside the input, since the
    backward kernel writes where they point.
    """
    array = any_array(where, "argmax", argmax, 4)
    dtype, none = argmax_cache(window)
    if array.dtype != dtype:
        raise TypeError(f"{where}: argmax must be {dtype}, as max_pool2d returns it, got {array.dtype}")
    same_shape(where, "argmax", array, shape)
    array = ready(array, dtype)
    kh, kw = window.kernel_size
    for image in array:
        rows, columns = np.divmod(image.astype(np.int64), kw)
        good = (image >= 0) & (rows < kh) & _inside(window, 0, rows)
        good &= _inside(window, 1, columns.swapaxes(0, 1)).swapaxes(0, 1)
        bad = image[~good & (image != none)]
        if bad.size:
            raise ValueError(
                f"{where}: argmax must hold positions of a window of {(kh, kw)} that lie inside the input, "
                f"or {none}, got {bad[0]}"
            )
    return array


def _place(bad: np.ndarray, n: int, first: int) -> tuple[int, str]:
    """Return where the first bad entry is, and the words for it: the leading axes of n rows count samples."""
    index = int(np.argmax(bad.reshape(-1)))
    return index, f"for sample {index + first * (bad.size // max(n, 1))}"


def whole_numbers(where: str, name: str, labels: np.ndarray, first: int = 0) -> np.ndarray:
    """Return class numbers that may be written as bools or floats as ints.

    TypeError where one has a fraction, ValueError where one is not finite or huge. `first` is the number
    of the first sample.
    """
    if labels.dtype.kind == "b":
        return labels.astype(np.int64)
    if labels.dtype.kind != "f":
        return labels
    known = np.isfinite(labels) & (np.abs(labels) < LARGEST_EXACT)
    whole = labels == np.floor(labels)
    if not known.all():
        at, sample = _place(~known, len(labels), first)
        raise ValueError(f"{where}: {name} must be class numbers, got {labels.reshape(-1)[at]} {sample}")
    if not whole.all():
        at, sample = _place(~whole, len(labels), first)
        wrong = labels.reshape(-1)[at]
        raise TypeError(f"{where}: {name} must be ints when they are class numbers, got {wrong} {sample}")
    return labels.astype(np.int64)


def _class_numbers(where: str, name: str, labels: np.ndarray, classes: int, first: int) -> np.ndarray:
    if labels.dtype.kind not in "iu" and labels.size:
        raise TypeError(f"{where}: {name} must be ints when they are class numbers, got dtype {labels.dtype}")
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        at, sample = _place(bad, len(labels), first)
        wrong = labels.reshape(-1)[at]
        raise ValueError(
            f"{where}: {name} must be class numbers from 0 to {classes - 1}, got {wrong} {sample}"
        )
    return ready(labels, np.dtype(np.int64)).reshape(-1)


def as_labels(where: str, name: str, labels: Any, logits: np.ndarray, first: int = 0) -> np.ndarray:
    """Return the true classes of the samples whose scores are logits (…, classes).

    Parameters
    ----------
    labels : array-like
        Class numbers (…), or one-hot rows or probabilities (…, classes).
    first : int
        Number of the first sample, for error messages.

    Returns
    -------
    ndarray
        int64 (samples,), or probabilities (samples, classes) in the dtype of logits.

    Raises
    ------
    TypeError
        For class numbers that are not ints.
    ValueError
        For another shape, class numbers out of range, probabilities that are negative or do not sum to 1.
    """
    classes = logits.shape[-1]
    array = as_array(where, name, labels)
    if array.shape == logits.shape[:-1]:
        return _class_numbers(where, name, array, classes, first)
    if array.shape != logits.shape:
        raise ValueError(
            f"{where}: {name} must be class numbers of shape {logits.shape[:-1]} or probabilities of shape "
            f"{logits.shape}, got shape {array.shape}"
        )
    rows = real_array(where, name, array, None, may_be_empty=True)
    rows = ready(rows, logits.dtype).reshape(-1, classes)
    good = (rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1) <= PROBABILITY_SLACK)
    if not good.all():
        at, sample = _place(~good, len(array), first)
        raise ValueError(
            f"{where}: {name} must be probabilities, at least 0 and with the sum 1 for each sample, "
            f"got {rows[at]} {sample}"
        )
    return rows


def as_sample_weight(where: str, name: str, weight: Any, logits: np.ndarray) -> np.ndarray | None:
    """Return the weights of the samples, one each, flat and in the dtype of logits (…, classes)."""
    if weight is None:
        return None
    array = real_array(where, name, weight, None, may_be_empty=True)
    same_shape(where, name, array, logits.shape[:-1])
    flat = ready(array, logits.dtype).reshape(-1)
    good = np.isfinite(flat) & (flat >= 0)
    if not good.all():
        raise ValueError(f"{where}: {name} must be finite and at least 0, got {flat[np.argmin(good)]}")
    return flat
