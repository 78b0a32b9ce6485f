"""The arrays of an optimizer's step: checks, and groups for the kernels."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cconv import arguments
from cconv.arguments.arrays import aligned_empty
from cconv.ops import optimizers
from cconv.optimizers.options import Options
from cconv.optimizers.passes import Entry, Passes
from cconv.regularizers import Regularizer

Arrays = Mapping[str, np.ndarray] | Sequence[np.ndarray]


def by_name(arrays: Arrays) -> dict[str, np.ndarray]:
    """Return arrays by their names, or by their indices in the list."""
    if isinstance(arrays, Mapping):
        return dict(arrays)
    return {str(place): array for place, array in enumerate(arrays)}


def checked(name: str, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return the gradient of a weight as kernels need it; raise if weight or gradient are not valid."""
    if not isinstance(w, np.ndarray) or w.dtype not in (np.float32, np.float64) or not w.flags.carray:
        raise TypeError(
            f"Optimizer: trainable_variables[{name!r}] must be a writeable, C-contiguous array of float32 or "
            "float64"
        )
    if not isinstance(g, np.ndarray):
        raise TypeError(f"Optimizer: grads[{name!r}] must be an array, got {type(g).__name__}")
    if g.shape != w.shape or g.dtype != w.dtype:
        raise ValueError(
            f"Optimizer: grads[{name!r}] must be {w.dtype} of shape {w.shape}, got {g.dtype} of {g.shape}"
        )
    return arguments.ready(g, w.dtype)


def check_apart(pairs: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """Refuse weights that share memory: one step would change them twice."""
    places = sorted((w.ctypes.data, w.ctypes.data + w.nbytes, name) for name, w, _ in pairs)
    for (_, end, first), (start, _, second) in itertools.pairwise(places):
        if start < end:
            raise ValueError(
                f"Optimizer: trainable_variables[{first!r}] and trainable_variables[{second!r}] share memory"
            )


class ArrayGroups:
    """Weights and gradients grouped for a step; used as long as every step has the same arrays.

    Attributes
    ----------
    groups : list of Group
        One for each dtype.
    passes : list of Passes
        The passes around the rule, one entry for each dtype; empty if there are none.
    token : object or None
        The object by which the caller identifies these arrays.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, np.ndarray, np.ndarray]],
        ready: Sequence[np.ndarray],
        slots: Sequence[dict[str, np.ndarray]],
        penalties: Sequence[Regularizer | None],
        own: Sequence[str],
        options: Options,
        decays: Callable[[str], bool],
    ) -> None:
        self._pairs, self._penalties = list(pairs), _factors(penalties)
        self.token: object | None = None
        # Gradients that must be computed first: with an L1 or another penalty, or not as kernels need them.
        self._changed: list[tuple[np.ndarray, np.ndarray, np.ndarray, Regularizer | None]] = []
        by_dtype: dict[Any, list[Entry]] = {}
        for (name, w, given), grad, kept, penalty in zip(pairs, ready, slots, penalties, strict=True):
            l1 = penalty.l1 if penalty is not None else 0.0
            g = grad
            if l1 or grad is not given or (penalty is not None and penalty.more):
                g = aligned_empty(w.shape, w.dtype)
                self._changed.append((g, given, w, penalty))
            # The gradient of l2 Σw² is 2 l2 w.
            l2 = 2.0 * penalty.l2 if penalty is not None else 0.0
            by_dtype.setdefault(w.dtype, []).append(Entry(w, g, kept, l2, decays(name)))
        self.passes: list[Passes] = (
            [Passes(entries, options) for entries in by_dtype.values()] if options._around() else []
        )
        # If there are passes, they have added the penalties to the gradients already.
        self.groups: list[optimizers.Group] = [
            options._grouping(
                [(e.w, e.used, *(e.slots[slot] for slot in own if slot in e.slots)) for e in entries],
                [0.0 if self.passes else e.l2 for e in entries],
            )
            for entries in by_dtype.values()
        ]

    def are(
        self,
        pairs: Sequence[tuple[str, np.ndarray, np.ndarray]],
        penalties: Sequence[Regularizer | None],
    ) -> bool:
        """Whether these arrays, under these names, and these penalties are the group's."""
        return (
            len(pairs) == len(self._pairs)
            and _factors(penalties) == self._penalties
            and all(
                ours[1] is theirs[1] and _is_same(ours[2], theirs[2]) and ours[0] == theirs[0]
                for ours, theirs in zip(pairs, self._pairs, strict=True)
            )
            and self.writeable()
        )

    def writeable(self) -> bool:
        """Whether the weights are still writeable."""
        return all([w.flags.writeable for _, w, _ in self._pairs])

    def refresh(self) -> None:
        """Compute the gradients that must be computed first."""
        for g, given, w, penalty in self._changed:
            g[...] = given + penalty.l1 * np.sign(w) if penalty is not None and penalty.l1 else given
            if penalty is not None and penalty.more:
                g += penalty.gradient(w)


def _factors(penalties: Sequence[Regularizer | None]) -> list[tuple[Any, ...] | None]:
    # The values, not the objects, since these may be changed in place.
    return [None if penalty is None else penalty.factors for penalty in penalties]


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same object, or views of the same memory."""
    if a is b:
        return True
    same = a.ctypes.data == b.ctypes.data and a.strides == b.strides
    return same and a.shape == b.shape and a.dtype == b.dtype
