"""From the parameter `layers` of an estimator to a network, and from a network to its features and scores."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from cconv import activations, losses, optimizers
from cconv import layers as layer_classes
from cconv.arguments import Configured, config_of
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
from cconv.models import Sequential
from cconv.models.formats import agreed_format
from cconv.regularizers import L2

Shape = tuple[int, ...]
# What the parameter `layers` may be: a name, layers, or what makes a model for a shape and so many outputs.
Layers = str | Sequence[Layer] | Callable[[Shape, int], Sequential]

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


NETWORKS: dict[str, Callable[[Shape, int, float], list[Layer]]] = {"lenet": lenet}


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


def _hidden_and_head(layers: list[Layer], input_shape: Shape, outputs: int, activation: str) -> list[Layer]:
    """Return the layers, with a dense layer behind them unless they end in such an output already."""
    shape = input_shape
    for layer in layers:
        shape = layer._inner(layer.compute_output_shape(layer._outer(shape)))
    kind = getattr(layers[-1], "activation", None) if layers else None
    if kind is not None and kind.key == activation and shape == (outputs,):
        return layers
    if kind is not None and kind.key == "softmax":
        raise ValueError(
            f"layers: the network ends in a softmax of shape {shape}, but y has {outputs} classes"
        )
    flat = [] if len(shape) == 1 else [Flatten()]
    return [*layers, *flat, Dense(outputs, activation=activation)]


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
) -> Sequential:
    """Return a new built network.

    Parameters
    ----------
    where : str
        The estimator's class, for error messages.
    layers : str, sequence of Layer, or callable
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
    if isinstance(layers, str):
        hidden = NETWORKS[layers](inner, outputs, DROPPED[activation])
        if rms > 0:
            first.append(_to_scale(where, INPUT_RMS[activation], rms, np.dtype(dtype)))
    elif callable(layers):
        made = layers(inner, outputs)
        if not isinstance(made, Sequential):
            raise TypeError(
                f"{where}: layers must return a cconv.Sequential when it is a function, got {made!r}"
            )
        if made.data_format == "channels_first" and not channels_first:
            raise ValueError(
                f"{where}: layers returned a network for channels_first images: "
                "pass data_format='channels_first' too"
            )
        hidden = layers_of(where, "layers", made.layers)
    else:
        hidden = [e for e in layers_of(where, "layers", layers) if not isinstance(e, InputLayer)]
    agreed_format([*first, *hidden], len(input_shape), data_format, None)
    chain = [*first, *_hidden_and_head(hidden, inner, outputs, activation)]
    for layer in chain:
        if alpha and getattr(layer, KERNEL_PENALTY, 0) is None:
            setattr(layer, KERNEL_PENALTY, L2(alpha / 2))
    return Sequential(chain, seed=seed, dtype=dtype, data_format=data_format).build(input_shape)


def described(*values: Any) -> str:
    """Return what parameters say of a network: a text that is another one when they say something else."""

    def plain(value: Any) -> Any:
        if isinstance(value, Configured):
            return config_of(value)
        if isinstance(value, list | tuple):
            return [plain(entry) for entry in value]
        return getattr(value, "__qualname__", value) if callable(value) else value

    return repr(plain(values))


def _to_scale(where: str, wanted: float, rms: float, dtype: np.dtype) -> Rescaling:
    """Return the layer that brings pixels of a root mean square to the wanted one."""
    if rms < wanted / float(np.finfo(dtype).max):
        raise ValueError(
            f"{where}: X holds numbers too small for dtype {dtype.name!r}, "
            f"their root mean square is {rms:.3g}: scale it"
        )
    return Rescaling(wanted / rms)


def _over(model: Sequential, layers: Sequence[Layer]) -> Sequential:
    """Return a model of these layers of `model`, whose weights it shares."""
    assert model._input_shape is not None
    over = Sequential(layers, seed=model.seed, dtype=model.dtype, data_format=model.data_format)
    return over.build(model._input_shape)


def with_activation(model: Sequential, activation: str) -> Sequential:
    """Return the network with another activation at its end, over the same weights."""
    last: Any = copy.copy(model.layers[-1])
    last.activation = activations.get(activation, "with_activation", "activation")
    return _over(model, [*model.layers[:-1], last])


def _hidden(model: Sequential) -> list[Layer]:
    """Return the layers before the last dense one; before the last one with weights if none is dense."""
    layers = model.layers
    with_weights = [number for number, layer in enumerate(layers) if layer.params]
    dense = [number for number in with_weights if isinstance(layers[number], Dense)]
    return layers[: (dense or with_weights or [len(layers)])[-1]]


def n_features_out(model: Sequential) -> int:
    """Return how many features `features` gives for one image."""
    hidden = _hidden(model)
    assert model._input_shape is not None
    return int(np.prod(hidden[-1].output_shape if hidden else model._input_shape))


def features(model: Sequential, x: np.ndarray) -> np.ndarray:
    """Return what the last dense layer sees of these images, (n, features)."""
    hidden = _hidden(model)
    seen = _over(model, hidden).predict(x, verbose=0) if hidden else x.astype(model.dtype)
    return seen.reshape(len(x), -1)


def plain(model: Sequential) -> Any:
    """Return a compiled model as plain data and arrays; itself if it has parts of the user's own."""
    parts = [(layer_classes, layer) for layer in model.layers]
    parts += [(optimizers, model.optimizer), (losses, model.loss)]
    if any(getattr(module, type(part).__name__, None) is not type(part) for module, part in parts):
        return model
    return {
        "model": model.get_config(),
        "weights": model.get_weights(),
        "training": model._training_config(),
        "optimizer": model.optimizer.get_state(),
    }


def from_plain(state: Any) -> Sequential:
    """Return the model of which `plain` gave the state."""
    if isinstance(state, Sequential):
        return state
    model = Sequential.from_config(state["model"])
    model.set_weights(state["weights"])
    model._resume(state["training"], state["optimizer"])
    return model
