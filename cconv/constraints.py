"""Constraints on weights, applied after every step of an optimizer; by name or as objects.

Norms are summed in float64, in a tree whose order depends only on the shape, so that weights have the
same bits on every machine.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import finite, fraction, is_int
from cconv.arguments.serializable import name_of, own_object
from cconv.exactmath import tree_sum

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

EPSILON = 1e-7  # Keras' default; it prevents division by a norm of zero

Axes = int | Sequence[int]


class Constraint(arguments.Configured):
    """Base of the constraints, also of your own: ``__call__(w)`` returns weights that are allowed.

    It must not change the array that it is given. A function of w may be used too, but cannot be saved.

    Examples
    --------
    >>> class Centred(Constraint):
    ...     def __call__(self, w):
    ...         return w - w.mean()
    >>> Centred()(np.array([1.0, 3.0]))
    array([-1.,  1.])
    """

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return weights that are allowed in place of `w`, as a new array of its shape."""
        raise NotImplementedError(f"{type(self).__name__}: define __call__(w)")


def _norms(w: np.ndarray, axes: tuple[int, ...], where: str) -> np.ndarray:
    """Return the Euclidean norms of w over these axes, in float64; the axes stay, with length 1."""
    if not all(-w.ndim <= axis < w.ndim for axis in axes):
        raise ValueError(f"{where}: axis must name axes of a weight of shape {w.shape}, got {list(axes)}")
    summed = [axis % w.ndim for axis in axes]
    kept = [axis for axis in range(w.ndim) if axis not in summed]
    rows = w.transpose([*summed, *kept]).astype(np.float64)
    squares = np.square(rows).reshape(-1, *rows.shape[len(summed) :])
    shape = [1 if axis in summed else extent for axis, extent in enumerate(w.shape)]
    return np.sqrt(tree_sum(squares)).reshape(shape)


