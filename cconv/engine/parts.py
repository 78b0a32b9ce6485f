"""In how many parts a batch goes through the first steps of a plan, at inference.

What a step writes is read by the next one, and then by nobody. A whole batch of it may be more than the
cache holds, and both then wait for memory. So the first steps, as long as images are large, take
the batch part by part, each part through all of them. The result is the same, bit by bit: no sample's
depends on the others, and shapes alone decide.
"""

import math
from collections.abc import Sequence

import numpy as np

from cconv.engine.steps import Step
from cconv.geometry.algorithms import forward_algorithm, lanes_of
from cconv.layers.base import Layer
from cconv.layers.convolution import GroupedConvolution
from cconv.layers.core import Flatten, Reshape

# A batch is cut where at least FEWEST_STEPS steps each read and write LEAST_BYTES or more: fewer do not pay
# for the calls. In a part no step reads and writes more than PART_BYTES.
LEAST_BYTES, FEWEST_STEPS, PART_BYTES = 1 << 22, 3, 6 << 20
# A step whose weights take more bytes than this takes the batch whole, so that they are read once.
WEIGHT_BYTES = 3 << 17


def _passes_on(layer: Layer) -> bool:
    """Whether a layer writes nothing at inference."""
    return layer._only_in_training or isinstance(layer, Flatten | Reshape)


def cut_batch(steps: Sequence[Step], x: np.ndarray, readers: Sequence[int]) -> tuple[int, int]:
    """Return how many steps take the batch x in parts, and of how many samples; (0, 0) if none do.

    `readers` is how often each value is read: behind the last of these steps only what it gives is needed.
    """
    if len(x) < 2 or not steps:
        return 0, 0
    large, widest, fewest = 0, 0, 1
    best = (0, 0, 0)  # steps, those of them that are large, and the bytes of the largest
    sizes = {value: x[0].nbytes for value in steps[0].sources}
    left = list(readers)
    for count, step in enumerate(steps, start=1):
        last = step.layers[-1]
        size = sizes[step.value] = math.prod(last.output_shape) * x.itemsize
        read = sum(sizes[value] for value in step.sources)
        weights = sum(array.nbytes for layer in step.layers for array in layer.params.values())
        if weights > WEIGHT_BYTES or not step.replays(False):
            break
        fewest = max(fewest, _fewest_samples(step, x))
        for value in step.sources:
            left[value] -= 1
        if (read + size) * len(x) >= LEAST_BYTES and not _passes_on(last):
            large, widest = large + 1, max(widest, read + size)
            if not any(left[value] for value in sizes if value != step.value):
                best = count, large, widest
    front, large, widest = best
    parts = min(-(-len(x) * widest // PART_BYTES), len(x) // fewest)
    return (front, -(-len(x) // parts)) if large >= FEWEST_STEPS and parts > 1 else (0, 0)


def _fewest_samples(step: Step, x: np.ndarray) -> int:
    """Return how many images a part needs for the lanes of vectors, where the step has images there."""
    layer = step.layers[0]
    if not isinstance(layer, GroupedConvolution):
        return 1
    lanes = forward_algorithm(layer.convolution, len(x)) == "lanes"
    return lanes_of(x.itemsize) if lanes else 1
