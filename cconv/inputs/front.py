"""A model's first layers, as far as they run while batches are prepared."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from cconv.inputs.columns import _reused
from cconv.layers.augmentation import Augmentation
from cconv.layers.rescaling import Rescaling
from cconv.ops.run import Run


class FrontState(NamedTuple):
    """What the front does to a batch; equal states give equal results."""

    step: int
    rescale: tuple[float, float] | None
    settings: tuple[Any, ...]


class Front:
    """The first layers of a model, as far as they are computed with the batches.

    Parameters
    ----------
    rescaling : Rescaling, optional
        The very first layer.
    augmentations : sequence of Augmentation
        The layers behind it, or the first layers; used in training.
    seed : int
        Seed of the random draws.
    step : callable, optional
        Returns the number of the next step.
    """

    rescaling: Any
    augmentations: tuple[Any, ...]

    def __init__(
        self,
        rescaling: Any = None,
        augmentations: Sequence[Any] = (),
        seed: int = 0,
        step: Callable[[], int] | None = None,
    ) -> None:
        self.rescaling, self.augmentations = rescaling, tuple(augmentations)
        self.seed = seed
        self._step = step

    def state(self, kind: str, augmented: bool) -> FrontState:
        """Return what to do now with samples of that dtype kind.

        Floats that are not augmented are left to the layer: gathering them without a copy, if possible, saves
        more time than rescaling here.
        """
        rescaling = self.rescaling if kind != "f" or augmented else None
        rescale = None if rescaling is None else (rescaling.scale, rescaling.offset)
        if not augmented or self._step is None:
            return FrontState(0, rescale, ())
        return FrontState(self._step(), rescale, tuple(layer.settings() for layer in self.augmentations))


class _FrontRun(Run):
    """A run whose arrays have the same memory in every batch: one array for each `place`."""

    place: Any = None
    rows = 0
    memory: dict[Any, np.ndarray]

    def empty(self, tag: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return _reused(self.memory, (self.place, tag), self.rows, shape, dtype)


def front_of(layers: Sequence[Any], seed: int, step: Callable[[], int]) -> Front:
    """Return a model's first layers, as far as they may be computed while a batch is gathered."""
    # A rescaling by channels is left to its layer.
    rescaling = layers[0] if type(layers[0]) is Rescaling and layers[0].is_plain else None
    augmentations = itertools.takewhile(
        lambda layer: isinstance(layer, Augmentation) and type(layer)._forward is Augmentation._forward,
        layers[int(rescaling is not None) :],
    )
    return Front(rescaling, list(augmentations), seed, step)
