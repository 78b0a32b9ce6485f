"""Which depthwise convolutions are computed in one sweep with the 1x1 convolutions around them, at inference.

What lies between them, which is several times as large as what goes in and comes out, then never exists as a
whole (`kernels/bands.pyx`). The bits are those of the steps one by one.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.engine.around import AddedStep, PaddedStep
from cconv.engine.flow import Flow
from cconv.engine.following import follows
from cconv.engine.fusing import HOOKS, is_linear
from cconv.engine.memory import PlanRun
from cconv.engine.steps import NormalizedStep, Step
from cconv.geometry.algorithms import forward_algorithm
from cconv.layers.affine import Affine
from cconv.layers.convolution import Conv2D, DepthwiseConv2D
from cconv.ops import bands
from cconv.ops.behind import Behind
from cconv.ops.run import replayable


class BandedStep(Step):
    """A depthwise convolution and the 1x1 convolutions in front of it and behind it; one may be missing.

    Parameters
    ----------
    expand : Step or None
        The 1x1 convolution in front.
    depthwise : Step
        The depthwise convolution.
    project : Step or None
        The 1x1 convolution behind, which may add another value.

    Attributes
    ----------
    parts : list of Step
        Those that there are, in order.
    """

    def __init__(self, expand: Step | None, depthwise: Step, project: Step | None) -> None:
        self._roles = expand, depthwise, project
        self.parts = [step for step in self._roles if step is not None]
        first, last = self.parts[0], self.parts[-1]
        super().__init__([layer for step in self.parts for layer in step.layers], first.first)
        self.sources, self.value = first.sources + (last.sources[1:] if last.merges else ()), last.value
        self._between = sum(math.prod(step.affine.output_shape) for step in self.parts[:-1])
        self._weights = sum(layer.kernel.size for layer in self.layers if isinstance(layer, Conv2D))

    @property
    def merges(self) -> bool:
        """Whether `forward` takes several inputs: if the last convolution adds one."""
        return len(self.sources) > 1

    def prepare(self, run: PlanRun) -> None:
        """Prepare the steps."""
        for step in self.parts:
            step.prepare(run)

    def replays(self, training: bool) -> bool:
        """Whether the steps consist only of kernel calls."""
        return all(step.replays(training) for step in self.parts)

    @replayable
    def forward(self, x: Any, run: PlanRun) -> np.ndarray:
        """Return the output of the last layer."""
        given, added = x if self.merges else (x, None)
        depthwise: Any = self._roles[1].affine
        if not bands.pays(len(given), depthwise.window.output_size[0], self._between, self._weights):
            return self._one_by_one(given, added, run)
        expand, middle, project = (None if step is None else _part_of(step, added) for step in self._roles)
        assert middle is not None
        middle = middle._replace(kernel=depthwise._grouped())
        return bands.forward(given, expand, middle, project, depthwise.window, run)

    def _one_by_one(self, x: np.ndarray, added: np.ndarray | None, run: PlanRun) -> np.ndarray:
        """Compute the steps one after the other."""
        for step in self.parts:
            x = step.forward((x, added) if step.merges else x, run)
        return x


def _part_of(step: Step, added: np.ndarray | None) -> bands.Part:
    """Return a step's convolution, and what follows it, as the sweep takes them."""
    layer = step.affine
    last = _behind(layer)
    assert last is not None
    if isinstance(step, AddedStep):
        last = step.behind(added)
    return bands.Part(layer.params["kernel"], layer._scale, layer.params.get("bias"), last)


def _behind(layer: Affine) -> Behind | None:
    """Return what a layer does behind its sums, or None if the sweep cannot do that."""
    return layer._last if is_linear(layer.activation) else follows(layer.activation)


def in_bands(steps: Sequence[Step], flow: Flow) -> list[Step]:
    """Return the steps, for inference; depthwise convolutions take in the 1x1 convolutions around them."""
    made = {step.value: step for step in steps}
    readers = {source: step for step in steps for source in step.sources}
    taken, swept = set[int](), dict[int, BandedStep]()
    for step in filter(_is_depthwise, steps):
        expand, project = made.get(step.sources[0]), readers.get(step.value)
        if not (expand and expand.value not in taken and _fits(expand, expand, flow)) or expand.merges:
            expand = None
        if not (project and project.sources[0] == step.value and _fits(project, step, flow)):
            project = None
        parts = [part for part in (expand, step, project) if part is not None]
        if len(parts) > 1:
            taken |= {part.value for part in parts}
            swept[parts[-1].value] = BandedStep(expand, step, project)
    return [swept.get(step.value, step) for step in steps if step.value in swept or step.value not in taken]


def _fits(step: Step, before: Step, flow: Flow) -> bool:
    """Whether the sweep can compute a 1x1 convolution; nothing else reads the output of `before`."""
    layer = step.layers[0]
    return (
        type(step) in (Step, NormalizedStep, AddedStep)
        and type(layer) is Conv2D
        and not any(each.__dict__.keys() & set(HOOKS) for each in step.layers)
        and forward_algorithm(layer.convolution, 1) == "pointwise"
        and _behind(step.affine) is not None
        and flow.readers[before.value] == 1
    )


def _is_depthwise(step: Step) -> bool:
    """Whether a step is a depthwise convolution that the sweep can compute."""
    inner = step.inner if type(step) is PaddedStep else step
    layer = inner.layers[0]
    return (
        type(inner) in (Step, NormalizedStep)
        and type(layer) is DepthwiseConv2D
        and not any(each.__dict__.keys() & set(HOOKS) for each in step.layers)
        and forward_algorithm(layer.convolution, 1) == "depthwise"
        and _behind(inner.affine) is not None
    )
