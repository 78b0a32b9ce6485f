"""`Sequential`: layers in a row, as in Keras."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from numpy.typing import DTypeLike

from cconv.arguments.control import controlled
from cconv.arguments.overrides import check_object
from cconv.layers.base import Layer
from cconv.layers.input import InputLayer
from cconv.layers.symbolic import IMAGE, KerasTensor, input_tensor
from cconv.models import described
from cconv.models.ends import Ends
from cconv.models.flowing import Entry, check_depth
from cconv.models.formats import agreed_format, named_formats
from cconv.models.model import Model
from cconv.models.network import Network, unused
from cconv.models.training import Trainer


class Sequential(Model):
    """A model whose layers follow one another.

    Parameters
    ----------
    layers : iterable of Layer or model, optional
        `add` appends more. The first may be an `Input`, or have ``input_shape=``; the model is built as soon
        as its input's shape is known, at the latest by `fit`.
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
    layers : list of Layer
        In order.
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

    kind = "Sequential"
    default_name = "sequential"

    def __init__(
        self,
        layers: Iterable[Any] | None = None,
        name: str | None = None,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        data_format: str | None = None,
        trainable: bool = True,
    ) -> None:
        if isinstance(layers, Layer | Network | str) or not isinstance(layers, Iterable | None):
            raise TypeError(f"Sequential: layers must be one list of layers, got {layers!r:.80}")
        Trainer.__init__(self, name, seed, dtype, data_format, trainable)  # not Model's, which needs a graph
        self._traced: list[tuple[Any, KerasTensor]] = []  # the items, each with its output tensor
        self._input_layer: InputLayer | None = None
        self._take_items()
        chain = list(layers or ())
        if all(isinstance(layer, Layer | Network) for layer in chain):
            # A later layer's format counts for the first layer too, which may be built as soon as it is
            # added.
            self._settled_format = agreed_format(chain, None, data_format, None)
        for layer in chain:
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Append a layer.

        Raises
        ------
        TypeError
            When it is not a layer.
        ValueError
            When the name is used already, the layer cannot take the previous layer's output, or it was given
            another data format than the model or another layer.
        RuntimeError
            While the model is training.
        """
        if isinstance(layer, KerasTensor) and isinstance(layer.node.layer, InputLayer):
            layer = layer.node.layer
        if not isinstance(layer, Layer | Network):
            raise TypeError(f"Sequential.add: layer must be a cconv.layers.Layer or a model, got {layer!r}")
        check_object(layer)
        self._not_in_use("Sequential.add")
        if isinstance(layer, InputLayer):
            if self._items:
                raise ValueError("Sequential.add: an Input must come first")
            self._input_layer = layer
            self._input_shapes = [self._given_shape(layer.input_shape)]
            return
        self._check_item(layer)
        first = not self._items and self._input_shapes is None
        settled = self._settled_format
        self._items.append(layer)
        self._take_items()
        try:
            self._agreed_format()
            shape = self._shape_of_first(layer) if first else None
            if shape is not None:
                self._input_shapes = [shape]
            self._forget_plans()
            if self._input_shapes is not None:
                self._build_layers("Sequential.add")
        except Exception:
            self._items.pop()
            self._take_items()
            self._settled_format = settled
            if first:
                self._input_shapes = None
            raise

    def _check_item(self, layer: Any) -> None:
        """Refuse an item that cannot be in a row, and make sure that its name is unique."""
        check_depth("Sequential.add", layer)
        if layer._merges or (isinstance(layer, Model) and not _is_single(layer)):
            raise ValueError(
                f"Sequential.add: layer must take one input and give one output, got {layer!r}: make a Model"
            )
        names = {other.name for other in self._items}
        # The files and the optimizer of another model that has the layer know it by its name.
        settled = layer.named or (layer.built and layer._nodes)
        if any(other is layer for other in self._items) or (settled and layer.name in names):
            raise ValueError(
                f"Sequential.add: every layer needs a name of its own, got {layer.name!r} twice: "
                "give it one by name= when you make it"
            )
        if layer.name in names:
            layer.name = unused(layer.name, names)

    def _shape_of_first(self, layer: Any) -> tuple[int, ...] | None:
        """Return the input's shape if the first layer knows it."""
        if isinstance(layer, Network):
            return layer._input_shape
        shape = layer.input_shape
        # `input_shape` is given in the model's data format; a built layer has it in its own.
        return self._outer_shape(layer._inner(shape)) if shape is not None and layer.built else shape

    def pop(self) -> Any:
        """Remove the last layer and return it."""
        if not self._items:
            raise ValueError("Sequential.pop: there are no layers")
        self._not_in_use("Sequential.pop")
        self._forget_plans()
        last = self._items.pop()
        self._take_items()
        return last

    def _not_in_use(self, where: str) -> None:
        """Raise if the model, or another one that has its layers, is being trained."""
        self._not_in_training(where)
        for layer in self._layers:
            owner = layer._claims.owner()
            if owner is not None:
                raise RuntimeError(
                    f"{where}: {layer.shown}, a layer of {self.name!r}, is training, in {owner.where}: "
                    "wait for its end"
                )

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_traced": []}

    def _take_items(self) -> None:
        self._entries = [Entry(item, (number,)) for number, item in enumerate(self._items)]
        self._outputs = [len(self._items)]
        super()._take_items()

    def _agreed_format(self) -> str | None:
        rank = None if self._input_shape is None else len(self._input_shape)
        return agreed_format(self._items, rank, self._data_format, self._settled_format)

    # --- as a graph ---------------------------------------------------------------------------

    def _build_each(self) -> None:
        super()._build_each()
        self._trace()

    def _trace(self) -> None:
        assert self._input_shape is not None
        before = self._begin_trace(self._input_shape)
        traced: list[tuple[Any, KerasTensor]] = []
        for number, item in enumerate(self._items):
            known = self._traced[number] if number < len(self._traced) else None
            if known is None or known[0] is not item or known[1].node.inputs[0] is not before:
                known = item, item(before)
            traced.append(known)
            before = known[1]
        self._traced = traced

    def _trace_again(self) -> None:
        self._traced = []
        if self.built:
            self._trace()

    def _begin_trace(self, shape: tuple[int, ...]) -> KerasTensor:
        """Return the input tensor."""
        data_format = self._settled_format if len(shape) == IMAGE else None
        layer = self._input_layer
        told = None if layer is None or not layer._nodes else layer._nodes[0].outputs[0].data_format
        if layer is None or layer.shape != shape or told not in (None, data_format):
            layer = self._input_layer = InputLayer(shape)
        if not layer._nodes:
            input_tensor(layer, shape)
        tensor = layer._nodes[0].outputs[0]
        tensor.data_format = data_format
        return tensor

    @property
    def inputs(self) -> list[KerasTensor]:
        """The input tensor, in a list."""
        self._need_built("inputs")
        return [self._traced[0][1].node.inputs[0]]

    @property
    def outputs(self) -> list[KerasTensor]:
        """The output tensor, in a list."""
        self._need_built("outputs")
        return [self._traced[-1][1]]

    @property
    def _ins(self) -> Ends:  # type: ignore[override]
        name = self._input_layer.name if self._input_layer is not None else "input_layer"
        return Ends((name,), "one")

    @property
    def _outs(self) -> Ends:  # type: ignore[override]
        return Ends((self._items[-1].name,), "one")

    def _first_called(self) -> str:
        first = self._items[0]
        return f"layer 0 ({first.shown}, {type(first).__name__})"

    # --- building -----------------------------------------------------------------------------

    @controlled
    def build(self, input_shape: Sequence[int | None] | None = None) -> Self:
        """Create the weights.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one image, ``(h, w, c)``, or ``(c, h, w)`` if the model is channels_first. As in Keras,
            None for the batch may be in front. Not needed if the first layer has an ``input_shape``.

        Returns
        -------
        Sequential
            The model itself.

        Raises
        ------
        ValueError
            When a layer cannot take the previous layer's output: the message names the layer, its number and
            both shapes.
        RuntimeError
            While the model is training.
        """
        self._not_in_training("Sequential.build")
        self._build_for("Sequential.build", input_shape)
        return self

    def _build_for(self, where: str, input_shape: Any) -> None:
        """Create the weights for this shape, or for the declared one."""
        if not self._items:
            raise ValueError("Sequential.build: add a layer first")
        with self._as_before():
            if input_shape is not None:
                self._input_shapes = [self._given_shape(input_shape)]
            if self._input_shapes is None:
                raise ValueError(
                    "Sequential.build: input_shape must be given, since the first layer has none"
                )
            self._forget_plans()
            self._build_layers(where)

    # --- configuration and files --------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the model's configuration without its weights, as plain JSON data."""
        return {
            "name": self.name,
            "seed": self.seed,
            "dtype": self.dtype.name,
            "data_format": self._data_format or self._unnamed_format(),
            "trainable": self._trainable,
            "input_shape": None if self._input_shape is None else list(self._input_shape),
            "layers": [described.item_config(item) for item in self._items],
        }

    def _unnamed_format(self) -> str | None:
        """Return the images' format if it is not Keras' default and no remaining layer names it."""
        rank = None if self._input_shape is None else len(self._input_shape)
        first = self._settled_format == "channels_first" and not named_formats(self._items, rank)
        return self._settled_format if first else None

    @classmethod
    def _unbuilt(cls, config: Any) -> Self:
        """Return the model that `get_config` described, not built."""
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
        model._items = [described.item_of_config(where, entry) for entry in config["layers"]]
        if model._items and isinstance(model._items[0], InputLayer):
            model._input_shapes = [model._given_shape(model._items.pop(0).input_shape)]
        if any(isinstance(layer, InputLayer) for layer in model._items):
            raise ValueError(f"{where}: an Input must come first")
        model._take_items()
        names = [layer.name for layer in model._items]
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise ValueError(f"{where}: every layer needs a name of its own, got {twice!r} twice")
        model._settled_format = agreed_format(model._items, None, config["data_format"], None)
        return model

    def _build_described(self, config: Mapping[str, Any]) -> None:
        shape = config["input_shape"] or self._input_shape
        if shape is None and self._items and isinstance(self._items[0], Layer):
            shape = self._items[0].declared_shape
        if shape is not None:
            self.build(shape)


def _is_single(model: Model) -> bool:
    """Whether a model has one input and one output."""
    return len(model._outputs) == 1 and len(model._input_shapes or [None]) == 1
