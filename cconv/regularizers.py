"""Penalties on weights that a layer adds to the loss, by name or as objects."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from cconv import arguments, ops
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import at_least_zero, one_of
from cconv.exactmath import tree_sum
from cconv.ops.run import Run

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


TINY = 1e-12  # replaces the length of a vector of zeros


class Regularizer(arguments.Configured):
    """The penalty ``l1 Σ|w| + l2 Σw²``, Keras' `L1L2`; `L1` and `L2` are its halves.

    Attributes
    ----------
    l1, l2 : float
        The two factors, at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> L1L2(l1=0.5, l2=0.25)(np.array([1.0, -2.0]))
    2.75
    """

    not_called: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("__call__", "call"),
        "the gradient would be another one: give l1 and l2, Σ|w| and Σw² are all there is",
    )
    l1: float = 0.0
    l2: float = 0.0

    @controlled
    def __call__(self, w: np.ndarray) -> float:
        """Return the penalty of the weights `w`, of any shape, summed in float64."""
        return self._penalty(w)

    @property
    def factors(self) -> tuple[Any, ...]:
        """Everything, besides the weights, that the gradient depends on."""
        return self.l1, self.l2

    @property
    def more(self) -> bool:
        """Whether the gradient has a part that does not come from l1 and l2."""
        return False

    @controlled
    def gradient(self, w: np.ndarray) -> np.ndarray:
        """Return that part, of w's shape."""
        raise NotImplementedError

    def _penalty(self, w: np.ndarray) -> float:
        flat = w.reshape(-1)
        penalty = 0.0
        if self.l1:
            penalty += self.l1 * float(np.abs(flat).sum(dtype=np.float64))
        if self.l2:
            penalty += self.l2 * float(np.square(flat).sum(dtype=np.float64))
        return penalty


class L1(Regularizer):
    """The penalty ``l1 Σ|w|``.

    Examples
    --------
    >>> L1(0.5)(np.array([-1.0, 3.0]))
    2.0
    """

    def __init__(self, l1: float = 0.01):
        self.l1: float = at_least_zero("L1", "l1", l1)


class L2(Regularizer):
    """The penalty ``l2 Σw²``, whose gradient is ``2 l2 w``.

    Examples
    --------
    >>> L2(0.5)(np.array([-1.0, 3.0]))
    5.0
    """

    def __init__(self, l2: float = 0.01):
        self.l2: float = at_least_zero("L2", "l2", l2)


class L1L2(Regularizer):
    """The penalty ``l1 Σ|w| + l2 Σw²``.

    Examples
    --------
    >>> L1L2(1.0, 0.5)(np.array([-1.0, 3.0]))
    9.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1: float = at_least_zero("L1L2", "l1", l1)
        self.l2: float = at_least_zero("L1L2", "l2", l2)


class OrthogonalRegularizer(Regularizer):
    """A penalty on rows, or columns, of a matrix that are not orthogonal to each other.

    ::

        factor · Σ_{i<j} |u_i · u_j| / (n (n - 1) / 2),   u_i = w_i / |w_i|

    with the n rows w_i: for a kernel of a dense layer the weights of each input, with ``"columns"`` those of
    each unit. As in Keras.

    Parameters
    ----------
    factor : float
        At least 0.
    mode : {"rows", "columns"}
        Which vectors the penalty is about.

    Examples
    --------
    >>> OrthogonalRegularizer(0.5)(np.array([[1.0, 0.0], [3.0, 3.0]])), OrthogonalRegularizer()(np.eye(2))
    (0.3535533905932738, 0.0)
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor: float = at_least_zero("OrthogonalRegularizer", "factor", factor)
        self.mode: str = one_of("OrthogonalRegularizer", "mode", mode, ("rows", "columns"))

    @property
    def factors(self) -> tuple[Any, ...]:
        """Everything, besides the weights, that the gradient depends on."""
        return self.factor, self.mode

    @property
    def more(self) -> bool:
        """Whether the gradient has a part that does not come from l1 and l2."""
        return True

    def _vectors(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Return unit vectors as rows, their lengths, their products (0 on the diagonal), and the scale."""
        if w.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer: w must be a matrix, got the shape {w.shape}")
        rows = np.ascontiguousarray(w if self.mode == "rows" else w.T, np.float64)
        lengths = np.sqrt(tree_sum(np.square(rows.T)))[:, np.newaxis]
        units = rows / np.maximum(lengths, TINY)
        products = ops.dense(units, np.ascontiguousarray(units.T), None, False, Run())
        products[np.diag_indices(len(rows))] = 0.0
        pairs = len(rows) * (len(rows) - 1) / 2
        return units, lengths, products, self.factor / pairs if pairs else math.nan

    def _penalty(self, w: np.ndarray) -> float:
        _, _, products, scale = self._vectors(w)
        return 0.5 * scale * float(np.abs(products).sum(dtype=np.float64))

    @controlled
    def gradient(self, w: np.ndarray) -> np.ndarray:
        """Return the gradient of the penalty, of w's shape and dtype."""
        units, lengths, products, scale = self._vectors(w)
        pull = scale * ops.dense(np.sign(products), units, None, False, Run())
        along = tree_sum(np.ascontiguousarray((pull * units).T))[:, np.newaxis]
        found = (pull - along * units) / np.maximum(lengths, TINY)
        return (found if self.mode == "rows" else found.T).astype(w.dtype)


# Keras also has these names: `kernel_regularizer=regularizers.l2(1e-4)`.
l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

_CLASSES: dict[str, type[Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "l1l2": L1L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def get(value: Any, where: str = "regularizers.get", name: str = "value") -> Regularizer | None:
    """Return the regularizer that `value` stands for; None means no regularizer.

    Parameters
    ----------
    value : str, Regularizer, mapping or None
        ``"l2"``, ``L2(1e-4)`` or its configuration.
    where, name : str
        Begin the error message.

    Raises
    ------
    TypeError, ValueError
        If `value` stands for no regularizer.

    Examples
    --------
    >>> get("l2")
    L2()
    """
    return None if value is None else arguments.resolve(where, name, value, Regularizer, _CLASSES)


def serialize(regularizer: Regularizer) -> Any:
    """Return ``{"class_name": …, "config": …}`` for a regularizer, as plain data.

    Examples
    --------
    >>> serialize(L2(0.5))
    {'class_name': 'L2', 'config': {'l2': 0.5}}
    """
    return arguments.config_of(regularizer)


def deserialize(config: Any) -> Regularizer | None:
    """Return the regularizer that `serialize` described.

    Raises
    ------
    TypeError, ValueError
        If it describes no regularizer.

    Examples
    --------
    >>> deserialize(serialize(L2(0.5)))
    L2(l2=0.5)
    """
    return get(config, "regularizers.deserialize", "config")


refusing(globals(), functions=["deserialize", "get"])
