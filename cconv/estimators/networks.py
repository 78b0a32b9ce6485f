"""From an estimator's parameter `layers` to a network, and from a network to its features and scores."""

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from cconv import layers as layer_classes
from cconv import losses, optimizers
from cconv.arguments import Configured, config_of
from cconv.estimators import graphs, named
from cconv.layers import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    InputLayer,
    KerasTensor,
    Layer,
    MaxPooling2D,
    Rescaling,
)
from cconv.models import Model, Sequential
from cconv.models.formats import agreed_format
from cconv.regularizers import L2

Shape = tuple[int, ...]
# Values of the parameter `layers`: a name, layers, a model, or a function of shape and outputs.
Layers = str | Sequence[Layer] | Model | Callable[[Shape, int], Model]

# Root mean square of the input of the default network's first layer, by the activation at its end. Adam
# moves a weight by at most the learning rate, so larger inputs need fewer steps, and a softmax tolerates
# steps that are too large: for classes 8 was best among 1, 2, 4, 8, 16. In a regression the step size
# limits the accuracy: 1 was as good as 0.5 and 2, and far better than 8.
INPUT_RMS = {"softmax": 8.0, "linear": 1.0}
# Fraction of the last feature map's elements that are dropped. Dropout changes the mean of what follows,
# which harms a regression more than it helps.
DROPPED = {"softmax": 0.25, "linear": 0.0}
# Filters of the first, the second, and all further convolutions, for roomy and for small images.
FILTERS = {True: (32, 48, 64), False: (16, 64, 64)}
ROOMY = 12  # minimum side in pixels of a roomy image
PARAMETERS = 100_000  # upper limit for small images and few outputs
FEATURES = 16, 256  # minimum and maximum number of units before the last layer
KERNEL_PENALTY = "kernel_regularizer"  # the attribute of layers that have a kernel


