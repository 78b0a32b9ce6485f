"""ReLU, sigmoid, tanh and the softmaxes."""

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, ops
from cconv.arguments.control import controlled
from cconv.ops.run import Run


def activate(y: np.ndarray, activation: str | None, run: Run) -> np.ndarray:
    """Apply an activation, named as in `ops`; None does nothing, and "relu" was done by the kernel."""
    return y if activation in (None, "relu") else getattr(ops, activation)(y, run)


def _apply(name: str, x: ArrayLike, last_axis: bool = False) -> np.ndarray:
    """Return the result of the function `name` of `ops` for x; last_axis: it works along the last axis."""
    array = arguments.as_activations(name, "x", x, None, may_be_empty=True)
    if last_axis and not array.shape[-1]:
        raise ValueError(f"{name}: x must have classes along its last axis, got shape {array.shape}")
    return getattr(ops, name)(array, Run()) if array.size else np.empty(array.shape, array.dtype)


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

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

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

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

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

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

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

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

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

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> log_softmax([[1000.0, 0.0]])
    array([[    0., -1000.]])
    """
    return _apply("log_softmax", x, last_axis=True)
