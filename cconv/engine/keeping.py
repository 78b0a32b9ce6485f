"""What the steps of a training read again on the way back; the rest may be overwritten before.

A ReLU's gradient is found where what it gave is read anyway; some outputs are computed again, not kept.
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
    """What the `backward` of a step reads, and whether it begins in place.

    Attributes
    ----------
    source, output : bool
        Whether it reads what went in, and what came out.
    in_place : bool
        Whether it first makes something of the output's gradient, element by element, and then never reads
        that again.
    """

    source: bool
    output: bool
    in_place: bool = False


class Lasting(NamedTuple):
    """How long what a step of a training gives, and the gradient of that, are needed.

    Attributes
    ----------
    passes : bool
        Nobody reads the output on the way back: only the next steps do.
    read_back : bool
        The step's own `backward` reads the output.
    lasts : bool
        Somebody may read the output until the next batch: a layer of the user's own.
    in_place : bool
        The output's gradient may be overwritten by what `backward` first makes of it.
    """

    passes: bool
    read_back: bool
    lasts: bool
    in_place: bool


ALL = Kept(True, True)
# The layers of several inputs whose gradients depend on none of them; of one input they return that.
JOINING = (Add, Average, Concatenate, Subtract)
# The layers of one input whose gradient depends neither on that nor on what they gave, which is new memory.
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
    """Return what a step of a training reads again; of one that is not known that is all."""
    if any(layer.__dict__.keys() & set(HOOKS) for layer in step.layers):
        return ALL
    if type(step) is AddedRelu:
        return Kept(False, True, True)
    if type(step) is NormalizedRelu:
        # Where the batch's own mean and variance were taken, ReLU's gradient is found from the input.
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
    """Return what an activation that is a layer of its own reads again; a linear one returns its input."""
    if type(activation) not in PLAIN or is_linear(activation):
        return ALL
    return Kept(activation.keeps == "input", activation.keeps == "output", is_relu(activation))


def lasting_of(steps: Sequence[Step], flow: Flow) -> list[Lasting]:
    """Return for each step of a training how long what it gives is needed."""
    kept = [kept_of(step) for step in steps]
    again, lasting = set(flow.outputs), set[int]()  # values that are read on the way back, and behind that
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
    """Yield every step with the one behind it that alone reads what it gives, and reads nothing else."""
    for before, after in pairwise(steps):
        if after.sources == (before.value,) and flow.readers[before.value] == 1:
            yield before, after


def share_relus(steps: Sequence[Step], flow: Flow) -> None:
    """Let the gradient of a ReLU be part of the input gradient of the step behind it.

    What a ReLU gives is kept by the step behind it anyway, and tells where the gradient is zero: it is
    read where that gradient is written, and not in a pass of its own. Both are layers that look at
    no more than their input; a subclass with a `_backward` of its own is left alone.
    """
    for before, after in _neighbours(steps, flow):
        last = before.layer
        if not (_is_plain_step(before) and isinstance(last, Affine) and is_relu(last.activation)):
            continue
        if _is_plain_step(after) or isinstance(after, PooledConvolution):
            before.to_relu = after.from_relu = True


def _is_plain_step(step: Step) -> bool:
    """Whether a step is an affine layer alone, of no subclass."""
    return type(step) is Step and type(step.layer) in AFFINE


def compute_again(steps: Sequence[Step], flow: Flow) -> None:
    """Let outputs that are cheap be computed again for `backward`, in memory that many steps share.

    That is a normalisation's with ReLU in front of an affine layer, which keeps it until it goes back
    itself: half of what a network of such blocks has to remember. What the normalisation keeps must not be
    such an output itself.
    """
    for before, after in _neighbours(steps, flow):
        takes = _is_plain_step(after) or isinstance(after, PooledConvolution)
        before.again = isinstance(before, NormalizedRelu) and takes
    for before, after in _neighbours(steps, flow):
        after.again = after.again and not before.again
