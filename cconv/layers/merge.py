"""What layers of several inputs share: a list of arrays in, one array out, and a list of gradients back."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from cconv import arguments
from cconv.arguments.arrays import as_array
from cconv.arguments.claims import builders
from cconv.layers.axes import OfAxes
from cconv.layers.base import Shape
from cconv.ops.run import Run

Arrays = tuple[np.ndarray, ...]


class Merge(OfAxes):
    """Base of the layers that make one output of several inputs.

    Their `build`, `compute_output_shape` and `forward` take a list where those of other layers take one
    shape or one array, `backward` returns a list of gradients, and `input_shape` is a tuple of shapes.

    Parameters
    ----------
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> from cconv.layers import Add
    >>> isinstance(Add(), Merge), Add().compute_output_shape([(3,), (3,)])
    (True, (3,))
    """

    _merges: ClassVar[bool] = True
    fewest: ClassVar[int] = 1  # minimum number of inputs
    most: ClassVar[int | None] = None

    def __init__(self, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)

    # --- shapes -------------------------------------------------------------------------------

    def _checked_shape(self, shape: Any) -> Any:
        wanted = f"{self.where}: input_shape must be a list of shapes, one for each input"
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            raise TypeError(f"{wanted}, got {shape!r}")
        if not all(isinstance(one, Sequence) and not isinstance(one, str) for one in shape):
            raise TypeError(f"{wanted}, got {tuple(shape)}")
        self._check_number("input_shape", "shapes", len(shape))
        return tuple(map(super()._checked_shape, shape))

    def _without_batch(self, shape: Any) -> tuple[tuple[int | None, ...], Any]:
        each = [isinstance(one, Sequence) and len(one) > 1 and one[0] is None for one in shape]
        return ((None,) if each and all(each) else ()), shape

    def _check_number(self, name: str, what: str, number: int) -> None:
        if number < self.fewest or (self.most is not None and number > self.most):
            wanted = f"{self.fewest}" if self.fewest == self.most else f"at least {self.fewest}"
            raise ValueError(f"{self.where}: {name} must be a list of {wanted} {what}, got {number}")

    def _inner(self, shape: Any) -> Any:
        if shape and isinstance(shape[0], tuple):
            return tuple(map(super()._inner, shape))
        return super()._inner(shape)

    def _seen(self, shapes: Sequence[Shape]) -> str:
        """Return the shapes in the user's data format, for error messages."""
        return ", ".join(str(self._outer(shape)) for shape in shapes)

    def _resolve(self, shapes: tuple[Shape, ...]) -> Shape:  # type: ignore[override]
        """Return the output's shape for channels_last shapes of the inputs; raise when they do not fit."""
        raise NotImplementedError

    def _build(self, shapes: tuple[Shape, ...]) -> None:  # type: ignore[override]
        """Store what the passes need to know of the shapes."""

    # --- the public passes --------------------------------------------------------------------

    def _checked_input(self, x: Any) -> Any:
        if not isinstance(x, list | tuple):
            kind = f"an array of shape {x.shape}" if isinstance(x, np.ndarray) else f"{x!r:.80}"
            raise TypeError(f"{self.where}: x must be a list of arrays, one for each input, got {kind}")
        if not self.built:
            self._check_number("x", "arrays", len(x))
            with builders():
                if not self.built:
                    self._build_for(x)
        shapes: Any = self.input_shape
        if len(x) != len(shapes):
            raise ValueError(f"{self.where}: x must be a list of {len(shapes)} arrays, got {len(x)}")
        given = tuple(
            self._as_floats(f"x[{number}]", one, len(shape) + 1)
            for number, (one, shape) in enumerate(zip(x, shapes, strict=True))
        )
        for number, (one, shape) in enumerate(zip(given, shapes, strict=True)):
            if one.shape[1:] != shape:
                raise ValueError(
                    f"{self.where}: x[{number}] must have the shape {shape} after the batch, got {one.shape}"
                )
        self._check_batches(given)
        return given

    def _check_batches(self, arrays: Sequence[np.ndarray]) -> None:
        if len({len(array) for array in arrays}) > 1:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"{self.where}: x must hold arrays of as many samples each, got shapes {shapes}")

    def _build_for(self, x: Any) -> None:
        arrays = []
        for number, one in enumerate(x):
            shape = as_array(self.where, f"x[{number}]", one).shape
            if len(shape) < 2:
                raise ValueError(
                    f"{self.where}: x[{number}] must have a batch axis and at least one more, "
                    f"got shape {shape}"
                )
            arrays.append(arguments.real_array(self.where, f"x[{number}]", one, None))
        self._check_batches(arrays)
        # Lists and integers take the dtype of the float arrays.
        kinds = [
            array.dtype.newbyteorder("=")
            for one, array in zip(x, arrays, strict=True)
            if array.dtype.kind == "f" and array.dtype.itemsize > 2 and not isinstance(one, list | tuple)
        ]
        if len(set(kinds)) > 1:
            raise TypeError(
                f"{self.where}: x must hold arrays of one dtype, got {', '.join(map(str, kinds))}"
            )
        shapes: Any = [array.shape[1:] for array in arrays]
        self.build(shapes, dtype=kinds[0] if kinds else np.float32)

    def _through(self, given: Any, training: bool) -> np.ndarray:
        run = Run(training=training, seed=self.build_seed, step=self._calls)
        y = self._to_outer(self._forward(tuple(map(self._to_inner, given)), run))
        if training:
            self._calls += 1
        return y.copy() if any(np.may_share_memory(y, one) for one in given) else y

    def _back(self, dy: Any) -> Any:
        if self._batch is None:
            raise RuntimeError(f"{self.where}: backward needs forward(x, training=True) first")
        expected = (self._batch, *self.output_shape)
        given = self._as_floats("dy", dy, len(expected))
        if given.shape != expected:
            raise ValueError(f"{self.where}: dy must have the output's shape {expected}, got {given.shape}")
        run = Run(training=True, seed=self.build_seed, step=max(self._calls - 1, 0))
        shapes: Any = self.input_shape
        found: list[np.ndarray] = []
        for inner in self._backward(self._to_inner(given), run, (True,) * len(shapes)):
            assert inner is not None  # all are needed
            dx = self._to_outer(inner)
            found.append(dx.copy() if any(np.may_share_memory(dx, one) for one in (given, *found)) else dx)
        return found

    # --- the plan's passes --------------------------------------------------------------------

    def _forward(self, xs: Arrays, run: Run) -> np.ndarray:  # type: ignore[override]
        """Return the output; keep with `_keep` what `_backward` needs if `run.training`."""
        raise NotImplementedError

    def _backward(  # type: ignore[override]
        self, dy: np.ndarray, run: Run, need_dx: tuple[bool, ...]
    ) -> tuple[np.ndarray | None, ...]:
        """Return the gradients of the inputs in their order, None for inputs that need no gradient.

        They may be `dy` itself or views of it.
        """
        raise NotImplementedError
