"""A model called on symbolic tensors becomes a layer of another model."""

from collections.abc import Sequence
from typing import Any

from cconv.layers.symbolic import (
    KerasTensor,
    Node,
    agreed,
    output_shape_of,
    tensors_of,
    turned_in,
    turned_out,
)
from cconv.models.flowing import check_depth

Shape = tuple[int, ...]


def call(model: Any, x: Any, training: Any) -> Any:
    """Record the use of a model as a layer; return its output tensors in the form of its outputs."""
    if not model._items:
        raise ValueError(f"{model.where}: there are no layers to call")
    if training not in (None, False):
        raise ValueError(f"{model.where}: training must be None or False in a graph, got {training!r}")
    check_depth(model.where, model)
    tensors = tensors_of(model.where, list(model._ins.inside(model.where, "inputs", x)))
    data_format = agreed(model.where, [model._agreed_format(), *(tensor.data_format for tensor in tensors)])
    shapes = [turned_in(tensor.sample_shape, data_format) for tensor in tensors]
    made = _output_shapes(model, shapes, data_format)
    node = Node(model, tensors, training is False, [])
    for index, shape in enumerate(made):
        node.outputs.append(KerasTensor(turned_out(shape, data_format), node, index, data_format))
    model._nodes.append(node)
    return model._outs.outside(node.outputs)


def _output_shapes(model: Any, given: Sequence[Shape], data_format: str | None) -> list[Shape]:
    """Return the shapes of a model's outputs, channels last."""
    expected = model._input_shapes
    if expected is not None and [turned_in(shape, data_format) for shape in expected] != list(given):
        raise ValueError(
            f"{model.where}: inputs must have the shapes {expected} that it was made for, without the batch, "
            f"got {[turned_out(shape, data_format) for shape in given]}"
        )
    flow = model._inlined().flow
    shapes = list(given)
    for use in flow.uses:
        shapes.append(output_shape_of(use.layer, [shapes[value] for value in use.inputs], data_format))
    return [shapes[value] for value in flow.outputs]
