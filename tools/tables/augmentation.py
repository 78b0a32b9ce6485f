"""Write tests/data/augmentation.json: images augmented by Keras, by factors that leave nothing to chance.

    KERAS_BACKEND=torch python tools/tables/augmentation.py

It needs keras and torch, and not cconv. The table was made with keras 3.15.1 on PyTorch, in float32, with
four digits behind the point. (On TensorFlow "wrap" is something else.) Images are `images(h, w, c)`, which
the test makes again.
"""

import json
from pathlib import Path

import keras
import numpy as np
from keras import layers

PATH = Path(__file__).parents[2] / "tests" / "data" / "augmentation.json"


def images(height, width, channels):
    """Return two images of numbers between 0 and 255."""
    places = np.arange(2 * height * width * channels)
    return (places * 37 % 251).reshape(2, height, width, channels).astype(np.float32)


def cases():
    """Yield layers, arguments and sizes."""
    zooms = [((0.5, 0.5), None), ((-0.3, -0.3), None), ((0.2, 0.2), (-0.4, -0.4)), ((0.0, 0.0), (1.0, 1.0))]
    for (height, width), fill, way in [
        (zooms[i % 4], fill, way)
        for i, (fill, way) in enumerate(
            (fill, way)
            for fill in ("reflect", "wrap", "constant", "nearest")
            for way in ("bilinear", "nearest")
        )
    ]:
        arguments = {"height_factor": height, "width_factor": width, "fill_mode": fill, "interpolation": way}
        yield "RandomZoom", {**arguments, "fill_value": 7.0}, (6, 9, 2)
    for factor in ((0.3, 0.3), (-0.6, -0.6), (1.0, 1.0)):
        yield "RandomBrightness", {"factor": factor}, (4, 5, 3)
    yield "RandomBrightness", {"factor": (0.25, 0.25), "value_range": (0, 100)}, (4, 5, 1)
    # The number is drawn from 1 - lower to 1 + upper: of these pairs Keras draws from a range of one number.
    yield "RandomContrast", {"factor": (0.0, 0.0)}, (4, 5, 3)
    for size, part in [
        ((8, 10), (8, 8)),
        ((10, 8), (8, 8)),
        ((6, 6), (8, 8)),
        ((5, 5), (3, 5)),
        ((8, 8), (8, 8)),
    ]:
        yield "RandomCrop", {"height": part[0], "width": part[1]}, (*size, 2)
    yield "RandomErasing", {"factor": (1.0, 1.0), "scale": (1.0, 1.0), "fill_value": 300.0}, (4, 5, 3)
    yield (
        "RandomErasing",
        {"factor": (1.0, 1.0), "scale": (1.0, 1.0), "fill_value": (1.0, 2.0, 3.0)},
        (4, 5, 3),
    )
    yield "RandomErasing", {"factor": (0.0, 0.0)}, (4, 5, 3)


def mixed(weight, box):
    """Return images and labels as Keras mixes them with such a weight, or box (top, bottom, left, right)."""
    to_tensor = keras.ops.convert_to_tensor
    x, labels = to_tensor(images(4, 6, 2)), to_tensor(np.eye(3, dtype=np.float32)[[0, 2]])
    order = to_tensor(np.array([1, 0]))
    if box is None:
        layer, how = layers.MixUp(), {"mix_weight": keras.ops.full((2,), weight), "permutation_order": order}
    else:
        layer = layers.CutMix()
        corners = [keras.ops.full((2,), edge) for edge in (box[2], box[3], box[0], box[1])]
        masks, weights = layer._generate_batch_mask(x.shape, corners)
        how = {"batch_masks": masks, "mix_weight": weights, "permutation_order": order}
    found = layer.transform_images(x, how), layer.transform_labels(labels, how)
    return [np.asarray(array).astype(float).round(4).tolist() for array in found]


def main():
    """Write the table."""
    keras.utils.set_random_seed(0)
    table = []
    for name, arguments, size in cases():
        y = getattr(layers, name)(**arguments)(images(*size), training=True)
        y = np.asarray(y).astype(float).round(4)
        table.append({"layer": name, "arguments": arguments, "size": size, "y": y.tolist()})
    # With one number in the place of the draws.
    factors = []
    for factor in (0.5, 1.7):
        layer = layers.RandomContrast(0.5)
        how = {"contrast_factor": keras.ops.full((2, 1, 1, 1), factor)}
        x = keras.ops.convert_to_tensor(images(5, 7, 3))
        y = np.asarray(layer.transform_images(x, how, training=True)).astype(float).round(4)
        factors.append({"factor": factor, "size": (5, 7, 3), "y": y.tolist()})
    pairs = [
        {"weight": 0.3, "box": None, "mixed": mixed(0.3, None)},
        {"weight": 0.75, "box": (1.0, 3.0, 1.5, 4.5), "mixed": mixed(None, (1.0, 3.0, 1.5, 4.5))},
    ]
    text = json.dumps({"layers": table, "contrast": factors, "mixed": pairs}, separators=(",", ":"))
    PATH.write_text(text.replace('{"layer"', '\n{"layer"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