class _OfNorms(Constraint):
    """A constraint that scales vectors along some axes to another norm."""

    axis: Any

    def _set_axis(self, axis: Any) -> None:
        several = not is_int(axis)
        if several and (
            isinstance(axis, str) or not isinstance(axis, Sequence) or not all(map(is_int, axis))
        ):
            raise TypeError(f"{type(self).__name__}: axis must be an int or a list of ints, got {axis!r}")
        self.axis = [int(entry) for entry in axis] if several else int(axis)

    def _wanted(self, norms: np.ndarray) -> Any:
        """Return the norms that the vectors should have."""
        raise NotImplementedError

    @controlled
    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return the weights, scaled so that their norms are allowed."""
        axes = tuple(self.axis) if isinstance(self.axis, list) else (self.axis,)
        norms = _norms(w, axes, type(self).__name__)
        return (w * (self._wanted(norms) / (EPSILON + norms))).astype(w.dtype)


class MaxNorm(_OfNorms):
    """Limit norms to `max_value`; longer vectors are scaled (Srivastava et al. 2014, section 5.1).

    Parameters
    ----------
    max_value : float
        At least 0.
    axis : int or list of int
        Axes over which the squares are added: 0 for the weights of each unit of a dense layer,
        ``[0, 1, 2]`` for those of each filter.

    Examples
    --------
    >>> MaxNorm(1.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    def __init__(self, max_value: float = 2.0, axis: Axes = 0) -> None:
        self.max_value: float = finite("MaxNorm", "max_value", max_value, least=0.0)
        self._set_axis(axis)

    def _wanted(self, norms: np.ndarray) -> Any:
        return np.clip(norms, 0.0, self.max_value)


class NonNeg(Constraint):
    """Weights below zero become zero.

    Examples
    --------
    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    @controlled
    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return the weights, with zero in place of negative values."""
        return np.where(w < 0, np.zeros((), w.dtype), w)


class UnitNorm(_OfNorms):
    """Scale norms to 1.

    Parameters
    ----------
    axis : int or list of int
        As in `MaxNorm`.

    Examples
    --------
    >>> UnitNorm()(np.array([[3.0], [4.0]])).round(4)
    array([[0.6],
           [0.8]])
    """

    def __init__(self, axis: Axes = 0) -> None:
        self._set_axis(axis)

    def _wanted(self, norms: np.ndarray) -> Any:
        return 1.0


class MinMaxNorm(_OfNorms):
    """Move norms towards two bounds: a norm outside of them comes nearer at every step.

    Parameters
    ----------
    min_value, max_value : float
        The bounds, at least 0.
    rate : float
        In [0, 1]: the part of the distance that it comes nearer; 1 moves it to the bound.
    axis : int or list of int
        As in `MaxNorm`.

    Examples
    --------
    >>> MinMaxNorm(1.0, 2.0, rate=0.5)(np.array([[3.0], [4.0]])).round(4)
    array([[2.1],
           [2.8]])
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axes = 0
    ) -> None:
        self.min_value: float = finite("MinMaxNorm", "min_value", min_value, least=0.0)
        self.max_value: float = finite("MinMaxNorm", "max_value", max_value, least=0.0)
        self.rate: float = 1.0 if rate == 1 and rate is not True else fraction("MinMaxNorm", "rate", rate)
        self._set_axis(axis)

    def _wanted(self, norms: np.ndarray) -> Any:
        bounded = np.clip(norms, self.min_value, self.max_value)
        return self.rate * bounded + (1.0 - self.rate) * norms


class _OfFunction(Constraint):
    """A function of the user's own, in place of a constraint."""

    def __init__(self, function: Callable[[np.ndarray], Any]) -> None:
        self.function = function

    def __call__(self, w: np.ndarray) -> Any:
        """Return the result of the function."""
        return self.function(w)

    def plain(self) -> Any:
        """Refuse: a function is not data, unless it is registered by name."""
        name = name_of(self.function)
        if own_object(name) is not self.function:
            raise TypeError(
                f"{name}: a constraint that is a function is saved by its name alone, and this one is not "
                "registered: see cconv.utils.register_keras_serializable"
            )
        return name


# Keras also has these names: `kernel_constraint=constraints.max_norm(3)`.
max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm

_CLASSES: dict[str, type[Constraint]] = {
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
}


def get(value: Any, where: str = "constraints.get", name: str = "value") -> Constraint | None:
    """Return the constraint that `value` stands for; None means no constraint.

    Parameters
    ----------
    value : str, Constraint, function, mapping or None
        ``"max_norm"``, ``MaxNorm(3)``, a function of an array, or a configuration.
    where, name : str
        Begin the error message.

    Raises
    ------
    TypeError, ValueError
        If `value` stands for no constraint.

    Examples
    --------
    >>> get("max_norm"), get({"class_name": "MaxNorm", "config": {"max_value": 3}})
    (MaxNorm(), MaxNorm(max_value=3.0))
    """
    if value is None:
        return None
    if isinstance(value, str):
        own = own_object(value)
        value = own if own is not None else value
    if callable(value) and not isinstance(value, Constraint | type):
        return _OfFunction(value)
    return arguments.resolve(where, name, value, Constraint, _CLASSES)


def serialize(constraint: Constraint) -> Any:
    """Return ``{"class_name": …, "config": …}`` for a constraint, as plain data.

    Examples
    --------
    >>> serialize(UnitNorm())
    {'class_name': 'UnitNorm', 'config': {'axis': 0}}
    """
    return constraint.plain()


def deserialize(config: Mapping[str, Any] | str) -> Constraint | None:
    """Return the constraint that `serialize` described.

    Raises
    ------
    TypeError, ValueError
        If it describes no constraint.

    Examples
    --------
    >>> deserialize(serialize(UnitNorm()))
    UnitNorm()
    """
    return get(config, "constraints.deserialize", "config")


refusing(globals(), functions=["deserialize", "get"])
