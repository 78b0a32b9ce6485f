"""At inference, concatenations that follow one another, as in a DenseNet, write to one growing array.

Each writes its other inputs behind what lies there already, so that nothing is copied twice. Its output is
a view of the array, whose rows are not contiguous: only steps that can read such rows may read it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cconv.engine.flow import Flow
from cconv.engine.fusing import HOOKS
from cconv.engine.memory import PlanRun
from cconv.engine.steps import NormalizedRelu, Step
from cconv.layers.joining import Concatenate
from cconv.layers.normalization import BatchNormalization
from cconv.ops import merging
from cconv.ops.run import replayable


class _Row:
    """The array that concatenations fill; it is as wide as the output of the last one."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.whole: np.ndarray | None = None

    def begins_with(self, x: np.ndarray) -> bool:
        """Whether an array is a view of the first channels of this one."""
        whole = self.whole
        return whole is not None and x.strides == whole.strides and x.ctypes.data == whole.ctypes.data


class GrowingStep(Step):
    """A concatenation of channels, one of several in a row, that writes behind the end of its first input.

    Attributes
    ----------
    goes_on : bool
        Whether the first input already lies where the output will be: in all of a row but the first.
    """

    def __init__(self, step: Step, row: _Row, goes_on: bool) -> None:
        super().__init__(step.layers, step.first)
        self.sources, self.value = step.sources, step.value
        self.goes_on = goes_on
        self._row = row

    @replayable
    def forward(self, x: tuple[np.ndarray, ...], run: PlanRun) -> np.ndarray:
        """Return the concatenated inputs: the first channels of the row's array."""
        row, at = self._row, 0
        if row.begins_with(x[0]):
            at, x = x[0].shape[-1], x[1:]
        else:
            row.whole = run.empty("whole", (*x[0].shape[:-1], row.width), x[0].dtype)
        assert row.whole is not None
        rows = row.whole.reshape(-1, row.width)
        for part in x:
            columns = part.shape[-1]
            merging.copy_columns(part.reshape(-1, columns), 0, rows, at, columns, run)
            at += columns
        return row.whole[..., :at]

    def release(self) -> None:
        """Let go of the array."""
        super().release()
        self._row.whole = None


def grow(steps: Sequence[Step], flow: Flow) -> list[Step]:
    """Return the steps, with concatenations that follow one another replaced by growing ones."""
    readers: dict[int, list[Step]] = {}
    for step in steps:
        for source in step.sources:
            readers.setdefault(source, []).append(step)
    made: dict[int, Step] = {}
    for step in steps:
        if step.value in made or not _grows(step):
            continue
        row = list(_row_from(step, readers, flow))
        if len(row) > 1:
            whole = _Row(row[-1].layers[0]._inner(row[-1].layers[0].output_shape)[-1])
            made |= {each.value: GrowingStep(each, whole, each is not row[0]) for each in row}
    return [made.get(step.value, step) for step in steps]


def _row_from(step: Step, readers: dict[int, list[Step]], flow: Flow) -> Iterable[Step]:
    """Yield a concatenation, and those that go on where the one before them ends."""
    while True:
        yield step
        others = readers.get(step.value, [])
        further = [other for other in others if _grows(other) and other.sources[0] == step.value]
        if len(further) != 1 or len(others) != flow.readers[step.value]:
            return
        if not all(other in further or _reads_apart(other) for other in others):
            return
        step = further[0]


def _grows(step: Step) -> bool:
    """Whether a step is a concatenation of the channels of images, and not of a subclass."""
    layer: Any = step.layers[0]
    if type(step) is not Step or type(layer) is not Concatenate or layer.__dict__.keys() & set(HOOKS):
        return False
    shapes: Any = layer.input_shape or ()
    several = len(shapes) > 1 and len(set(step.sources)) == len(step.sources)
    return several and len(shapes[0]) == 3 and layer._place(3) == 2


def _reads_apart(step: Step) -> bool:
    """Whether a step can read rows that are not contiguous."""
    return type(step) is NormalizedRelu and type(step.layers[0]) is BatchNormalization
