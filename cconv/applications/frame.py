"""The common part of the networks: Keras' arguments, input, and end."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, flag, is_int, positive_int
from cconv.layers import (
    Dense,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    KerasTensor,
    Layer,
    Rescaling,
)
from cconv.models import Model, Sequential
from cconv.models.tracing import graph_of

Shape = tuple[int, ...]
Weights = str | os.PathLike[str] | None  # the path of a file
_POOLINGS = (None, "avg", "max")

# Returns arrays instead of initial weights, while networks are only counted.
_stand_in: ContextVar[Callable[[str, Shape], np.ndarray] | None] = ContextVar("stand_in", default=None)


@contextmanager
def without_weights() -> Iterator[None]:
    """Make new networks' weights placeholders: arrays of the right shapes that need no memory."""
    token = _stand_in.set(lambda _, shape: np.broadcast_to(np.zeros((), np.float32), shape))
    try:
        yield
    finally:
        _stand_in.reset(token)


def let_stand_in(layers: Iterable[Layer]) -> None:
    """Give layers placeholder weights, inside `without_weights`."""
    stand_in = _stand_in.get()
    if stand_in is not None:
        for layer in layers:
            layer._stand_in = stand_in


class Frame:
    """The arguments of a network, checked; makes its first tensor, and the model from its last tensor.

    Parameters
    ----------
    where : str
        The network's function, for error messages.
    weights : path or None
        A file with the network's weights; there are none to download.
    input_tensor : KerasTensor, optional
        The network's input, instead of a new one.
    input_shape : tuple of int, optional
        Shape of one image; by default `size` pixels and `channels`.
    data_format : str, optional
        Layout of the images.
    size : int or (int, int)
        Default height and width in pixels.
    least : int
        Minimum number of pixels on every side.
    channels : int
        Default number of channels.

    Attributes
    ----------
    x : KerasTensor
        The input image.
    """

    @controlled
    def __init__(
        self,
        where: str,
        weights: Any,
        input_tensor: Any,
        input_shape: Any,
        data_format: Any,
        *,
        size: int,
        least: int = 32,
        channels: int = 3,
    ) -> None:
        self.where = where
        self.weights: Weights = _checked_weights(where, weights)
        if input_tensor is not None and not isinstance(input_tensor, KerasTensor):
            raise TypeError(
                f"{where}: input_tensor must be a KerasTensor, as Input gives, got {input_tensor!r}"
            )
        if data_format is not None:
            data_format = arguments.data_format(where, data_format)
        self.new: bool = input_tensor is None  # whether x is a new input
        if input_tensor is None:
            first = data_format == "channels_first"
            if input_shape is None:
                input_shape = (channels, size, size) if first else (size, size, channels)
            input_tensor = Input(self._checked(input_shape, first, least))
            input_tensor.data_format = data_format
        elif input_shape is not None and tuple(input_shape) != input_tensor.sample_shape:
            raise ValueError(
                f"{where}: input_shape must be that of input_tensor, {input_tensor.sample_shape}, "
                f"got {input_shape!r}"
            )
        else:
            self._checked(input_tensor.sample_shape, input_tensor.data_format == "channels_first", least)
        self.x: KerasTensor = input_tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        return extents(self.x)

    def _checked(self, shape: Any, first: bool, least: int) -> Shape:
        order = "(channels, height, width)" if first else "(height, width, channels)"
        expected = f"{self.where}: input_shape must be {order}, got {shape!r}"
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            raise TypeError(expected)
        if len(shape) != 3:
            raise ValueError(expected)
        if not all(map(is_int, shape)):
            raise TypeError(expected)
        taken = tuple(positive_int(self.where, "input_shape entry", extent) for extent in shape)
        sides = taken[1:] if first else taken[:2]
        if min(sides) < least:
            raise ValueError(
                f"{self.where}: input_shape must have at least {least} pixels on every side, got {shape!r}"
            )
        return taken

    def classes(self, classes: Any) -> int:
        """Return the number of classes, checked."""
        return positive_int(self.where, "classes", classes)

    def top(
        self,
        y: KerasTensor,
        include_top: Any,
        pooling: Any,
        classes: Any,
        activation: Any,
        *,
        pool_names: tuple[str | None, str | None] = ("avg_pool", "max_pool"),
        head: Callable[[KerasTensor], KerasTensor] | None = None,
        last: str = "predictions",
        kernel_initializer: Any = "glorot_uniform",
    ) -> KerasTensor:
        """Return the end of the network: classes, the last map, or its mean or maximum, by Keras' arguments.

        Parameters
        ----------
        y : KerasTensor
            The last feature map.
        include_top, pooling, classes, activation
            The network's arguments.
        pool_names : (str, str)
            Names of the layers for mean and maximum of every map.
        head : callable, optional
            Applied between the global mean and the dense layer.
        last : str
            Name of the dense layer.
        kernel_initializer : str or Initializer
            Initializer of the dense layer.
        """
        units = self.classes(classes)
        self.check_pooling(pooling)
        mean, largest = pool_names
        if flag(self.where, "include_top", include_top):
            y = GlobalAveragePooling2D(name=mean)(y)
            y = y if head is None else head(y)
            dense = Dense(units, activation, kernel_initializer=kernel_initializer, name=last)
            return dense(y)
        return self.pooled(y, pooling, mean, largest)

    def check_pooling(self, pooling: Any) -> None:
        """Raise ValueError for an unknown pooling."""
        if pooling not in _POOLINGS:
            raise ValueError(f"{self.where}: pooling must be None, 'avg' or 'max', got {pooling!r}")

    def pooled(self, y: KerasTensor, pooling: Any, mean: str | None, largest: str | None) -> KerasTensor:
        """Return the last map, or its mean or maximum."""
        return chain(y, *self.closing(False, pooling, [], (mean, largest)))

    def closing(
        self,
        include_top: Any,
        pooling: Any,
        top: Sequence[Layer],
        pool_names: tuple[str | None, str | None] = (None, None),
    ) -> list[Layer]:
        """Return the layers behind the last map: the top, a global pooling, or none."""
        self.check_pooling(pooling)
        if flag(self.where, "include_top", include_top):
            return list(top)
        mean, largest = pool_names
        if pooling == "avg":
            return [GlobalAveragePooling2D(name=mean)]
        return [GlobalMaxPooling2D(name=largest)] if pooling == "max" else []

    @controlled
    def model(self, y: KerasTensor, name: str | None, seed: Any, dtype: DTypeLike) -> Model:
        """Return the network between the inputs of the image tensor and this tensor."""
        inputs = sources(self.x)
        let_stand_in(node.layer for node in graph_of(self.where, inputs, [y]).nodes)
        single: Any = inputs[0] if len(inputs) == 1 else inputs
        return self._filled(Model(single, y, name, seed=seed, dtype=dtype, data_format=self.x.data_format))

    @controlled
    def row(self, layers: Sequence[Layer], name: str | None, seed: Any, dtype: DTypeLike) -> Model:
        """Return a network of layers in a row: a `Sequential`, or with an input_tensor a `Model`."""
        if not self.new:
            return self.model(chain(self.x, *layers), name, seed, dtype)
        let_stand_in(layers)
        model = Sequential(layers, name, seed=seed, dtype=dtype, data_format=self.x.data_format)
        return self._filled(model.build(self.x.sample_shape))

    def _filled(self, model: Any) -> Any:
        """Return the model with the requested weights."""
        if self.weights is not None:
            model.load_weights(self.weights)
        return model


