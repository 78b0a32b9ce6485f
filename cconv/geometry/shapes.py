"""Size arithmetic of convolution and pooling: paddings, strides, output sizes.

Plain integers in, plain integers out; nothing here knows about arrays. Every operation resolves
its arguments once, here, into a `Window`, which the kernels, layers and references then share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cconv.arguments.numbers import LARGEST, is_int, pair, positive_int

Size2 = int | tuple[int, int]
Padding = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]


def output_size(
    n: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Output size of a convolution or pooling along one axis.

    ``floor((n + 2*padding - dilation*(kernel_size - 1) - 1) / stride) + 1``: pixels behind the last whole
    window are not seen. With `ceil_mode` a last window sees them; it must begin inside the
    input or its leading padding (Dumoulin & Visin 2016, "A guide to convolution arithmetic for
    deep learning", relations 6 and 15; the rule for `ceil_mode` is PyTorch's).

    Parameters
    ----------
    n : int
        Input size in pixels, at least 1.
    kernel_size, stride, dilation : int
        At least 1.
    padding : int
        Pixels added on each of the two sides, at least 0.
    ceil_mode : bool
        Round up instead of down.

    Returns
    -------
    int
        Output size in pixels, at least 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is not such an int, or the kernel is larger than the padded input.

    Examples
    --------
    >>> output_size(144, 3), output_size(60, 3), output_size(20, 3, stride=2)
    (142, 58, 9)
    """
    where = "output_size"
    n = positive_int(where, "n", n)
    kernel_size = positive_int(where, "kernel_size", kernel_size)
    stride = positive_int(where, "stride", stride)
    dilation = positive_int(where, "dilation", dilation)
    if not is_int(padding):
        raise TypeError(f"{where}: padding must be an int, at least 0, got {padding!r}")
    if not 0 <= padding <= LARGEST:
        raise ValueError(f"{where}: padding must be an int, at least 0, got {padding!r}")
    return _output_size(where, "n", n, kernel_size, stride, (padding, padding), dilation, ceil_mode)


def _output_size(
    where: str,
    axis: str,
    n: int,
    kernel: int,
    stride: int,
    pads: tuple[int, int],
    dilation: int,
    ceil_mode: bool,
) -> int:
    before, after = pads
    extent = dilation * (kernel - 1) + 1
    room = n + before + after - extent
    if room < 0:
        raise ValueError(
            f"{where}: the kernel must fit into the padded input along {axis}, "
            f"got a kernel of {extent} for {n} + {before} + {after}"
        )
    size = room // stride + 1
    if ceil_mode and room % stride and size * stride < n + before:
        size += 1
    return size


