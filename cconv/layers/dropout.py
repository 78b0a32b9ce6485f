"""Layers that drop elements, channels or whole samples in training, and otherwise return their input."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import ops
from cconv.arguments.numbers import fraction, is_int
from cconv.layers.base import Layer, Shape
from cconv.ops.dropout import keep, kept
from cconv.ops.run import Run, replayable
from cconv.seeds import check_seed

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805  # of SELU


class RandomMask(Layer):
    """What the dropout layers share: one draw for each element, or for several elements together.

    The draw of an element depends only on the seed, the step, the sample and the layer.
    """

    _only_in_training = True

    def __init__(
        self, rate: float, noise_shape: Any, seed: int | None, data_format: str | None, **base: Any
    ) -> None:
        super().__init__(**base)
        self.rate: float = fraction(self.where, "rate", rate)
        self.noise_shape: tuple[int | None, ...] | None = self._checked_noise(noise_shape)
        self.seed: int | None = None if seed is None else check_seed(self.where, seed)
        self._set_format(data_format)

    def _checked_noise(self, given: Any) -> tuple[int | None, ...] | None:
        if given is None:
            return None
        expected = (
            f"{self.where}: noise_shape must be None or a tuple that begins with None, for the samples, and "
            f"goes on with positive ints or None, got {given!r}"
        )
        entries = (
            tuple(given) if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str) else None
        )
        if entries is None or not all(entry is None or is_int(entry) for entry in entries):
            raise TypeError(expected)
        if not entries or entries[0] is not None or any(entry is not None and entry < 1 for entry in entries):
            raise ValueError(expected)
        return tuple(None if entry is None else int(entry) for entry in entries)

    def _noise(self, shape: Shape) -> Shape:
        """Return the shape of one sample's draws, for a channels_last input shape."""
        if self.noise_shape is None:
            return shape
        outer, given = self._outer(shape), self.noise_shape[1:]
        drawn = tuple(extent if e is None else e for e, extent in zip(given, outer, strict=False))
        if len(given) != len(outer) or any(
            e not in (1, extent) for e, extent in zip(drawn, outer, strict=True)
        ):
            raise ValueError(
                f"{self.where}: noise_shape must have 1, None or the extent for each axis of input_shape "
                f"{outer} behind the batch's None, got {self.noise_shape}"
            )
        return self._inner(drawn)

    def _resolve(self, shape: Shape) -> Shape:
        self._noise(shape)
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _build(self, shape: Shape) -> None:
        self._drawn = self._noise(shape)
        # The sample is cut into (outer, shared, inner): elements along the middle axes [first:last] share a
        # draw. Axes in front of them that share a draw too have it repeated.
        shared = [i for i, (one, all_) in enumerate(zip(self._drawn, shape, strict=True)) if one < all_]
        last = shared[-1] + 1 if shared else 0
        first = last
        while first and (self._drawn[first - 1] == 1):
            first -= 1
        self._mask: Shape = (*shape[:first], *shape[last:])
        self._repeated: Shape | None = (*shape[:first], *self._drawn[first:last], *shape[last:])
        if self._repeated == self._drawn:
            self._repeated = None
        self._cut = math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:])

    def _settings(self) -> tuple[Any, ...]:
        return (self.rate, self.seed)

    def _draw(self, n: int, run: Run) -> np.ndarray:
        """Return 1 for each kept element of a batch of n and 0 for the others, as `keep` takes it."""
        drawn = kept((n, *self._drawn), self.rate, self.key, self.dtype, run, self.seed)
        if self._repeated is not None:
            once = drawn
            drawn = run.empty("repeated", (n, *self._repeated), self.dtype)
            run.call(np.copyto, drawn, np.broadcast_to(once, drawn.shape))
        outer, _, inner = self._cut
        return drawn.reshape(n, outer, inner)

    def _kept_of(
        self, x: np.ndarray, mask: np.ndarray, numbers: tuple[float, float, float], run: Run, tag: str
    ) -> np.ndarray:
        """Return x · scale + shift for kept elements, and `other` for the rest; `numbers` holds the three."""
        return keep(x.reshape(len(x), *self._cut), mask, *numbers, run, tag).reshape(x.shape)


