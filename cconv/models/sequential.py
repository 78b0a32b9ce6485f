"""`Sequential`: layers in a row, as Keras has it."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from numpy.typing import DTypeLike

from cconv import layers as layer_classes
from cconv.arguments.configured import config_of
from cconv.arguments.control import controlled
from cconv.arguments.numbers import flag
from cconv.arguments.overrides import Hooks
from cconv.arguments.serializable import custom_object_scope, name_of
from cconv.files import plainjson
from cconv.layers.base import Layer
from cconv.layers.listed import Trained
from cconv.models import diagram, files, summary
from cconv.models.formats import agreed_format, named_formats
from cconv.models.training import Trainer
from cconv.seeds import new_seed

_STEP = (
    "a step is computed by the layers and the compiled loss, metrics and optimizer; write a Layer or a Loss "
    "of your own, or a loop around train_on_batch"
)
_FILES = "get_config and save write all of the model"
_LEARNING = "set `trainable` of the layers that are to learn"


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
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> model = Sequential([Dense(8, activation="relu", input_shape=(2,)), Dense(1)], seed=1)
    >>> model.compile("sgd", "mse")
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    >>> history = model.fit(x, np.array([[1.0], [0.0]], np.float32), epochs=3, verbose=0)
    >>> len(history.history["loss"]), model.predict(x, verbose=0).shape
    (3, (2, 1))
    """

    not_called: ClassVar[Mapping[str, str]] = {
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
        **dict.fromkeys(("trainable_weights", "trainable_variables"), _LEARNING),
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
        super().__init__(name, seed, dtype, data_format, trainable)
        chain = list(layers or ())
        if all(isinstance(layer, Layer) for layer in chain):
            # What a later layer was told counts for the first too, which may be built as soon as it is added.
            self._settled_format = agreed_format(chain, None, data_format, None)
        for layer in chain:
            self.add(layer)

    # --- looking inside -----------------------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
        *,
        style: str = "classic",
        details: bool = False,
    ) -> None:
        """Print a table of the layers: name and class, output shape, parameters.

        Parameters
        ----------
        line_length : int, optional
            Columns of the screen that the table takes: 65; for ``style="keras3"`` 88, if the screen has them.
        positions : sequence of float, optional
            Where the three columns end, as parts of `line_length`.
        print_fn : callable, optional
            Gets each line instead of `print`.
        expand_nested : bool
            Nothing to expand: a `Sequential` holds layers, and no models.
        show_trainable : bool
            Also which layers learn: Y, N, or - for one without parameters.
        layer_range : (str, str), optional
            Patterns (`re.match`) of the names of the first and the last layer that are shown.
        style : str
            "classic": the plain table of Keras 2 and of courses, where a class name that is too long is cut.
            "keras3": the table in boxes that Keras 3 prints, where it goes on in the next line, with bytes
            and, after the first step, the optimizer's parameters below; in ASCII where `sys.stdout` has no
            boxes.
        details : bool
            Also multiply-adds, bytes of the output for one image, and receptive field ("classic").

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit, and a model that is not built.

        Examples
        --------
        >>> from cconv.layers import Dense
        >>> Sequential([Dense(2, input_shape=(3,), name="d")], name="m").summary(40, style="keras3")
        Model: "m"
        ┏━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━┓
        ┃                 ┃ Output     ┃ Param ┃
        ┃ Layer (type)    ┃ Shape      ┃     # ┃
        ┡━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━┩
        │ d (Dense)       │ (None, 2)  │     8 │
        └─────────────────┴────────────┴───────┘
         Total params: 8 (32.00 B)
         Trainable params: 8 (32.00 B)
         Non-trainable params: 0 (0.00 B)
        """
        self._need_built("summary")
        flag("Sequential.summary", "expand_nested", expand_nested)
        for line in summary.lines(
            self,
            style=style,
            line_length=line_length,
            positions=positions,
            show_trainable=show_trainable,
            layer_range=layer_range,
            details=details,
            plain=print_fn is None and not summary.shows_boxes(),
        ):
            (print_fn or print)(line)

    def __repr__(self) -> str:
        names = ", ".join(layer.shown for layer in self._layers)
        return f"<Sequential {self.name!r}: {names or 'no layers'}>"

    def _repr_html_(self) -> str | None:
        if not self.built:
            return None
        return diagram.html(summary.table(self._layers), diagram.svg(self._layers, self.input_shape[1:]))

    # --- weights ------------------------------------------------------------------------------

    trainable_weights = Trained(_LEARNING)
    trainable_variables = Trained(_LEARNING)

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

    def to_json(self, **options: Any) -> str:
        """Return `get_config` as text for `model_from_json`; options are those of `json.dumps`."""
        return json.dumps({"class_name": "Sequential", "config": self.get_config()}, **options)

    @classmethod
    @controlled
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Return the model that `get_config` described, with new weights from the same seed.

        Parameters
        ----------
        config : dict
            What `get_config` returned.
        custom_objects : dict of str to class, optional
            What the names of your own classes stand for; see `cconv.utils.register_serializable`.

        Raises
        ------
        TypeError, ValueError
            For anything that does not describe a model.
        """
        with custom_object_scope(custom_objects):
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
def load_model(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Sequential:
    """Return the model that `Sequential.save` wrote.

    Parameters
    ----------
    path : path
        Of the file.
    custom_objects : dict of str to class or function, optional
        What the names of your own layers, losses and others in the file stand for, as in Keras; not needed
        for what `cconv.utils.register_serializable` knows.
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
    >>> import numpy as np
    >>> import tempfile
    >>> from cconv.layers import Dense
    >>> model = Sequential([Dense(3, input_shape=(2,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.safetensors")
    ...     twin = load_model(f"{folder}/model.safetensors")
    >>> all(np.array_equal(a, b) for a, b in zip(model.get_weights(), twin.get_weights()))
    True
    """
    with custom_object_scope(custom_objects):
        return files.read_model(path, Sequential, compile)


@controlled
def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Sequential:
    """Return the model that `Sequential.to_json` described, with new weights from the same seed.

    Parameters
    ----------
    json_string : str
        The text.
    custom_objects : dict of str to class, optional
        As for `load_model`.

    Raises
    ------
    TypeError, ValueError
        When it does not describe a model.

    Examples
    --------
    >>> from cconv.layers import Dense
    >>> twin = model_from_json(Sequential([Dense(3, input_shape=(2,))], seed=1).to_json())
    >>> twin.output_shape
    (None, 3)
    """
    where = "model_from_json"
    if not isinstance(json_string, str):
        raise TypeError(f"{where}: json_string must be a string, got {json_string!r}")
    described = plainjson.loads(json_string)
    if not isinstance(described, dict) or set(described) != {"class_name", "config"}:
        raise ValueError(f"{where}: json_string must hold class_name and config, got {json_string:.60}")
    return Sequential.from_config(described["config"], custom_objects)


@controlled
def clone_model(model: Sequential) -> Sequential:
    """Return a model of the same layers with new weights, from a seed of its own; not compiled.

    Parameters
    ----------
    model : Sequential
        Not changed.

    Raises
    ------
    TypeError
        When it is no model.
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"clone_model: model must be a Sequential, got {model!r}")
    own = {type(layer).__name__: type(layer) for layer in model.layers}
    names = {name_of(kind): kind for kind in own.values()}
    return type(model).from_config({**model.get_config(), "seed": new_seed()}, {**own, **names})


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
