"""Into how many parts a batch is cut for the first steps of a plan, at inference.

Only the next step reads what a step writes. For a whole batch that may be more than the
cache holds, and then both steps wait for memory. So the first steps, as long as images are large, take
the batch part by part, each part through all of these steps. The result is the same, bit by bit: no sample
depends on the others, and only shapes decide how a batch is cut.
"""

import math
from collections.abc import Sequence

import numpy as np

from cconv.engine.steps import Step
from cconv.geometry.algorithms import forward_algorithm, lanes_of
from cconv.layers.base import Layer
from cconv.layers.convolution import GroupedConvolution
from cconv.layers.core import Flatten, Reshape

# A batch is cut if at least FEWEST_STEPS steps each read and write LEAST_BYTES or more; with fewer steps,
# the calls cost more than is saved. For a part, no step reads and writes more than PART_BYTES, unless the
# lanes of vectors need more images.
LEAST_BYTES, FEWEST_STEPS, PART_BYTES = 1 << 22, 3, 6 << 20
# A step whose weights take more than WEIGHT_BYTES takes the batch whole, so that they are read once.
WEIGHT_BYTES = 3 << 17


def _passes_on(layer: Layer) -> bool:
    """Whether a layer writes nothing at inference."""
    return layer._only_in_training or isinstance(layer, Flatten | Reshape)


def cut_batch(steps: Sequence[Step], x: np.ndarray, readers: Sequence[int]) -> tuple[int, int]:
    """Return how many steps take the batch x in parts, and the samples of a part; (0, 0) if none do.

    `readers` is how often each value is read. Only the value of the last of these steps may be read later.
    """
    if len(x) < 2 or not steps:
        return 0, 0
    large, widest, fewest = 0, 0, 1
    best = (0, 0, 0)  # number of steps, how many of them are large, bytes of the largest
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
    """Return how many images a part needs to fill the lanes of vectors, if the step computes in lanes."""
    layer = step.layers[0]
    if not isinstance(layer, GroupedConvolution):
        return 1
    lanes = forward_algorithm(layer.convolution, len(x)) == "lanes"
    return lanes_of(x.itemsize) if lanes else 1
