"""Optimizer steps: each is one pass over all parameters with their gradients and states, in place.

Arguments are already checked. `l2` adds ``l2 * param`` to the gradient on the fly. The rules, given as
formulas here, are those of Keras 3.
"""

import itertools
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from cconv.kernels import optimizers as loops
from cconv.threads import threads_for

Array = np.ndarray

# The order is that of the kernel's rule numbers.
RULES = (
    *("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam"),
    *("amsgrad", "nadam", "adamax", "lion"),
    *("rmsprop_momentum", "rmsprop_centered", "rmsprop_centered_momentum", "ftrl", "lamb_moments", "lamb"),
    *("accumulate", "penalize", "scale", "clip", "average"),
)
PIECE = 8192  # elements of a partial sum of squares


class Group:
    """Parameters that make their steps together, with all that belongs to them.

    Parameters
    ----------
    entries : sequence of tuple of ndarray
        (param, grad, states…) for each parameter: C-contiguous, aligned, all of one dtype. The
        group keeps the arrays, and the kernel uses their addresses.
    l2 : sequence of float, optional
        The penalty of each parameter, by default 0. For `scale` and `penalize`, the number of each array.
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
        """The pieces that are summed at once (p, 3): number of the array, first element, elements."""
        rows = [
            (number, first, min(PIECE, entry[0].size - first))
            for number, entry in enumerate(self.entries)
            for first in range(0, entry[0].size, PIECE)
        ]
        return np.array(rows, np.int64).reshape(-1, 3)

    @cached_property
    def partial(self) -> Array:
        """Memory for the sum of each piece, which must be there before a step has changed anything."""
        return np.empty(len(self.pieces))

    def step(self, rule: str, lr: float, *numbers: float) -> None:
        """Make one step of a rule; `numbers` are those that its kernel takes."""
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


def rmsprop_momentum_update(group: Group, lr: float, rho: float, epsilon: float, momentum: float) -> None:
    """Do as `rmsprop_update`, with the states velocity and step.

    step = momentum * step + lr * grad / sqrt(velocity + epsilon); param -= step.
    """
    group.step("rmsprop_momentum", lr, rho, 1 - rho, epsilon, momentum)


def rmsprop_centered_update(group: Group, lr: float, rho: float, epsilon: float) -> None:
    """Do as `rmsprop_update` with the variance velocity - mean**2, and the states velocity and mean.

    mean = rho * mean + (1 - rho) * grad.
    """
    group.step("rmsprop_centered", lr, rho, 1 - rho, epsilon)


def rmsprop_centered_momentum_update(
    group: Group, lr: float, rho: float, epsilon: float, momentum: float
) -> None:
    """Do as both of them, with the states velocity, step and mean."""
    group.step("rmsprop_centered_momentum", lr, rho, 1 - rho, epsilon, momentum)


def ftrl_update(
    group: Group, lr: float, power: float, l1: float, l2: float, l2_shrinkage: float, beta: float
) -> None:
    """Follow the regularized leader, with the states n and z; `power`, the learning rate's, is at most 0.

    before = n; n += grad**2; z += grad + 2 * l2_shrinkage * param
    - (n**-power - before**-power) / lr * param;
    param = (clip(z, -l1, l1) - z) / (n**-power / lr + 2 * l2 + beta / lr).
    """
    # As in Keras, everything becomes NaN if the rate is 0.
    more = 2.0 * l2 + beta / lr if lr else math.nan
    group.step("ftrl", lr, -power, l1, more, 2.0 * l2_shrinkage)


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
    """Step t >= 1 of Adam, but with the largest v so far, which is the third state."""
    lr_t = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    group.step("amsgrad", lr_t, 1 - beta_1, 1 - beta_2, epsilon)


def nadam_update(
    group: Group, lr: float, beta_1: float, beta_2: float, epsilon: float, t: int, product: float
) -> None:
    """Step t >= 1 of Nadam; `product` is the product of the momenta of all steps before it.

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


def lamb_update(group: Group, lr: float, beta_1: float, beta_2: float, epsilon: float, t: int) -> None:
    """Step t >= 1 of Lamb: Adam's step, scaled to the length lr * norm(param) for each param.

    With the states m and v as in Adam: u = m / (1 - beta_1**t) / (sqrt(v / (1 - beta_2**t)) + epsilon);
    param -= lr * norm(param) / norm(u) * u, or lr * u if a norm is 0. The gradients include the penalties.
    """
    norms = np.sqrt(square_sums(group, of_params=True))
    group.step("lamb_moments", 0.0, 1 - beta_1, 1 - beta_2)
    # u = correction * m / (sqrt(v) + above).
    above, correction = epsilon * math.sqrt(1 - beta_2**t), math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    sums = np.empty(len(group.entries))
    threads = threads_for(int(group.table[-1, 6]))
    loops.lamb_sums(group.table, group.pieces, group.partial, sums, above, group.itemsize, threads)
    of_steps = np.sqrt(sums)
    there = (norms > 0) & (of_steps > 0)
    group.l2[:] = lr * np.where(there, norms / np.where(there, of_steps, 1.0), correction)
    group.step("lamb", 0.0, above)
    group.l2[:] = 0.0


# --- before and after the rules: groups of (out, x) --------------------------------------------------


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
    """Out = x, cut to -limit ... limit."""
    group.step("clip", 0.0, limit)


def average(group: Group, momentum: float) -> None:
    """Out = momentum * out + (1 - momentum) * x."""
    group.step("average", 0.0, momentum, 1 - momentum)


def square_sums(group: Group, of_params: bool = False) -> Array:
    """Return the sums of the squares of each x (k), or of each out, in float64."""
    pieces, sums = group.pieces, np.empty(len(group.entries))
    threads, column = threads_for(int(group.table[-1, 6])), 0 if of_params else 1
    loops.square_sums(group.table, pieces, group.partial, sums, column, group.itemsize, threads)
    return sums
