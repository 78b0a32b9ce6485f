"""Dense layers."""

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, ops
from cconv.arguments.control import controlled
from cconv.functional.activations import activate
from cconv.ops.run import Run


@controlled
def dense(
    x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None = None, *, activation: str | None = None
) -> np.ndarray:
    """Affine map of the last axis, ``x @ kernel + bias`` (Goodfellow et al. 2016, eq. 6.3).

    Parameters
    ----------
    x : array-like (…, in)
    kernel : array-like (in, out)
    bias : array-like (out,), optional
    activation : None, "linear", "relu", "sigmoid", "tanh", "softmax" or "log_softmax"
        Applied to y; the softmaxes over the last axis.

    Returns
    -------
    y : ndarray (…, out)

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> dense([[1.0, 2.0]], [[1.0, 0.0], [10.0, 1.0]], [0.5, 0.5])
    array([[21.5,  2.5]])
    """
    where = "dense"
    activation = arguments.activation(where, activation)
    x = arguments.real_array(where, "x", x, None, may_be_empty=True)
    kernel = arguments.real_array(where, "kernel", kernel, 2)
    bias = None if bias is None else arguments.real_array(where, "bias", bias, 1)
    dtype = arguments.common_dtype(x, kernel, bias)
    arguments.same_shape(where, "x", x, (*x.shape[:-1], kernel.shape[0]))
    if bias is not None:
        arguments.same_shape(where, "bias", bias, kernel.shape[1:])
        bias = arguments.ready(bias, dtype)
    if not x.size:
        return np.empty((*x.shape[:-1], kernel.shape[1]), dtype)
    rows, run = arguments.ready(x, dtype).reshape(-1, kernel.shape[0]), Run()
    y = ops.dense(rows, arguments.ready(kernel, dtype), bias, activation == "relu", run)
    return activate(y, activation, run).reshape(*x.shape[:-1], kernel.shape[1])


@controlled
def dense_backward(
    dy: ArrayLike, x: ArrayLike, kernel: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `dense` without activation (Goodfellow et al. 2016, algorithm 6.4).

    Parameters
    ----------
    dy : array-like (…, out)
        Derivative of a loss with respect to y.
    x, kernel
        As `dense` was given them.

    Returns
    -------
    dx, dkernel, dbias : ndarray
        Shaped as x, kernel and bias.

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> dense_backward([[1.0]], [[2.0, 3.0]], [[5.0], [7.0]])
    (array([[5., 7.]]), array([[2.],
           [3.]]), array([1.]))
    """
    where = "dense_backward"
    dy = arguments.real_array(where, "dy", dy, None, may_be_empty=True)
    x = arguments.real_array(where, "x", x, None, may_be_empty=True)
    kernel = arguments.real_array(where, "kernel", kernel, 2)
    dtype = arguments.common_dtype(dy, x, kernel)
    inputs, outputs = kernel.shape
    arguments.same_shape(where, "x", x, (*x.shape[:-1], inputs))
    arguments.same_shape(where, "dy", dy, (*x.shape[:-1], outputs))
    if not x.size:
        return np.empty(x.shape, dtype), np.zeros(kernel.shape, dtype), np.zeros(outputs, dtype)
    dy_rows, rows = (
        arguments.ready(dy, dtype).reshape(-1, outputs),
        arguments.ready(x, dtype).reshape(-1, inputs),
    )
    run = Run()
    dx = ops.dense_input_gradient(dy_rows, arguments.ready(kernel, dtype), run)
    dkernel, dbias = ops.dense_weight_gradient(dy_rows, rows, run)
    return dx.reshape(x.shape), dkernel, dbias
