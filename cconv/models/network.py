"""The base of every model: layers, the values that go into each, shapes, data format and weights."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cconv import arguments
from cconv.arguments.arrays import arrays_of
from cconv.arguments.claims import Claims, alone, builders
from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int
from cconv.arguments.text import short
from cconv.engine.flow import Flow
from cconv.layers.augmentation import Augmentation
from cconv.layers.base import Layer
from cconv.layers.listed import Listed
from cconv.layers.symbolic import Node, turned_in, turned_out
from cconv.models import files
from cconv.models.flowing import Entry, Inliner, inner_models, leaves
from cconv.seeds import check_seed, new_seed

Shape = tuple[int, ...]


class Network(Listed):
    """Layers, and the values that go into each; a subclass defines how they are connected.

    Attributes
    ----------
    _items : list of Layer or Network
        The entries of `layers`: layers, and models used as layers.
    _entries : list of Entry
        The uses of the items, in order.
    _outputs : list of int
        Numbers of the output values.
    _layers, _named : list
        All layers, also those inside models, each once; and with their names in files and optimizers.
    """

    kind = "Model"  # the beginning of error messages
    default_name = "functional"
    _merges = False
    _within = False  # whether it is a layer of a graph

    def __init__(
        self, name: str | None, seed: int | None, dtype: DTypeLike, data_format: str | None, trainable: bool
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{self.kind}: name must be a string, got {name!r}")
        if data_format not in (None, "channels_last", "channels_first"):
            raise ValueError(
                f"{self.kind}: data_format must be 'channels_last' or 'channels_first', got {data_format!r}"
            )
        try:
            self.dtype = np.dtype(dtype)
        except TypeError as error:
            raise TypeError(f"{self.kind}: dtype must be float32 or float64, got {dtype!r}") from error
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise TypeError(f"{self.kind}: dtype must be float32 or float64, got {dtype!r}")
        self.dtype = self.dtype.newbyteorder("=")
        self.name: str = name or self.default_name
        self.named: bool = bool(name)
        self.seed: int = new_seed() if seed is None else check_seed(self.kind, seed)
        self._trainable = arguments.flag(self.kind, "trainable", trainable)
        self._data_format = data_format
        self._settled_format: str | None = None  # the format that the layers were built for
        self._builds = Claims()  # who is building
        self._items: list[Any] = []
        self._entries: list[Entry] = []
        self._outputs: list[int] = []
        self._flat: Inliner | None = None  # the result of `_inlined`, until the items change
        self._augmenting: bool | None = None  # the answer of `_augments`, until the items change
        self._leaves: list[tuple[str, Layer]] = []
        self._changes = 0  # how often its items were taken
        self._inner: list[tuple[Network, int]] = []  # the models inside, and their changes when taken
        self._nodes: list[Node] = []  # its uses as a layer
        self._input_shapes: list[Shape] | None = None  # of one sample, in the model's data format
        self._own: set[Layer] = set()  # the layers that this model built
        self._claims = Claims()  # who is training the model

    def _forget_plans(self) -> None:
        """Forget what was computed for the previous layers; `Predictor` overrides it."""

    def _forget_layers(self, names: list[str]) -> None:
        """Forget what was kept for layers that are no longer there; `Compiler` overrides it."""

    def _take_items(self) -> None:
        """Update everything that depends on the items and entries."""
        self._flat = self._augmenting = None
        self._changes += 1
        self._inner = [(model, model._changes) for model in inner_models(self._items)]
        found: dict[int, tuple[str, Layer]] = {}
        for name, layer in leaves(self._items):
            found.setdefault(id(layer), (name, layer))
        before, self._leaves = self._leaves, list(found.values())
        now = dict(self._leaves)
        gone = [name for name, layer in before if now.get(name) is not layer]
        if gone:
            self._forget_layers(gone)

    def _follow_inner(self) -> None:
        """Take the items again if a model inside has got, or lost, layers since they were taken."""
        # Every call asks: most models have none inside.
        if self._inner and any(model._changes != changes for model, changes in self._inner):
            self._forget_plans()
            self._take_items()

    @property
    def _named(self) -> list[tuple[str, Layer]]:
        self._follow_inner()
        return self._leaves

    @property
    def _layers(self) -> list[Layer]:
        return [layer for _, layer in self._named]

    def _inlined(self) -> Inliner:
        """Return the flow that a plan runs, with the models inside this one."""
        self._follow_inner()
        flat = self._flat
        if flat is None or flat.inner:  # models inside may have changed
            flat = self._flat = Inliner(self._entries, len(self._input_shapes or [None]), self._outputs)
        return flat

    def _augments(self) -> bool:
        """Whether a call that does not say `training` changes images."""
        self._follow_inner()
        if self._augmenting is None:
            self._augmenting = any(isinstance(use.layer, Augmentation) for use in self._inlined().flow.uses)
        return self._augmenting

    @property
    def where(self) -> str:
        """The beginning of error messages about the model as a layer."""
        return f"{self.kind} {self.name!r}"

    @property
    def shown(self) -> str:
        """The name as tables and messages show it: on one line, and cut if it is long."""
        return short(self.name)

    @property
    def trainable(self) -> bool:
        """Whether `fit` changes the weights; setting it sets `trainable` of every layer, as in Keras.

        False holds for the whole model, whatever its layers have, including layers that are added later;
        whether a batch normalisation uses the batch's statistics depends on its own `trainable`.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = arguments.flag(self.kind, "trainable", value)
        for item in self._items:
            item.trainable = self._trainable

    def _learning(self) -> list[tuple[str, Layer]] | None:
        """Return the layers whose weights are trained, by name; None if the whole model is frozen."""
        return [(name, layer) for name, layer in self._named if layer.trainable] if self._trainable else None

    @property
    def layers(self) -> list[Any]:
        """The layers in order, in a new list; models among them count as layers."""
        return list(self._items)

    @property
    def data_format(self) -> str:
        """Layout of the model's input and output images."""
        return self._agreed_format() or "channels_last"

    def _agreed_format(self) -> str | None:
        """Return the format that the model and its layers were given; None if none was given."""
        return self._settled_format

    # --- shapes -------------------------------------------------------------------------------

    @property
    def _input_shape(self) -> Shape | None:
        """One sample's shape of the only input."""
        return self._input_shapes[0] if self._input_shapes is not None else None

    @property
    def input_shape(self) -> Any:
        """Shape of the input with None for the batch; a list if there are several."""
        self._need_built("input_shape")
        assert self._input_shapes is not None
        shapes = [(None, *shape) for shape in self._input_shapes]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """Shape of the output with None for the batch; a list if there are several."""
        self._need_built("output_shape")
        shapes = [(None, *self._outer_shape(shape)) for shape in self._inner_output_shapes()]
        return shapes[0] if len(shapes) == 1 else shapes

    def _inner_input_shapes(self) -> list[Shape]:
        """Return one sample's shape for each input, channels last."""
        assert self._input_shapes is not None
        return [self._inner_shape(shape) for shape in self._input_shapes]

    def _inner_output_shapes(self) -> list[Shape]:
        """Return one sample's shape for each output, channels last."""
        assert self._input_shapes is not None
        flow = self._inlined().flow
        shapes = self._inner_input_shapes()
        shapes += [layer._inner(layer.output_shape) for layer in flow.layers]
        return [shapes[value] for value in flow.outputs]

    def _inner_output_shape(self) -> Shape:
        """Return one sample's shape of the only output, channels last."""
        return self._inner_output_shapes()[0]

    def _inner_shape(self, shape: Shape) -> Shape:
        return turned_in(shape, self.data_format)

    def _outer_shape(self, shape: Shape) -> Shape:
        return turned_out(shape, self.data_format)

    def _given_shape(self, shape: Any) -> Shape:
        """Return an input shape given by the user, checked, without the batch."""
        expected = (
            f"{self.kind}: input_shape must be a tuple of positive ints without the batch, got {shape!r}"
        )
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            raise TypeError(expected)
        entries = tuple(shape)
        if len(entries) > 1 and entries[0] is None:
            entries = entries[1:]
        if not entries or not all(is_int(extent) and extent >= 1 for extent in entries):
            raise ValueError(expected)
        return tuple(int(extent) for extent in entries)

    # --- layers -------------------------------------------------------------------------------

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """Return the layer with that name or number.

        Raises
        ------
        ValueError
            When there is no such layer.
        """
        if index is not None and -len(self._items) <= index < len(self._items):
            return self._items[index]
        for item in self._items:
            if item.name == name:
                return item
        known = ", ".join(item.shown for item in self._items)
        raise ValueError(
            f"{self.kind}.get_layer: expected one of {known}, got name={name!r}, index={index!r}"
        )

    @property
    def built(self) -> bool:
        """Whether the shape of the input is known and every layer has its weights."""
        return self._input_shapes is not None and bool(self._items) and all(e.built for e in self._layers)

    def _build_for(self, where: str, input_shape: Any) -> None:
        """Create the weights; a subclass uses `input_shape` if its input's shape is not known yet."""
        self._build_layers(where)

    def _build_layers(self, where: str) -> None:
        """Build layers that are not built yet: one thread at a time, and never one build inside another."""
        with builders():
            alone(
                where, lambda _: f"the model {self.name!r}", (self._builds,), self._build_each, "being built"
            )

    def _build_each(self) -> None:
        assert self._input_shapes is not None
        self._take_items()  # another model may have named layers that were not built
        self._settled_format = data_format = self.data_format
        inlined = self._inlined()
        shapes = self._inner_input_shapes()
        made_by: list[str] = ["the input"] * len(shapes)
        keys = {id(layer): key for key, layer in enumerate(self._layers)}
        for use in inlined.flow.uses:
            key, layer = keys[id(use.layer)], use.layer
            given = self._given_to(layer, use.inputs, shapes, data_format)
            if not (layer.built and layer.input_shape == given and layer.dtype == self.dtype):
                self._build_layer(key, layer, given, " and ".join(made_by[value] for value in use.inputs))
            shapes.append(layer._inner(layer.output_shape))
            made_by.append(f"layer {key} ({layer.shown})")
        for layer, inputs in inlined.passing:
            given = self._given_to(layer, inputs, shapes, data_format)
            if not layer.built:
                self._build_layer(keys[id(layer)], layer, given, made_by[inputs[0]])
        for model, inputs in inlined.inner:
            model._take_shapes([shapes[value] for value in inputs], data_format, self._own)

    @staticmethod
    def _given_to(layer: Layer, inputs: Sequence[int], shapes: Sequence[Shape], data_format: str) -> Any:
        """Return the shape to build a layer for: its input's in the layer's format, or all inputs' shapes."""
        layer._meet_format(data_format)
        if layer._merges:
            return tuple(layer._outer(shapes[value]) for value in inputs)
        return layer._outer(shapes[inputs[0]])

    def _take_shapes(self, shapes: Sequence[Shape], data_format: str, own: set[Layer]) -> None:
        """Take the shapes and the format for which the model was built as a part of another model."""
        if self._input_shapes is None:
            self._settled_format = data_format
            self._input_shapes = [turned_out(shape, data_format) for shape in shapes]
            self._own |= {layer for layer in self._layers if layer in own}
            self._trace()

    def _trace(self) -> None:
        """Record the uses of the layers as a graph, whose tensors are `input` and `output`."""

    def _build_layer(self, number: int, layer: Layer, shape: Any, before: str) -> None:
        where = f"{self.kind}: layer {number} ({layer.shown}, {type(layer).__name__})"
        if layer.built and layer not in self._own:
            other = "" if layer.dtype == self.dtype else ": give all models that have it the same dtype="
            raise ValueError(
                f"{where} was built for input shape {layer.input_shape} and {layer.dtype}, "
                f"got {shape} and {self.dtype} here{other}"
            )
        trainer = layer._claims.owner()
        if trainer is not None and trainer is not self._claims.owner():
            raise RuntimeError(f"{where} is already training, in {trainer.where}: wait until that has ended")
        layer.key = number
        built, layer.built = layer.built, False  # so that the model builds it again
        stored = files.stores(layer) if built and layer.dtype == self.dtype else {}
        try:
            layer.build(shape, dtype=self.dtype, seed=self.seed)
        except ValueError as error:
            layer.built = built
            raise ValueError(f"{where} cannot take the shape {shape} of {before}: {error}") from error
        _keep(stored, files.stores(layer))
        self._own.add(layer)

    def _number_layers(self) -> None:
        """Give every layer its number in this model, which its random draws depend on."""
        for number, layer in enumerate(self._layers):
            layer.key = number

    def _tell_layers_apart(self) -> None:
        """Give layers numbers if two have the same; if not, another model may be training with theirs."""
        layers = self._layers
        if len({layer.key for layer in layers}) < len(layers):
            self._number_layers()

    @contextmanager
    def _as_before(self) -> Iterator[None]:
        """Take back what is done to the layers, and to the model's shape, if that ends with an error."""
        shape, settled, own = self._input_shapes, self._settled_format, set(self._own)
        layers = [(layer, dict(vars(layer))) for layer in self._layers]
        try:
            yield
        except BaseException:
            for layer, attributes in layers:
                vars(layer).clear()
                vars(layer).update(attributes)
            self._input_shapes, self._settled_format, self._own = shape, settled, own
            raise

    def _flow(self) -> Flow:
        """Return the flow that a plan runs; ValueError if a layer was built for another input or dtype."""
        assert self._input_shapes is not None
        flow, data_format = self._inlined().flow, self.data_format
        shapes = self._inner_input_shapes()
        for number, use in enumerate(flow.uses):
            layer, given = use.layer, self._given_to(use.layer, use.inputs, shapes, data_format)
            if layer.input_shape != given or layer.dtype != self.dtype:
                called = f"layer {number} ({layer.name}, {type(layer).__name__})"
                raise ValueError(
                    f"{self.kind}: {called} was built for input shape {layer.input_shape} and {layer.dtype}, "
                    f"but gets {given} and {self.dtype}: build the model again"
                )
            shapes.append(layer._inner(layer.output_shape))
        return flow

    def _first_row(self) -> list[Layer]:
        """Return the layers behind the only input up to the first branch."""
        flow = self._inlined().flow
        if flow.n_inputs > 1 or not flow.uses or flow.readers[0] > 1:
            return []
        begin, end = flow.rows()[0]
        uses = itertools.takewhile(lambda use: not use.at_inference, flow.uses[begin:end])
        return [use.layer for use in uses]

    def _first_called(self) -> str:
        """Return the name that error messages use for the receiver of the input."""
        return "the model"

    def _need_built(self, what: str) -> None:
        if not self.built:
            raise ValueError(
                f"{self.kind}.{what}: the model is not built: call build(input_shape), give its first layer "
                "input_shape=..., or fit it"
            )

    def _not_in_training(self, where: str) -> None:
        """Raise if the model is being trained, since the caller would change what the training uses."""
        owner = self._claims.owner()
        if owner is not None:
            raise RuntimeError(
                f"{where}: the model {self.name!r} is already training, in {owner.where}: wait for its end"
            )

    # --- weights ------------------------------------------------------------------------------

    def count_params(self) -> int:
        """Return the number of stored elements: weights, and states such as moving averages."""
        self._need_built("count_params")
        return sum(layer.count_params() for layer in self._layers)

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
            When their number or a shape differs; the model is unchanged then.
        """
        self._need_built("set_weights")
        where = f"{self.kind}.set_weights"
        arrays = arrays_of(where, weights)
        expected = [array.shape for layer in self._layers for array in files.stores(layer).values()]
        given = [array.shape for array in arrays]
        if given != expected:
            raise ValueError(f"{where}: weights must have the shapes {expected}, got {given}")
        start = 0
        for layer in self._layers:
            count = len(files.stores(layer))
            layer.set_weights(arrays[start : start + count])
            start += count

    def _in_order(self) -> list[np.ndarray]:
        self._need_built("weights")
        return [array for layer in self._layers for array in layer._in_order()]

    def _listed(self, trained: bool) -> list[np.ndarray]:
        self._need_built("weights")
        if not self._trainable:
            return [] if trained else self._in_order()
        return [array for layer in self._layers for array in layer._listed(trained)]


def unused(name: str, names: set[str]) -> str:
    """Return the name with the smallest number that makes it unique: conv2d, conv2d_1, conv2d_2."""
    base = re.sub(r"_\d+$", "", name)
    return next(new for new in (f"{base}_{number}" for number in itertools.count(1)) if new not in names)


def _keep(then: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]) -> None:
    """Keep the weights of a layer that was built anew, for another size of image, if they all fit."""
    if [(name, array.shape) for name, array in then.items()] == [
        (name, array.shape) for name, array in now.items()
    ]:
        for name, array in now.items():
            array[...] = then[name]
