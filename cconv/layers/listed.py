"""The arrays of layers as Keras' scripts read them: in lists, and by their names in formulas."""

from typing import Any

import numpy as np

from cconv.arguments.overrides import NotCalled

Arrays = list[np.ndarray]


class Listed:
    """What layers and models share: lists of their arrays, which are not copies."""

    def _listed(self, trained: bool) -> Arrays:
        """Return the arrays that are trained, or those that are not."""
        raise NotImplementedError

    def _in_order(self) -> Arrays:
        """Return all arrays, in the order of `get_weights`."""
        raise NotImplementedError

    @property
    def weights(self) -> Arrays:
        """All weights and states, in the order of `get_weights`: a new list of the arrays themselves."""
        return self._in_order()

    @property
    def trainable_weights(self) -> Arrays:
        """The weights that training changes; none where `trainable` is False."""
        return self._listed(True)

    @property
    def non_trainable_weights(self) -> Arrays:
        """The states, and the weights that training does not change."""
        return self._listed(False)

    variables = weights
    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights


class Trained(NotCalled):
    """`trainable_weights` for classes where it must not be overridden, since training does not use it."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else instance._listed(True)


def named(name: str) -> Any:
    """Return a property that reads the layer's array of that name.

    Its value is None if the layer has no such array, say no bias; AttributeError before the layer is built.
    """

    def read(self: Any) -> np.ndarray | None:
        if not self.built:
            raise AttributeError(f"{self.where} has no {name} before it is built")
        found = self.params.get(name)
        return self.state.get(name) if found is None else found

    return property(read, doc=f"The array {name!r} itself; None where the layer has none.")
