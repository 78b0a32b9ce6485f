"""From the parameter `layers` of an estimator to a network, and from a network to its features and scores."""

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
# What the parameter `layers` may be: a name, layers, a model, or what makes one for a shape and outputs.
Layers = str | Sequence[Layer] | Model | Callable[[Shape, int], Model]

# Root mean square of what the default network's first layer sees, by the activation at its end. Adam
# moves a weight by at most the learning rate, so that larger inputs are learnt from in fewer steps, and
# a softmax does not mind steps that are too large: 8 did best of 1, 2, 4, 8, 16 for classes. Numbers
# are missed by the size of a step: 1 did as well as 0.5 and 2, and far better than 8.
INPUT_RMS = {"softmax": 8.0, "linear": 1.0}
# Share of the last image's pixels that are dropped. Dropout changes the mean of what follows it,
# which costs a regression more than it gains.
DROPPED = {"softmax": 0.25, "linear": 0.0}
# Of the first, the second, and all further convolutions, in roomy images and in small ones.
FILTERS = {True: (32, 48, 64), False: (16, 64, 64)}
ROOMY = 12  # pixels on every side
PARAMETERS = 100_000  # at most so many, as long as the image is small and there are few outputs
FEATURES = 16, 256  # units before the last layer: at least and at most
KERNEL_PENALTY = "kernel_regularizer"  # the attribute of layers that have a kernel


def lenet(input_shape: Shape, outputs: int, dropped: float = 0.25) -> list[Layer]:
    """Return the hidden layers of the default network, a LeNet fitted to the image.

    Two convolutions, each with a max pooling behind it that halves every side of at least four
    pixels; dropout; a dense layer. From 12x12 pixels up the convolutions are LeNet's own, 5x5 and
    then 3x3, without padding, of 32 and 48 filters; smaller images, and those with a side below 12
    such as the one-pixel-high image of a table's row, get 3x3 kernels, ``padding="same"``, 16 and
    64 filters. A side of one pixel has kernels of one. Large images get more convolutions.

    Parameters
    ----------
    input_shape : tuple of int
        ``(h, w, c)``.
    outputs : int
        Units of the layer that will follow.
    dropped : float
        Share of the last image's pixels that are dropped; 0 for none.

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
    """Return copies without weights of the layers in a list, or of one layer; None is an empty list."""
    given = [] if value is None else [value] if isinstance(value, Layer | KerasTensor) else list(value)
    made: list[Layer] = []
    for entry in given:
        layer: Any = entry.node.layer if isinstance(entry, KerasTensor) else entry
        if not isinstance(layer, Layer):
            raise _invalid(where, name, "made of cconv layers", layer)
        made.append(layer.clone())
    return made


def _head(last: Layer | None, shape: Shape, outputs: int, activation: str) -> list[Layer]:
    """Return the dense layer that belongs behind a last one of that output; none where it is one itself."""
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
    """Return the layers, with a dense layer behind them unless they end in such an output already."""
    shape = input_shape
    for layer in layers:
        shape = layer._inner(layer.compute_output_shape(layer._outer(shape)))
    return [*layers, *_head(layers[-1] if layers else None, shape, outputs, activation)]


def _is_row(model: Model) -> bool:
    """Whether a model is layers one behind the other, and no models among them."""
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
    """Return a new built network: a `Sequential` where it is layers one behind the other.

    Parameters
    ----------
    where : str
        The estimator's class, for error messages.
    layers : str, sequence of Layer, Model, or callable
        As the estimator got it.
    input_shape : tuple of int
        ``(h, w, c)``, or ``(c, h, w)`` if `data_format` is channels_first.
    outputs : int
        Units of the last layer.
    activation : str
        Of the last layer: ``"softmax"`` or ``"linear"``.
    scaled : bool
        Whether the pixels are bytes, to be divided by 255.
    rms : float
        Root mean square of the pixels, after that.
    augment : Layer, sequence of Layer, or None
        What changes the images in training.
    alpha : float
        Every kernel without a penalty of its own gets ``alpha / 2 · Σw²``.
    seed : int
        Of weights, shuffling and all other draws.
    dtype : dtype
        float32 or float64.
    data_format : str
        Layout of the images that the network will be given.
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
    """Return copies of a graph's layers behind the first ones, with a dense layer at their end if needed."""
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
    """Return what parameters say of a network: a text that is another one when they say something else."""

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
    """Return the layer that brings pixels of a root mean square to the wanted one; none for all zeros."""
    if rms == 0:
        return []
    if rms < wanted / float(np.finfo(dtype).max):
        raise ValueError(
            f"{where}: X holds numbers too small for dtype {dtype.name!r}, "
            f"their root mean square is {rms:.3g}: scale it"
        )
    return [Rescaling(wanted / rms)]


def with_activation(model: Model, activation: str) -> Model:
    """Return the network with another activation at its end, over the same weights."""
    return graphs.with_activation(model, activation)


def n_features_out(model: Model) -> int:
    """Return how many features `features` gives for one image."""
    return int(np.prod(graphs.before_the_last(model).sample_shape))


def features(model: Model, x: np.ndarray) -> np.ndarray:
    """Return what the last dense layer sees of these images, (n, features)."""
    y = graphs.before_the_last(model)
    seen = graphs.over(model, y).predict(x, verbose=0) if y.node.inputs else x.astype(model.dtype)
    return seen.reshape(len(x), -1)


def plain(model: Model) -> Any:
    """Return a compiled model as plain data and arrays; itself if it has parts of the user's own."""
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
    """Return the model of which `plain` gave the state."""
    if isinstance(state, Model):
        return state
    kinds: dict[str, type[Model]] = {"Sequential": Sequential, "Model": Model}
    model = kinds[state.get("class", "Sequential")].from_config(state["model"])
    model.set_weights(state["weights"])
    model._resume(state["training"], state["optimizer"])
    return model
