"""Write tests/data/merging.json: layers of several inputs, with their gradients, by Keras.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python tools/tables/merging.py

It needs keras and jax, and not cconv. The table was made with keras 3.15.1 on jax, in float64, and has ten
digits. Inputs are multiples of 1/8 from a small range, so that some are equal.
"""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers

keras.config.set_floatx("float64")
PATH = Path(__file__).parents[2] / "tests" / "data" / "merging.json"

SAME = [[(3,), (3,)], [(3,)] * 3, [(2, 3, 4)] * 2, [(2, 3)] * 4]
SPREAD = [
    [(2, 3, 4), (4,)],
    [(4,), (2, 3, 4)],
    [(2, 3, 4), (1, 1, 4)],
    [(1, 1, 4), (2, 3, 4)],
    [(2, 1, 4), (3, 1), (1,)],
    [(1, 3), (2, 1)],
    [(3,), (1,), (2, 3)],
    [(2, 2, 3, 2), (2, 3, 2)],
]
FOLDED = ("Add", "Multiply", "Average", "Maximum", "Minimum")
CASES = [
    *((name, {}, shapes) for name in FOLDED for shapes in [[(3,)], *SAME, *SPREAD]),
    *(("Subtract", {}, shapes) for shapes in [*SAME, *SPREAD] if len(shapes) == 2),
    *(("Concatenate", {"axis": axis}, [(2, 3, 4)] * 3) for axis in (-3, -2, -1, 1, 2, 3)),
    ("Concatenate", {}, [(5,), (2,), (1,)]),
    ("Concatenate", {"axis": 1}, [(3, 2), (1, 2)]),
    ("Concatenate", {"axis": -1}, [(2, 2, 3), (2, 2, 1), (2, 2, 4)]),
    *(
        ("Dot", {"axes": axes, "normalize": normalize}, shapes)
        for normalize in (False, True)
        for axes, shapes in [
            (1, [(4,), (4,)]),
            (-1, [(4,), (4,)]),
            ((1, 1), [(4,), (4, 3)]),
            ((2, 1), [(3, 4), (4, 5)]),
            ((1, 2), [(4, 3), (5, 4)]),
            (2, [(3, 4), (2, 4)]),
            (-1, [(3, 4), (2, 4)]),
            ((-1, -2), [(3, 4), (4, 2)]),
            ((2, 1), [(3, 4), (4,)]),
            ((3, 2), [(2, 3, 4), (3, 4)]),
            ((1, 1), [(2, 3, 4), (2, 3)]),
        ]
    ),
]
# Values that are not numbers, of which some meet.
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, 1.0]


def numbers(shape, seed):
    """Return multiples of 1/8 from -1.25 to 1.25, none of them zero."""
    places = np.arange(int(np.prod(shape))) + 1
    found = (places * (7919 + 2 * seed) % 10007 + places) % 20 - 10
    return (np.where(found >= 0, found + 1, found) / 8).reshape(shape)


def written(array):
    """Return the numbers of an array in order, with ten digits."""
    return [float(f"{value:.10g}") for value in np.asarray(array, np.float64).ravel()]


def case(name, options, inputs, dy=None):
    """Return what Keras gives for these inputs and this dy."""
    layer = getattr(layers, name)(**options)
    given = [jnp.asarray(x) for x in inputs]
    y = layer(given)
    dy = numbers(y.shape, 9) if dy is None else dy
    gradients = jax.vjp(lambda xs: layer(xs), given)[1](jnp.asarray(dy))[0]
    assert y.dtype == np.float64
    return {
        "name": name,
        "options": options,
        "shapes": [list(x.shape) for x in inputs],
        "x": [written(x) for x in inputs],
        "y": written(y),
        "shape": list(y.shape),
        "dy": written(dy),
        "dx": [written(dx) for dx in gradients],
    }


def main():
    """Ask and write."""
    found = [
        case(name, options, [numbers((2, *shape), seed) for seed, shape in enumerate(shapes)])
        for name, options, shapes in CASES
    ]
    pairs = [np.array(side).reshape(-1, 1) for side in np.meshgrid(SPECIAL, SPECIAL, indexing="ij")]
    found += [case(name, {}, pairs, np.ones((25, 1))) for name in ("Maximum", "Minimum")]
    lines = ",\n".join(json.dumps(one) for one in found)
    PATH.write_text(f'{{"keras": "{keras.__version__}", "cases": [\n{lines}\n]}}\n')


main()