def _checked_weights(where: str, weights: Any) -> Weights:
    if weights is None or (isinstance(weights, str | os.PathLike) and Path(weights).is_file()):
        return weights
    raise (ValueError if isinstance(weights, str | os.PathLike) else TypeError)(
        f"{where}: weights must be None or the path of a file, got {weights!r}: cconv has no trained weights "
        "to download; load_weights or set_weights of the model fill it too"
    )


def sources(tensor: KerasTensor) -> list[KerasTensor]:
    """Return the inputs that a tensor depends on, as Keras' `get_source_inputs`."""
    found: dict[int, KerasTensor] = {}
    work, seen = [tensor], set()
    while work:
        last = work.pop()
        if id(last) in seen:
            continue
        seen.add(id(last))
        if last.node.inputs:
            work += reversed(last.node.inputs)
        else:
            found[id(last)] = last
    return list(found.values())


def channels(x: KerasTensor) -> int:
    """Return the number of channels of a feature map."""
    return x.sample_shape[0 if x.data_format == "channels_first" else -1]


def extents(x: KerasTensor) -> tuple[int, int]:
    """Return height and width of a feature map in pixels."""
    shape = x.sample_shape
    height, width = shape[1:] if x.data_format == "channels_first" else shape[:2]
    return height, width


def map_shape(x: KerasTensor, height: int, width: int, channels: int) -> tuple[int, int, int]:
    """Return the shape of a feature map in the data format of another tensor."""
    first = x.data_format == "channels_first"
    return (channels, height, width) if first else (height, width, channels)


def chain(x: KerasTensor, *layers: Layer) -> KerasTensor:
    """Return the output of layers applied one after another."""
    for layer in layers:
        x = layer(x)
    return x


def rounded(value: float, divisor: int = 8, least: int | None = None) -> int:
    """Return a number of filters rounded to a multiple of `divisor`, at most 10 % below the value.

    As in Howard et al.'s code of MobileNetV2, and in Keras.

    Examples
    --------
    >>> rounded(32 * 0.35), rounded(24 * 0.5), rounded(17)
    (16, 16, 16)
    """
    found = max(least or divisor, int(value + divisor / 2) // divisor * divisor)
    return found + divisor if found < 0.9 * value else found


def before_stride(x: KerasTensor, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the zeros around a feature map in front of a kernel of stride 2: Keras' `correct_pad`.

    Half a kernel below and on the right; above and on the left the same for odd sides, and one less for even
    sides, so that the stride skips the same pixels as in Keras.
    """
    half = size // 2
    height, width = (half - 1 + extent % 2 for extent in extents(x))
    return (height, half), (width, half)


def scaled(where: str, rescale: Any) -> list[Layer]:
    """Return the layer that multiplies images by a factor; none for None."""
    return [] if rescale is None else [Rescaling(finite(where, "rescale", rescale))]


def channel_axis(x: KerasTensor) -> int:
    """Return the channel axis of a feature map as `Concatenate` counts; the batch is 0."""
    return 1 if x.data_format == "channels_first" else -1
