"""The layers in front of a network, which run where batches are prepared."""

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
    """What the front of a model does to a batch: equal states do the same."""

    step: int
    rescale: tuple[float, float] | None
    settings: tuple[Any, ...]


class Front:
    """The first layers of a model, as far as batches come with them computed.

    Parameters
    ----------
    rescaling : Rescaling, optional
        The first layer of all.
    augmentations : sequence of Augmentation
        What follows it, or comes first; used in training.
    seed : int
        Key of the draws.
    step : callable, optional
        Returns the number of the step that comes next.
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
        """Return what is done now to samples of that kind of dtype.

        Floats that are not augmented are left as they are: gathering them without a copy, where that is
        possible, saves more than a layer that rescales them costs.
        """
        rescaling = self.rescaling if kind != "f" or augmented else None
        rescale = None if rescaling is None else (rescaling.scale, rescaling.offset)
        if not augmented or self._step is None:
            return FrontState(0, rescale, ())
        return FrontState(self._step(), rescale, tuple(layer.settings() for layer in self.augmentations))


class _FrontRun(Run):
    """A run whose arrays are the same memory at every batch: one `place` after the other."""

    place: Any = None
    rows = 0
    memory: dict[Any, np.ndarray]

    def empty(self, tag: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return _reused(self.memory, (self.place, tag), self.rows, shape, dtype)


def front_of(layers: Sequence[Any], seed: int, step: Callable[[], int]) -> Front:
    """Return the first of a model's layers, as far as they may be computed where a batch is gathered."""
    # Factors for each channel are left to the layer.
    rescaling = layers[0] if type(layers[0]) is Rescaling and layers[0].is_plain else None
    augmentations = itertools.takewhile(
        lambda layer: isinstance(layer, Augmentation) and type(layer)._forward is Augmentation._forward,
        layers[int(rescaling is not None) :],
    )
    return Front(rescaling, list(augmentations), seed, step)
