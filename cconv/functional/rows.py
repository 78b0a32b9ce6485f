"""Dense layers, activations, and the loss of a classifier."""

import numpy as np
from numpy.typing import ArrayLike

from cconv import checks, ops, ops_rows
from cconv.control import controlled
from cconv.run import Run


def activate(y: np.ndarray, activation: str | None, run: Run) -> np.ndarray:
    """Apply an activation, named as in `ops_rows`, that the product's kernel has not applied itself."""
    return y if activation in (None, "relu") else getattr(ops_rows, activation)(y, run)


def _apply(name: str, x: ArrayLike, last_axis: bool = False) -> np.ndarray:
    """Return what the function of `ops_rows` of that name, perhaps one of the last axis, makes of x."""
    array = checks.as_activations(name, "x", x, None, may_be_empty=True)
    if last_axis and not array.shape[-1]:
        raise ValueError(f"{name}: x must have classes along its last axis, got shape {array.shape}")
    return getattr(ops_rows, name)(array, Run()) if array.size else np.empty(array.shape, array.dtype)


@controlled
def relu(x: ArrayLike) -> np.ndarray:
    """Rectified linear unit, ``max(x, 0)`` (Nair & Hinton 2010).

    Parameters
    ----------
    x : array-like of any rank from 1

    Returns
    -------
    y : ndarray of x's shape
        NaN where x is NaN.

    Examples
    --------
    >>> relu([-1.0, 2.0])
    array([0., 2.])
    """
    return _apply("relu", x)


@controlled
def sigmoid(x: ArrayLike) -> np.ndarray:
    """Logistic function, ``1 / (1 + exp(-x))`` (Verhulst 1845).

    The largest error is 2.6 units in the last place, in both types and on every instruction set.

    Parameters
    ----------
    x : array-like of any rank from 1

    Returns
    -------
    y : ndarray of x's shape

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    return _apply("sigmoid", x)


@controlled
def tanh(x: ArrayLike) -> np.ndarray:
    """Hyperbolic tangent (LeCun et al. 1998, "Efficient BackProp").

    The largest error is 2.6 units in the last place, in both types and on every instruction set.

    Parameters
    ----------
    x : array-like of any rank from 1

    Returns
    -------
    y : ndarray of x's shape

    Examples
    --------
    >>> tanh([-100.0, 0.0, 100.0])
    array([-1.,  0.,  1.])
    """
    return _apply("tanh", x)


@controlled
def softmax(x: ArrayLike) -> np.ndarray:
    """Scores to probabilities over the last axis, ``exp(x) / sum(exp(x))`` (Bridle 1990).

    Parameters
    ----------
    x : array-like (…, classes)

    Returns
    -------
    y : ndarray of x's shape

    Examples
    --------
    >>> softmax([[1000.0, 1000.0]])
    array([[0.5, 0.5]])
    """
    return _apply("softmax", x, last_axis=True)


@controlled
def log_softmax(x: ArrayLike) -> np.ndarray:
    """Logarithm of `softmax`, computed without its overflow (Blanchard et al. 2021, eq. 1.5).

    Parameters
    ----------
    x : array-like (…, classes)

    Returns
    -------
    y : ndarray of x's shape

    Examples
    --------
    >>> log_softmax([[1000.0, 0.0]])
    array([[    0., -1000.]])
    """
    return _apply("log_softmax", x, last_axis=True)


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
    activation = checks.activation(where, activation)
    x = checks.real_array(where, "x", x, None, may_be_empty=True)
    kernel = checks.real_array(where, "kernel", kernel, 2)
    bias = None if bias is None else checks.real_array(where, "bias", bias, 1)
    dtype = checks.common_dtype(x, kernel, bias)
    checks.same_shape(where, "x", x, (*x.shape[:-1], kernel.shape[0]))
    if bias is not None:
        checks.same_shape(where, "bias", bias, kernel.shape[1:])
        bias = checks.ready(bias, dtype)
    if not x.size:
        return np.empty((*x.shape[:-1], kernel.shape[1]), dtype)
    rows, run = checks.ready(x, dtype).reshape(-1, kernel.shape[0]), Run()
    y = ops.dense(rows, checks.ready(kernel, dtype), bias, activation == "relu", run)
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
    dy = checks.real_array(where, "dy", dy, None, may_be_empty=True)
    x = checks.real_array(where, "x", x, None, may_be_empty=True)
    kernel = checks.real_array(where, "kernel", kernel, 2)
    dtype = checks.common_dtype(dy, x, kernel)
    inputs, outputs = kernel.shape
    checks.same_shape(where, "x", x, (*x.shape[:-1], inputs))
    checks.same_shape(where, "dy", dy, (*x.shape[:-1], outputs))
    if not x.size:
        return np.empty(x.shape, dtype), np.zeros(kernel.shape, dtype), np.zeros(outputs, dtype)
    dy_rows, rows = checks.ready(dy, dtype).reshape(-1, outputs), checks.ready(x, dtype).reshape(-1, inputs)
    run = Run()
    dx = ops.dense_input_gradient(dy_rows, checks.ready(kernel, dtype), run)
    dkernel, dbias = ops.dense_weight_gradient(dy_rows, rows, run)
    return dx.reshape(x.shape), dkernel, dbias


@controlled
def softmax_cross_entropy(
    logits: ArrayLike, labels_or_probs: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, np.ndarray]:
    """Cross-entropy of softmax(logits), its mean over the samples, and its gradient (Bishop 2006, eq. 4.108).

    Parameters
    ----------
    logits : array-like (…, classes)
        Scores; the leading axes, at least one, count samples.
    labels_or_probs : array-like
        Class numbers (…), or one-hot rows or probabilities (…, classes).
    sample_weight : array-like (…), optional
        What each sample's loss is multiplied by, at least 0. The mean still divides by the number of samples.

    Returns
    -------
    loss : float
        Of no samples 0.
    dlogits : ndarray of logits' shape

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> loss, dlogits = softmax_cross_entropy(np.zeros((1, 4)), [2])
    >>> round(loss, 6), dlogits
    (1.386294, array([[ 0.25,  0.25, -0.75,  0.25]]))
    """
    where = "softmax_cross_entropy"
    logits = checks.as_activations(where, "logits", logits, None, may_be_empty=True)
    if logits.ndim < 2:
        raise ValueError(f"{where}: logits must have shape (…, classes), got shape {logits.shape}")
    labels = checks.as_labels(where, "labels_or_probs", labels_or_probs, logits)
    weight = checks.as_sample_weight(where, "sample_weight", sample_weight, logits)
    if not logits.size:
        return 0.0, np.empty(logits.shape, logits.dtype)
    loss, dlogits = ops_rows.softmax_cross_entropy(
        logits.reshape(-1, logits.shape[-1]), labels, weight, Run()
    )
    return loss, dlogits.reshape(logits.shape)
