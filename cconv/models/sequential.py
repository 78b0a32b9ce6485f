"""`Sequential`: layers in a row, as Keras has it."""

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cconv import arguments
from cconv import layers as layer_classes
from cconv.arguments.arrays import as_array
from cconv.arguments.claims import Claims, alone, builders
from cconv.arguments.configured import config_of
from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int
from cconv.arguments.overrides import Hooks, check_object
from cconv.layers.base import Layer
from cconv.models import diagram, files, summary
from cconv.models.formats import agreed_format, named_formats
from cconv.models.training import Trainer
from cconv.seeds import check_seed, new_seed

_STEP = (
    "a step is computed by the layers and the compiled loss, metrics and optimizer; write a Layer or a Loss "
    "of your own, or a loop around train_on_batch"
)
_FILES = "get_config and save write all of the model"


class Sequential(Trainer, Hooks):
    """A model whose layers follow one another.

    Parameters
    ----------
    layers : iterable of Layer, optional
        More can be added by `add`. The first may be an `Input`, or have ``input_shape=``; the
        model is built as soon as the shape of its input is known, at the latest by `fit`.
    name : str, optional
        Shown nowhere but kept.
    seed : int, optional
        Fixes everything random: initial weights, shuffling, dropout, augmentation. By default it
        comes from `cconv.utils.set_random_seed`, else from the operating system.
    dtype : dtype
        float32 or float64: of the weights and of everything computed.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the images that the model takes and gives; converted once, at its boundary. By
        default that of the layers that were told one; a layer that was told another is refused.
    trainable : bool
        False: `fit` changes no weights, whatever the layers say.

    Attributes
    ----------
    layers : list of Layer
        In order.
    seed : int
        As given or drawn.
    optimizer, loss : Optimizer, Loss or None
        Set by `compile`.
    history : History or None
        Of the last `fit`.
    stop_training : bool
        Set it during `fit`, and training ends after the batch.
    fuse : bool
        True: some layers in a row are computed as one (batch normalisation as a part of the layer in
        front of it when the model predicts: the same within rounding; all else has the same bits). Set
        it to False to see each layer at its own work.

    Examples
    --------
    >>> from cconv.layers import Dense
    >>> model = Sequential([Dense(8, activation="relu", input_shape=(2,)), Dense(1)], seed=1)
    >>> model.compile("sgd", "mse")
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    >>> history = model.fit(x, np.array([[1.0], [0.0]], np.float32), epochs=3, verbose=0)
    >>> len(history.history["loss"]), model.predict(x, verbose=0).shape
    (3, (2, 1))
    """

    not_called: ClassVar = {
        **dict.fromkeys(
            (
                *(
                    "train_step",
                    "test_step",
                    "predict_step",
                    "call",
                    "forward",
                    "compute_loss",
                    "compute_metrics",
                ),
                *("make_train_function", "make_test_function", "make_predict_function"),
                *("train_function", "test_function", "predict_function", "training_step", "validation_step"),
                *("configure_optimizers", "stateless_call", "symbolic_call", "stateless_compute_loss"),
                *("get_metrics_result", "compute_mask", "compute_output_spec"),
            ),
            _STEP,
        ),
        **dict.fromkeys(
            ("trainable_weights", "trainable_variables"), "set `trainable` of the layers that are to learn"
        ),
        **dict.fromkeys(
            (
                *("get_build_config", "build_from_config", "get_compile_config", "compile_from_config"),
                *("save_own_variables", "load_own_variables"),
            ),
            _FILES,
        ),
    }

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        name: str | None = None,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        data_format: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__()
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
        self.name = name or "sequential"
        self.seed = new_seed() if seed is None else check_seed("Sequential", seed)
        self._trainable = arguments.flag("Sequential", "trainable", trainable)
        self._data_format = data_format
        self._settled_format: str | None = None  # what the layers were built for
        self._builds = Claims()  # of those who build
        self._layers: list[Layer] = []
        self._input_shape: tuple[int, ...] | None = None  # of one sample, in the model's data format
        self._own: set[Layer] = set()  # the layers that this model built
        chain = list(layers or ())
        if all(isinstance(layer, Layer) for layer in chain):
            # What a later layer was told counts for the first too, which may be built as soon as it is added.
            self._settled_format = agreed_format(chain, None, data_format, None)
        for layer in chain:
            self.add(layer)

    # --- layers -------------------------------------------------------------------------------

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

    # --- building -----------------------------------------------------------------------------

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

    # --- looking inside -----------------------------------------------------------------------

    def summary(self, details: bool = False, print_fn: Callable[[str], Any] | None = None) -> None:
        """Print a table of the layers: name and class, output shape, parameters.

        Parameters
        ----------
        details : bool
            Also multiply-adds, bytes of the output for one image, and receptive field.
        print_fn : callable, optional
            Gets each line instead of `print`.
        """
        self._need_built("summary")
        for line in summary.table(self._layers, details):
            (print_fn or print)(line)

    def count_params(self) -> int:
        """Return how many numbers the model keeps: weights, and state such as moving averages."""
        self._need_built("count_params")
        return sum(layer.count_params() for layer in self._layers)

    def __repr__(self) -> str:
        names = ", ".join(layer.shown for layer in self._layers)
        return f"<Sequential {self.name!r}: {names or 'no layers'}>"

    def _repr_html_(self) -> str | None:
        if not self.built:
            return None
        return diagram.html(summary.table(self._layers), diagram.svg(self._layers, self.input_shape[1:]))

    # --- weights ------------------------------------------------------------------------------

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

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write the weights and states to a safetensors file, in one step that cannot be half done.

        Raises
        ------
        ValueError
            For a name that ends as files of other formats do.
        OSError
            When it cannot be written; a file that was there is untouched.
        """
        self._need_built("save_weights")
        files.write_weights(path, self)

    @controlled
    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Read the weights of a file that `save_weights` or `save` wrote, by the layers' names.

        float16, float32 and float64 are converted to the model's dtype.

        Raises
        ------
        OSError, ValueError
            When there is no such file, or it is damaged or does not fit; then nothing has changed.
        """
        self._need_built("load_weights")
        files.read_weights(path, self)

    # --- configuration and files --------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return what describes the model without its weights, as plain JSON data."""
        return {
            "name": self.name,
            "seed": self.seed,
            "dtype": self.dtype.name,
            "data_format": self._data_format or self._unnamed_format(),
            "trainable": self._trainable,
            "input_shape": None if self._input_shape is None else list(self._input_shape),
            "layers": [config_of(layer) | {"name": layer.name} for layer in self._layers],
        }

    def _unnamed_format(self) -> str | None:
        """Return the format of the images where it is not Keras' own and no layer that is left names it."""
        rank = None if self._input_shape is None else len(self._input_shape)
        first = self._settled_format == "channels_first" and not named_formats(self._layers, rank)
        return self._settled_format if first else None

    @classmethod
    @controlled
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the model that `get_config` described, with new weights from the same seed.

        Raises
        ------
        TypeError, ValueError
            For anything that does not describe a model.
        """
        model = cls._unbuilt(config)
        shape = config["input_shape"] or model._input_shape
        if shape is None and model._layers:
            shape = model._layers[0].declared_shape
        return model if shape is None else model.build(shape)

    @classmethod
    def _unbuilt(cls, config: Any) -> Self:
        """Return the model that `get_config` described before it was built."""
        where = "Sequential.from_config"
        entries = ("name", "seed", "dtype", "data_format", "input_shape", "layers")
        if not isinstance(config, Mapping) or not set(entries) <= set(config):
            raise ValueError(f"{where}: config must hold {', '.join(entries)}, got {config!r}")
        if config["dtype"] not in ("float32", "float64"):
            raise ValueError(f"{where}: dtype must be 'float32' or 'float64', got {config['dtype']!r}")
        if isinstance(config["layers"], str) or not isinstance(config["layers"], Sequence):
            raise TypeError(f"{where}: layers must be a list, got {config['layers']!r}")
        options = {name: config[name] for name in entries[:4]}
        model = cls(**options, trainable=config.get("trainable", True))
        model._layers = [_described_layer(where, entry) for entry in config["layers"]]
        if model._layers and isinstance(model._layers[0], layer_classes.Input):
            model._input_shape = model._given_shape(model._layers.pop(0).input_shape)
        if any(isinstance(layer, layer_classes.Input) for layer in model._layers):
            raise ValueError(f"{where}: an Input must come first")
        names = [layer.name for layer in model._layers]
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise ValueError(f"{where}: every layer needs a name of its own, got {twice!r} twice")
        model._settled_format = agreed_format(model._layers, None, config["data_format"], None)
        return model

    @controlled
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole model to one safetensors file, in one step that cannot be half done.

        The file holds weights, states, configuration, and if compiled the optimizer with its state
        and the numbers of steps and epochs: after `load_model`, `fit` goes on with the same bits.

        Raises
        ------
        ValueError
            For a name that ends as files of other formats do, such as ``"m.onnx"``, ``"m.h5"`` or
            ``"m.keras"``: what it holds would not be what it says.
        OSError
            When it cannot be written; a file that was there is untouched.
        """
        self._need_built("save")
        files.write_model(path, self)


