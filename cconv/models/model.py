"""`Model`: a graph of layers, as in Keras' functional API."""

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from numpy.typing import DTypeLike

from cconv.arguments.control import controlled
from cconv.arguments.overrides import Hooks
from cconv.arguments.paths import as_path
from cconv.arguments.serializable import custom_object_scope
from cconv.layers.input import InputLayer
from cconv.layers.listed import Trained
from cconv.layers.symbolic import IMAGE, KerasTensor, agreed, input_tensor
from cconv.models import described, diagram, files, graph_diagram, summary
from cconv.models.connections import connections
from cconv.models.doors import door
from cconv.models.ends import Ends, ends_of
from cconv.models.exporting import Exporting
from cconv.models.flowing import in_order_of_calls
from cconv.models.network import Network, unused
from cconv.models.tracing import graph_of
from cconv.models.training import Trainer

_STEP = (
    "a step is computed by the layers and the compiled loss, metrics and optimizer; write a Layer or a Loss "
    "of your own, or a loop around train_on_batch"
)
_LEARNING = "set `trainable` of the layers that are to learn"
_FILES = "get_config and save write all of the model"
_SUBCLASS = (
    "Model: inputs and outputs must be given; a model is not made by a subclass with `call`, but of tensors: "
    "x = Input(shape); y = layer(x); Model(x, y)"
)


