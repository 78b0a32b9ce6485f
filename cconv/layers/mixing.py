"""Training images mixed with others, and their labels mixed in the same proportion: MixUp and CutMix.

They change labels too, so they cannot be layers of a model: `cconv.utils.Augmented` applies them to the
batches of a data set.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

import numpy as np

from cconv import exactmath
from cconv.arguments.arrays import ready, real_array
from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, flag
from cconv.layers.augmentation import draws_of, limits, spread
from cconv.layers.base import Layer, Shape
from cconv.layers.patches import boxes
from cconv.layers.symbolic import is_symbolic
from cconv.ops import images as kernels
from cconv.ops.run import Run
from cconv.seeds import check_seed, new_seed

HIGHEST = 700.0  # the largest exponent; beyond it a weight is 0 or 1


class Mixing(Layer):
    """What MixUp and CutMix share: partners for the images, and labels mixed with the same weights.

    `forward`, and a call, take a dict ``{"images": …, "labels": …}`` and return a new one. The images have
    the shape ``(n, h, w, c)``, or ``(n, c, h, w)`` with ``data_format="channels_first"``, the labels
    ``(n, classes)``: one-hot, as `cconv.utils.to_categorical` makes them. Images alone are mixed too and
    returned as an array. Integers become float32.
    """

    not_called: ClassVar[Mapping[str, str]] = Layer.not_called  # there is no backward
    ranks: tuple[int, ...] = (3,)

    def __init__(self, seed: int | None, data_format: str | None, **base: Any) -> None:
        super().__init__(**base)
        self.seed: int | None = None if seed is None else check_seed(self.where, seed)
        self._set_format(data_format)
        self._own_seed: int = new_seed() if self.seed is None else self.seed

    @controlled
    def __call__(self, x: Any, training: bool | None = True) -> Any:
        """Return ``forward(x, training)``; by default with training, as in Keras."""
        return self.forward(x, training is not False)

    @controlled
    def forward(self, x: Any, training: bool = False) -> Any:
        """Return images and labels mixed in training, unchanged otherwise.

        Parameters
        ----------
        x : dict or array
            ``{"images": …, "labels": …}``, or images alone.
        training : bool
            Whether to mix. Every call mixes differently: its draws depend on the seed and the number of
            calls.

        Returns
        -------
        dict or ndarray
            New arrays, of floats.

        Raises
        ------
        TypeError, ValueError
            For another x, or labels that are not one row for each image.
        """
        images, labels = self._given_pair(x)
        if flag(self.where, "training", training):
            run = Run(training=True, seed=self._own_seed, step=self._calls)
            self._calls += 1
            images, labels = self.mix(images, labels, run)
        else:
            images, labels = images.copy(), None if labels is None else labels.copy()
        if not isinstance(x, dict):
            return images
        return {"images": images} if labels is None else {"images": images, "labels": labels}

    @controlled
    def mix(
        self, images: np.ndarray, labels: np.ndarray | None, run: Run
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return float images and labels, in the layer's data format, mixed by the draws of `run`."""
        x = self._to_inner(images)
        n = len(x)
        first, second = draws_of(self, run, n, "mixing"), draws_of(self, run, n, "mixing more")
        partner = np.argsort(first[:, 3], kind="stable")
        y, weight = self._mixed(x, partner, np.concatenate([first[:, :3], second], axis=1), run)
        if labels is not None:
            labels = kernels.mix(labels, partner, weight, run)
        return np.ascontiguousarray(self._to_outer(y)), labels

    def _mixed(
        self, x: np.ndarray, partner: np.ndarray, draws: np.ndarray, run: Run
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images (n, h, w, c) mixed with their partners, and the weights (n) of the originals."""
        raise NotImplementedError

    def _given_pair(self, x: Any) -> tuple[np.ndarray, np.ndarray | None]:
        if is_symbolic(x):
            self._refuse()
        given = x if isinstance(x, dict) else {"images": x}
        if "images" not in given or not {"images", "labels"} >= set(given):
            names = ", ".join(map(repr, given))
            raise ValueError(f"{self.where}: x must have the keys 'images' and 'labels', got {names}")
        images = _floats(real_array(self.where, "images", given["images"], 4))
        return images, self._checked_labels(given["labels"], images) if "labels" in given else None

    def _checked_labels(self, labels: Any, images: np.ndarray) -> np.ndarray:
        """Return these images' labels as floats, checked to be one row of numbers for each image."""
        rows = real_array(self.where, "labels", labels, None)
        if rows.ndim != 2 or len(rows) != len(images):
            raise ValueError(
                f"{self.where}: labels must be one-hot, of shape ({len(images)}, classes), got {rows.shape}: "
                "cconv.utils.to_categorical makes them of class numbers"
            )
        return ready(rows, rows.dtype if rows.dtype in (np.float32, np.float64) else images.dtype)

    def _build(self, shape: Shape) -> None:
        self._refuse()

    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        self._refuse()

    def _refuse(self) -> NoReturn:
        kind = type(self).__name__
        raise TypeError(
            f"{self.where}: changes labels too and is no layer of a model: train on "
            f"cconv.utils.Augmented((x, y), [{kind}()], batch_size=32)"
        )


def _floats(array: np.ndarray) -> np.ndarray:
    return ready(array, np.dtype(np.float64 if array.dtype == np.float64 else np.float32))


def symmetric_beta(alpha: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Map uniform draws (n, 2) to draws from Beta(alpha, alpha), for positive alpha (n).

    If T has Student's distribution of 2α degrees of freedom (drawn by Bailey's polar method), then
    (1 + T / √(2α + T²)) / 2 has the distribution Beta(α, α): Devroye (1986), "Non-uniform random variate
    generation", chapter IX.

    Examples
    --------
    >>> symmetric_beta(np.array([1.0, 1.0]), np.array([[0.25, 0.5], [0.25, 0.25]])).round(3)
    array([0.067, 0.5  ])
    """
    radius = exactmath.exp(np.minimum(exactmath.log(draws[:, 0]) / -alpha, HIGHEST)) - 1.0
    # `math`, not NumPy, whose cosine depends on the instruction set.
    cos = np.array([math.cos(2.0 * math.pi * turn) for turn in draws[:, 1].tolist()])
    squares = radius * cos * cos
    return 0.5 + np.copysign(0.5 * np.sqrt(squares / (1.0 + squares)), cos)


class MixUp(Mixing):
    """Every training image and its label blended with another (Zhang et al. 2018, "mixup").

    The weight of an image has the distribution Beta(alpha, alpha); its partner, drawn from the batch, has
    1 - weight. Labels are mixed with the same weights.

    Parameters
    ----------
    alpha : float
        Above 0. Near 0 most images stay nearly unchanged; 1 means uniform weights.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the images.
    seed : int, optional
        Key of the draws; by default a new one.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> data = {"images": np.arange(2.0).reshape(2, 1, 1, 1), "labels": np.eye(2)}
    >>> mixed = MixUp(alpha=1.0, seed=6)(data)
    >>> np.allclose(mixed["images"].ravel(), mixed["labels"][:, 1])
    True
    """

    def __init__(
        self,
        alpha: float = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(seed, data_format, name=name, trainable=trainable, input_shape=input_shape)
        self.alpha: float = finite(self.where, "alpha", alpha, least=0.0)
        if self.alpha == 0:
            raise ValueError(f"{self.where}: alpha must be above 0, got {alpha!r}")

    def _mixed(
        self, x: np.ndarray, partner: np.ndarray, draws: np.ndarray, run: Run
    ) -> tuple[np.ndarray, np.ndarray]:
        weight = symmetric_beta(np.full(len(x), self.alpha), draws[:, :2])
        return kernels.mix(x, partner, weight, run), weight


class CutMix(Mixing):
    """A rectangle of every training image replaced by the same part of another (Yun et al. 2019, "CutMix").

    The label is mixed in proportion to the two areas, before the rectangle is rounded to whole pixels, as in
    Keras. The rectangle has the image's proportions and lies anywhere in it. The share of the image that
    stays has the distribution Beta(a, a). The other image is drawn from the batch.

    Parameters
    ----------
    factor : float or pair of float
        The range from which the a of each image is drawn, between 0 and 1; a number f means (0, f).
    seed : int, optional
        Key of the draws; by default a new one.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the images.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> data = {"images": np.ones((2, 4, 4, 1)) * [[[[0.0]]], [[[1.0]]]], "labels": np.eye(2)}
    >>> mixed = CutMix(seed=2)(data)
    >>> sorted(set(mixed["images"].ravel().tolist())), np.allclose(mixed["labels"].sum(axis=1), 1)
    ([0.0, 1.0], True)
    """

    def __init__(
        self,
        factor: Any = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(seed, data_format, name=name, trainable=trainable, input_shape=input_shape)
        self.factor: tuple[float, float] = limits(self.where, "factor", factor, 0.0, 1.0)

    def _mixed(
        self, x: np.ndarray, partner: np.ndarray, draws: np.ndarray, run: Run
    ) -> tuple[np.ndarray, np.ndarray]:
        weight = symmetric_beta(spread(draws[:, 2], self.factor) + 1e-6, draws[:, :2])
        sides = np.sqrt(1.0 - weight)
        box = boxes(draws[:, 3:5], np.stack([sides, sides], axis=1), (x.shape[1], x.shape[2]))
        return kernels.paste(x, x, partner, box, "y", run), weight