@controlled
def load_model(path: str | os.PathLike[str], compile: bool = True) -> Sequential:
    """Return the model that `Sequential.save` wrote.

    Parameters
    ----------
    path : path
        Of the file.
    compile : bool
        Also compile it as it was, with the state of its optimizer.

    Raises
    ------
    OSError
        When there is no such file, or it cannot be read.
    ValueError
        When it does not hold a whole model; the message has the path and the reason. Nothing large is
        made before the file is known to hold it.
    MemoryError
        When there is not enough memory for the weights.

    Examples
    --------
    >>> import tempfile
    >>> from cconv.layers import Dense
    >>> model = Sequential([Dense(3, input_shape=(2,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.safetensors")
    ...     twin = load_model(f"{folder}/model.safetensors")
    >>> all(np.array_equal(a, b) for a, b in zip(model.get_weights(), twin.get_weights()))
    True
    """
    return files.read_model(path, Sequential, compile)


def _described_layer(where: str, entry: Any) -> Layer:
    """Return the layer that an entry of a configuration describes, under its name."""
    keys = ("class_name", "config", "name")
    if not isinstance(entry, Mapping) or not set(keys) <= set(entry):
        raise ValueError(f"{where}: a layer must hold {', '.join(keys)}, got {entry!r}")
    if not isinstance(entry["name"], str) or not entry["name"]:
        raise TypeError(f"{where}: a layer's name must be a string that is not empty, got {entry['name']!r}")
    layer = layer_classes.deserialize({key: entry[key] for key in keys[:2]})
    layer.name = entry["name"]
    return layer


def _unused(name: str, names: set[str]) -> str:
    """Return name with the first number behind it that makes it new: conv2d, conv2d_1, conv2d_2."""
    base = re.sub(r"_\d+$", "", name)
    return next(new for new in (f"{base}_{number}" for number in itertools.count(1)) if new not in names)
