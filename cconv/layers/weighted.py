"""The arrays of a layer: creating, listing, setting and constraining them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cconv.arguments.arrays import arrays_of
from cconv.arguments.control import controlled
from cconv.constraints import Constraint
from cconv.initializers import Initializer
from cconv.layers import hooks
from cconv.layers.listed import Listed
from cconv.layers.weights import Weights
from cconv.regularizers import Regularizer
from cconv.seeds import stream_of

Shape = tuple[int, ...]


class Weighted(Listed):
    """The part of a `Layer` that manages its weights; `Layer` describes the attributes."""

    params: Weights
    state: Weights
    regularizers: dict[str, Regularizer]
    constraints: dict[str, Constraint]
    trainable: bool
    dtype: np.dtype
    build_seed: int
    key: int
    where: Any  # a property of `Layer`
    # Returns an array for a name and a shape instead of initial weights: see `models/files.py`.
    _stand_in: Callable[[str, Shape], np.ndarray] | None = None
    _first_weights: Sequence[ArrayLike] | None = None  # given by `weights=`, as in Keras 2

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: DTypeLike | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> np.ndarray:
        """Create a weight; to be called in `build` of a subclass.

        Parameters
        ----------
        shape : tuple of int
            Empty for a single number.
        initializer : str or Initializer, optional
            By default ``"glorot_uniform"``, as Keras. See `cconv.initializers`.
        dtype : None
            A weight has the layer's dtype.
        trainable : bool
            False: a state, which is saved, but which only the layer itself changes.
        regularizer : str or Regularizer, optional
            A penalty on the weight.
        constraint : str or Constraint, optional
            Applied to the weight after every step.
        name : str, optional
            Its key in `params`, `grads` or `state`, and in files; by default ``"weight"``, ``"weight_1"``, …

        Returns
        -------
        ndarray
            The weight's own memory: training and loading write into it.

        Raises
        ------
        RuntimeError
            Outside of `build`.
        TypeError, ValueError
            For an invalid shape, another dtype, or a name that exists already.
        """
        return hooks.add_weight(self, shape, initializer, dtype, trainable, regularizer, constraint, name)

    def _add_weight(
        self,
        name: str,
        shape: Shape,
        initializer: Initializer,
        regularizer: Regularizer | None = None,
        constraint: Constraint | None = None,
    ) -> None:
        self.params.add(name, self._initial(name, shape, initializer))
        if regularizer is not None:
            self.regularizers[name] = regularizer
        if constraint is not None:
            self.constraints[name] = constraint

    def _add_state(self, name: str, shape: Shape, initializer: Initializer) -> None:
        self.state.add(name, self._initial(name, shape, initializer))

    def _initial(self, name: str, shape: Shape, initializer: Initializer) -> np.ndarray:
        if self._stand_in is not None:
            stand_in = self._stand_in(name, shape)
            # `build` of a user's class may keep the array: it must be one that values can be read into.
            return np.zeros(shape, self.dtype) if hooks.runs(self) else stand_in
        return initializer(shape, self.dtype, seed=self.build_seed, stream=stream_of(self.key, name))

    def count_params(self) -> int:
        """Return the number of elements that the layer stores: weights and state."""
        return sum(array.size for array in (*self.params.values(), *self.state.values()))

    def _in_order(self) -> list[np.ndarray]:
        return [*self.params.values(), *self.state.values()]

    def _listed(self, trained: bool) -> list[np.ndarray]:
        if trained:
            return list(self.params.values()) if self.trainable else []
        return list(self.state.values()) if self.trainable else self._in_order()

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the weights, then of the state."""
        return [array.copy() for array in (*self.params.values(), *self.state.values())]

    @controlled
    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Copy these values into the weights and the state, in the order of `get_weights`.

        Raises
        ------
        ValueError
            When their number or a shape differs.
        """
        places = [(store, name) for store in (self.params, self.state) for name in store]
        shapes = [store[name].shape for store, name in places]
        values = arrays_of(self.where, weights)
        given = [value.shape for value in values]
        if given != shapes:
            raise ValueError(f"{self.where}: weights must have the shapes {shapes}, got {given}")
        for (store, name), value in zip(places, values, strict=True):
            store[name] = value

    def _set_first_weights(self, weights: Sequence[ArrayLike] | None) -> None:
        """Use these arrays instead of initial weights when the layer is built."""
        self._first_weights = weights

    def penalty(self) -> float:
        """Return the sum of the penalties on the layer's weights."""
        return self._penalty() if self.regularizers else 0.0

    @controlled
    def _penalty(self) -> float:
        return math.fsum(penalty(self.params[name]) for name, penalty in self.regularizers.items())

    @controlled
    def constrain(self) -> None:
        """Apply the constraints to their weights, in place.

        Raises
        ------
        TypeError, ValueError
            When a user's constraint does not return real numbers of the weight's shape.
        """
        for name, constraint in self.constraints.items():
            self.params[name] = constraint(self.params[name])
