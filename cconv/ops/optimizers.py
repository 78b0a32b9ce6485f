"""Optimizer steps: each one pass over all parameters with their gradients and states, in place.

Arguments are already checked. `l2` adds ``l2 * param`` to the gradient on the fly. The rules are
Keras 3's, which the formulas state.
"""

import itertools
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from cconv.kernels import optimizers as loops
from cconv.threads import threads_for

Array = np.ndarray

# As the kernel numbers them.
RULES = (
    *("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam"),
    *("amsgrad", "nadam", "adamax", "lion"),
    *("accumulate", "penalize", "scale", "clip", "average"),
)
PIECE = 8192  # elements of a partial sum of squares


class Group:
    """Parameters that make their steps together, and what belongs to them.

    Parameters
    ----------
    entries : sequence of tuple of ndarray
        (param, grad, states…) for each parameter: C-contiguous, aligned, all of one dtype. The
        group keeps them, and the kernel their addresses.
    l2 : sequence of float, optional
        For each parameter; by default 0. For `scale` and `penalize` the number of each array.
    """

    def __init__(self, entries: Sequence[tuple[Array, ...]], l2: Sequence[float] | None = None) -> None:
        self.entries: list[tuple[Array, ...]] = list(entries)
        self.l2: np.ndarray = np.zeros(len(self.entries)) if l2 is None else np.array(l2, np.float64)
        self.itemsize: int = self.entries[0][0].itemsize
        ends = itertools.accumulate(entry[0].size for entry in self.entries)
        self.table: np.ndarray = np.array(
            [
                [*(array.ctypes.data for array in entry), *[0] * (5 - len(entry)), entry[0].size, end]
                for entry, end in zip(self.entries, ends, strict=True)
            ],
            np.int64,
        )

    @cached_property
    def pieces(self) -> Array:
        """What is summed at once (p, 3): number of the array, first element, elements."""
        rows = [
            (number, first, min(PIECE, entry[0].size - first))
            for number, entry in enumerate(self.entries)
            for first in range(0, entry[0].size, PIECE)
        ]
        return np.array(rows, np.int64).reshape(-1, 3)

    def step(self, rule: str, lr: float, *numbers: float) -> None:
        """Make one step of a rule; the numbers are those of its kernel."""
        loops.optimize(
            RULES.index(rule),
            self.table,
            self.l2,
            np.array((lr, 0.0, *numbers)),
            self.itemsize,
            threads_for(int(self.table[-1, 6])),
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


def amsgrad_update(group: Group, lr: float, beta_1: float, beta_2: float, epsilon: float, t: int) -> None:
    """Step t >= 1 of Adam over the largest v so far, the third state."""
    lr_t = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    group.step("amsgrad", lr_t, 1 - beta_1, 1 - beta_2, epsilon)


def nadam_update(
    group: Group, lr: float, beta_1: float, beta_2: float, epsilon: float, t: int, product: float
) -> None:
    """Step t >= 1 of Nadam; `product` is that of the momenta of the steps before it.

    The momentum of step t is u_t = beta_1 * (1 - 0.96**t / 2). With the states m and v as in Adam:
    param -= lr * (u_{t+1} * m / (1 - u_1 … u_{t+1}) + (1 - u_t) * grad / (1 - u_1 … u_t))
    / (sqrt(v / (1 - beta_2**t)) + epsilon).
    """
    now, then = (beta_1 * (1 - 0.5 * 0.96**step) for step in (t, t + 1))
    product *= now
    size = math.sqrt(1 - beta_2**t)
    of_m, of_g = lr * size * then / (1 - product * then), lr * size * (1 - now) / (1 - product)
    group.step("nadam", lr, 1 - beta_1, 1 - beta_2, epsilon * size, of_m, of_g)


def adamax_update(group: Group, lr: float, beta_1: float, beta_2: float, epsilon: float, t: int) -> None:
    """Step t >= 1 of Adamax.

    With the states m and u: m as in Adam; u = max(beta_2 * u, |grad|);
    param -= lr / (1 - beta_1**t) * m / (u + epsilon).
    """
    group.step("adamax", lr / (1 - beta_1**t), 1 - beta_1, beta_2, epsilon)


def lion_update(group: Group, lr: float, beta_1: float, beta_2: float) -> None:
    """Param -= lr * sign(beta_1 * m + (1 - beta_1) * grad); m = beta_2 * m + (1 - beta_2) * grad."""
    group.step("lion", lr, beta_1, 1 - beta_1, beta_2, 1 - beta_2)


# --- around the rules: groups of (out, x) ------------------------------------------------------------


def accumulate(group: Group) -> None:
    """Out += x."""
    group.step("accumulate", 0.0)


def penalize(group: Group) -> None:
    """Out = x + number * w, in a group of (out, x, w)."""
    group.step("penalize", 0.0)


def scale(group: Group, numbers: Array | float) -> None:
    """Out = number * x."""
    group.l2[:] = numbers
    group.step("scale", 0.0)


def clip(group: Group, limit: float) -> None:
    """Out = x between -limit and limit."""
    group.step("clip", 0.0, limit)


def average(group: Group, momentum: float) -> None:
    """Out = momentum * out + (1 - momentum) * x."""
    group.step("average", 0.0, momentum, 1 - momentum)


def square_sums(group: Group) -> Array:
    """Return the sums of the squares of each x (k), in float64."""
    pieces, sums = group.pieces, np.empty(len(group.entries))
    threads = threads_for(int(group.table[-1, 6]))
    loops.square_sums(group.table, pieces, np.empty(len(pieces)), sums, group.itemsize, threads)
    return sums
