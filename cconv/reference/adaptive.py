"""Update rules of the optimizers that adapt to the sizes of gradients: see `reference.optimizers`."""

import numpy as np


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


def rmsprop_momentum(
    param: np.ndarray,
    grad: np.ndarray,
    mean_square: np.ndarray,
    step: np.ndarray,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    epsilon: float = 1e-7,
    momentum: float = 0.9,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RMSprop with momentum; returns (p', s', b').

    ``b' = mu * b + lr * g / sqrt(s' + eps)``, ``p' = p - b'``. Source: as `rmsprop`, in Keras' form.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> rmsprop_momentum(one, 2 * one, 4 * one, one, 0.25, 0.5, 0.0, 0.5)
    (array([0.25]), array([4.]), array([0.75]))
    """
    mean_square = rho * mean_square + (1 - rho) * grad**2
    step = momentum * step + learning_rate * grad / np.sqrt(mean_square + epsilon)
    return param - step, mean_square, step


def rmsprop_centered(
    param: np.ndarray,
    grad: np.ndarray,
    mean_square: np.ndarray,
    mean: np.ndarray,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    epsilon: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RMSprop over the variance of gradients, ``a' = rho * a + (1 - rho) * g``; returns (p', s', a').

    ``p' = p - lr * g / sqrt(s' - a'**2 + eps)``. Source: Graves 2013, "Generating sequences with recurrent
    neural networks", eq. 38-41, in Keras' form.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> rmsprop_centered(one, 2 * one, 6 * one, 0 * one, 0.25, 0.5, 0.0)
    (array([0.75]), array([5.]), array([1.]))
    """
    mean_square = rho * mean_square + (1 - rho) * grad**2
    mean = rho * mean + (1 - rho) * grad
    return param - learning_rate * grad / np.sqrt(mean_square - mean**2 + epsilon), mean_square, mean


def rmsprop_centered_momentum(
    param: np.ndarray,
    grad: np.ndarray,
    mean_square: np.ndarray,
    step: np.ndarray,
    mean: np.ndarray,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    epsilon: float = 1e-7,
    momentum: float = 0.9,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`rmsprop_momentum` with the variance of `rmsprop_centered`; returns (p', s', b', a').

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> rmsprop_centered_momentum(one, 2 * one, 6 * one, one, 0 * one, 0.25, 0.5, 0.0, 0.5)
    (array([0.25]), array([5.]), array([0.75]), array([1.]))
    """
    mean_square = rho * mean_square + (1 - rho) * grad**2
    mean = rho * mean + (1 - rho) * grad
    step = momentum * step + learning_rate * grad / np.sqrt(mean_square - mean**2 + epsilon)
    return param - step, mean_square, step, mean


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


def ftrl(
    param: np.ndarray,
    grad: np.ndarray,
    accumulator: np.ndarray,
    linear: np.ndarray,
    learning_rate: float = 0.001,
    power: float = -0.5,
    l1: float = 0.0,
    l2: float = 0.0,
    l2_shrinkage: float = 0.0,
    beta: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """FTRL; returns (p', n', z').

    ::

        n' = n + g**2
        z' = z + g + 2 * l2_shrinkage * p - (n'**-power - n**-power) / lr * p
        p' = (clip(z', -l1, l1) - z') / (n'**-power / lr + 2 * l2 + beta / lr)

    Source: McMahan et al. 2013, "Ad click prediction: a view from the trenches", algorithm 1, as Keras.

    Examples
    --------
    >>> import numpy as np
    >>> p, n, z = ftrl(np.array([2.0]), np.array([4.0]), np.array([9.0]), np.zeros(1), 0.5, l1=0.5)
    >>> p, n, z
    (array([0.35]), array([25.]), array([-4.]))
    """
    before, accumulator = accumulator, accumulator + grad**2
    sigma = (accumulator**-power - before**-power) / learning_rate
    linear = linear + (grad + 2 * l2_shrinkage * param - sigma * param)
    quadratic = accumulator**-power / learning_rate + 2 * l2 + beta / learning_rate
    return (np.clip(linear, -l1, l1) - linear) / quadratic, accumulator, linear


def adafactor(
    param: np.ndarray,
    grad: np.ndarray,
    *moments: np.ndarray,
    t: int,
    learning_rate: float = 0.001,
    beta_2_decay: float = -0.8,
    epsilon_1: float = 1e-30,
    epsilon_2: float = 1e-3,
    clip_threshold: float = 1.0,
) -> tuple[np.ndarray, ...]:
    """Adafactor at step t = 1, 2, …; returns (p', r', c'), or (p', v') with fewer than two axes.

    ::

        b  = 1 - t**beta_2_decay
        r' = b * r + (1 - b) * mean of g**2 + eps_1 over the last axis
        c' = b * c + (1 - b) * mean of g**2 + eps_1 over the axis before it
        u  = g / sqrt(r' / mean(r') * c')
        p' = p - max(eps_2, rms(p)) * min(lr, 1 / sqrt(t)) * u / max(1, rms(u) / clip_threshold)

    Source: Shazeer & Stern 2018, "Adafactor: adaptive learning rates with sublinear memory cost",
    algorithms 4 and 5, as Keras.

    Examples
    --------
    >>> import numpy as np
    >>> p, v = adafactor(np.ones(2), np.array([2.0, -1.0]), np.zeros(2), t=1, learning_rate=0.25)
    >>> p, v
    (array([0.75, 1.25]), array([4., 1.]))
    """
    keep = 1 - float(t) ** beta_2_decay
    squares = grad**2 + epsilon_1
    if param.ndim < 2:
        kept: tuple[np.ndarray, ...] = (keep * moments[0] + (1 - keep) * squares,)
        square = kept[0]
    else:
        r = keep * moments[0] + (1 - keep) * squares.mean(axis=-1)
        c = keep * moments[1] + (1 - keep) * squares.mean(axis=-2)
        square = (r / r.mean(axis=-1, keepdims=True))[..., np.newaxis] * c[..., np.newaxis, :]
        kept = (r, c)
    update = grad / np.sqrt(square)
    size, length = np.sqrt((param**2).mean()), np.sqrt((update**2).mean())
    rate = max(epsilon_2, size) * min(learning_rate, 1 / float(t) ** 0.5)
    return param - rate * update / max(1.0, length / clip_threshold), *kept
