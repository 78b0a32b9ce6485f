"""Update rules of the optimizers: one step, new values from old ones.

`param` is a parameter and `grad` the gradient of the loss with respect to it; the other arrays are the
optimizer's state, all of one shape and zero before the first step unless said otherwise. Where epsilon
stands is as in Keras.
"""

import numpy as np


def sgd(param: np.ndarray, grad: np.ndarray, learning_rate: float = 0.01) -> np.ndarray:
    """Gradient descent, ``p' = p - lr * g``; returns p'.

    Source: Robbins & Monro 1951, "A stochastic approximation method".

    Examples
    --------
    >>> import numpy as np
    >>> sgd(np.array([1.0]), np.array([2.0]), 0.25)
    array([0.5])
    """
    return param - learning_rate * grad


def momentum(
    param: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
) -> tuple[np.ndarray, np.ndarray]:
    """Heavy ball, ``v' = mu * v - lr * g``, ``p' = p + v'``; returns (p', v').

    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods".

    Examples
    --------
    >>> import numpy as np
    >>> momentum(np.array([1.0]), np.array([2.0]), np.array([1.0]), 0.25, 0.5)
    (array([1.]), array([0.]))
    """
    velocity = momentum * velocity - learning_rate * grad
    return param + velocity, velocity


def nesterov(
    param: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
) -> tuple[np.ndarray, np.ndarray]:
    """Momentum that looks ahead, ``v' = mu * v - lr * g``, ``p' = p + mu * v' - lr * g``; returns (p', v').

    Source: Nesterov 1983, in the form of Bengio, Boulanger-Lewandowski, Pascanu 2013, "Advances in
    optimizing recurrent networks", eq. 7: p is the point looked ahead to.

    Examples
    --------
    >>> import numpy as np
    >>> nesterov(np.array([1.0]), np.array([2.0]), np.array([2.0]), 0.25, 0.5)
    (array([0.75]), array([0.5]))
    """
    velocity = momentum * velocity - learning_rate * grad
    return param + momentum * velocity - learning_rate * grad, velocity


def adagrad(
    param: np.ndarray,
    grad: np.ndarray,
    accumulator: np.ndarray,
    learning_rate: float = 0.001,
    epsilon: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray]:
    """AdaGrad, ``a' = a + g**2``, ``p' = p - lr * g / sqrt(a' + eps)``; returns (p', a').

    Source: Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning and
    stochastic optimization", the diagonal form.

    Examples
    --------
    >>> import numpy as np
    >>> adagrad(np.array([1.0]), np.array([4.0]), np.array([9.0]), 0.25, epsilon=0.0)
    (array([0.8]), array([25.]))
    """
    accumulator = accumulator + grad**2
    return param - learning_rate * grad / np.sqrt(accumulator + epsilon), accumulator


def rmsprop(
    param: np.ndarray,
    grad: np.ndarray,
    mean_square: np.ndarray,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    epsilon: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray]:
    """RMSprop, ``s' = rho * s + (1 - rho) * g**2``, ``p' = p - lr * g / sqrt(s' + eps)``; returns (p', s').

    Source: Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6.5.

    Examples
    --------
    >>> import numpy as np
    >>> rmsprop(np.array([1.0]), np.array([2.0]), np.array([4.0]), 0.25, 0.5, epsilon=0.0)
    (array([0.75]), array([4.]))
    """
    mean_square = rho * mean_square + (1 - rho) * grad**2
    return param - learning_rate * grad / np.sqrt(mean_square + epsilon), mean_square


def adadelta(
    param: np.ndarray,
    grad: np.ndarray,
    mean_square: np.ndarray,
    mean_square_update: np.ndarray,
    learning_rate: float = 0.001,
    rho: float = 0.95,
    epsilon: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adadelta; returns (p', s', d').

    ::

        s' = rho * s + (1 - rho) * g**2
        u  = g * sqrt(d + eps) / sqrt(s' + eps)
        d' = rho * d + (1 - rho) * u**2
        p' = p - lr * u

    Source: Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1, where lr is 1.

    Examples
    --------
    >>> import numpy as np
    >>> zero = np.zeros(1)
    >>> p, s, d = adadelta(np.array([1.0]), np.array([2.0]), zero, zero, 1.0, 0.5, epsilon=2.0)
    >>> round(float(p[0]), 6), s, round(float(d[0]), 6)
    (-0.414214, array([2.]), 1.0)
    """
    mean_square = rho * mean_square + (1 - rho) * grad**2
    update = grad * np.sqrt(mean_square_update + epsilon) / np.sqrt(mean_square + epsilon)
    mean_square_update = rho * mean_square_update + (1 - rho) * update**2
    return param - learning_rate * update, mean_square, mean_square_update


def adam(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    t: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adam at step t = 1, 2, …; returns (p', m', v').

    ::

        m' = beta_1 * m + (1 - beta_1) * g
        v' = beta_2 * v + (1 - beta_2) * g**2
        p' = p - lr * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m' / (sqrt(v') + eps)

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", the form at the end of
    section 2, as Keras.

    Examples
    --------
    >>> import numpy as np
    >>> p, m, v = adam(np.array([1.0]), np.array([2.0]), np.zeros(1), np.zeros(1), 1, 0.25, epsilon=0.0)
    >>> round(float(p[0]), 6)
    0.75
    """
    m = beta_1 * m + (1 - beta_1) * grad
    v = beta_2 * v + (1 - beta_2) * grad**2
    rate = learning_rate * (1 - beta_2**t) ** 0.5 / (1 - beta_1**t)
    return param - rate * m / (np.sqrt(v) + epsilon), m, v
