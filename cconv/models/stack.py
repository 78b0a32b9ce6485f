"""What a model is made of: its layers, in order, with their shapes, data format and weights."""

import itertools
import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cconv import arguments
from cconv import layers as layer_classes
from cconv.arguments.arrays import as_array
from cconv.arguments.claims import Claims, alone, builders
from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int
from cconv.arguments.overrides import check_object
from cconv.layers.base import Layer
from cconv.layers.listed import Listed
from cconv.models import files
from cconv.models.formats import agreed_format
from cconv.seeds import check_seed, new_seed


class Stack(Listed):
    """Layers in a row."""

    def __init__(
        self, name: str | None, seed: int | None, dtype: DTypeLike, data_format: str | None, trainable: bool
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"Sequential: name must be a string, got {name!r}")
        if data_format not in (None, "channels_last", "channels_first"):
            raise ValueError(
                f"Sequential: data_format must be 'channels_last' or 'channels_first', got {data_format!r}"
            )
        try:
            self.dtype = np.dtype(dtype)
        except TypeError as error:
            raise TypeError(f"Sequential: dtype must be float32 or float64, got {dtype!r}") from error
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise TypeError(f"Sequential: dtype must be float32 or float64, got {dtype!r}")
        self.dtype = self.dtype.newbyteorder("=")
        self.name: str = name or "sequential"
        self.seed: int = new_seed() if seed is None else check_seed("Sequential", seed)
        self._trainable = arguments.flag("Sequential", "trainable", trainable)
        self._data_format = data_format
        self._settled_format: str | None = None  # what the layers were built for
        self._builds = Claims()  # of those who build
        self._layers: list[Layer] = []
        self._input_shape: tuple[int, ...] | None = None  # of one sample, in the model's data format
        self._own: set[Layer] = set()  # the layers that this model built
        self._claims = Claims()  # of those who train the model

    def _forget_plans(self) -> None:
        """Forget what was made for the layers as they were; `Predictor` does."""

    @property
    def trainable(self) -> bool:
        """Whether `fit` changes the weights: setting it sets that of every layer, as in Keras.

        False is for the whole model, whatever its layers say, also those that are added later; a batch
        normalisation goes by its own.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = arguments.flag("Sequential", "trainable", value)
        for layer in self._layers:
            layer.trainable = self._trainable

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, in a new list; an `Input` is not one of them, as in Keras."""
        return list(self._layers)

    @property
    def data_format(self) -> str:
        """Layout of the images that the model takes and gives."""
        return self._agreed_format() or "channels_last"

    def _agreed_format(self) -> str | None:
        rank = None if self._input_shape is None else len(self._input_shape)
        return agreed_format(self._layers, rank, self._data_format, self._settled_format)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of the input, None standing for the batch."""
        self._need_built("input_shape")
        assert self._input_shape is not None
        return (None, *self._input_shape)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of the output, None standing for the batch."""
        self._need_built("output_shape")
        return (None, *self._outer_shape(self._inner_output_shape()))

    def add(self, layer: Layer) -> None:
        """Append a layer.

        Raises
        ------
        TypeError
            When it is not a layer.
        ValueError
            When a layer of that name is there already, its input cannot be what comes before, or it was told
            another data format than the model or another layer.
        RuntimeError
            While the model is training.
        """
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential.add: layer must be a cconv.layers.Layer, got {layer!r}")
        check_object(layer)
        self._not_in_training("Sequential.add")
        if isinstance(layer, layer_classes.Input):
            if self._layers:
                raise ValueError("Sequential.add: an Input must come first")
            self._input_shape = self._given_shape(layer.input_shape)
            return
        names = {other.name for other in self._layers}
        if any(other is layer for other in self._layers) or (layer.named and layer.name in names):
            raise ValueError(f"Sequential.add: every layer needs a name of its own, got {layer.name!r} twice")
        if layer.name in names:
            layer.name = _unused(layer.name, names)
        first = not self._layers and self._input_shape is None
        settled = self._settled_format
        self._layers.append(layer)
        try:
            self._agreed_format()
            if first and layer.input_shape is not None:
                # What a layer was told is in the model's data format, what it was built for in its own.
                shape = layer.input_shape
                self._input_shape = self._outer_shape(layer._inner(shape)) if layer.built else shape
            self._forget_plans()
            if self._input_shape is not None:
                self._build_layers("Sequential.add")
        except Exception:
            self._layers.pop()
            self._settled_format = settled
            if first:
                self._input_shape = None
            raise

    def pop(self) -> Layer:
        """Take the last layer off and return it."""
        if not self._layers:
            raise ValueError("Sequential.pop: there are no layers")
        self._not_in_training("Sequential.pop")
        self._forget_plans()
        return self._layers.pop()

    def _inner_output_shape(self) -> tuple[int, ...]:
        last = self._layers[-1]
        return last._inner(last.output_shape)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of that name or number.

        Raises
        ------
        ValueError
            When there is none.
        """
        if index is not None and -len(self._layers) <= index < len(self._layers):
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.shown for layer in self._layers)
        raise ValueError(f"Sequential.get_layer: expected one of {known}, got name={name!r}, index={index!r}")

    @property
    def built(self) -> bool:
        """Whether the shape of the input is known and every layer has its weights."""
        return self._input_shape is not None and bool(self._layers) and all(e.built for e in self._layers)

    @controlled
    def build(self, input_shape: Sequence[int | None] | None = None) -> Self:
        """Create the weights.

        Parameters
        ----------
        input_shape : tuple of int
            Of one image, ``(h, w, c)``, or with Keras' None for the batch in front; ``(c, h, w)``
            if the model is channels_first. Not needed when the first layer knows it.

        Returns
        -------
        Sequential
            The model itself.

        Raises
        ------
        ValueError
            When a layer cannot take what comes before it: the message names the layer, its number
            and both shapes.
        RuntimeError
            While the model is training.
        """
        self._not_in_training("Sequential.build")
        self._build_for("Sequential.build", input_shape)
        return self

    def _build_for(self, where: str, input_shape: Any) -> None:
        """Create the weights for this shape, or what was declared."""
        if not self._layers:
            raise ValueError("Sequential.build: add a layer first")
        if input_shape is not None:
            self._input_shape = self._given_shape(input_shape)
        if self._input_shape is None:
            raise ValueError("Sequential.build: input_shape must be given, since the first layer has none")
        self._forget_plans()
        self._build_layers(where)

    def _given_shape(self, shape: Any) -> tuple[int, ...]:
        """Return an input shape as the user gave it, without the batch."""
        expected = (
            f"Sequential: input_shape must be a tuple of positive ints without the batch, got {shape!r}"
        )
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            raise TypeError(expected)
        entries = tuple(shape)
        if len(entries) > 1 and entries[0] is None:
            entries = entries[1:]
        if not entries or not all(is_int(extent) and extent >= 1 for extent in entries):
            raise ValueError(expected)
        return tuple(int(extent) for extent in entries)

    def _inner_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        first = self.data_format == "channels_first" and len(shape) == 3
        return (*shape[1:], shape[0]) if first else shape

    def _outer_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        first = self.data_format == "channels_first" and len(shape) == 3
        return (shape[-1], *shape[:-1]) if first else shape

    def _build_layers(self, where: str) -> None:
        """Build what is not built yet; one thread after the other, and never one build inside another."""
        with builders():
            alone(
                where, lambda _: f"the model {self.name!r}", (self._builds,), self._build_each, "being built"
            )

    def _build_each(self) -> None:
        assert self._input_shape is not None
        self._settled_format = self.data_format
        shape = self._inner_shape(self._input_shape)
        for number, layer in enumerate(self._layers):
            given = layer._outer(shape)
            if not (layer.built and layer.input_shape == given and layer.dtype == self.dtype):
                self._build_layer(number, layer, given)
            shape = layer._inner(layer.output_shape)

    def _build_layer(self, number: int, layer: Layer, shape: tuple[int, ...]) -> None:
        kind = type(layer).__name__
        where = f"Sequential: layer {number} ({layer.shown}, {kind})"
        if layer.built and layer not in self._own:
            raise ValueError(
                f"{where} was built for input shape {layer.input_shape} and {layer.dtype}, "
                f"got {shape} and {self.dtype} here"
            )
        trainer = layer._claims.owner()
        if trainer is not None and trainer is not self._claims.owner():
            raise RuntimeError(f"{where} is already training, in {trainer.where}: wait until that has ended")
        layer.key = number
        built, layer.built = layer.built, False  # it is the model that has it built again
        try:
            layer.build(shape, dtype=self.dtype, seed=self.seed)
        except ValueError as error:
            layer.built = built
            before = "the input" if number == 0 else f"layer {number - 1} ({self._layers[number - 1].shown})"
            raise ValueError(f"{where} cannot take the shape {shape} of {before}: {error}") from error
        self._own.add(layer)

    def _need_built(self, what: str) -> None:
        if not self.built:
            raise ValueError(
                f"Sequential.{what}: the model is not built: call build(input_shape), give its first layer "
                "input_shape=..., or fit it"
            )

    def _not_in_training(self, where: str) -> None:
        """Refuse what would pull the ground from under a training that goes on."""
        owner = self._claims.owner()
        if owner is not None:
            raise RuntimeError(
                f"{where}: the model {self.name!r} is already training, in {owner.where}: wait for its end"
            )

    def count_params(self) -> int:
        """Return how many numbers the model keeps: weights, and state such as moving averages."""
        self._need_built("count_params")
        return sum(layer.count_params() for layer in self._layers)

    def _in_order(self) -> list[np.ndarray]:
        self._need_built("weights")
        return [array for layer in self._layers for array in layer._in_order()]

    def _listed(self, trained: bool) -> list[np.ndarray]:
        self._need_built("weights")
        if not self._trainable:
            return [] if trained else self._in_order()
        return [array for layer in self._layers for array in layer._listed(trained)]

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights and states, layer by layer."""
        self._need_built("get_weights")
        return [array for layer in self._layers for array in layer.get_weights()]

    @controlled
    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set all weights and states, in the order of `get_weights`.

        Raises
        ------
        ValueError
            When their number or a shape differs; then nothing has changed.
        """
        self._need_built("set_weights")
        where = "Sequential.set_weights"
        arrays = [as_array(where, f"weights[{i}]", array) for i, array in enumerate(weights)]
        expected = [array.shape for layer in self._layers for array in files.stores(layer).values()]
        given = [array.shape for array in arrays]
        if given != expected:
            raise ValueError(f"{where}: weights must have the shapes {expected}, got {given}")
        start = 0
        for layer in self._layers:
            count = len(files.stores(layer))
            layer.set_weights(arrays[start : start + count])
            start += count


def _unused(name: str, names: set[str]) -> str:
    """Return name with the first number behind it that makes it new: conv2d, conv2d_1, conv2d_2."""
    base = re.sub(r"_\d+$", "", name)
    return next(new for new in (f"{base}_{number}" for number in itertools.count(1)) if new not in names)
