"""Pooling of sequences (n, steps, c), computed as pooling of images one pixel high."""

from typing import Any

from cconv.layers.global_pooling import GlobalMaximum, GlobalMean
from cconv.layers.pooling import MaximumPooling, MeanPooling
from cconv.layers.spatial import Padding1, Size1


class MaxPooling1D(MaximumPooling):
    """The largest value of every window of steps; the gradient goes to the first of equal ones.

    Parameters
    ----------
    pool_size : int or tuple of one
        Number of steps in a window.
    strides : int or tuple of one, optional
        Steps from one window to the next; by default the window's size.
    padding : str, int or pair of int
        ``"valid"``, ``"same"``, an int, or ``(before, behind)``.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs: ``(n, steps, c)`` or ``(n, c, steps)``.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPooling1D(2).forward(np.arange(4.0).reshape(1, 4, 1)).ravel()
    array([1., 3.])
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        pool_size: Size1 = 2,
        strides: Size1 | None = None,
        padding: Padding1 = "valid",
        data_format: str | None = None,
        name: str | None = None,
        *,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(
            pool_size,
            strides,
            padding,
            data_format,
            name=name,
            trainable=trainable,
            input_shape=input_shape,
        )


class AveragePooling1D(MeanPooling):
    """The mean of every window of steps; padding does not count.

    Parameters
    ----------
    pool_size : int or tuple of one
        Steps of a window.
    strides : int or tuple of one, optional
        Steps from one window to the next; by default the window's size.
    padding : str, int or pair of int
        ``"valid"``, ``"same"``, an int, or ``(before, behind)``.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs: ``(n, steps, c)`` or ``(n, c, steps)``.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> AveragePooling1D(2).forward(np.arange(4.0).reshape(1, 4, 1)).ravel()
    array([0.5, 2.5])
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        pool_size: Size1 = 2,
        strides: Size1 | None = None,
        padding: Padding1 = "valid",
        data_format: str | None = None,
        name: str | None = None,
        *,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(
            pool_size,
            strides,
            padding,
            data_format,
            name=name,
            trainable=trainable,
            input_shape=input_shape,
        )


class GlobalAveragePooling1D(GlobalMean):
    """The mean of every channel over the steps.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the input.
    keepdims : bool
        Give (1, c) instead of (c,).
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalAveragePooling1D().forward(np.arange(4.0).reshape(1, 4, 1))
    array([[1.5]])
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self._set_kept(data_format, keepdims)


class GlobalMaxPooling1D(GlobalMaximum):
    """The largest value of every channel over the steps; the gradient goes to the first of equal ones.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the input.
    keepdims : bool
        Give (1, c) instead of (c,).
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalMaxPooling1D().forward(np.arange(4.0).reshape(1, 4, 1))
    array([[3.]])
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self._set_kept(data_format, keepdims)
