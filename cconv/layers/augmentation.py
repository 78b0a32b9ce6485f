"""What random changes of training images share, and random flips.

The random numbers of an image depend only on the seed, the step, the sample and the layer, not on the batch
or the number of threads. Outside training the images pass unchanged.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, one_of
from cconv.layers.base import Layer
from cconv.ops import images
from cconv.ops.run import Run, replayable
from cconv.seeds import bits, check_seed, stream_of, uniform


def limits(
    where: str, name: str, factor: Any, least: float = -math.inf, most: float = math.inf
) -> tuple[float, float]:
    """Return the range of a factor, checked to lie between `least` and `most`; a number f means (-f, f).

    Examples
    --------
    >>> limits("RandomBrightness", "factor", 0.2, -1.0, 1.0), limits("CutMix", "factor", 0.2, 0.0, 1.0)
    ((-0.2, 0.2), (0.0, 0.2))
    """
    if isinstance(factor, Sequence) and not isinstance(factor, str):
        if len(factor) != 2:
            raise ValueError(f"{where}: {name} must be a number or a pair of them, got {factor!r}")
        low, high = (finite(where, name, side) for side in factor)
    else:
        high = finite(where, name, factor, least=0.0)
        low = max(-high, least)
    if low > high:
        raise ValueError(f"{where}: {name} must be (lowest, highest), got {factor!r}")
    if low < least or high > most:
        raise ValueError(f"{where}: {name} must lie between {least:g} and {most:g}, got {factor!r}")
    return low, high


def checked_range(where: str, given: Any) -> tuple[float, float]:
    """Return the lowest and the highest value of images, checked."""
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 2:
        raise ValueError(f"{where}: value_range must be a pair of numbers, got {given!r}")
    low, high = (finite(where, "value_range", side) for side in given)
    if low >= high:
        raise ValueError(f"{where}: value_range must be (lowest, highest), got {given!r}")
    return low, high


def spread(draws: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Map draws from (0, 1) to the range `limits`."""
    return limits[0] + draws * (limits[1] - limits[0])


def drawn_bits(layer: Any, run: Run, name: str, counter: tuple[int, ...]) -> np.random.Philox:
    """Return a layer's random stream for a name and a counter; the layer's own seed wins over the run's."""
    seed = run.seed if layer.seed is None else layer.seed
    return bits(seed, stream_of(layer.key, name), counter)


def draws_of(layer: Any, run: Run, n: int, name: str = "augmentation") -> np.ndarray:
    """Return (n, 4) uniform numbers of (0, 1), four for every sample."""
    raw = drawn_bits(layer, run, name, (run.first_sample, run.step)).random_raw(4 * n)
    return uniform(raw).reshape(n, 4)


class Augmentation(Layer):
    """What the augmentations share: random draws, and no change outside training.

    `_draws` and `_drawn` first decide what happens to each image of a batch; `augment` then changes no state
    of the layer, so another thread than the training one may augment batches.
    """

    ranks: tuple[int, ...] = (3,)
    _only_in_training = True
    _arguments: tuple[str, ...] = ()
    _turn = 0  # the number of calls, which are not counted as steps of a training

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._arguments = tuple(cls._parameters())

    def __init__(self, seed: int | None, data_format: str | None, **base: Any) -> None:
        super().__init__(**base)
        self.seed: int | None = None if seed is None else check_seed(self.where, seed)
        self._set_format(data_format)

    def _draws(self, run: Run, n: int) -> np.ndarray:
        """Return (n, 4) uniform numbers of (0, 1), four for every sample."""
        return draws_of(self, run, n)

    def settings(self) -> tuple[Any, ...]:
        """Return all settings of the layer that decide how it changes an image in a given run."""
        return (self.key, *(getattr(self, name) for name in self._arguments))

    @controlled
    def _called(self, x: Any) -> np.ndarray:
        """Return the images augmented, as Keras' layers do: each call draws anew, and any thread may call.

        Nothing is kept for `backward`, so that a training of the layer goes on as if there had been no call.
        """
        given = self._checked_input(x)
        turn, self._turn = self._turn, self._turn + 1
        run = Run(training=True, seed=self.build_seed, step=turn)
        y = self._to_outer(self.augment(self._to_inner(given), run))
        return y.copy() if np.may_share_memory(y, given) else y

    @controlled
    def augment(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the images changed by the draws of `run`, in its memory; keep nothing for backward."""
        return self._change(x, self._drawn(self._draws(run, len(x)), x.shape), run)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if not run.training:
            return self._pass(x, run)
        drawn = self._drawn(self._draws(run, len(x)), x.shape)
        y = self._change(x, drawn, run)
        self._keep(len(x), drawn, y)
        return y

    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        drawn, y = self._cache
        return self._change_back(dy, drawn, y, run)

    def _pass(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the images as they are outside training; all work goes through `run.call`."""
        return x

    def _drawn(self, draws: np.ndarray, shape: tuple[int, ...]) -> Any:
        """Return the kernels' arguments made from the draws, for images of that shape (n, h, w, c)."""
        raise NotImplementedError

    def _change(self, x: np.ndarray, drawn: Any, run: Run) -> np.ndarray:
        raise NotImplementedError

    def _change_back(self, dy: np.ndarray, drawn: Any, y: np.ndarray, run: Run) -> np.ndarray:
        """Return the gradient of `_change`, whose result was y."""
        raise NotImplementedError


FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(Augmentation):
    """Every training image mirrored with probability one half.

    Parameters
    ----------
    mode : {"horizontal_and_vertical", "horizontal", "vertical"}
        Left and right, top and bottom, or both; each is drawn separately.
    seed : int, optional
        Key of the draws; by default the one the layer is built with.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(2.0).reshape(1, 1, 2, 1)
    >>> RandomFlip("horizontal", seed=1).forward(np.tile(x, (4, 1, 1, 1)), training=True)[:, 0, 0, 0].max()
    np.float64(1.0)
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(seed, data_format, name=name, trainable=trainable, input_shape=input_shape)
        self.mode: str = one_of(self.where, "mode", mode, FLIPS)

    def _drawn(self, draws: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        allowed = np.array(["vertical" in self.mode, "horizontal" in self.mode])
        return ((draws[:, :2] < 0.5) & allowed).view(np.uint8)

    def _change(self, x: np.ndarray, drawn: np.ndarray, run: Run) -> np.ndarray:
        return images.flip(x, drawn, "y", run)

    def _change_back(self, dy: np.ndarray, drawn: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        return images.flip(dy, drawn, "dx", run)  # a flip undoes itself
