"""Optimizer steps: each one fused pass over a parameter, its gradient and its states, in place.

Flat C-contiguous views of one dtype are made here; arguments are already checked. `l2` adds
``l2 * param`` to the gradient on the fly. The rules are Keras 3's, which the formulas state.
"""

import math

import numpy as np

from cconv import _elementwise
from cconv.threads import threads_for

Array = np.ndarray


def sgd_update(param: Array, grad: Array, lr: float, l2: float = 0.0) -> None:
    """Descend: param -= lr * grad."""
    _elementwise.sgd(param.reshape(-1), grad.reshape(-1), lr, l2, threads_for(param.size))


def momentum_update(
    param: Array, grad: Array, velocity: Array, lr: float, momentum: float, l2: float = 0.0
) -> None:
    """Velocity = momentum * velocity - lr * grad; param += velocity."""
    _elementwise.momentum(
        param.reshape(-1),
        grad.reshape(-1),
        velocity.reshape(-1),
        lr,
        l2,
        momentum,
        False,
        threads_for(param.size),
    )


def nesterov_update(
    param: Array, grad: Array, velocity: Array, lr: float, momentum: float, l2: float = 0.0
) -> None:
    """Velocity = momentum * velocity - lr * grad; param += momentum * velocity - lr * grad."""
    _elementwise.momentum(
        param.reshape(-1),
        grad.reshape(-1),
        velocity.reshape(-1),
        lr,
        l2,
        momentum,
        True,
        threads_for(param.size),
    )


def adagrad_update(
    param: Array, grad: Array, accumulator: Array, lr: float, epsilon: float, l2: float = 0.0
) -> None:
    """Accumulator += grad**2; param -= lr * grad / sqrt(accumulator + epsilon)."""
    _elementwise.adagrad(
        param.reshape(-1), grad.reshape(-1), accumulator.reshape(-1), lr, l2, epsilon, threads_for(param.size)
    )


def rmsprop_update(
    param: Array, grad: Array, velocity: Array, lr: float, rho: float, epsilon: float, l2: float = 0.0
) -> None:
    """Velocity = rho * velocity + (1 - rho) * grad**2; param -= lr * grad / sqrt(velocity + epsilon)."""
    _elementwise.rmsprop(
        param.reshape(-1),
        grad.reshape(-1),
        velocity.reshape(-1),
        lr,
        l2,
        rho,
        epsilon,
        threads_for(param.size),
    )


def adadelta_update(
    param: Array,
    grad: Array,
    accumulated_grad: Array,
    accumulated_delta: Array,
    lr: float,
    rho: float,
    epsilon: float,
    l2: float = 0.0,
) -> None:
    """Scale grad by the root mean square of past steps over that of past gradients.

    accumulated_grad = rho * accumulated_grad + (1 - rho) * grad**2;
    delta = grad * sqrt(accumulated_delta + epsilon) / sqrt(accumulated_grad + epsilon);
    accumulated_delta = rho * accumulated_delta + (1 - rho) * delta**2; param -= lr * delta.
    """
    _elementwise.adadelta(
        param.reshape(-1),
        grad.reshape(-1),
        accumulated_grad.reshape(-1),
        accumulated_delta.reshape(-1),
        lr,
        l2,
        rho,
        epsilon,
        threads_for(param.size),
    )


def adam_update(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    t: int,
    l2: float = 0.0,
) -> None:
    """Step t >= 1 of Adam, with its bias correction folded into the learning rate.

    m += (1 - beta_1) * (grad - m); v += (1 - beta_2) * (grad**2 - v);
    param -= lr * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon).
    """
    lr_t = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    _elementwise.adam(
        param.reshape(-1),
        grad.reshape(-1),
        m.reshape(-1),
        v.reshape(-1),
        lr_t,
        l2,
        beta_1,
        beta_2,
        epsilon,
        threads_for(param.size),
    )
