"""Update rules of the optimizers: one step, new values from old ones.

`param` is a parameter, and `grad` the gradient of the loss with respect to it. The other arrays are the state
of the optimizer: of the shape of `param`, and zero before the first step unless said otherwise. The place of
epsilon is that of Keras.
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
    optimizing recurrent networks", eq. 7: p is the point that is looked ahead to.

    Examples
    --------
    >>> import numpy as np
    >>> nesterov(np.array([1.0]), np.array([2.0]), np.array([2.0]), 0.25, 0.5)
    (array([0.75]), array([0.5]))
    """
    velocity = momentum * velocity - learning_rate * grad
    return param + momentum * velocity - learning_rate * grad, velocity


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


def amsgrad(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    v_hat: np.ndarray,
    t: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Adam with the largest v so far, ``v_hat' = max(v_hat, v')``; returns (p', m', v', v_hat').

    Source: Reddi, Kale, Kumar 2018, "On the convergence of Adam and beyond", algorithm 2, with the
    bias corrections, as Keras.

    Examples
    --------
    >>> import numpy as np
    >>> zero = np.zeros(1)
    >>> p, m, v, v_hat = amsgrad(np.array([1.0]), np.array([2.0]), zero, zero, np.ones(1), 1, 0.25)
    >>> v_hat
    array([1.])
    """
    m = beta_1 * m + (1 - beta_1) * grad
    v = beta_2 * v + (1 - beta_2) * grad**2
    v_hat = np.maximum(v_hat, v)
    rate = learning_rate * (1 - beta_2**t) ** 0.5 / (1 - beta_1**t)
    return param - rate * m / (np.sqrt(v_hat) + epsilon), m, v, v_hat


def nadam(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    t: int,
    product: float = 1.0,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nadam at step t = 1, 2, …; `product` is u_1 … u_{t-1}, that of earlier momenta; returns (p', m', v').

    ::

        u_t = beta_1 * (1 - 0.96**t / 2)
        m', v' as in Adam
        m_hat = u_{t+1} * m' / (1 - u_1 … u_{t+1}) + (1 - u_t) * g / (1 - u_1 … u_t)
        p' = p - lr * m_hat / (sqrt(v' / (1 - beta_2**t)) + eps)

    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 8, as Keras.

    Examples
    --------
    >>> import numpy as np
    >>> p, m, v = nadam(np.array([1.0]), np.array([2.0]), np.zeros(1), np.zeros(1), 1, beta_1=0.0)
    >>> round(float(p[0]), 6)
    0.999
    """
    now, then = beta_1 * (1 - 0.5 * 0.96**t), beta_1 * (1 - 0.5 * 0.96 ** (t + 1))
    m = beta_1 * m + (1 - beta_1) * grad
    v = beta_2 * v + (1 - beta_2) * grad**2
    m_hat = then * m / (1 - product * now * then) + (1 - now) * grad / (1 - product * now)
    return param - learning_rate * m_hat / (np.sqrt(v / (1 - beta_2**t)) + epsilon), m, v


def adamax(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    u: np.ndarray,
    t: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adamax at step t = 1, 2, …, ``u' = max(beta_2 * u, |g|)``; returns (p', m', u').

    ``m' = beta_1 * m + (1 - beta_1) * g``, ``p' = p - lr / (1 - beta_1**t) * m' / (u' + eps)``.

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> zero = np.zeros(1)
    >>> p, m, u = adamax(np.array([1.0]), np.array([-2.0]), zero, zero, 1, 0.25, epsilon=0.0)
    >>> round(float(p[0]), 6), u
    (1.25, array([2.]))
    """
    m = beta_1 * m + (1 - beta_1) * grad
    u = np.maximum(beta_2 * u, np.abs(grad))
    return param - learning_rate / (1 - beta_1**t) * m / (u + epsilon), m, u


def lamb(
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
    """Lamb at step t = 1, 2, …; returns (p', m', v').

    ::

        m', v' as in Adam
        u  = m' / (1 - beta_1**t) / (sqrt(v' / (1 - beta_2**t)) + eps)
        p' = p - lr * norm(p) / norm(u) * u, or p - lr * u where a norm is 0

    Source: You et al. 2020, "Large batch optimization for deep learning: training BERT in 76 minutes",
    algorithm 2, as Keras.

    Examples
    --------
    >>> import numpy as np
    >>> zero = np.zeros(2)
    >>> p, m, v = lamb(np.array([3.0, 4.0]), np.array([1.0, -1.0]), zero, zero, 1, 0.1, epsilon=0.0)
    >>> p.round(6)
    array([2.646447, 4.353553])
    """
    m = beta_1 * m + (1 - beta_1) * grad
    v = beta_2 * v + (1 - beta_2) * grad**2
    step = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    of_param, of_step = np.sqrt((param**2).sum()), np.sqrt((step**2).sum())
    ratio = of_param / of_step if of_param > 0 and of_step > 0 else 1.0
    return param - ratio * learning_rate * step, m, v


def lion(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
) -> tuple[np.ndarray, np.ndarray]:
    """Lion, ``p' = p - lr * sign(beta_1 * m + (1 - beta_1) * g)``; returns (p', m').

    ``m' = beta_2 * m + (1 - beta_2) * g``.

    Source: Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> lion(np.array([1.0]), np.array([-4.0]), np.array([1.0]), 0.25, 0.5, 0.5)
    (array([1.25]), array([-1.5]))
    """
    step = np.sign(beta_1 * m + (1 - beta_1) * grad)
    return param - learning_rate * step, beta_2 * m + (1 - beta_2) * grad


def clip_norm(grad: np.ndarray, limit: float, norm: float | None = None) -> np.ndarray:
    """Scale a gradient so that its norm, or the given norm of all gradients, is at most `limit`.

    Examples
    --------
    >>> import numpy as np
    >>> clip_norm(np.array([3.0, 4.0]), 2.5), clip_norm(np.array([3.0, 4.0]), 6.0)
    (array([1.5, 2. ]), array([3., 4.]))
    """
    norm = float(np.sqrt((grad.astype(float) ** 2).sum())) if norm is None else norm
    return grad * (limit / max(norm, limit))


def clip_value(grad: np.ndarray, limit: float) -> np.ndarray:
    """Cut the values of a gradient to -limit … limit.

    Examples
    --------
    >>> import numpy as np
    >>> clip_value(np.array([3.0, -0.5, -2.0]), 1.0)
    array([ 1. , -0.5, -1. ])
    """
    return np.clip(grad, -limit, limit)


def moving_average(average: np.ndarray, param: np.ndarray, momentum: float) -> np.ndarray:
    """Average a parameter over steps, ``a' = mu * a + (1 - mu) * p``.

    Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging".

    Examples
    --------
    >>> import numpy as np
    >>> moving_average(np.array([1.0]), np.array([3.0]), 0.75)
    array([1.5])
    """
    return momentum * average + (1 - momentum) * param
