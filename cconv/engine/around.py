"""Steps that, at inference, also do what is around a convolution: zeros in front, an addition behind."""

import copy
from collections.abc import Sequence

import numpy as np

from cconv.engine.memory import PlanRun
from cconv.engine.steps import AddedRelu, NormalizedStep, Step
from cconv.layers.affine import Affine
from cconv.layers.base import Layer
from cconv.ops.behind import NOTHING, Behind


class PaddedStep(Step):
    """At inference, zeros around images and the steps behind; the convolution pads the images itself.

    Parameters
    ----------
    padding : Layer
        The layer that adds the zeros.
    inner : Step
        The step that computes the rest, from images without zeros.
    layers : sequence of Layer
        The layers that the inner step replaces.
    """

    def __init__(self, padding: Layer, inner: Step, layers: Sequence[Layer]) -> None:
        super().__init__([padding, *layers], inner.first - 1)
        self.inner = inner

    @property
    def affine(self) -> Affine:
        """The convolution, which pads the images itself."""
        return self.inner.affine

    def prepare(self, run: PlanRun) -> None:
        """Prepare the inner step."""
        self.inner.prepare(run)

    def replays(self, training: bool) -> bool:
        """Whether the inner step consists only of kernel calls."""
        return self.inner.replays(training)

    def forward(self, x: np.ndarray, run: PlanRun) -> np.ndarray:
        """Return the output of the last layer."""
        return self.inner.forward(x, run)


class AddedStep(Step):
    """At inference, a convolution, perhaps with its normalisation, an addition to it, and an activation.

    The addition is done to what a task has just made, while that is still in the cache.

    Parameters
    ----------
    before : Step
        The convolution, which is linear.
    between : sequence of Step
        Steps that only pass on its output, and are not computed.
    add : Step
        The addition, perhaps with ReLU.
    other : int
        Number of the value that is added.
    """

    def __init__(self, before: Step, between: Sequence[Step], add: Step, other: int) -> None:
        layers = [layer for step in (before, *between, add) for layer in step.layers]
        super().__init__(layers, before.first)
        self.sources, self.value = (*before.sources, other), add.value
        self._before = before
        self._name = "relu" if isinstance(add, AddedRelu) else "linear"
        # Another layer with the same weights, for this plan alone.
        self._twin = before._folded if isinstance(before, NormalizedStep) else copy.copy(before.layer)

    @property
    def merges(self) -> bool:
        """Whether `forward` takes several inputs: here it does."""
        return True

    @property
    def affine(self) -> Affine:
        """The convolution; its addition is only known in `forward`."""
        assert isinstance(self._twin, Affine)
        return self._twin

    def behind(self, added: np.ndarray | None) -> Behind:
        """Return what is done to the sums of the convolution."""
        return Behind(self._name, 0.0, added)

    def prepare(self, run: PlanRun) -> None:
        """Prepare the convolution's step."""
        self._before.prepare(run)

    def replays(self, training: bool) -> bool:
        """Whether the convolution consists only of kernel calls."""
        return self._before.replays(training)

    def forward(self, x: tuple[np.ndarray, np.ndarray], run: PlanRun) -> np.ndarray:
        """Return the output of the last layer."""
        twin, (given, added) = self.affine, x
        twin._last = self.behind(added)
        try:
            return twin._forward(given, run)
        finally:
            twin._last = NOTHING  # the array may be the user's