def _same(n: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the padding of Keras' and TensorFlow's 'same': ceil(n / stride) outputs, odd pixel behind."""
    total = max((-(-n // stride) - 1) * stride + dilation * (kernel - 1) + 1 - n, 0)
    return total // 2, total - total // 2


def resolve_padding(
    where: str,
    padding: Any,
    input_size: tuple[int, int],
    kernel_size: tuple[int, int],
    strides: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return ((top, bottom), (left, right)) for every form that a padding argument may take."""
    expected = (
        f"{where}: padding must be 'valid', 'same', an int, (ph, pw) or ((top, bottom), (left, right)), "
        f"all at least 0, got {padding!r}"
    )
    if isinstance(padding, str):
        if padding.lower() == "valid":
            return (0, 0), (0, 0)
        if padding.lower() == "same":
            rows, columns = (
                _same(*axis) for axis in zip(input_size, kernel_size, strides, dilation, strict=True)
            )
            return rows, columns
        raise ValueError(expected)
    if is_int(padding):
        padding = (padding, padding)
    if not isinstance(padding, Sequence):
        raise TypeError(expected)
    if len(padding) != 2:
        raise ValueError(expected)
    sides = []
    for side in padding:
        two = (side, side) if is_int(side) else side
        if isinstance(two, str) or not isinstance(two, Sequence) or not all(map(is_int, two)):
            raise TypeError(expected)
        if len(two) != 2 or not all(0 <= v <= LARGEST for v in two):
            raise ValueError(expected)
        sides.append((int(two[0]), int(two[1])))
    return sides[0], sides[1]


@dataclass(frozen=True)
class Window:
    """The resolved geometry of one convolution or pooling; all sizes (height, width) in pixels."""

    input_size: tuple[int, int]
    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    output_size: tuple[int, int]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The pooling's arguments for kernels: kernel size, strides, pads and dilation."""
        return self.kernel_size, self.strides, self.pads, self.dilation


def resolve_window(
    where: str,
    input_size: tuple[int, int],
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    ceil_mode: bool = False,
    kernel_name: str = "kernel_size",
) -> Window:
    """Check the arguments of a convolution or pooling and return its `Window`.

    `where` begins the error messages; `kernel_name` is the caller's name for its kernel size.
    `strides=None` means the kernel size, as for pooling.
    """
    kernel_size = pair(where, kernel_name, kernel_size)
    strides = kernel_size if strides is None else pair(where, "strides", strides)
    dilation = pair(where, "dilation", dilation)
    pads = resolve_padding(where, padding, input_size, kernel_size, strides, dilation)
    rows, columns = (
        _output_size(where, name, input_size[i], kernel_size[i], strides[i], pads[i], dilation[i], ceil_mode)
        for i, name in enumerate(("height", "width"))
    )
    # With one output, or one tap, along an axis its step is never taken: it is replaced by 1.
    strides = strides[0] if rows > 1 else 1, strides[1] if columns > 1 else 1
    dilation = dilation[0] if kernel_size[0] > 1 else 1, dilation[1] if kernel_size[1] > 1 else 1
    return Window(input_size, kernel_size, strides, pads, dilation, (rows, columns))


def _transposed_axis(
    n: int, extent: int, stride: int, padding: Any, output_padding: int | None
) -> tuple[int, int]:
    """Return the size of the output along one axis, and how much of the whole extent is cut off in front.

    The rules for "valid" and "same" are Keras'. Without `output_padding`, "same" gives n * stride outputs,
    and "valid" (n - 1) * stride + max(stride, extent).
    """
    whole = (n - 1) * stride + extent
    if isinstance(padding, str) and padding.lower() == "valid":
        return whole + (max(stride - extent, 0) if output_padding is None else output_padding), 0
    if isinstance(padding, str):
        if output_padding is None:
            return n * stride, max(extent - stride, 0) // 2
        size = (n - 1) * stride + extent % 2 + output_padding
        reach = extent + extent % 2 - 2 + output_padding
        return size, max(extent - 1 - (reach + 1) // 2, 0)
    before, after = padding
    return whole - before - after + (output_padding or 0), before


def resolve_transposed(
    where: str,
    input_size: tuple[int, int],
    kernel_size: tuple[int, int],
    strides: tuple[int, int],
    padding: Any,
    output_padding: tuple[int, int] | None,
    dilation: tuple[int, int],
) -> Window:
    """Return the `Window` of the convolution whose transpose a transposed convolution is.

    Its `output_size` is the size of the transposed convolution's input, its `input_size` that of its
    output. Sources: Dumoulin & Visin 2016, relations 8 to 14; Keras' rules for padding.

    Examples
    --------
    >>> resolve_transposed("example", (5, 7), (3, 3), (2, 2), "same", None, (1, 1)).input_size
    (10, 14)
    """
    sides: tuple[Any, Any] = resolve_padding(where, padding, (1, 1), kernel_size, strides, dilation)
    if isinstance(padding, str):
        sides = padding, padding
    sizes, pads = [], []
    for axis, name in enumerate(("height", "width")):
        n, stride = input_size[axis], strides[axis]
        extent = dilation[axis] * (kernel_size[axis] - 1) + 1
        more = None if output_padding is None else output_padding[axis]
        size, before = _transposed_axis(n, extent, stride, sides[axis], more)
        if size < 1:
            raise ValueError(
                f"{where}: padding must leave an output along {name}, got {padding!r} for "
                f"{(n - 1) * stride + extent} pixels"
            )
        sizes.append(size)
        pads.append((before, max((n - 1) * stride + extent - before - size, 0)))
    strides = strides[0] if input_size[0] > 1 else 1, strides[1] if input_size[1] > 1 else 1
    dilation = dilation[0] if kernel_size[0] > 1 else 1, dilation[1] if kernel_size[1] > 1 else 1
    return Window((sizes[0], sizes[1]), kernel_size, strides, (pads[0], pads[1]), dilation, input_size)


def argmax_cache(window: Window) -> tuple[np.dtype, int]:
    """Return the dtype of a max pooling's argmax and its "none": a byte if the positions leave 255 free."""
    kh, kw = window.kernel_size
    return (np.dtype(np.uint8), 255) if kh * kw <= 255 else (np.dtype(np.int32), -1)


def geometry_of(window: Window) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return strides, origin (the padding above and on the left) and dilation, as kernels take them."""
    origin = (window.pads[0][0], window.pads[1][0])
    return window.strides, origin, window.dilation
