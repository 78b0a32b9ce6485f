"""What optimizers remember, in the order in which Keras keeps it.

First the number of steps and the learning rate, unless a schedule gives it; then the means of the weights,
the sums of gradients; then the rule's own, weight by weight where there are two.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cconv.models.files import ITERATIONS, OPTIMIZER, named_params

Variable = tuple[str, str]  # the name of a weight and of what is remembered of it, as cconv has them

RATE: Variable = ("", "learning_rate")
PRODUCT: Variable = ("", "u_product")  # of Nadam: the product of its momentums
# Kept behind the others, not weight by weight.
APART = ("v_hat",)


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
    together = [slot for slot in optimizer.slots if slot not in APART]
    for weight in weights:
        yield from ((weight, slot) for slot in together)
    for slot in optimizer.slots:
        if slot in APART:
            yield from ((weight, slot) for weight in weights)
    if type(optimizer).__name__ == "Nadam":
        yield PRODUCT


def places_of_slots(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Return which of Keras' arrays, given with their shapes in order, is which of cconv's.

    As with Keras, an optimizer whose arrays are not those of the weights begins anew.
    """
    paths = list(shapes)
    if not paths:
        return {ITERATIONS: ""}
    found = {ITERATIONS: paths[0]}
    wanted = list(variables(model))
    params = named_params(model._named)
    expected = [() if not weight else params[weight].shape for weight, _ in wanted]
    if [shapes[path] for path in paths[1:]] != expected:
        return found if shapes[paths[0]] == () else {ITERATIONS: ""}
    for (weight, slot), path in zip(wanted, paths[1:], strict=True):
        if weight:
            found[f"{OPTIMIZER}{weight}/{slot}"] = path
    return found
