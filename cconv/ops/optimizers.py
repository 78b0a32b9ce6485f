"""Optimizer steps: each one pass over all parameters with their gradients and states, in place.

Arguments are already checked. `l2` adds ``l2 * param`` to the gradient on the fly. The rules are
Keras 3's, which the formulas state.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from cconv.kernels import optimizers as loops
from cconv.threads import threads_for

Array = np.ndarray

# As the kernel numbers them.
RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam")


class Group:
    """Parameters that make their steps together, and what belongs to them.

    Parameters
    ----------
    entries : sequence of tuple of ndarray
        (param, grad, states…) for each parameter: C-contiguous, aligned, all of one dtype. The
        group keeps them, and the kernel their addresses.
    l2 : sequence of float, optional
        For each parameter; by default 0.
    """

    def __init__(self, entries: Sequence[tuple[Array, ...]], l2: Sequence[float] | None = None) -> None:
        self.entries: list[tuple[Array, ...]] = list(entries)
        self.l2: np.ndarray = np.zeros(len(self.entries)) if l2 is None else np.array(l2, np.float64)
        self.itemsize: int = self.entries[0][0].itemsize
        ends = accumulate(entry[0].size for entry in self.entries)
        self.table: np.ndarray = np.array(
            [
                [*(array.ctypes.data for array in entry), *[0] * (4 - len(entry)), entry[0].size, end]
                for entry, end in zip(self.entries, ends, strict=True)
            ],
            np.int64,
        )

    def step(self, rule: str, lr: float, *numbers: float) -> None:
        """Make one step of a rule; the numbers are those of its kernel."""
        loops.optimize(
            RULES.index(rule),
            self.table,
            self.l2,
            np.array((lr, 0.0, *numbers)),
            self.itemsize,
            threads_for(int(self.table[-1, 5])),
        )


def sgd_update(group: Group, lr: float) -> None:
    """Descend: param -= lr * grad."""
    group.step("sgd", lr)


def momentum_update(group: Group, lr: float, momentum: float) -> None:
    """Velocity = momentum * velocity - lr * grad; param += velocity."""
    group.step("momentum", lr, momentum)


def nesterov_update(group: Group, lr: float, momentum: float) -> None:
    """Velocity = momentum * velocity - lr * grad; param += momentum * velocity - lr * grad."""
    group.step("nesterov", lr, momentum)


def adagrad_update(group: Group, lr: float, epsilon: float) -> None:
    """Accumulator += grad**2; param -= lr * grad / sqrt(accumulator + epsilon)."""
    group.step("adagrad", lr, epsilon)


def rmsprop_update(group: Group, lr: float, rho: float, epsilon: float) -> None:
    """Velocity = rho * velocity + (1 - rho) * grad**2; param -= lr * grad / sqrt(velocity + epsilon)."""
    group.step("rmsprop", lr, rho, 1 - rho, epsilon)


def adadelta_update(group: Group, lr: float, rho: float, epsilon: float) -> None:
    """Scale grad by the root mean square of past steps over that of past gradients.

    With the states accumulated_grad and accumulated_delta:
    accumulated_grad = rho * accumulated_grad + (1 - rho) * grad**2;
    delta = grad * sqrt(accumulated_delta + epsilon) / sqrt(accumulated_grad + epsilon);
    accumulated_delta = rho * accumulated_delta + (1 - rho) * delta**2; param -= lr * delta.
    """
    group.step("adadelta", lr, rho, 1 - rho, epsilon)


def adam_update(group: Group, lr: float, beta_1: float, beta_2: float, epsilon: float, t: int) -> None:
    """Step t >= 1 of Adam, with its bias correction folded into the learning rate.

    With the states m and v: m += (1 - beta_1) * (grad - m); v += (1 - beta_2) * (grad**2 - v);
    param -= lr * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon).
    """
    lr_t = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    group.step("adam", lr_t, 1 - beta_1, 1 - beta_2, epsilon)