def lenet(input_shape: Shape, outputs: int, dropped: float = 0.25) -> list[Layer]:
    """Return the hidden layers of the default network, a LeNet adapted to the image size.

    Two convolutions, each followed by a max pooling that halves every side of at least four pixels; dropout;
    a dense layer. For images of at least 12x12 pixels the convolutions are 5x5 and 3x3 without padding, with
    32 and 48 filters, as in LeNet. Images with a smaller side, such as a table's row (one pixel high), get
    3x3 kernels, ``padding="same"``, 16 and 64 filters. A side of one pixel gets kernels of size one. Large
    images get more convolutions.

    Parameters
    ----------
    input_shape : tuple of int
        ``(h, w, c)``.
    outputs : int
        Units of the next layer.
    dropped : float
        Fraction of the last feature map's elements that are dropped; 0 for none.

    Examples
    --------
    >>> [layer.name for layer in lenet((8, 8, 1), 10)]
    ['conv2d', 'max_pooling2d', 'conv2d', 'max_pooling2d', 'flatten', 'dropout', 'dense']
    """
    h, w, channels = input_shape
    roomy = min(h, w) >= ROOMY
    layers: list[Layer] = []
    parameters = depth = 0
    while depth < 2 or (max(h, w) >= 8 and depth < 4) or h * w * channels * FEATURES[0] > PARAMETERS / 2:
        filters = FILTERS[roomy][min(depth, 2)]
        size = 5 if roomy and depth == 0 else 3
        kernel = min(size, h), min(size, w)
        valid = roomy and depth < 2
        layers.append(Conv2D(filters, kernel, padding="valid" if valid else "same", activation="relu"))
        parameters += (kernel[0] * kernel[1] * channels + 1) * filters
        if valid:
            h, w = h - kernel[0] + 1, w - kernel[1] + 1
        pool = 2 if h >= 4 else 1, 2 if w >= 4 else 1
        if pool != (1, 1):
            layers.append(MaxPooling2D(pool))
        h, w, channels = h // pool[0], w // pool[1], filters
        depth += 1
    fitting = (PARAMETERS - parameters - outputs) // (h * w * channels + 1 + outputs)
    units = min(max(fitting // 8 * 8, FEATURES[0]), FEATURES[1])
    dropout = [Dropout(dropped)] if dropped else []
    return [*layers, Flatten(), *dropout, Dense(units, activation="relu")]


NETWORKS = ("lenet", *named.APPLICATIONS)


def _invalid(where: str, name: str, expected: str, got: Any) -> InvalidParameterError:
    return InvalidParameterError(
        f"The {name!r} parameter of {where} must be {expected}. Got {got!r} instead."
    )


def layers_of(where: str, name: str, value: Any) -> list[Layer]:
    """Return copies, without weights, of the layers in a list, or of one layer; None is an empty list."""
    given = [] if value is None else [value] if isinstance(value, Layer | KerasTensor) else list(value)
    made: list[Layer] = []
    for entry in given:
        layer: Any = entry.node.layer if isinstance(entry, KerasTensor) else entry
        if not isinstance(layer, Layer):
            raise _invalid(where, name, "made of cconv layers", layer)
        made.append(layer.clone())
    return made


def _head(last: Layer | None, shape: Shape, outputs: int, activation: str) -> list[Layer]:
    """Return the dense layer for the end of the network; nothing if the last layer is one already."""
    kind = getattr(last, "activation", None)
    if kind is not None and kind.key == activation and shape == (outputs,):
        return []
    if kind is not None and kind.key == "softmax":
        raise ValueError(
            f"layers: the network ends in a softmax of shape {shape}, but y has {outputs} classes"
        )
    flat = [] if len(shape) == 1 else [Flatten()]
    return [*flat, Dense(outputs, activation=activation)]


def _hidden_and_head(layers: list[Layer], input_shape: Shape, outputs: int, activation: str) -> list[Layer]:
    """Return the layers, with a dense layer added unless they end in such an output already."""
    shape = input_shape
    for layer in layers:
        shape = layer._inner(layer.compute_output_shape(layer._outer(shape)))
    return [*layers, *_head(layers[-1] if layers else None, shape, outputs, activation)]


def _is_row(model: Model) -> bool:
    """Whether a model is a Sequential without nested models."""
    return isinstance(model, Sequential) and all(isinstance(layer, Layer) for layer in model.layers)


def network(
    where: str,
    layers: Any,
    input_shape: Shape,
    outputs: int,
    *,
    activation: str,
    scaled: bool,
    rms: float,
    augment: Any,
    alpha: float,
    seed: int,
    dtype: Any,
    data_format: str,
) -> Model:
    """Return a new built network; a `Sequential` if its layers form a row.

    Parameters
    ----------
    where : str
        The estimator's class, for error messages.
    layers : str, sequence of Layer, Model, or callable
        The estimator's parameter.
    input_shape : tuple of int
        ``(h, w, c)``, or ``(c, h, w)`` if `data_format` is channels_first.
    outputs : int
        Units of the last layer.
    activation : str
        Activation of the last layer: ``"softmax"`` or ``"linear"``.
    scaled : bool
        Whether the pixels are bytes, which are divided by 255.
    rms : float
        Root mean square of the pixels after that.
    augment : Layer, sequence of Layer, or None
        Layers that change the images in training.
    alpha : float
        Every kernel without its own penalty gets ``alpha / 2 · Σw²``.
    seed : int
        Seed of weights, shuffling and all other draws.
    dtype : dtype
        float32 or float64.
    data_format : str
        Layout of the network's input images.
    """
    channels_first = data_format == "channels_first"
    inner = (*input_shape[1:], input_shape[0]) if channels_first else input_shape
    first: list[Layer] = [Rescaling(1 / 255)] if scaled else []
    first += layers_of(where, "augment", augment)
    made: Any = layers
    if isinstance(layers, str) and layers in named.APPLICATIONS:
        made = named.network(layers, input_shape, outputs, activation, data_format)
        first += _to_scale(where, named.APPLICATIONS[layers].rms, rms, np.dtype(dtype))
    elif isinstance(layers, str):
        made = lenet(inner, outputs, DROPPED[activation])
        first += _to_scale(where, INPUT_RMS[activation], rms, np.dtype(dtype))
    elif callable(layers) and not isinstance(layers, Model):
        made = layers(inner, outputs)
        if not isinstance(made, Model):
            raise TypeError(
                f"{where}: layers must return a Sequential or a Model when it is a function, got {made!r}"
            )
    if isinstance(made, Model) and made.data_format == "channels_first" and not channels_first:
        raise ValueError(
            f"{where}: layers {'is' if made is layers else 'returned'} a network for channels_first images: "
            "pass data_format='channels_first' too"
        )
    options: dict[str, Any] = {"seed": seed, "dtype": dtype, "data_format": data_format}

    def penalised(layer: Layer) -> None:
        if alpha and getattr(layer, KERNEL_PENALTY, 0) is None:
            setattr(layer, KERNEL_PENALTY, L2(alpha / 2))

    if isinstance(made, Model) and not _is_row(made):
        return _graph(where, made, first, input_shape, outputs, activation, penalised, options)
    given = made.layers if isinstance(made, Model) else made
    hidden = [e for e in layers_of(where, "layers", given) if not isinstance(e, InputLayer)]
    agreed_format([*first, *hidden], len(input_shape), data_format, None)
    chain = [*first, *_hidden_and_head(hidden, inner, outputs, activation)]
    for layer in chain:
        penalised(layer)
    return Sequential(chain, **options).build(input_shape)


def _graph(
    where: str,
    made: Model,
    first: Sequence[Layer],
    input_shape: Shape,
    outputs: int,
    activation: str,
    penalised: Callable[[Layer], None],
    options: dict[str, Any],
) -> Model:
    """Return copies of a graph's layers behind `first`, with a dense layer at the end if needed."""
    graphs.single(where, "layers", made)
    x = image = graphs.image(input_shape, options["data_format"])
    if options["data_format"] != made.data_format:
        raise ValueError(
            f"{where}: the graph in layers is for {made.data_format} images: "
            f"pass data_format={made.data_format!r}, or make it for {options['data_format']}"
        )
    for layer in first:
        x = layer(x)
    y = graphs.grafted(where, made, x, alpha=penalised).y
    for layer in _head(y.node.layer, y.sample_shape, outputs, activation):
        penalised(layer)
        y = layer(y)
    return Model(image, y, **options)


def described(*values: Any) -> str:
    """Return a string that describes parameters of a network: it differs if the parameters differ."""

    def plain(value: Any) -> Any:
        if isinstance(value, Configured):
            return config_of(value)
        if isinstance(value, Model):
            return json.dumps(value.get_config(), sort_keys=True)
        if isinstance(value, functools.partial):
            return ["partial", plain(value.func), plain(value.args), sorted(value.keywords.items())]
        if isinstance(value, list | tuple):
            return [plain(entry) for entry in value]
        return getattr(value, "__qualname__", value) if callable(value) else value

    return repr(plain(values))


def _to_scale(where: str, wanted: float, rms: float, dtype: np.dtype) -> list[Layer]:
    """Return the layer that scales pixels to the wanted root mean square; none if all pixels are zero."""
    if rms == 0:
        return []
    if rms < wanted / float(np.finfo(dtype).max):
        raise ValueError(
            f"{where}: X holds numbers too small for dtype {dtype.name!r}, "
            f"their root mean square is {rms:.3g}: scale it"
        )
    return [Rescaling(wanted / rms)]


def with_activation(model: Model, activation: str) -> Model:
    """Return the network with another activation at its end, and the same weights."""
    return graphs.with_activation(model, activation)


def n_features_out(model: Model) -> int:
    """Return the number of features that `features` returns per image."""
    return int(np.prod(graphs.before_the_last(model).sample_shape))


def features(model: Model, x: np.ndarray) -> np.ndarray:
    """Return the input of the last dense layer for these images, (n, features)."""
    y = graphs.before_the_last(model)
    seen = graphs.over(model, y).predict(x, verbose=0) if y.node.inputs else x.astype(model.dtype)
    return seen.reshape(len(x), -1)


def plain(model: Model) -> Any:
    """Return a compiled model as plain data and arrays; the model itself if it has user-defined parts."""
    parts = [(layer_classes, layer) for layer in model._layers]
    parts += [(optimizers, model.optimizer), (losses, model.loss)]
    if any(getattr(module, type(part).__name__, None) is not type(part) for module, part in parts):
        return model
    return {
        "class": model.kind,
        "model": model.get_config(),
        "weights": model.get_weights(),
        "training": model._training_config(),
        "optimizer": model.optimizer.get_state(),
    }


def from_plain(state: Any) -> Model:
    """Return the model for a state that `plain` returned."""
    if isinstance(state, Model):
        return state
    kinds: dict[str, type[Model]] = {"Sequential": Sequential, "Model": Model}
    model = kinds[state.get("class", "Sequential")].from_config(state["model"])
    model.set_weights(state["weights"])
    model._resume(state["training"], state["optimizer"])
    return model