class Model(Trainer, Exporting, Hooks):
    """A model whose layers form a graph.

    `Input` returns a symbolic tensor, a layer called on it returns another, and the model is everything
    between inputs and outputs (Keras' functional API). A layer that is called twice shares its weights; a
    model is a layer too. ``Model(base.input, base.get_layer("conv4").output)`` computes the output of a layer
    of another model.

    Parameters
    ----------
    inputs, outputs : KerasTensor, list or dict of them
        The input and output tensors.
    name : str, optional
        Stored with the model, as in Keras; summaries and messages show it.
    seed : int, optional
        Fixes everything random: initial weights, shuffling, dropout, augmentation. By default it
        comes from `cconv.utils.set_random_seed`, else from the operating system.
    dtype : dtype
        float32 or float64: of the weights and of everything computed.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the model's input and output images, converted once at its boundary. By default the format
        that layers were given; layers with another format are refused.
    trainable : bool
        False: `fit` changes no weights, whatever the layers say.

    Attributes
    ----------
    layers : list of Layer or Model
        In Keras' order: the layers farthest from the outputs first.
    inputs, outputs : list of KerasTensor
        The ends of the graph; also `input` and `output` if there is one of each.
    seed : int
        As given, or drawn.
    optimizer, loss : Optimizer, Loss or None
        Set by `compile`.
    history : History or None
        History of the last `fit`.
    stop_training : bool
        If set to True during `fit`, training ends after the batch.
    fuse : bool
        Whether some layers in a row are computed together. All results have the same bits, except for a batch
        normalisation that is folded into the layer in front of it at inference: these agree within rounding.
        Set it to False to compute layer by layer.

    Raises
    ------
    TypeError, ValueError
        When inputs or outputs are not symbolic tensors, an input is not used, outputs need another input, or
        two layers have the same name.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.layers import Add, Conv2D, GlobalAveragePooling2D, Input
    >>> x = Input((8, 8, 3))
    >>> y = Conv2D(4, 3, padding="same", activation="relu")(x)
    >>> y = Add()([y, Conv2D(4, 3, padding="same")(y)])
    >>> model = Model(x, GlobalAveragePooling2D()(y), seed=1)
    >>> model.predict(np.zeros((2, 8, 8, 3)), verbose=0).shape
    (2, 4)
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

    trainable_weights = Trained(_LEARNING)
    trainable_variables = Trained(_LEARNING)

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        data_format: str | None = None,
        trainable: bool = True,
    ) -> None:
        if inputs is None or outputs is None:
            raise TypeError(_SUBCLASS)
        super().__init__(name, seed, dtype, data_format, trainable)
        self._assemble(inputs, outputs)
        self._build_layers(self.kind)

    def _assemble(self, inputs: Any, outputs: Any) -> None:
        """Take the graph between these tensors as the model's own."""
        self._inputs_given, in_form, in_keys = ends_of(self.kind, "inputs", inputs)
        self._outputs_given, out_form, out_keys = ends_of(self.kind, "outputs", outputs)
        graph = graph_of(self.kind, self._inputs_given, self._outputs_given)
        told = [self._data_format, *(t.data_format for node in graph.nodes for t in node.outputs)]
        self._settled_format = agreed(self.kind, told)
        self._items, self._entries, self._outputs = graph.items, graph.entries, graph.outputs
        self._input_shapes = [tensor.sample_shape for tensor in self._inputs_given]
        for item in self._items:
            if isinstance(item, InputLayer) and not item.built:
                item.build(item.shape, dtype=self.dtype, seed=self.seed)
        self._name_items()
        self._take_items()
        self._input_items: list[InputLayer] = self._input_layers()
        names = [layer.name for layer in self._input_items]
        self._ins: Ends = Ends(tuple(in_keys or names), in_form)
        self._outs: Ends = Ends(tuple(out_keys or [t.name for t in self._outputs_given]), out_form)

    def _input_layers(self) -> list[InputLayer]:
        """Return the layer that stands for each input."""
        shown = [item for item in self._items if isinstance(item, InputLayer)]
        by_node = {id(item): item for item in shown}
        others = iter([item for item in shown if not item._nodes])
        return [by_node.get(id(t.node.layer)) or next(others) for t in self._inputs_given]

    def __getstate__(self) -> dict[str, Any]:
        # Tensors refer to each other in long chains, too deep for pickle: they are not stored but made again.
        state = dict(self.__dict__)
        for name in ("_inputs_given", "_outputs_given"):
            state.pop(name, None)
        return {**state, "_nodes": [], "_flat": None, "_progress": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._trace_again()

    def _trace_again(self) -> None:
        """Make the tensors of the graph again from its entries."""
        values = [input_tensor(layer, layer.shape) for layer in self._input_items]
        for tensor in values:
            tensor.data_format = self._settled_format if tensor.ndim == 1 + IMAGE else None
        self._inputs_given = list(values)
        nodes = []
        for item, inputs, at_inference, *_ in self._entries:
            given = [values[value] for value in inputs]
            item(
                given if item._merges or len(given) > 1 else given[0],
                training=False if at_inference else None,
            )
            nodes.append(item._nodes[-1])
            values += nodes[-1].outputs
        in_order_of_calls(self._entries, nodes)
        self._outputs_given = [values[value] for value in self._outputs]

    def _name_items(self) -> None:
        """Make sure that every layer has a unique name.

        A model within that nobody named gets another name, unless it is in another graph too.
        """
        names: set[str] = set()
        models = [item for item in self._items if isinstance(item, Network) and not item.named]
        free = [item for item in models if not item._within]
        held = {item.name for item in models if item._within}
        for item in self._items:
            may_change = any(item is each for each in free)
            if item.name in names or (may_change and item.name in held):
                if item.named or (item.built and not may_change and not isinstance(item, InputLayer)):
                    raise ValueError(
                        f"{self.kind}: every layer needs a name of its own, got {item.name!r} twice: "
                        "give it one by name= when you make it"
                    )
                item.name = unused(item.name, names | held)
            names.add(item.name)
        for item in free:
            item._within = True

    @property
    def inputs(self) -> list[KerasTensor]:
        """The input tensors."""
        return list(self._inputs_given)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The output tensors."""
        return list(self._outputs_given)

    @property
    def input(self) -> Any:
        """The input tensor; a list, or dict, if there are several."""
        return self._ins.outside(self.inputs)

    @property
    def output(self) -> Any:
        """The output tensor; a list, or dict, if there are several."""
        return self._outs.outside(self.outputs)

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return list(self._ins.names)

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs."""
        return list(self._outs.names)

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
            Width of the table in characters: 65; for ``style="keras3"`` 88, if the screen is wide enough; 98
            and 108 with the column *Connected to* of a graph.
        positions : sequence of float, optional
            Where the three or four columns end, as fractions of `line_length`.
        print_fn : callable, optional
            Called with each line instead of `print`.
        expand_nested : bool
            Also show the layers of models among the layers.
        show_trainable : bool
            Also show which layers are trained: Y, N, or - for a layer without parameters.
        layer_range : (str, str), optional
            Patterns (`re.match`) for the names of the first and the last layer to show.
        style : str
            "classic": the plain table of Keras 2, in which long class names are cut. "keras3": the table with
            boxes of Keras 3, in which long class names continue in the next line, with sizes in bytes and,
            after the first step, the optimizer's parameters; in ASCII if `sys.stdout` cannot encode boxes.
        details : bool
            Also show multiply-adds, bytes of the output for one image, and receptive field ("classic" only).

        Raises
        ------
        TypeError, ValueError
            For invalid arguments, or a model that is not built.

        Examples
        --------
        >>> from cconv.layers import Dense
        >>> from cconv.models import Sequential
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
        for line in summary.lines(
            self,
            style=style,
            line_length=line_length,
            positions=positions,
            show_trainable=show_trainable,
            expand_nested=expand_nested,
            layer_range=layer_range,
            details=details,
            plain=print_fn is None and not summary.shows_boxes(),
        ):
            (print_fn or print)(line)

    def __repr__(self) -> str:
        names = ", ".join(layer.shown for layer in self._items)
        return f"<{self.kind} {self.name!r}: {names or 'no layers'}>"

    def _repr_html_(self) -> str | None:
        if not self.built:
            return None
        return diagram.html(summary.lines(self), self._drawing())

    def _drawing(self, show_shapes: bool = True, show_layer_names: bool = True) -> diagram.Drawing:
        """Return the picture of a built model: layers from top to bottom, or a graph."""
        options = {"show_shapes": show_shapes, "show_layer_names": show_layer_names}
        if connections(self) is not None:
            return graph_diagram.svg(self, **options)
        shown = [item for item in self._items if not isinstance(item, InputLayer)]
        assert self._input_shape is not None
        return diagram.svg(shown, self._input_shape, **options)

    # --- weights ------------------------------------------------------------------------------

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write the weights and states to a safetensors file, completely or not at all.

        A name that ends in ``.weights.h5`` makes a file of Keras 3, one in ``.h5`` or ``.hdf5`` one of
        Keras 2: see `cconv.io.keras`.

        Raises
        ------
        ValueError
            For a name with the ending of another format.
        OSError
            When the file cannot be written; an existing file is unchanged.
        """
        self._need_built("save_weights")
        as_path(f"{self.kind}.save_weights", "path", path)
        (door(path) or files).write_weights(path, self)

    @controlled
    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Read the weights of a file that `save_weights` or `save` wrote, by the layers' names.

        In Keras' own files (``.weights.h5``, ``.h5``, ``.hdf5``, ``.keras``) the order of layers counts
        instead.

        float16, float32 and float64 are converted to the model's dtype.

        Raises
        ------
        OSError, ValueError
            When there is no such file, or it is damaged or does not fit; the model is unchanged then.
        """
        self._need_built("load_weights")
        as_path(f"{self.kind}.load_weights", "path", path)
        (door(path) or files).read_weights(path, self)

    # --- configuration and files --------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the model's configuration without its weights, as plain JSON data."""
        return described.config_of_graph(self)

    def to_json(self, **options: Any) -> str:
        """Return `get_config` as text for `model_from_json`; options are those of `json.dumps`."""
        return json.dumps({"class_name": self.kind, "config": self.get_config()}, **options)

    @classmethod
    @controlled
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Return the model that `get_config` described, with new weights from the same seed.

        Parameters
        ----------
        config : dict
            What `get_config` returned.
        custom_objects : dict of str to class, optional
            The meaning of names of your own classes; see `cconv.utils.register_serializable`.

        Raises
        ------
        TypeError, ValueError
            For anything that does not describe a model.
        """
        with custom_object_scope(custom_objects):
            model = cls._unbuilt(config)
        model._build_described(config)
        return model

    @classmethod
    def _unbuilt(cls, config: Any) -> Self:
        """Return the model that `get_config` described, not built."""
        model, inputs, outputs = described.graph_of_config(cls, config)
        model._assemble(inputs, outputs)
        return model

    def _build_described(self, config: Mapping[str, Any]) -> None:
        """Build the layers of a model made from a configuration."""
        self._build_layers(f"{self.kind}.from_config")

    @controlled
    def get_metrics_result(self) -> dict[str, float]:
        """Return loss and metrics by name: of the epoch so far, or of the last epoch, evaluation or batch.

        Raises
        ------
        RuntimeError
            Before the first of them.
        """
        progress = self._progress
        if progress is not None and progress.meter is not None and not progress.ended:
            return progress.meter.means()
        if self._latest is None:
            raise RuntimeError(f"{self.kind}.get_metrics_result: call fit, evaluate or train_on_batch first")
        return dict(self._latest)

    def _check_saving(self, path: str | os.PathLike[str]) -> None:
        """Raise what `save` would raise for this name, before anything is trained or written."""
        (door(path) or files).describe(path, self)

    @controlled
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole model to one safetensors file, completely or not at all.

        The file holds weights, states, configuration, and if compiled the optimizer with its state
        and the numbers of steps and epochs: after `load_model`, `fit` goes on with the same bits.

        A name that ends in ``.keras`` makes a file of Keras 3, one in ``.h5`` or ``.hdf5`` one of Keras 2:
        see `cconv.io.keras`.

        Metrics of your own that are not registered are not kept: a warning names them.

        Raises
        ------
        ValueError
            For a name with the ending of another format, such as ``"m.onnx"`` or ``"m.pt"``. For a Keras file
            also if the model has anything that Keras lacks; the message lists all of it.
        OSError
            When the file cannot be written; an existing file is unchanged.
        """
        self._need_built("save")
        as_path(f"{self.kind}.save", "path", path)
        (door(path) or files).write_model(path, self)
        if lost := self._metrics_left_out():
            warnings.warn(
                f"{self.kind}.save: the file lacks metrics of your own: {', '.join(lost)}: compile again "
                "after load_model, or register their classes (cconv.utils.register_serializable)",
                stacklevel=3,
            )
