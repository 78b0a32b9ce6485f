"""Which additions the convolution in front of them does itself, at inference."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cconv.engine.around import AddedStep
from cconv.engine.flow import Flow
from cconv.engine.fusing import HOOKS, is_linear
from cconv.engine.steps import AddedRelu, NormalizedStep, Step
from cconv.layers.convolution import Conv2D
from cconv.layers.elementwise import Add


def add_behind(steps: Sequence[Step], flow: Flow) -> list[Step]:
    """Return the steps, for inference, in which convolutions also do the addition behind them.

    Two values meet in an addition. The convolution that makes the later one adds the other, if nobody else
    reads its output. A dropout between the two only passes its input on, and is left out.
    """
    # Where the steps are that make a value: one step, then those that only pass its output on.
    made, kept = dict[int, list[int]](), dict[int, Step]()
    for number, step in enumerate(steps):
        found = _in_front(step, made, flow) if _is_addition(step) else None
        if found is not None and _takes_addition(kept[found.places[0]]):
            place, *between = found.places
            kept[place] = AddedStep(kept[place], [kept.pop(n) for n in between], step, found.other)
            made[step.value] = [place]
            continue
        passed = made.get(step.sources[0], []) if _passes_on(step) else []
        made[step.value] = [*(passed if flow.readers[step.sources[0]] == 1 else []), number]
        kept[number] = step
    return list(kept.values())


class _Found(NamedTuple):
    """The steps that make one of two values that are added, and the other value."""

    places: list[int]
    other: int


def _in_front(step: Step, made: Mapping[int, list[int]], flow: Flow) -> _Found | None:
    """Return the steps that make the later one of two values, if only the addition reads that value."""
    other, value = sorted(step.sources, key=lambda value: made.get(value, [-1])[0])
    if value not in made or flow.readers[value] != 1 or made.get(other, [-1])[-1] > made[value][0]:
        return None
    return _Found(made[value], other)


def _passes_on(step: Step) -> bool:
    """Whether a step returns its input at inference, as a dropout does."""
    return type(step) is Step and step.layers[0]._only_in_training and step.replays(False)


def _is_addition(step: Step) -> bool:
    """Whether a step only adds two inputs of one shape, perhaps with ReLU."""
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
