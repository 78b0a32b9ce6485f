"""What a plan runs: uses of layers in a fixed order, and the values that go into each.

Values are numbered: first the inputs of the model, then the output of each use. A row of layers is the
simplest flow: each layer takes the value before it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from cconv.layers.base import Layer


class Use(NamedTuple):
    """One use of a layer in a model.

    Attributes
    ----------
    layer : Layer
    inputs : tuple of int
        Numbers of the values that go in: outputs of earlier uses, or the model's inputs.
    at_inference : bool
        Whether the layer works in inference mode here, also while the model is trained.
    """

    layer: Layer
    inputs: tuple[int, ...]
    at_inference: bool = False


class Flow:
    """The uses of layers of a model, in an order in which every value is computed before it is read.

    Parameters
    ----------
    uses : sequence of Use
        In order.
    n_inputs : int
        Number of inputs of the model.
    outputs : sequence of int
        Numbers of the values that are the model's outputs.

    Attributes
    ----------
    uses, n_inputs, outputs
        As given.
    readers : list of int
        How often each value is read, by uses and as an output.

    Examples
    --------
    >>> from cconv.layers import Dense, ReLU
    >>> flow = Flow.of([Dense(3), ReLU()])
    >>> [use.inputs for use in flow.uses], flow.outputs, flow.rows()
    ([(0,), (1,)], (2,), [(0, 2)])
    """

    def __init__(self, uses: Sequence[Use], n_inputs: int, outputs: Sequence[int]) -> None:
        self.uses: tuple[Use, ...] = tuple(uses)
        self.n_inputs = n_inputs
        self.outputs: tuple[int, ...] = tuple(outputs)
        self.readers: list[int] = [0] * (n_inputs + len(self.uses))
        for value in (*(value for use in self.uses for value in use.inputs), *self.outputs):
            self.readers[value] += 1

    @classmethod
    def of(cls, layers: "Sequence[Layer] | Flow") -> "Flow":
        """Return the flow through layers in a row; a flow is returned as it is."""
        if isinstance(layers, Flow):
            return layers
        return cls([Use(layer, (number,)) for number, layer in enumerate(layers)], 1, [len(layers)])

    @property
    def layers(self) -> list[Layer]:
        """The layer of each use; a layer that is used twice is listed twice."""
        return [use.layer for use in self.uses]

    def value_of(self, number: int) -> int:
        """Return the number of the value that use `number` computes."""
        return self.n_inputs + number

    def rows(self) -> list[tuple[int, int]]:
        """Return the uses, as (begin, end), that follow one another with no branch between them."""
        found: list[tuple[int, int]] = []
        begin = 0
        for number in range(1, len(self.uses) + 1):
            if number < len(self.uses):
                before = self.value_of(number - 1)
                if self.uses[number].inputs == (before,) and self.readers[before] == 1:
                    continue
            found.append((begin, number))
            begin = number
        return found

    def with_layers(self, layers: Sequence[Layer]) -> "Flow":
        """Return the same flow through other layers, one for each use."""
        uses = [use._replace(layer=layer) for use, layer in zip(self.uses, layers, strict=True)]
        return Flow(uses, self.n_inputs, self.outputs)
