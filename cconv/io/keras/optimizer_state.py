"""What optimizers remember, in the order in which Keras keeps it.

First the number of steps and the learning rate, unless a schedule gives it; then the means of the weights,
the sums of gradients; then the rule's own, weight by weight where Keras makes them so.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cconv.models.files import ITERATIONS, OPTIMIZER, named_params

Variable = tuple[str, str]  # the name of a weight and of what is remembered of it, as cconv has them

RATE: Variable = ("", "learning_rate")
PRODUCT: Variable = ("", "u_product")  # of Nadam: the product of its momentums
# What Keras' Adafactor keeps of a matrix, and writes anew in each step before it is read: cconv keeps none.
MADE_ANEW = ("Adafactor", "v")
# Kept one after the other for all weights, behind what is kept weight by weight.
APART = {"Adam": ("v_hat",), "AdamW": ("v_hat",), "RMSprop": ("velocity", "momentum", "average_gradient")}


def weights_of(model: Any) -> list[str]:
    """Return the names of the weights that are trained, in order."""
    learning = model._learning()
    return list(named_params(learning)) if learning else []


def variables(model: Any) -> Iterator[Variable]:
    """Yield what Keras' optimizer of a model keeps, behind the number of steps, in order."""
    optimizer, weights = model.optimizer, weights_of(model)
    if not callable(optimizer._learning_rate):
        yield RATE
    for slot in sorted(optimizer._extra_slots()):  # "average" comes first
        yield from ((weight, slot) for weight in weights)
    kind, params = type(optimizer).__name__, named_params(model._named)
    apart = [slot for slot in optimizer.slots if slot in APART.get(kind, ())]
    for weight in weights:
        kept = optimizer.slot_shapes(params[weight].shape)
        for slot in optimizer.slots:
            if slot not in apart and (slot in kept or (kind, slot) == MADE_ANEW):
                yield weight, slot
    for slot in apart:
        yield from ((weight, slot) for weight in weights)
    if kind == "Nadam":
        yield PRODUCT


def shape_of(model: Any, variable: Variable) -> tuple[int, ...]:
    """Return the shape of what Keras keeps."""
    weight, slot = variable
    if not weight:
        return ()
    shape = named_params(model._named)[weight].shape
    return model.optimizer.slot_shapes(shape).get(slot, shape)


def places_of_slots(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Return which of Keras' arrays, given with their shapes in order, is which of cconv's.

    As with Keras, an optimizer whose arrays are not those of the weights begins anew.
    """
    paths = list(shapes)
    if not paths:
        return {ITERATIONS: ""}
    found = {ITERATIONS: paths[0]}
    wanted = list(variables(model))
    expected = [shape_of(model, variable) for variable in wanted]
    if [shapes[path] for path in paths[1:]] != expected:
        return found if shapes[paths[0]] == () else {ITERATIONS: ""}
    for (weight, slot), path in zip(wanted, paths[1:], strict=True):
        if weight and slot in model.optimizer.slot_shapes(named_params(model._named)[weight].shape):
            found[f"{OPTIMIZER}{weight}/{slot}"] = path
    return found
