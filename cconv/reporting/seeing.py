"""The layers' outputs for a sample, as maps and rows of numbers in the page."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.engine.flow import Flow
from cconv.engine.plan import Plan, each_of
from cconv.models import Model
from cconv.reporting.packing import numbers, rounded, sprite

UNITS = 256  # maximum number of units shown of a layer without maps
# Number of maps of a layer, and maximum height and width; the first pair is used that needs at most BYTES.
FORMS = (
    (32, 64),
    (24, 64),
    (16, 64),
    (16, 48),
    (12, 48),
    (12, 32),
    (8, 32),
    (8, 24),
    (6, 16),
    (4, 16),
    (2, 8),
)
BYTES, HEAD = 260_000, 200  # of a sample's maps, and of those the overhead of each layer
FILTERS, CHANNELS = 64, 4  # maximum number of a kernel's filters and channels that are shown
EXPLAINED = 4  # number of first convolutions and poolings, and of last dense layers, with explained sums
KERNEL = 100_000  # maximum number of weights of a shown kernel


class Eye:
    """Computes the outputs of all layers of a built model, without fusing layers."""

    def __init__(self, model: Model) -> None:
        flow = model._inlined().flow
        everything = [flow.value_of(number) for number in range(len(flow.uses))]
        model._flow()  # raises an error if a layer was rebuilt outside of the model
        every = Flow(flow.uses, flow.n_inputs, everything)
        self._plan = Plan(every, training=False, seed=model.seed, fuse=False) if everything else None

    def values(self, xs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        """Return the inputs and the output of each use of a layer for one sample, without the batch axis."""
        found = () if self._plan is None else each_of(self._plan.forward(xs))
        return [np.array(value[0]) for value in (*xs, *found)]


def form_of(rows: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Return how many maps of each layer to show, and their maximum height and width."""

    def size(shape: Sequence[int], most: int, side: int) -> int:
        step = math.ceil(max(shape[:2]) / side)
        return HEAD + math.prod(-(-extent // step) for extent in shape[:2]) * min(shape[2], most)

    shapes = [row["shape"] for row in rows if _has_maps(row["shape"])]
    fitting = (form for form in FORMS if sum(size(shape, *form) for shape in shapes) <= BYTES)
    return next(fitting, FORMS[-1])


def _has_maps(shape: Sequence[int]) -> bool:
    return len(shape) == 3 and shape[0] * shape[1] > 1


def views(values: Sequence[np.ndarray], rows: Sequence[dict[str, Any]], form: tuple[int, int]) -> list[Any]:
    """Return what the page shows of each value: maps, units, or the number of an equal value."""
    found: list[Any] = []
    for value, row in zip(values, rows, strict=True):
        before = row["inputs"][0] if len(row["inputs"]) == 1 else None
        if before is not None and np.array_equal(values[before], value, equal_nan=True):
            found.append({"same": before})
        elif _has_maps(value.shape):
            found.append(sprite(value, *form))
        elif value.ndim == 2:  # a sequence: one map, with a row for each step
            found.append(sprite(value[:, :, np.newaxis], *form))
        else:
            units = value.reshape(-1)[:UNITS]
            best = int(np.nan_to_num(np.abs(units)).argmax())
            found.append({"units": rounded(units), "of": value.size, "best": best})
    return found


def kernels(model: Model) -> dict[int, Any]:
    """Return pictures of the kernels of two-dimensional convolutions, by the number of the layer's output.

    A shared layer has them once; its other outputs have the number of that one ("like").
    """
    found: dict[int, Any] = {}
    first: dict[int, int] = {}
    flow = model._inlined().flow
    for number, layer in enumerate(flow.layers):
        before = first.setdefault(id(layer), flow.value_of(number))
        if before in found:
            found[flow.value_of(number)] = {"like": before}
            continue
        kernel = layer.params.get("kernel")
        if kernel is None or kernel.ndim != 4 or kernel.shape[0] * kernel.shape[1] == 1:
            continue
        shown = kernel[:, :, :CHANNELS, :FILTERS]
        if shown.nbytes <= 4 * KERNEL:
            tiles = shown.reshape(*kernel.shape[:2], -1)
            picture = sprite(tiles, tiles.shape[2], max(kernel.shape[:2]))
            found[flow.value_of(number)] = {**picture, "shown": shown.shape[2:], "all": kernel.shape[2:]}
    return found


def explained(model: Model) -> dict[int, dict[str, Any]]:
    """Return the parts of the sums of the first layers and the last dense ones, without the layers' inputs.

    The keys are the numbers of the layers' outputs, in order of importance. A shared layer's parts are there
    once; its other outputs have the number of that one ("like").
    """
    flow = model._inlined().flow
    depths = [0] * flow.n_inputs
    for use in flow.uses:
        depths.append(1 + max(depths[value] for value in use.inputs))
    kinds = {flow.value_of(number): _kind_of(use.layer) for number, use in enumerate(flow.uses)}
    windows = sorted((n for n, kind in kinds.items() if kind not in ("", "dense")), key=depths.__getitem__)
    dense = [n for n in reversed(kinds) if kinds[n] == "dense"]
    dense.sort(key=lambda n: (n not in flow.outputs, -depths[n]))
    most = max(EXPLAINED, flow.n_inputs), max(EXPLAINED, len(flow.outputs))
    found: dict[int, dict[str, Any]] = {}
    first: dict[int, int] = {}
    for number in (*windows[: most[0]], *dense[: most[1]]):
        use = flow.uses[number - flow.n_inputs]
        like = first.setdefault(id(use.layer), number)
        parts = _sum_of(use.layer, kinds[number]) if like == number else {"like": like}
        found[number] = {**parts, "from": use.inputs[0]}
    return found


def _kind_of(layer: Any) -> str:
    """Return the kind of a layer whose sums can be shown; an empty string for others."""
    kinds = {
        "Conv2D": "conv",
        "DepthwiseConv2D": "conv",
        "MaxPooling2D": "max",
        "AveragePooling2D": "mean",
        "Dense": "dense",
    }
    kind = kinds.get(type(layer).__name__, "")
    kernel = layer.params.get("kernel")
    small = kernel is None or kernel.size <= KERNEL
    return kind if small and len(layer.output_shape) == (1 if kind == "dense" else 3) else ""


def _sum_of(layer: Any, kind: str) -> dict[str, Any]:
    """Return geometry and weights of a layer whose sums are shown."""
    kernel = layer.params.get("kernel")
    entry: dict[str, Any] = {"kind": kind}
    if kind == "mean":
        entry["padded"] = layer.count_include_pad
    if kernel is not None:
        depthwise = type(layer).__name__ == "DepthwiseConv2D"
        shown = kernel.reshape(*kernel.shape[:2], 1, -1) if depthwise else kernel
        entry["groups"] = kernel.shape[2] if depthwise else getattr(layer, "groups", 1)
        entry["activation"] = layer.activation.key
        entry["kernel"] = numbers(shown)
        entry["bias"] = numbers(layer.params["bias"]) if layer.use_bias else None
    if kind != "dense":
        window = layer.window
        entry["strides"], entry["dilation"] = window.strides, window.dilation
        entry["size"] = window.kernel_size
        entry["pads"] = [before for before, _ in window.pads]
    return entry
