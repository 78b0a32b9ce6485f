"""Which arrays the backward passes of a training read again; all others may be overwritten earlier.

The gradient of a ReLU is computed where its output is read anyway. Some outputs are not kept, but computed
again.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from cconv import activations
from cconv.activations import is_relu
from cconv.engine.flow import Flow
from cconv.engine.following import PLAIN
from cconv.engine.fusing import AFFINE, HOOKS, is_linear
from cconv.engine.steps import AddedRelu, NormalizedRelu, PooledConvolution, Step
from cconv.layers.activation import Activation, ReLU
from cconv.layers.affine import Affine
from cconv.layers.elementwise import Add, Average, Subtract
from cconv.layers.global_pooling import GlobalAveragePooling2D, GlobalMaxPooling2D
from cconv.layers.joining import Concatenate
from cconv.layers.normalization import BatchNormalization
from cconv.layers.padding import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D
from cconv.layers.pooling import AveragePooling2D, MaxPooling2D
from cconv.layers.resizing import Resizing, UpSampling2D
from cconv.layers.separable import SeparableConvolution
from cconv.layers.sequence_pooling import (
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
)


class Kept(NamedTuple):
    """What `backward` of a step reads, and whether it begins in place.

    Attributes
    ----------
    source, output : bool
        Whether it reads the step's input; its output.
    in_place : bool
        Whether it first turns the output's gradient, element by element, into something else, and never reads
        the gradient again.
    """

    source: bool
    output: bool
    in_place: bool = False


class Lasting(NamedTuple):
    """How long the output of a training step, and its gradient, are needed.

    Attributes
    ----------
    passes : bool
        Nobody reads the output in the backward pass: only the next steps do.
    read_back : bool
        The step's own `backward` reads the output.
    lasts : bool
        A layer of the user's own may read the output until the next batch.
    in_place : bool
        `backward` may overwrite the output's gradient with what it first makes of it.
    """

    passes: bool
    read_back: bool
    lasts: bool
    in_place: bool


ALL = Kept(True, True)
# Layers of several inputs whose gradients depend on none of the inputs; with one input they return it itself.
JOINING = (Add, Average, Concatenate, Subtract)
# Layers of one input whose gradient depends on neither input nor output; the output is new memory.
MOVING = (
    AveragePooling1D,
    AveragePooling2D,
    Cropping1D,
    Cropping2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
    Resizing,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)


def kept_of(step: Step) -> Kept:
    """Return what a training step reads again; for an unknown step, everything."""
    if any(layer.__dict__.keys() & set(HOOKS) for layer in step.layers):
        return ALL
    if type(step) is AddedRelu:
        return Kept(False, True, True)
    if type(step) is NormalizedRelu:
        # If the batch's own mean and variance were used, the ReLU's gradient is found from the input.
        normalization = step.normalization
        return Kept(True, normalization._as_at_inference or not normalization.trainable, True)
    if type(step) is PooledConvolution:
        return Kept(True, False)
    return _kept_of_layer(step) if type(step) is Step else ALL


def _kept_of_layer(step: Step) -> Kept:
    """Return what a step of one layer, perhaps with its activation, reads again."""
    layer = step.layer
    if type(layer) in MOVING or (type(layer) in JOINING and len(step.sources) > 1):
        return Kept(False, False)
    if type(layer) is BatchNormalization:
        return Kept(True, False, True)
    if isinstance(layer, Activation) and type(layer) in (Activation, ReLU):
        return _kept_of_activation(layer.activation)
    if isinstance(layer, Affine) and type(layer) in AFFINE and not isinstance(layer, SeparableConvolution):
        before = step.to_relu or is_linear(layer.activation)
        return Kept(True, not before, not before and is_relu(layer.activation))
    return ALL


def _kept_of_activation(activation: activations.Activation) -> Kept:
    """Return what an activation layer reads again; a linear one returns its input itself."""
    if type(activation) not in PLAIN or is_linear(activation):
        return ALL
    return Kept(activation.keeps == "input", activation.keeps == "output", is_relu(activation))


def lasting_of(steps: Sequence[Step], flow: Flow) -> list[Lasting]:
    """Return for each training step how long its output is needed."""
    kept = [kept_of(step) for step in steps]
    again, lasting = set(flow.outputs), set[int]()  # values read in the backward pass; values read even later
    for step, what in zip(steps, kept, strict=True):
        if what.source:
            again.update(step.sources)
        if what.output or step.again:
            again.add(step.value)
        if not step.replays(True):
            lasting.update((*step.sources, step.value))
    return [
        Lasting(step.value not in again, what.output, step.value in lasting, what.in_place)
        for step, what in zip(steps, kept, strict=True)
    ]


def _neighbours(steps: Sequence[Step], flow: Flow) -> Iterator[tuple[Step, Step]]:
    """Yield a step and the next one, if the next one alone reads its output and reads nothing else."""
    for before, after in pairwise(steps):
        if after.sources == (before.value,) and flow.readers[before.value] == 1:
            yield before, after


def share_relus(steps: Sequence[Step], flow: Flow) -> None:
    """Let the next step's input gradient include the gradient of a ReLU.

    The next step keeps the output of the ReLU anyway, and that output tells where the gradient is zero. So it
    is read where the input gradient is written, not in a separate pass. Both layers must look only at their
    input; subclasses with their own `_backward` are left alone.
    """
    for before, after in _neighbours(steps, flow):
        last = before.layer
        if not (_is_plain_step(before) and isinstance(last, Affine) and is_relu(last.activation)):
            continue
        if _is_plain_step(after) or isinstance(after, PooledConvolution):
            before.to_relu = after.from_relu = True


def _is_plain_step(step: Step) -> bool:
    """Whether a step is one affine layer, and not of a subclass."""
    return type(step) is Step and type(step.layer) in AFFINE


def compute_again(steps: Sequence[Step], flow: Flow) -> None:
    """Let cheap outputs be computed again for `backward`, in memory that many steps share.

    These are outputs of a normalisation with ReLU in front of an affine layer, which keeps its input until
    its own `backward`: half of the memory of a network of such blocks. What the normalisation itself keeps
    must not be such an output.
    """
    for before, after in _neighbours(steps, flow):
        takes = _is_plain_step(after) or isinstance(after, PooledConvolution)
        before.again = isinstance(before, NormalizedRelu) and takes
    for before, after in _neighbours(steps, flow):
        after.again = after.again and not before.again
