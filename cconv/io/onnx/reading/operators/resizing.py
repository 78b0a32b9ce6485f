"""Resize and Upsample."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.geometry.sampling import COORDINATES, ROUNDINGS, Axis, resized_axis, sampled_axis
from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.operators.windows import as_image, as_sequence, spatial
from cconv.io.onnx.reading.translating import Translator, checked_axis, constant, operator
from cconv.io.onnx.reading.values import Unread, Value, images_last
from cconv.layers import Resampling, Resizing, UpSampling2D

INTERPOLATIONS = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear"}
LARGEST = 1 << 20


@operator("Upsample")
def upsample(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make an image of another size, by the rules before opset 10."""
    scales = constant(given, 1, "scales")
    wanted = node("scales") if scales is None else scales.ravel().tolist()
    return _resized(t, node, given[0], wanted, None, "asymmetric", _rounding(wanted))


@operator("Resize")
def resize(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make an image of another size."""
    x = given[0]
    if t.opset < 11:
        scales = constant(given, 1, "scales")
        wanted = None if scales is None else scales.ravel().tolist()
        return _resized(t, node, x, wanted, None, "asymmetric", _rounding(wanted))
    ratios, sizes = (_listed(constant(given, number, "sizes")) for number in (2, 3))
    if node("antialias", 0) or node("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unread("with antialias or another ratio")
    if node("axes") is not None:
        places = [checked_axis(axis, x.rank) for axis in node("axes")]
        ratios = None if ratios is None else _on_all(ratios, places, [1.0] * x.rank)
        sizes = None if sizes is None else _on_all(sizes, places, list(x.shape))
    coordinates = node("coordinate_transformation_mode", "half_pixel")
    rounding = node("nearest_mode", "round_prefer_floor")
    return _resized(t, node, x, ratios, sizes, coordinates, rounding)


def _rounding(scales: Any) -> str:
    """Return how these operators rounded before opset 11: down, and up where the image becomes smaller."""
    smaller = [scale < 1 for scale in scales or () if scale != 1]
    if any(smaller) and not all(smaller):
        raise Unread("that makes an image smaller along one axis and larger along another")
    return "ceil" if any(smaller) else "floor"


def _listed(array: np.ndarray | None) -> list[Any] | None:
    return None if array is None or not array.size else array.ravel().tolist()


def _on_all(given: Sequence[Any], places: Sequence[int], whole: list[Any]) -> list[Any]:
    """Return numbers for all axes, from numbers given for some axes."""
    if len(given) != len(places):
        raise ValueError(f"{list(given)} do not fit axes {list(places)}")
    for place, entry in zip(places, given, strict=True):
        whole[place] = entry
    return whole


def _resized(
    t: Translator, node: Node, value: Value, scales: Any, sizes: Any, coordinates: str, rounding: str
) -> Value:
    interpolation = INTERPOLATIONS.get(node("mode", "nearest"))
    if interpolation is None or coordinates not in COORDINATES or rounding not in ROUNDINGS:
        how = node("mode", "nearest") if interpolation is None else coordinates
        raise Unread(f"with {how!r}")
    x = spatial(t, value)
    if (scales is None) == (sizes is None) or len(scales or sizes) != x.rank:
        raise ValueError(f"scales {scales} or sizes {sizes} do not fit {x.shape}")
    if sizes is not None:
        target = [int(size) for size in sizes]
        ratios: list[float | None] = [None] * x.rank
    else:
        if not all(math.isfinite(scale) and 0 < scale <= LARGEST for scale in scales):
            raise ValueError(f"scales {scales} are none")
        # A scale is a float32, as what wrote the file counted with: 10 * 0.7 is 7, and 9 / 3 is 3.
        extents = [np.float32(e) * np.float32(s) for e, s in zip(x.shape, scales, strict=True)]
        target = [math.floor(extent) for extent in extents]
        # A scale that differs from the ratio of the sizes is kept.
        ratios = [
            None if n == extent else float(str(np.float32(s)))
            for n, extent, s in zip(target, extents, scales, strict=True)
        ]
    if coordinates == "align_corners" and any(ratio is not None for ratio in ratios):
        raise Unread("with 'align_corners' and scales that give no whole number of pixels")
    if target[0] != x.shape[0] and sizes is not None and target[0] == 1:
        target[0] = x.shape[0]
    if target[:2] != list(x.shape[:2]):
        raise Unread("along other axes than those of the image")
    if not all(0 < size <= LARGEST for size in target[2:]):
        raise ValueError(f"{target[2:]} is no size of an image")
    image = as_image(t, x)
    rows, columns = ([1] * (4 - x.rank) + target[2:])[-2:]
    row, column = ([None] * (4 - x.rank) + ratios[2:])[-2:]
    make, options = _layer(
        image.shape[2:], (rows, columns), interpolation, coordinates, rounding, (row, column)
    )
    return as_sequence(t, t.add(make, image, images_last(4), options=options), x.rank)


def _layer(
    size: Sequence[int],
    outputs: tuple[int, int],
    interpolation: str,
    coordinates: str,
    rounding: str,
    ratios: tuple[Any, Any],
) -> tuple[Any, dict[str, Any]]:
    """Return a layer's class and its arguments: Keras' layer if it reads the same pixels."""
    wanted = [
        sampled_axis(e, n, interpolation, coordinates, rounding, r)
        for e, n, r in zip(size, outputs, ratios, strict=True)
    ]
    keras = [resized_axis(e, n, interpolation) for e, n in zip(size, outputs, strict=True)]
    if all(_alike(a, b) for a, b in zip(wanted, keras, strict=True)):
        if all(n % e == 0 for e, n in zip(size, outputs, strict=True)):
            factors = tuple(n // e for e, n in zip(size, outputs, strict=True))
            return UpSampling2D, {"size": factors, "interpolation": interpolation}
        return Resizing, {"height": outputs[0], "width": outputs[1], "interpolation": interpolation}
    options: dict[str, Any] = {
        **{"height": outputs[0], "width": outputs[1], "interpolation": interpolation},
        **{"coordinates": coordinates, "rounding": rounding},
    }
    if any(ratio is not None for ratio in ratios):
        options["scales"] = tuple(
            n / e if ratio is None else float(ratio)
            for e, n, ratio in zip(size, outputs, ratios, strict=True)
        )
    return Resampling, options


def _alike(a: Axis, b: Axis) -> bool:
    """Whether two tables describe the same positions up to rounding: 1.9999… is 2."""
    return np.allclose(a.at + a.share, b.at + b.share, rtol=0, atol=1e-9)
