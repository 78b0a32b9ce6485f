"""Layers that merge their inputs element by element."""

from typing import Any

import numpy as np

from cconv.layers.base import Shape
from cconv.layers.merge import Arrays
from cconv.layers.pairwise import Elementwise, Pair
from cconv.ops import merging
from cconv.ops.run import Run, replayable


def _new(like: np.ndarray, run: Run) -> np.ndarray:
    return run.empty("dx", like.shape, like.dtype)


class Add(Elementwise):
    """The sum of the inputs, ``((a + b) + c) + …``: the end of a residual block (He et al. 2016).

    Parameters
    ----------
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Add()
    >>> layer.forward([np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])], training=True)
    array([[11., 22.]])
    >>> layer.backward(np.array([[1.0, 2.0]]))
    [array([[1., 2.]]), array([[1., 2.]])]
    """

    _keeps = False

    def _pair(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None, run: Run) -> np.ndarray:
        return merging.add(a, b, out, run)

    def _pair_back(self, dy: np.ndarray, step: Any, need: tuple[bool, bool], run: Run) -> Pair:
        return dy, dy


class Average(Add):
    """The mean of the inputs, their sum divided by their number.

    Parameters
    ----------
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Average().forward([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])])
    array([[2., 4.]])
    """

    @replayable
    def _forward(self, xs: Arrays, run: Run) -> np.ndarray:  # type: ignore[override]
        total = super()._forward(xs, run)
        return total if len(xs) == 1 else merging.divide_by(total, len(xs), total, run)

    @replayable
    def _backward(  # type: ignore[override]
        self, dy: np.ndarray, run: Run, need_dx: tuple[bool, ...]
    ) -> tuple[np.ndarray | None, ...]:
        if len(need_dx) > 1 and any(need_dx):
            dy = merging.divide_by(dy, len(need_dx), _new(dy, run), run)
        return super()._backward(dy, run, need_dx)


class Subtract(Elementwise):
    """The difference of two inputs, ``a - b``.

    Parameters
    ----------
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Subtract().forward([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])])
    array([[-2., -4.]])
    """

    fewest, most = 2, 2
    _keeps = False

    def _pair(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None, run: Run) -> np.ndarray:
        return merging.subtract(a, b, out, run)

    def _pair_back(self, dy: np.ndarray, step: Any, need: tuple[bool, bool], run: Run) -> Pair:
        return dy, merging.negative(dy, _new(dy, run), run) if need[1] else None


class Multiply(Elementwise):
    """The product of the inputs, ``((a · b) · c) · …``, as in a squeeze-and-excitation block.

    Parameters
    ----------
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Multiply().forward([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])])
    array([[ 3., 12.]])
    """

    def _merge(
        self,
        a: np.ndarray,
        b: np.ndarray,
        shape: Shape,
        out: np.ndarray | None,
        run: Run,
        steps: list[Arrays],
    ) -> np.ndarray:
        # Channels scaled sample by sample: one input has a single number for each channel.
        scale = (shape[0], *(1,) * (len(shape) - 2), shape[-1])
        if scale == shape or (shape, scale) not in ((a.shape, b.shape), (b.shape, a.shape)):
            return super()._merge(a, b, shape, out, run, steps)
        steps.append((a, b))
        x, factors = (a, b) if a.shape == shape else (b, a)
        y = run.empty("y", shape, x.dtype) if out is None else out
        merging.scale_channels(_pixels(x), _factors(factors), _pixels(y), run)
        return y

    def _merge_back(self, dy: np.ndarray, step: Any, need: tuple[bool, bool], run: Run) -> Pair:
        if len(step) == 3:
            return super()._merge_back(dy, step, need, run)
        found: list[np.ndarray | None] = [None, None]
        for side, other in ((0, 1), (1, 0)):
            if not need[side]:
                continue
            if step[side].shape == dy.shape:
                found[side] = _new(dy, run)
                merging.scale_channels(_pixels(dy), _factors(step[other]), _pixels(found[side]), run)
            else:
                sums = merging.product_sums(_pixels(dy), _pixels(step[other]), run=run)
                found[side] = sums.reshape(step[side].shape)
        return found[0], found[1]

    def _pair(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None, run: Run) -> np.ndarray:
        return merging.multiply(a, b, out, run)

    def _pair_back(self, dy: np.ndarray, step: Any, need: tuple[bool, bool], run: Run) -> Pair:
        a, b, _ = step
        return (
            merging.multiply(dy, b, _new(dy, run), run) if need[0] else None,
            merging.multiply(dy, a, _new(dy, run), run) if need[1] else None,
        )


def _pixels(x: Any) -> np.ndarray:
    """Return images, or arrays of any rank, as (n, pixels, channels)."""
    return x.reshape(len(x), -1, x.shape[-1])


def _factors(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


class Divide(Elementwise):
    """The quotient of two inputs, ``a / b``: the operator ``/`` between two outputs of layers makes it.

    Parameters
    ----------
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Divide().forward([np.array([[1.0, 2.0]]), np.array([[2.0, 8.0]])])
    array([[0.5 , 0.25]])
    """

    fewest, most = 2, 2

    def _pair(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None, run: Run) -> np.ndarray:
        return merging.divide(a, b, out, run)

    def _pair_back(self, dy: np.ndarray, step: Any, need: tuple[bool, bool], run: Run) -> Pair:
        _, b, y = step
        da = merging.divide(dy, b, _new(dy, run), run)
        if not need[1]:
            return da, None
        db = merging.multiply(da, y, _new(dy, run), run)  # -dy a / b²
        return da, merging.negative(db, db, run)


class Maximum(Elementwise):
    """The largest of the inputs, element by element; NaN where one is NaN.

    The gradient goes to the larger of two inputs. If both are equal, half of it goes to each, as in Keras
    with JAX; if one is NaN, it is 0 for both.

    Parameters
    ----------
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Maximum().forward([np.array([[1.0, 8.0]]), np.array([[2.0, 6.0]])])
    array([[2., 8.]])
    """

    def _pair(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None, run: Run) -> np.ndarray:
        return merging.maximum(a, b, out, run)

    def _pair_back(self, dy: np.ndarray, step: Any, need: tuple[bool, bool], run: Run) -> Pair:
        a, b, _ = step
        return _shared(dy, a, b, run) if need[0] else None, _shared(dy, b, a, run) if need[1] else None


class Minimum(Elementwise):
    """The smallest of the inputs, element by element; NaN where one is NaN. Gradients as in `Maximum`.

    Parameters
    ----------
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Minimum().forward([np.array([[1.0, 8.0]]), np.array([[2.0, 6.0]])])
    array([[1., 6.]])
    """

    def _pair(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None, run: Run) -> np.ndarray:
        return merging.minimum(a, b, out, run)

    def _pair_back(self, dy: np.ndarray, step: Any, need: tuple[bool, bool], run: Run) -> Pair:
        a, b, _ = step
        return _shared(dy, b, a, run) if need[0] else None, _shared(dy, a, b, run) if need[1] else None


def _shared(dy: np.ndarray, a: np.ndarray, b: np.ndarray, run: Run) -> np.ndarray:
    """Return dy times the share that a has in the larger of a and b."""
    share = merging.larger_share(a, b, _new(dy, run), run)
    return merging.multiply(dy, share, share, run)
