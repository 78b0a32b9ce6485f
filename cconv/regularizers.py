"""Penalties on weights that a layer adds to the loss, by name or as objects."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import at_least_zero

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "l1", "l1_l2", "l2"]


class Regularizer(arguments.Configured):
    """The penalty ``l1 Σ|w| + l2 Σw²``, Keras' `L1L2`; `L1` and `L2` are its halves.

    Attributes
    ----------
    l1, l2 : float
        The two factors, at least 0.
    """

    not_called: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("__call__", "call"),
        "the gradient would be another one: give l1 and l2, Σ|w| and Σw² are all there is",
    )
    l1: float = 0.0
    l2: float = 0.0

    @controlled
    def __call__(self, w: np.ndarray) -> float:
        """Return the penalty of the weights `w`, summed in float64."""
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


# As Keras also calls them: `kernel_regularizer=regularizers.l2(1e-4)`.
l1 = L1
l2 = L2
l1_l2 = L1L2

_CLASSES: dict[str, type[Regularizer]] = {"l1": L1, "l2": L2, "l1_l2": L1L2, "l1l2": L1L2}


def get(value: Any, where: str = "regularizers.get", name: str = "value") -> Regularizer | None:
    """Return the regularizer that `value` stands for; None stands for none.

    Parameters
    ----------
    value : str, Regularizer, mapping or None
        ``"l2"``, ``L2(1e-4)`` or its configuration.
    where, name : str
        Begin the error message.

    Raises
    ------
    TypeError, ValueError
        When it stands for none.

    Examples
    --------
    >>> get("l2")
    L2()
    """
    return None if value is None else arguments.resolve(where, name, value, Regularizer, _CLASSES)


refusing(globals(), functions=["get"])