class Dropout(RandomMask):
    """In training each element is zeroed with probability `rate`, the others divided by 1 - rate.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
    The draw of an element depends only on the seed, the step, the sample and the layer.

    Parameters
    ----------
    rate : float
        In [0, 1).
    noise_shape : tuple, optional
        Which elements are dropped together: None for the samples, then for each axis 1 if all its indices
        share a draw, or None or the axis' length if each index has its own. ``(None, 1, 1, 1)`` drops whole
        samples: at the end of a residual branch this is stochastic depth (Huang et al. 2016, "Deep networks
        with stochastic depth"). The axes are those of `data_format`.
    seed : int, optional
        Key of the draws; by default the one the layer is built with.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.ones((100, 100))
    >>> y = Dropout(0.5, seed=1).forward(x, training=True)
    >>> bool(set(np.unique(y)) == {0.0, 2.0}), bool(0.45 < (y > 0).mean() < 0.55)
    (True, True)
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: int | None = None,
        *,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        base = {"name": name, "trainable": trainable, "input_shape": input_shape}
        super().__init__(rate, noise_shape, seed, data_format, **base)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if not run.training:
            return x
        if not self.rate:
            self._keep(x.shape[0], None)
            return x
        if self._drawn == x.shape[1:]:
            y, bits = ops.dropout(x, self.rate, self.key, run, self.seed)
            self._keep(x.shape[0], bits)
            return y
        mask = self._draw(len(x), run)
        self._keep(len(x), mask)
        return self._kept_of(x, mask, (1 / (1 - self.rate), 0.0, 0.0), run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (drawn,) = self._cache
        if not need_dx:
            return None
        if drawn is None:
            return dy
        if drawn.dtype == np.uint8:
            return ops.dropout_backward(dy, drawn, self.rate, run)
        return self._kept_of(dy, drawn, (1 / (1 - self.rate), 0.0, 0.0), run, "dx")


class SpatialDropout1D(Dropout):
    """In training each channel of a sample is zeroed with probability `rate`, the others divided by 1 - rate.

    Tompson et al. 2015, "Efficient object localization using convolutional networks", section 3.2: if
    neighbours are strongly correlated, `Dropout` regularises little.

    Parameters
    ----------
    rate : float
        In [0, 1).
    seed : int, optional
        Key of the draws; by default the one the layer is built with.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> SpatialDropout1D(0.5, seed=3).forward(np.ones((1, 3, 4)), training=True)[0, :, 0].std()
    np.float64(0.0)
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        name: str | None = None,
        *,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(rate, None, seed, name=name, trainable=trainable, input_shape=input_shape)

    def _noise(self, shape: Shape) -> Shape:
        return (*(1 for _ in shape[:-1]), shape[-1])


class SpatialDropout2D(SpatialDropout1D):
    """In training each channel of an image is zeroed with probability `rate`, the others divided by 1 - rate.

    Tompson et al. 2015, "Efficient object localization using convolutional networks", section 3.2: if
    neighbours are strongly correlated, `Dropout` regularises little.

    Parameters
    ----------
    rate : float
        In [0, 1).
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    seed : int, optional
        Key of the draws; by default the one the layer is built with.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> y = SpatialDropout2D(0.5, seed=3).forward(np.ones((1, 4, 4, 8)), training=True)
    >>> y.std(axis=(0, 1, 2)).any()
    np.False_
    """

    ranks: tuple[int, ...] = (3,)

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        *,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(rate, seed, name, trainable=trainable, input_shape=input_shape)
        self._set_format(data_format)


class AlphaDropout(RandomMask):
    """Dropout behind SELU: in training an element becomes SELU's lowest value with probability `rate`.

    With ``p = -alpha · scale`` of SELU, and a and b that keep the mean 0 and the variance 1::

        y = a · (x or p) + b,  a = ((1 - rate) (1 + rate p²))^(-1/2),  b = -a p rate

    Klambauer et al. 2017, "Self-normalizing neural networks", section "New dropout technique".

    Parameters
    ----------
    rate : float
        In [0, 1).
    noise_shape, seed, data_format
        As in `Dropout`.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> y = AlphaDropout(0.5, seed=1).forward(np.zeros((100, 100)), training=True)
    >>> np.unique(y).round(3)
    array([-0.779,  0.779])
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: int | None = None,
        *,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        base = {"name": name, "trainable": trainable, "input_shape": input_shape}
        super().__init__(rate, noise_shape, seed, data_format, **base)

    def _numbers(self) -> tuple[float, float, float]:
        """Return a, b, and the value of a dropped element."""
        lowest = -ALPHA * SCALE
        a = 1 / math.sqrt((1 - self.rate) * (1 + self.rate * lowest * lowest))
        b = -a * lowest * self.rate
        return a, b, a * lowest + b

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if not run.training:
            return x
        mask = self._draw(len(x), run) if self.rate else None
        self._keep(len(x), mask)
        return x if mask is None else self._kept_of(x, mask, self._numbers(), run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (mask,) = self._cache
        if not need_dx:
            return None
        return dy if mask is None else self._kept_of(dy, mask, (self._numbers()[0], 0.0, 0.0), run, "dx")
