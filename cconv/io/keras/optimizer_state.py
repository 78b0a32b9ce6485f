"""The arrays of an optimizer's state in Keras' order.

First the number of steps and the learning rate (unless it is a schedule), then the averages of the weights
and the accumulated gradients, then the arrays of the optimizer itself, in most cases weight by weight.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cconv.models.files import ITERATIONS, OPTIMIZER, named_params

Variable = tuple[str, str]  # cconv's names of a weight and of the optimizer's array for it

RATE: Variable = ("", "learning_rate")
PRODUCT: Variable = ("", "u_product")  # in Nadam: the product of its momentums
# The array of Adafactor that Keras keeps for a matrix, but overwrites before reading: cconv does not keep it.
MADE_ANEW = ("Adafactor", "v")
# Arrays that Keras stores for all weights together, after those that are stored weight by weight.
APART = {"Adam": ("v_hat",), "AdamW": ("v_hat",), "RMSprop": ("velocity", "momentum", "average_gradient")}


def weights_of(model: Any) -> list[str]:
    """Return the names of the trained weights, in order."""
    learning = model._learning()
    return list(named_params(learning)) if learning else []


def variables(model: Any) -> Iterator[Variable]:
    """Yield the variables of a model's optimizer in Keras, after the number of steps, in order."""
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
    """Return the shape of a variable in Keras."""
    weight, slot = variable
    if not weight:
        return ()
    shape = named_params(model._named)[weight].shape
    return model.optimizer.slot_shapes(shape).get(slot, shape)


def places_of_slots(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Return, by cconv's name, Keras' array; `shapes` has the arrays of the file in order.

    If the arrays do not fit the weights, the optimizer begins anew, as in Keras.
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
