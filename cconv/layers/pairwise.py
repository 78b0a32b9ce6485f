"""The common part of layers that merge their inputs element by element, two at a time."""

from typing import Any, ClassVar

import numpy as np

from cconv import ops
from cconv.geometry.broadcasting import lined_up, running_shapes, spread_axes
from cconv.layers.base import Shape
from cconv.layers.merge import Arrays, Merge
from cconv.ops.run import Run, replayable

Pair = tuple[np.ndarray | None, np.ndarray | None]


class Elementwise(Merge):
    """Base of the layers that merge their inputs element by element, two at a time: ((a ∘ b) ∘ c) ∘ ….

    Inputs are broadcast as in Keras: axes of length 1, and leading axes that an input lacks, are repeated.
    """

    _keeps: ClassVar[bool] = True  # whether `_pair_back` needs inputs and output of `_pair`

    def _resolve(self, shapes: tuple[Shape, ...]) -> Shape:  # type: ignore[override]
        try:
            return running_shapes(lined_up(shapes, self.data_format))[-1]
        except ValueError:
            raise ValueError(
                f"{self.where}: input_shape must be shapes that are equal or 1, axis by axis from the last, "
                f"got {self._seen(shapes)}"
            ) from None

    def _build(self, shapes: tuple[Shape, ...]) -> None:  # type: ignore[override]
        self._shapes = shapes
        self._lined_up = lined_up(shapes, self.data_format)
        self._running = running_shapes(self._lined_up)

    def _is_turned(self, number: int) -> bool:
        """Whether an input is a channels_first image beside inputs of more axes, which keep their order."""
        return self.data_format == "channels_first" and len(self._shapes[number]) == 3 != len(
            self._running[0]
        )

    # --- forward ------------------------------------------------------------------------------

    def _line_up(self, number: int, x: np.ndarray, run: Run) -> np.ndarray:
        """Return an input, reshaped to as many axes as the output has."""
        if self._is_turned(number):
            given = x.transpose(0, 3, 1, 2)
            x = run.empty("turned", given.shape, x.dtype)
            run.call(np.copyto, x, given)
        return x.reshape(len(x), *self._lined_up[number])

    @replayable
    def _forward(self, xs: Arrays, run: Run) -> np.ndarray:  # type: ignore[override]
        y, *others = (self._line_up(number, x, run) for number, x in enumerate(xs))
        steps: list[Arrays] = []
        free = False  # whether y is our own memory, which may be overwritten
        for b, shape in zip(others, self._running[1:], strict=True):
            a, shape = y, (len(y), *shape)
            y = self._merge(a, b, shape, a if free and a.shape == shape else None, run, steps)
            free = not (self._keeps and run.training)
        if run.training:
            self._keep(len(y), *steps)
        return y

    def _merge(
        self,
        a: np.ndarray,
        b: np.ndarray,
        shape: Shape,
        out: np.ndarray | None,
        run: Run,
        steps: list[Arrays],
    ) -> np.ndarray:
        """Return a ∘ b of that shape, in `out` if given; append to `steps` what `_merge_back` needs."""
        a, b = _spread(a, shape, "wide", run), _spread(b, shape, "wide", run)
        y = self._pair(a, b, out, run)
        steps.append((a, b, y) if self._keeps else ())
        return y

    def _pair(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None, run: Run) -> np.ndarray:
        """Return a ∘ b for arrays of one shape."""
        raise NotImplementedError

    # --- backward -----------------------------------------------------------------------------

    @replayable
    def _backward(  # type: ignore[override]
        self, dy: np.ndarray, run: Run, need_dx: tuple[bool, ...]
    ) -> tuple[np.ndarray | None, ...]:
        found: list[np.ndarray | None] = [None] * len(need_dx)
        dx: np.ndarray | None = dy
        for number in range(len(need_dx) - 1, 0, -1):
            need = any(need_dx[:number]), need_dx[number]
            if dx is None or not any(need):
                break
            step = self._cache[number - 1]
            shapes = [
                (len(dy), *of[at]) for of, at in ((self._running, number - 1), (self._lined_up, number))
            ]
            first, second = self._merge_back(dx, step, need, run)
            dx = _sum_back(first, shapes[0], run) if need[0] and first is not None else None
            if need[1] and second is not None:
                found[number] = self._own(number, _sum_back(second, shapes[1], run), run)
        if need_dx[0] and dx is not None:
            found[0] = self._own(0, dx, run)
        return tuple(found)

    def _own(self, number: int, dx: np.ndarray, run: Run) -> np.ndarray:
        """Return a gradient in the shape of its input."""
        shape = (len(dx), *self._shapes[number])
        if not self._is_turned(number):
            return dx.reshape(shape)
        turned = run.empty("dx", shape, dx.dtype)
        run.call(np.copyto, turned.transpose(0, 3, 1, 2), dx.reshape(turned.transpose(0, 3, 1, 2).shape))
        return turned

    def _merge_back(self, dy: np.ndarray, step: Any, need: tuple[bool, bool], run: Run) -> Pair:
        """Return the gradients of both operands of a step, None for one that is not needed."""
        return self._pair_back(dy, step, need, run)

    def _pair_back(self, dy: np.ndarray, step: Any, need: tuple[bool, bool], run: Run) -> Pair:
        """Return the gradients of `_pair`'s operands, each of the output's shape."""
        raise NotImplementedError


def _spread(x: np.ndarray, shape: Shape, tag: str, run: Run) -> np.ndarray:
    """Return x repeated along its axes of length 1 to that shape."""
    if x.shape == shape:
        return x
    wide = run.empty(tag, shape, x.dtype)
    run.call(np.copyto, wide, x)
    return wide


def _sum_back(dy: np.ndarray, shape: Shape, run: Run) -> np.ndarray:
    """Return the gradient of `_spread`: the sums of dy over the repeated axes."""
    axes = spread_axes(shape, dy.shape)
    if not axes:
        return dy
    kept = tuple(axis for axis in range(dy.ndim) if axis not in axes)
    given = dy.transpose(*axes, *kept)
    rows = run.empty("dx", given.shape, dy.dtype)
    run.call(np.copyto, rows, given)
    return ops.column_sums(rows.reshape(-1, int(np.prod(shape))), run).reshape(shape)
