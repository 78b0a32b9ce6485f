"""The layers of an ONNX graph, in order, before a model is made from them."""

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
LONGEST_ROW = 200  # limit for a Sequential, since building it takes quadratic time
Weights = Mapping[str, np.ndarray]


@dataclass
class Step:
    """One use of a layer: the numbers of its input values, and the layer's weights."""

    layer: Layer
    inputs: tuple[int, ...]
    weights: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Steps:
    """Uses of layers, in order. Values 0, 1, … are the inputs, then the outputs of the steps.

    Attributes
    ----------
    data_format : str
        Layout of the model's input and output images.
    shapes : list of tuple of int
        One sample's shape of each value, channels last.
    """

    data_format: str
    shapes: list[Shape] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # names of the inputs
    learns: list[bool] = field(default_factory=list)  # whether values depend on trainable weights
    _takers: Counter[int] = field(default_factory=Counter)  # the number of steps that take a value
    _users: Counter[int] = field(default_factory=Counter)  # the number of steps that use a layer, by its id
    _shared: dict[Any, Layer] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def add_input(self, name: str, shape: Shape) -> int:
        """Add an input of the model; return its number."""
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
        """Add a use of a layer; return the number of its output.

        Parameters
        ----------
        make : class of the layer
        inputs : sequence of int
        options : mapping
            Arguments of the class.
        weights : mapping of str to ndarray, optional
            By the layer's names for them.
        name : str, optional
            Name of the layer, if it has weights.
        shared : hashable, optional
            The origin of the weights: uses with equal `shared` become one layer.

        Raises
        ------
        TypeError, ValueError
            When the layer cannot be made, or cannot take these inputs.
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
        """Return a value in another shape, with its elements in the order of channels-last samples."""
        sizes, shape = tuple(sizes), self.shapes[number]
        if self.data_format == "channels_last":
            return self.add(Reshape, [number], {"target_shape": sizes})
        # In a channels_first model Reshape uses the user's view, (c, h, w). `Flatten` turns images into rows
        # in the order (h, w, c); rows become images of shape (h, w, c) in the user's view, and these are
        # permuted.
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
        """Return a new unique name for a layer, without characters that are special in paths of files."""
        plain = re.sub(r"[^\w.\-]+", ".", name).strip(".") or "layer"
        new, number = plain, 1
        while new in self._taken:
            new, number = f"{plain}_{number}", number + 1
        self._taken.add(new)
        return new

    def step_of(self, number: int) -> Step | None:
        """Return the step that computes a value; None for an input."""
        return self.steps[number - len(self.names)] if number >= len(self.names) else None

    def is_alone(self, number: int) -> bool:
        """Whether no step takes the value yet, and its layer has no other use."""
        step = self.step_of(number)
        return not self._takers[number] and step is not None and self._users[id(step.layer)] == 1

    def set_idle(self, since: int) -> None:
        """Ignore the steps from `since` on as readers of values: they may never be needed."""
        for step in self.steps[since:]:
            self._takers.subtract(step.inputs)

    def replace(self, number: int, layer: Layer, weights: dict[str, np.ndarray]) -> None:
        """Replace the layer and the weights of a value that has no reader yet."""
        step = self.step_of(number)
        assert step is not None
        self._users[id(step.layer)] -= 1
        step.layer, step.weights = layer, weights
        self._users[id(layer)] += 1
        self._shared.clear()  # no later use may share the old layer

    # --- a model ------------------------------------------------------------------------------

    def _only_needed(self, outputs: Sequence[int]) -> list[tuple[int, Step]]:
        """Return the steps that the outputs depend on, each with the number of its output."""
        wanted, kept = set(outputs), []
        for number in range(len(self.shapes) - 1, len(self.names) - 1, -1):
            step = self.step_of(number)
            if number in wanted and step is not None:
                wanted.update(step.inputs)
                kept.append((number, step))
        return kept[::-1]

    def weights_of(self, outputs: Sequence[int]) -> int:
        """Return the number of weights of the layers that the outputs depend on."""
        weights = {id(step.layer): step.weights for _, step in self._only_needed(outputs)}
        return sum(array.size for each in weights.values() for array in each.values())

    def model(self, outputs: Sequence[int], output_names: Sequence[str], dtype: np.dtype) -> Any:
        """Return the model with these outputs; a `Sequential` if the layers form a row."""
        ends = self._ends(outputs)
        steps = self._only_needed(ends)
        for end, name in zip(ends, output_names, strict=True):
            step = self.step_of(end)
            assert step is not None  # `_ends` ensures this
            if not step.layer.named:
                step.layer.name, step.layer.named = self._new_name(name), True
        counts: Counter[str] = Counter()
        for _, step in steps:
            if not step.layer.named:  # as a model would name it, but faster
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
        """Return the outputs, each made by a layer of its own; linear activations are added if needed."""
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
    """Whether the elements of a sample have the same order, channels last or first."""
    return len(shape) != IMAGE or shape[2] == 1 or shape[:2] == (1, 1)


def _alike(weights: Weights) -> bool:
    """Whether each weight is constant: such weights may be equal by chance, and exporters store them once."""
    return all(array.size and array.min() == array.max() for array in weights.values())


class _Given:
    """Stands for a layer's initializers while it is built: returns the file's weights."""

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
