"""Windows in Keras: "valid", "same", or "valid" behind a zero padding layer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cconv import layers
from cconv.activations import base, rectifiers, smooth
from cconv.geometry.shapes import Window
from cconv.layers.pooling import MaximumPooling, MeanPooling
from cconv.layers.transposed import TransposedConvolution

Around = tuple[tuple[int, int], ...]  # before and behind each axis of an image or a sequence

# Activations whose outputs are never negative, and layers that keep non-negative inputs non-negative.
ABOVE_ZERO = (
    *(base.Sigmoid, base.Softmax, rectifiers.ReLU, smooth.Exponential, smooth.HardSigmoid),
    smooth.Softplus,
)
PASSING = (
    *(MaximumPooling, MeanPooling, layers.Add, layers.Concatenate, layers.Dropout, layers.Flatten),
    *(layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.Maximum, layers.Multiply),
    *(layers.Permute, layers.Reshape, layers.SpatialDropout2D, layers.UpSampling2D, layers.ZeroPadding2D),
)


class Placed(NamedTuple):
    """The padding of a layer in Keras, and the zeros in front of it."""

    padding: str
    around: Around = ()


def has_window(item: Any) -> bool:
    """Whether an item of a model is a layer with a window, which Keras may not be able to place."""
    return hasattr(item, "window") and hasattr(item, "padding")


def is_above_zero(item: Any, given: Sequence[bool]) -> bool:
    """Whether an item's outputs are never negative; `given` has the same for its inputs."""
    activation = getattr(item, "activation", None)
    if isinstance(activation, rectifiers.ClippedReLU):
        return not activation.negative_slope
    if activation is not None and not isinstance(activation, base.Linear):
        return isinstance(activation, ABOVE_ZERO)
    return isinstance(item, PASSING) and all(given)


def placed(layer: Any, above_zero: bool) -> Placed | None:
    """Return the padding of a built layer with a window in Keras; None if Keras cannot express it.

    Parameters
    ----------
    layer : Layer
    above_zero : bool
        Whether its input is never negative, so that zeros around it are never the maximum.
    """
    mean, largest = isinstance(layer, MeanPooling), isinstance(layer, MaximumPooling)
    counts = mean and layer.count_include_pad
    rounds_up = (mean or largest) and layer.ceil_mode
    if isinstance(layer.padding, str) and not counts and not rounds_up:
        return Placed(layer.padding)
    own: Window = layer.window
    if not counts:
        for word in ("valid", "same"):
            found = _with_padding(layer, word)
            if found is not None and _alike(found, own, mean or largest):
                return Placed(word)
    if (mean and not counts) or (counts and rounds_up) or isinstance(layer, TransposedConvolution):
        return None
    if largest and not above_zero:
        return None
    pads = tuple(_reached(own, axis) for axis in (0, 1)) if largest else own.pads
    if not any(map(any, pads)):
        return Placed("valid")
    return Placed("valid", pads if layer.ranks == (3,) else pads[1:])


def _with_padding(layer: Any, word: str) -> Window | None:
    """Return the layer's window with that padding; None if this padding is not possible."""
    config = {**layer.get_config(), "padding": word}
    if "ceil_mode" in config:
        config["ceil_mode"] = False
    turned = isinstance(layer, TransposedConvolution)  # its window is that of the transposed convolution
    size = layer.window.output_size if turned else layer.window.input_size
    try:
        found: Window = type(layer).from_config(config)._window((*size, 1))
    except ValueError:
        return None
    return found


def _alike(one: Window, other: Window, pools: bool) -> bool:
    """Whether two windows see the same pixels; in a pooling the padding at the end does not matter."""
    if not pools:
        return one == other
    before = [(pads[0][0], pads[1][0]) for pads in (one.pads, other.pads)]
    return before[0] == before[1] and one.output_size == other.output_size


def _reached(window: Window, axis: int) -> tuple[int, int]:
    """Return how many zeros the windows along an axis need, before and behind it."""
    before = window.pads[axis][0]
    extent = window.dilation[axis] * (window.kernel_size[axis] - 1) + 1
    end = (window.output_size[axis] - 1) * window.strides[axis] + extent
    return before, max(end - window.input_size[axis] - before, 0)
