"""Dense layers."""

import numpy as np

from cconv.reference.activations import ACTIVATIONS


def dense(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, *, activation: str | None = None
) -> np.ndarray:
    """Affine map of the last axis, ``y[..., o] = b[o] + sum over i of x[..., i] * K[i, o]``.

    Source: Goodfellow, Bengio, Courville 2016, "Deep Learning", eq. 6.3.

    Examples
    --------
    >>> import numpy as np
    >>> dense(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [10.0, 1.0]]), np.array([0.5, 0.5]))
    array([[21.5,  2.5]])
    """
    y = x @ kernel
    if bias is not None:
        y = y + bias
    return ACTIVATIONS[activation](y)


def dense_backward(
    dy: np.ndarray, x: np.ndarray, kernel: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx, dkernel, dbias) of `dense` without activation.

    With the leading axes of x and dy flattened into rows r::

        dx[r,i] = sum over o of dy[r,o] * K[i,o]
        dK[i,o] = sum over r of x[r,i] * dy[r,o]
        db[o]   = sum over r of dy[r,o]

    Source: Goodfellow, Bengio, Courville 2016, "Deep Learning", algorithm 6.4.

    Examples
    --------
    >>> import numpy as np
    >>> dense_backward(np.array([[1.0]]), np.array([[2.0, 3.0]]), np.array([[5.0], [7.0]]))
    (array([[5., 7.]]), array([[2.],
           [3.]]), array([1.]))
    """
    inputs, outputs = kernel.shape
    dy_rows = dy.reshape(-1, outputs)
    return dy @ kernel.T, x.reshape(-1, inputs).T @ dy_rows, dy_rows.sum(axis=0)
