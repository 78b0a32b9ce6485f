"""The layers of a model in order of execution: name, shape, receptive fields, cost and time."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from cconv.arguments.text import short
from cconv.engine.flow import Flow
from cconv.models import Model
from cconv.models.diagram import describe
from cconv.models.explaining import measure
from cconv.models.fields import PIXEL, Field, fields_of
from cconv.models.summary import mult_adds

BATCH = 32  # maximum number of samples in a timed batch
FLOPS = 1e9  # maximum operations of a timed batch, unless a single sample needs more


def layers_of(model: Model) -> list[dict[str, Any]]:
    """Return a row for each input, and for each use of a layer."""
    flow = model._inlined().flow
    shapes = model._inner_input_shapes()
    names = ["input"] if len(shapes) == 1 else model._ins.names
    rows = [_row(name, "Input", "other", "", [], shape) for name, shape in zip(names, shapes, strict=True)]
    seen: set[int] = set()
    for use in flow.uses:
        layer: Any = use.layer
        shape = layer._inner(layer.output_shape)
        row = _row(layer.name, type(layer).__name__, _kind(layer), describe(layer), use.inputs, shape)
        again = id(layer) in seen  # a shared layer's weights are counted once
        seen.add(id(layer))
        row |= {"params": 0 if again else layer.count_params(), "madds": mult_adds(layer)}
        if again and layer.count_params():
            row["again"] = True
        rows.append(row)
    for number, shape in enumerate(shapes):
        _see(rows, number, fields_of_input(flow, number, len(shape) == 3))
    return rows


def fields_of_input(flow: Flow, number: int, image: bool) -> list[Field | None]:
    """Return the receptive field in one input of each value of a flow; None if it is all of the input."""
    begin = [PIXEL if image and n == number else None for n in range(flow.n_inputs)]
    return [*begin, *fields_of(flow, begin)]


def _see(rows: Sequence[dict[str, Any]], number: int, fields: Sequence[Field | None]) -> None:
    """Add an input to what the rows see: those that depend on it, with their fields in it."""
    for value, (row, field) in enumerate(zip(rows, fields, strict=True)):
        if value == number or any(number in rows[before]["sees"] for before in row["inputs"]):
            row["sees"][number] = None if field is None else [list(part) for part in field]


def _row(name: str, kind: str, family: str, text: str, inputs: Any, shape: Any) -> dict[str, Any]:
    row = {"name": short(name), "type": short(kind), "family": family, "text": short(text, 120)}
    return {**row, "inputs": list(inputs), "shape": list(shape), "params": 0, "madds": 0, "sees": {}}


def _kind(layer: Any) -> str:
    if hasattr(layer, "kernel_size"):
        return "conv"
    if hasattr(layer, "pool_size") or type(layer).__name__.startswith("Global"):
        return "pool"
    return "dense" if hasattr(layer, "units") else "other"


def timed(model: Model, rows: list[dict[str, Any]]) -> int:
    """Add the layers' computing times to the rows; return the size of the timed batch.

    Layers that are computed together have a common time, in the row of the first of them. In the other rows
    "within" is the number of this row.
    """
    flow: Flow = model._inlined().flow
    if not flow.uses:
        return 1
    flops = 2 * sum(row["madds"] for row in rows)
    batch = max(1, min(BATCH, int(FLOPS // max(flops, 1))))
    waiting: dict[str, list[int]] = defaultdict(list)
    for number, layer in enumerate(flow.layers):
        waiting[layer.shown].append(flow.n_inputs + number)
    for entry in measure(flow, batch, False, model.seed, model.fuse):
        first, *others = sorted(waiting[name].pop(0) for name in entry.names)
        rows[first] |= {"ms": 1e3 * entry.seconds / batch, "algorithm": entry.algorithm}
        for number in others:
            rows[number]["within"] = first
    return batch
