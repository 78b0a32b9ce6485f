"""A model's input: `Input` begins a graph, or is the first entry of a `Sequential`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.numbers import positive_int
from cconv.layers.base import Layer, Shape
from cconv.layers.symbolic import KerasTensor, input_tensor
from cconv.ops.run import Run, replayable


class InputLayer(Layer):
    """Describes a model's input, and returns it unchanged.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, without the batch.
    name
        See `Layer`.

    Examples
    --------
    >>> InputLayer((28, 28, 1)).input_shape
    (28, 28, 1)
    """

    def __init__(self, shape: Sequence[int], *, name: str | None = None) -> None:
        super().__init__(name=name, input_shape=shape)
        self.shape: Shape = self._checked_shape(shape)

    def _resolve(self, shape: Shape) -> Shape:
        if shape != self.shape:
            raise ValueError(f"{self.where}: input_shape must be {self.shape}, got {shape}")
        return shape

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return x

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return dy if need_dx else None


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    *,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
) -> KerasTensor:
    """Return the input of a model: a tensor to call layers on, or the first entry of a `Sequential`.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, without the batch: ``(h, w, c)``, ``(c, h, w)`` or ``(features,)``.
    batch_size : int, optional
        Accepted for Keras' sake and not used; batches may have any size.
    dtype : dtype, optional
        Any dtype of real numbers, accepted for Keras' sake; a model converts its inputs.
    batch_shape : tuple, optional
        In place of `shape`: with the batch in front.
    name : str, optional
        The key under which `fit` finds the array in a dict.

    Returns
    -------
    KerasTensor

    Raises
    ------
    TypeError, ValueError
        When shape, size or dtype are not valid.

    Examples
    --------
    >>> Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    if (shape is None) == (batch_shape is None):
        raise ValueError(
            f"Input: one of shape and batch_shape must be given, got {shape!r} and {batch_shape!r}"
        )
    if batch_shape is not None:
        if isinstance(batch_shape, str) or not isinstance(batch_shape, Sequence) or len(batch_shape) < 2:
            raise TypeError(
                f"Input: batch_shape must be a tuple of the batch and a shape, got {batch_shape!r}"
            )
        batch_size, shape = batch_shape[0], batch_shape[1:]
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise TypeError(f"Input: shape must be a tuple of positive ints, such as (28, 28, 1), got {shape!r}")
    if batch_size is not None:
        positive_int("Input", "batch_size", batch_size)
    if dtype is not None:
        _check_dtype(dtype)
    layer = InputLayer(shape, name=name)  # type: ignore[arg-type]
    return input_tensor(layer, layer.shape)


def _check_dtype(dtype: Any) -> None:
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"Input: dtype must be one of real numbers, got {dtype!r}") from error
    if kind.kind not in "biuf":
        raise TypeError(f"Input: dtype must be one of real numbers, got {dtype!r}")
