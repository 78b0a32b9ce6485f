"""Operations on graphs of models: copies of layers, and other ends with the same weights."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cconv import activations
from cconv.layers import Dense, Input, InputLayer, KerasTensor, Layer, Reshape
from cconv.models import Model, Sequential

Shape = tuple[int, ...]


class Graft(NamedTuple):
    """Copies of a model's layers applied to a tensor.

    Attributes
    ----------
    y : KerasTensor
        The output of the last layer.
    copies : dict of str to Layer
        The copy of each layer, by the layer's name in files; without weights.
    """

    y: KerasTensor
    copies: dict[str, Layer]


def single(where: str, name: str, model: Model) -> None:
    """Refuse a model that is not built, or that has several inputs or outputs."""
    if not model.built:
        raise ValueError(f"{where}: {name} must be a model that is built: begin it with an Input")
    if len(model.inputs) > 1 or len(model.outputs) > 1:
        raise ValueError(
            f"{where}: {name} must be a model of one input and one output, "
            f"got {len(model.inputs)} and {len(model.outputs)}"
        )


def image(shape: Shape, data_format: str) -> KerasTensor:
    """Return an input for images of that shape and layout."""
    x = Input(shape)
    x.data_format = data_format if len(shape) == 3 else None
    return x


def grafted(
    where: str, model: Model, x: KerasTensor, instead: Mapping[str, Layer] | None = None, alpha: Any = None
) -> Graft:
    """Return copies of a model's layers, without nesting, applied to a tensor.

    Parameters
    ----------
    where : str
        For error messages.
    model : Model
        With one input and one output; it is not changed.
    x : KerasTensor
        The input of the first layer; rows become images, and images rows, if the sizes are equal.
    instead : dict of str to Layer, optional
        Layers to use instead of copies, by the layers' names in files.
    alpha : callable, optional
        Called with every copy, to set penalties.
    """
    instead = instead or {}
    shape = model.input_shape[1:]
    if shape != x.sample_shape:
        if math.prod(shape) != math.prod(x.sample_shape) or len(shape) == len(x.sample_shape):
            raise ValueError(
                f"{where}: X must hold what the model in layers takes, {shape}, got {x.sample_shape}"
            )
        x = Reshape(shape)(x)
    copies, made = {}, {}
    for path, layer in model._named:
        twin = instead[path] if path in instead else layer.clone()
        if "/" in path:  # a layer of a nested model: give it a unique name
            twin.name = path.replace("/", "_")
        if alpha is not None:
            alpha(twin)
        copies[path] = made[id(layer)] = twin
    values = [x]
    for use in model._inlined().flow.uses:
        given = [values[value] for value in use.inputs]
        twin = made[id(use.layer)]
        values.append(twin(given if twin._merges else given[0], training=False if use.at_inference else None))
    return Graft(values[model._inlined().flow.outputs[0]], copies)


def with_layers(model: Model, instead: Mapping[str, Layer]) -> Model:
    """Return a model like this one with some layers replaced, by their names in files; with new weights."""
    named: dict[str, Any] = {"name": model.name, "seed": model.seed, "dtype": model.dtype}
    if type(model) is Sequential and not any("/" in path for path, _ in model._named):
        layers = [instead[path] if path in instead else layer.clone() for path, layer in model._named]
        row = Sequential(layers, data_format=model._data_format, **named)
        return row if model._input_shape is None else row.build(model._input_shape)
    x = image(model.input_shape[1:], model.data_format)
    return Model(x, grafted("set_params", model, x, instead).y, data_format=model.data_format, **named)


def last_use(model: Model) -> tuple[Layer, KerasTensor]:
    """Return the last layer of a model, and its input."""
    node = model.outputs[0].node
    return node.layer, node.inputs[0]


def over(model: Model, y: KerasTensor) -> Model:
    """Return a model with the same weights that ends in another tensor of the same graph."""
    ends: dict[str, Any] = {"seed": model.seed, "dtype": model.dtype, "data_format": model.data_format}
    return Model(model.inputs[0], y, **ends)


def with_activation(model: Model, activation: str) -> Model:
    """Return the network with another activation at its end, and the same weights."""
    layer, before = last_use(model)
    last: Any = copy.copy(layer)
    last._nodes = []
    last.activation = activations.get(activation, "with_activation", "activation")
    return over(model, last(before))


def before_the_last(model: Model) -> KerasTensor:
    """Return the input of the last dense layer, or without one of the last layer with weights."""
    seen: list[KerasTensor] = []
    dense: list[KerasTensor] = []
    for item, inputs in uses(model):
        if item.params:
            seen.append(inputs[0])
            if isinstance(item, Dense):
                dense.append(inputs[0])
    return (dense or seen or [model.outputs[0]])[-1]


def uses(model: Model) -> list[tuple[Layer, Sequence[KerasTensor]]]:
    """Return the layers of a graph with their inputs; each follows those that it needs."""
    found: list[tuple[Layer, Sequence[KerasTensor]]] = []
    work: list[tuple[Any, bool]] = [(model.outputs[0], False)]
    seen: set[int] = set()
    while work:
        tensor, done = work.pop()
        if done:
            found.append((tensor.node.layer, tensor.node.inputs))
            continue
        if id(tensor) in seen or isinstance(tensor.node.layer, InputLayer):
            continue
        seen.add(id(tensor))
        work.append((tensor, True))
        work += [(each, False) for each in reversed(tensor.node.inputs)]
    return found
