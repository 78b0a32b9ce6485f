"""The tables of tests/data: what Keras, PyTorch and ONNX answered. tools/tables/ says how they were asked."""

import functools
import json
from pathlib import Path

import numpy as np

DATA = Path(__file__).with_name("data")


def whole(shape, most, seed):
    """Whole numbers from -most to most: those that the others were given."""
    places = np.arange(np.prod(shape, dtype=int)) + 1
    numbers = (places * (7919 + 2 * seed) % 10007 + places) % (2 * most + 1) - most
    return numbers.reshape(shape).astype(np.float32)


@functools.cache
def axis_cases(kind):
    """(case, answer) pairs of "convolution", "max" or "mean" along one axis.

    A case is (n, kernel, stride, dilation, before, after, flags); before is -1 for "valid" and -2 for "same".
    """
    with np.load(DATA / "geometry_axis.npz") as table:
        cases, counts, values = (table[f"{kind}_{part}"] for part in ("cases", "counts", "values"))
    answers = np.split(values, np.cumsum(counts[:-1], dtype=int))
    return [(tuple(case), answer) for case, answer in zip(cases.tolist(), answers, strict=True)]


def same_pads():
    """Rows (n, kernel, stride, dilation, before, after) of "same" padding."""
    with np.load(DATA / "geometry_axis.npz") as table:
        return table["same_pads"].tolist()


def padding_of(before, after):
    """The argument `padding` of a case along one axis, the other axis being without."""
    return {-1: "valid", -2: "same"}.get(before, ((before, after), (0, 0)))


def array_cases(name):
    """(case, arrays by name) pairs of a table of images."""
    with np.load(DATA / name) as table:
        cases, flat = json.loads(str(table["cases"])), {kind: table[kind] for kind in ("whole", "real")}
    at = dict.fromkeys(flat, 0)
    found = []
    for case in cases:
        arrays = {}
        for key, kind, shape in case["arrays"]:
            count = int(np.prod(shape, dtype=int))
            arrays[key] = flat[kind][at[kind] : at[kind] + count].reshape(shape).astype(np.float32)
            at[kind] += count
        found.append((case, arrays))
    assert all(at[kind] == len(flat[kind]) for kind in flat)
    return found


def rules():
    """The table of optimizers, schedules, losses and initializers."""
    return json.loads((DATA / "rules.json").read_text())
