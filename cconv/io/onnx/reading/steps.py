"""The layers that an ONNX graph becomes, in order, before a model is made of them."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cconv.arguments.arrays import aligned_empty
from cconv.layers import Activation, Flatten, Input, InputLayer, Layer, Permute, Reshape
from cconv.layers.symbolic import IMAGE, KerasTensor, output_shape_of, turned_out
from cconv.models import Model, Sequential

Shape = tuple[int, ...]
LONGEST_ROW = 200  # layers of a Sequential, whose making takes their number squared
Weights = Mapping[str, np.ndarray]


@dataclass
class Step:
    """One use of a layer: the numbers of the values that go in, and what its weights are."""

    layer: Layer
    inputs: tuple[int, ...]
    weights: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Steps:
    """Uses of layers, in order. Values 0, 1, … are the inputs, then what the steps give.

    Attributes
    ----------
    data_format : str
        Of the images that the model takes and gives.
    shapes : list of tuple of int
        Of a sample of each value, channels last.
    """

    data_format: str
    shapes: list[Shape] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of the inputs
    learns: list[bool] = field(default_factory=list)  # whether weights that learn are in front of a value
    _takers: Counter[int] = field(default_factory=Counter)  # how many steps take a value
    _users: Counter[int] = field(default_factory=Counter)  # and have a layer, by its id
    _shared: dict[Any, Layer] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def add_input(self, name: str, shape: Shape) -> int:
        """Take one more input of the model; return its number."""
        self.names.append(name)
        self._taken.add(name)
        self.shapes.append(shape)
        self.learns.append(False)
        return len(self.shapes) - 1

    def add(
        self,
        make: Callable[..., Layer],
        inputs: Sequence[int],
        options: Mapping[str, Any] | None = None,
        weights: Weights | None = None,
        name: str | None = None,
        shared: Any = None,
    ) -> int:
        """Take one more use of a layer; return the number of what it gives.

        Parameters
        ----------
        make : class of the layer
        inputs : sequence of int
        options : mapping
            Arguments of the class.
        weights : mapping of str to ndarray, optional
            By the names that the layer has for them.
        name : str, optional
            Of the layer, if it has weights.
        shared : hashable, optional
            What the weights are made of: two uses of equal ones are one layer's.

        Raises
        ------
        TypeError, ValueError
            When the layer cannot be made so, or cannot take such inputs.
        """
        options = dict(options or {})
        given = [self.shapes[number] for number in inputs]
        key = None
        if shared is not None and not _alike(weights or {}):
            key = (make, repr(sorted(options.items())), shared, tuple(given))
        layer = self._shared.get(key) if key is not None else None
        if layer is None:
            if weights and name:
                options["name"] = self._new_name(name)
            layer = make(**options)
            if key is not None:
                self._shared[key] = layer
        self.shapes.append(output_shape_of(layer, given, self.data_format))
        self.steps.append(Step(layer, tuple(inputs), dict(weights or {})))
        learning = bool(weights) and layer.trainable
        self.learns.append(learning or any(self.learns[number] for number in inputs))
        self._takers.update(inputs)
        self._users[id(layer)] += 1
        return len(self.shapes) - 1

    def reshaped(self, number: int, sizes: Sequence[int]) -> int:
        """Return a value in another shape, its elements in the order of channels-last samples."""
        sizes, shape = tuple(sizes), self.shapes[number]
        if self.data_format == "channels_last":
            return self.add(Reshape, [number], {"target_shape": sizes})
        # There the layer goes by what the user sees, (c, h, w). Images become rows in the order (h, w, c) by
        # `Flatten`; rows become images of (h, w, c) in the user's view, and these are turned.
        if not _seen_as_they_lie(shape):
            number = self.add(Flatten, [number])
            if len(sizes) == 1:
                return number
        if _seen_as_they_lie(sizes):
            return self.add(Reshape, [number], {"target_shape": turned_out(sizes, self.data_format)})
        return self.permuted(self.add(Reshape, [number], {"target_shape": sizes}), (3, 1, 2))

    def permuted(self, number: int, dims: Sequence[int]) -> int:
        """Return a value with the axes of its channels-last samples in another order."""
        if self.data_format == "channels_first" and len(dims) == IMAGE:
            # Axis 1, 2, 3 of (h, w, c) is axis 2, 3, 1 of (c, h, w).
            dims = [(2, 3, 1)[dims[place] - 1] for place in (2, 0, 1)]
        return self.add(Permute, [number], {"dims": tuple(dims)})

    def _new_name(self, name: str) -> str:
        """Return a name that no layer has yet, in which nothing stands that files' paths are made of."""
        plain = re.sub(r"[^\w.\-]+", ".", name).strip(".") or "layer"
        new, number = plain, 1
        while new in self._taken:
            new, number = f"{plain}_{number}", number + 1
        self._taken.add(new)
        return new

    def step_of(self, number: int) -> Step | None:
        """Return the step that gives a value; None for an input."""
        return self.steps[number - len(self.names)] if number >= len(self.names) else None

    def is_alone(self, number: int) -> bool:
        """Whether no step takes a value yet, and its layer gives no other."""
        step = self.step_of(number)
        return not self._takers[number] and step is not None and self._users[id(step.layer)] == 1

    def set_idle(self, since: int) -> None:
        """Let the steps from one on not count as such that take values: they may never be asked for."""
        for step in self.steps[since:]:
            self._takers.subtract(step.inputs)

    def replace(self, number: int, layer: Layer, weights: dict[str, np.ndarray]) -> None:
        """Let another layer with other weights give a value that nothing takes yet."""
        step = self.step_of(number)
        assert step is not None
        self._users[id(step.layer)] -= 1
        step.layer, step.weights = layer, weights
        self._users[id(layer)] += 1
        self._shared.clear()  # no later use may share the layer as it was

    # --- a model ------------------------------------------------------------------------------

    def _only_needed(self, outputs: Sequence[int]) -> list[tuple[int, Step]]:
        """Return the steps that the outputs depend on, each with the number of what it gives."""
        wanted, kept = set(outputs), []
        for number in range(len(self.shapes) - 1, len(self.names) - 1, -1):
            step = self.step_of(number)
            if number in wanted and step is not None:
                wanted.update(step.inputs)
                kept.append((number, step))
        return kept[::-1]

    def weights_of(self, outputs: Sequence[int]) -> int:
        """Return how many numbers the layers that the outputs depend on have as weights."""
        weights = {id(step.layer): step.weights for _, step in self._only_needed(outputs)}
        return sum(array.size for each in weights.values() for array in each.values())

    def model(self, outputs: Sequence[int], output_names: Sequence[str], dtype: np.dtype) -> Any:
        """Return the model that gives these values, a `Sequential` where the layers stand in a row."""
        ends = self._ends(outputs)
        steps = self._only_needed(ends)
        for end, name in zip(ends, output_names, strict=True):
            step = self.step_of(end)
            assert step is not None  # `_ends` sees to it
            if not step.layer.named:
                step.layer.name, step.layer.named = self._new_name(name), True
        counts: Counter[str] = Counter()
        for _, step in steps:
            if not step.layer.named:  # as models name them, but without asking for all names each time
                base = step.layer.name
                while step.layer.name in self._taken:
                    counts[base] += 1
                    step.layer.name = f"{base}_{counts[base]}"
                self._taken.add(step.layer.name)
        given = {id(step.layer): step.weights for _, step in steps}
        for _, step in steps:
            step.layer._stand_in = _Given(given[id(step.layer)], dtype)
        try:
            if self._is_row(steps, ends):
                return self._sequential([step.layer for _, step in steps], dtype)
            return self._graph(steps, ends, dtype)
        finally:
            for _, step in steps:
                step.layer.__dict__.pop("_stand_in", None)

    def _ends(self, outputs: Sequence[int]) -> list[int]:
        """Return the outputs so that each is given by a layer of its own."""
        ends: list[int] = []
        for number in outputs:
            own = number in ends or self.step_of(number) is None
            ends.append(self.add(Activation, [number], {"activation": "linear"}) if own else number)
        return ends

    def _is_row(self, steps: Sequence[tuple[int, Step]], ends: Sequence[int]) -> bool:
        before = 0
        for number, step in steps:
            if step.inputs != (before,) or step.layer._merges:
                return False
            before = number
        layers = {id(step.layer) for _, step in steps}
        if len(steps) > LONGEST_ROW:
            return False
        return len(self.names) == len(ends) == 1 and ends[0] == before and len(layers) == len(steps)

    def _input(self, number: int) -> KerasTensor:
        tensor = Input(turned_out(self.shapes[number], self.data_format), name=self.names[number])
        tensor.data_format = self.data_format
        return tensor

    def _sequential(self, layers: Sequence[Layer], dtype: np.dtype) -> Sequential:
        first = self._input(0).node.layer
        assert isinstance(first, InputLayer)
        shape = first.shape
        model = Sequential(layers, dtype=dtype, data_format=self.data_format)
        model.build(shape)
        return model

    def _graph(self, steps: Sequence[tuple[int, Step]], ends: Sequence[int], dtype: np.dtype) -> Model:
        tensors = {number: self._input(number) for number in range(len(self.names))}
        for number, step in steps:
            given = [tensors[value] for value in step.inputs]
            tensors[number] = step.layer(given if step.layer._merges else given[0])
        inputs = [tensors[number] for number in range(len(self.names))]
        outputs = [tensors[number] for number in ends]
        single = len(inputs) == 1, len(outputs) == 1
        return Model(
            inputs[0] if single[0] else inputs,
            outputs[0] if single[1] else outputs,
            dtype=dtype,
            data_format=self.data_format,
        )


def _seen_as_they_lie(shape: Shape) -> bool:
    """Whether the elements of a sample have one order, channels last or first."""
    return len(shape) != IMAGE or shape[2] == 1 or shape[:2] == (1, 1)


def _alike(weights: Weights) -> bool:
    """Whether weights are all the same number: equal by chance, where exporters keep one of such."""
    return all(array.size and array.min() == array.max() for array in weights.values())


class _Given:
    """What a layer asks for its weights while it is built: those of the file."""

    def __init__(self, weights: Weights, dtype: np.dtype) -> None:
        self.weights, self.dtype = weights, dtype

    def __call__(self, name: str, shape: Shape) -> np.ndarray:
        given = self.weights.get(name)
        if given is None or given.shape != shape:
            found = "none" if given is None else f"one of shape {given.shape}"
            raise ValueError(f"{name} must have shape {shape}, got {found}")
        array = aligned_empty(shape, self.dtype)
        array[...] = given
        return array
