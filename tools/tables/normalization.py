"""Write tests/data/normalization.json: normalisations with their gradients, by Keras.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python tools/tables/normalization.py

It needs keras and jax, and not cconv. The table was made with keras 3.15.1 on jax, in float64, and has twelve
digits: of each case the input, the weights, a gradient of the output, the output, and the gradients of the
input and the weights. Images are channels last, but for the cases that say so.
"""

import json
import random
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.applications.convnext import LayerScale
from keras.src.backend.common import dtypes

keras.config.set_floatx("float64")
# On JAX Keras would take means in float32.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
PATH = Path(__file__).parents[2] / "tests" / "data" / "normalization.json"
CLASSES = {"LayerScale": LayerScale}


def numbers(*shape, seed=0):
    """Return numbers between -2 and 2 with two digits."""
    places = np.arange(int(np.prod(shape)), dtype=np.int64) + 13 * seed
    return ((places * 179 % 401) / 100.0 - 2.0).reshape(shape)


def cases():
    """Yield (class, arguments, shape of the input), drawn once and for all."""
    draw = random.Random(1)
    flags = (True, False)
    for number in range(40):
        shape = [draw.randint(1, 3), draw.randint(1, 5), draw.randint(1, 4), draw.choice((1, 2, 3, 4, 6, 17))]
        shape = shape[: draw.choice((2, 3, 4, 4, 4))]
        axes = draw.sample(range(1, len(shape)), draw.randint(1, len(shape) - 1))
        axis = draw.choice((-1, -1, axes[0], axes, [a - len(shape) for a in axes]))
        epsilon = draw.choice((1e-3, 1e-6, 0.25))
        kind = ("LayerNormalization", "RMSNormalization", "UnitNormalization", "LayerNormalization")[
            number % 4
        ]
        arguments = {"axis": axis}
        if kind != "UnitNormalization":
            arguments["epsilon"] = epsilon
        if kind == "LayerNormalization":
            arguments |= {"center": draw.choice(flags), "scale": draw.choice(flags)}
            arguments["rms_scaling"] = draw.random() < 0.3
        yield kind, arguments, shape
    for _ in range(20):
        groups = draw.choice((1, 2, 3))
        shape = [draw.randint(1, 3), draw.randint(1, 5), draw.randint(1, 4), groups * draw.randint(1, 6)]
        shape = shape[: draw.choice((3, 4, 4))] if groups == 1 else shape
        flagged = {"center": draw.choice(flags), "scale": draw.choice(flags)}
        arguments = {"groups": draw.choice((groups, groups, -1)), "epsilon": draw.choice((1e-3, 1e-6))}
        yield "GroupNormalization", arguments | flagged, shape
    for groups in (1, 2, -1):
        yield "GroupNormalization", {"groups": groups, "axis": 1}, [2, 4, 3, 5]
    yield "GroupNormalization", {}, [2, 3, 2, 64]
    for value in (1e-6, 0.5):
        yield "LayerScale", {"init_values": value, "projection_dim": 6}, [2, 3, 2, 6]
    for scale, offset in (
        (0.5, [1.0, 2.0, -3.0]),
        ([2.0, 3.0, 0.5], 0.25),
        ([1.0, 2.0, 4.0], [0.1, 0.2, 0.3]),
    ):
        yield "Rescaling", {"scale": scale, "offset": offset}, [2, 3, 2, 3]
    for axis, mean, variance in (
        (-1, [1.0, 2.0, 3.0], [4.0, 0.25, 1e-20]),
        (None, 0.5, 3.0),
        ([1, 3], [0.5, 1.0, -1.0], [1.0, 2.0, 3.0]),
        ((1, 2, 3), 0.25, 0.0625),
    ):
        for invert in flags:
            arguments = {"axis": axis, "mean": mean, "variance": variance, "invert": invert}
            yield "Normalization", arguments, [2, 4, 2, 3]
    for trainable in flags:
        yield "BatchNormalization", {"momentum": 0.75, "trainable": trainable}, [3, 2, 4, 5]


def digits(array):
    """Return the numbers as a list, to twelve digits."""
    return [float(f"{value:.12g}") for value in np.asarray(array, np.float64).ravel()]


def computed(kind, arguments, shape, number):
    """Return the case with what Keras computes."""
    made = dict(arguments)
    layer = (CLASSES.get(kind) or getattr(keras.layers, kind))(**made)
    x, dy = numbers(*shape, seed=number) * 1.5 + 0.75, numbers(*shape, seed=number + 7)
    layer.build(tuple(shape))
    weights = [numbers(*weight.shape, seed=place + 3) + 0.5 for place, weight in enumerate(layer.weights)]
    weights = [
        np.abs(w) if v.name == "moving_variance" else w for w, v in zip(weights, layer.weights, strict=True)
    ]
    layer.set_weights(weights)
    trainable = [jnp.asarray(variable.value) for variable in layer.trainable_variables]
    fixed = [jnp.asarray(variable.value) for variable in layer.non_trainable_variables]
    training = {"training": True} if kind == "BatchNormalization" else {}

    def run(values, x):
        y, after = layer.stateless_call(values, fixed, x, **training)
        return (y * dy).sum(), (y, after)

    (_, (y, after)), (gradients, dx) = jax.value_and_grad(run, argnums=(0, 1), has_aux=True)(
        trainable, jnp.asarray(x)
    )
    return {
        "name": kind,
        "arguments": arguments,
        "shape": shape,
        "x": digits(x),
        "dy": digits(dy),
        "weights": [digits(weight) for weight in weights],
        "y": digits(y),
        "dx": digits(dx),
        "gradients": [digits(gradient) for gradient in gradients],
        "state": [digits(value) for value in after],
    }


def adapted():
    """Return what `adapt` finds in whole data and in batches."""
    found = []
    for axis, shape in ((-1, [7, 3, 2, 4]), (None, [9, 5]), ([1, 2], [6, 3, 2])):
        data = numbers(*shape, seed=4) * 3 + 5
        layer = keras.layers.Normalization(axis=axis)
        layer.adapt(data)
        parts = keras.layers.Normalization(axis=axis)
        parts.adapt([data[:2], data[2:]])
        found.append(
            {
                "axis": axis,
                "shape": shape,
                "data": digits(data),
                "mean": digits(layer.adapt_mean),
                "variance": digits(layer.adapt_variance),
                "in_parts": [digits(parts.adapt_mean), digits(parts.adapt_variance)],
                "y": digits(layer(data)),
            }
        )
    return found


def main():
    """Write the table."""
    table = {
        "keras": keras.__version__,
        "cases": [computed(*case, number) for number, case in enumerate(cases())],
        "adapted": adapted(),
    }
    PATH.write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{len(table['cases'])} cases, {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
