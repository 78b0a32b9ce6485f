"""A part of every sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.numbers import is_int
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, replayable


class Slice(Layer):
    """``y = x[:, begin:end:step, …]``: a part of every sample, along each of its axes.

    In a channels_first model the axes are still those of ``(h, w, c)``, as for `Flatten`.

    Parameters
    ----------
    begin, end : sequence of int or None
        For each axis of a sample, as in Python's slices: None is the end of the axis, negative numbers count
        from the end.
    step : sequence of int, optional
        Distance from one element to the next, by default 1; a negative one goes backwards.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Slice([1, None], [None, None], [1, -1]).forward(np.arange(6.0).reshape(1, 2, 3))
    array([[[5., 4., 3.]]])
    """

    def __init__(
        self,
        begin: Sequence[int | None],
        end: Sequence[int | None],
        step: Sequence[int] | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.begin: list[int | None] = self._bounds("begin", begin)
        self.end: list[int | None] = self._bounds("end", end)
        steps = self._bounds("step", [1] * len(self.begin) if step is None else step)
        if None in steps or 0 in steps:
            raise ValueError(f"{self.where}: step must hold ints other than 0, got {step!r}")
        self.step: list[int] = [int(entry) for entry in steps if entry is not None]
        if not len(self.begin) == len(self.end) == len(self.step) or not self.begin:
            raise ValueError(
                f"{self.where}: begin, end and step must be as long as a sample has axes, got {begin!r}, "
                f"{end!r} and {step!r}"
            )

    def _bounds(self, name: str, value: Any) -> list[int | None]:
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        if not listed or not all(entry is None or is_int(entry) for entry in value):
            raise TypeError(f"{self.where}: {name} must be a list of ints or None, got {value!r}")
        return [None if entry is None else int(entry) for entry in value]

    def _part(self) -> tuple[slice, ...]:
        return (slice(None), *map(slice, self.begin, self.end, self.step))

    def _resolve(self, shape: Shape) -> Shape:
        if len(shape) != len(self.begin):
            raise ValueError(
                f"{self.where}: begin must name the {len(shape)} axes of input_shape {shape}, "
                f"got {self.begin}"
            )
        parts = zip(shape, self._part()[1:], strict=True)
        found = tuple(len(range(*part.indices(extent))) for extent, part in parts)
        if 0 in found:
            raise ValueError(
                f"{self.where}: begin and end must leave something of input_shape {shape}, "
                f"got {self.begin} and {self.end}"
            )
        return found

    def _rank_behind(self, rank: int | None) -> int | None:
        return len(self.begin)

    def _build(self, shape: Shape) -> None:
        self._shape = shape

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(len(x))
        part = x[self._part()]
        y = run.empty("y", part.shape, x.dtype)
        run.call(np.copyto, y, part)
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        dx = run.empty("dx", (len(dy), *self._shape), dy.dtype)
        run.call(np.copyto, dx, 0.0)
        run.call(np.copyto, dx[self._part()], dy)
        return dx
