"""Which additions are done by the convolution in front of them, at inference."""

from collections.abc import Sequence

from cconv.engine.around import AddedStep
from cconv.engine.flow import Flow
from cconv.engine.fusing import HOOKS, is_linear
from cconv.engine.steps import AddedRelu, NormalizedStep, Step
from cconv.layers.convolution import Conv2D
from cconv.layers.elementwise import Add


def add_behind(steps: Sequence[Step], flow: Flow) -> list[Step]:
    """Return the steps, at inference, in which convolutions add what is to be added to what they give.

    Of the two that meet the later one does it, if nobody else reads what it gives.
    """
    made, kept = dict[int, int](), list[Step]()
    for step in steps:
        if _is_addition(step):
            other, value = sorted(step.sources, key=lambda value: made.get(value, -1))
            if value in made and flow.readers[value] == 1 and _takes_addition(kept[made[value]]):
                place = made[step.value] = made[value]
                kept[place] = AddedStep(kept[place], step, other)
                continue
        made[step.value] = len(kept)
        kept.append(step)
    return kept


def _is_addition(step: Step) -> bool:
    """Whether a step is no more than the sum of two inputs of one shape, perhaps with ReLU."""
    if (type(step) is Step and len(step.layers) > 1) or type(step) not in (Step, AddedRelu):
        return False
    add = step.layers[0]
    shapes = add.input_shape or ()
    return (
        type(add) is Add
        and len(shapes) == 2
        and shapes[0] == shapes[1]
        and not any(layer.__dict__.keys() & set(HOOKS) for layer in step.layers)
    )


def _takes_addition(step: Step) -> bool:
    """Whether a step is a linear convolution of images, alone or with its normalisation."""
    layer = step.layers[0]
    if not isinstance(layer, Conv2D) or layer.__dict__.keys() & set(HOOKS):
        return False
    if type(step) is NormalizedStep:
        return len(step.layers) == 2
    alone = type(step) is Step and type(layer) is Conv2D and len(step.layers) == 1
    return alone and is_linear(layer.activation)
