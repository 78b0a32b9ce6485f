"""Normalisations and their gradients, as Keras has them (tools/tables/normalization.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from cconv import layers

TABLE = json.loads((Path(__file__).parent / "data" / "normalization.json").read_text())
# The largest difference, relative to the largest number of an array.
CLOSE = {"float64": 1e-11, "float32": 1e-5}


def assert_close(found, wanted, dtype, amplified=1.0):
    wanted = np.array(wanted)
    assert found.dtype == dtype
    most = CLOSE[dtype] * amplified * max(np.abs(wanted).max(initial=0), 1e-3)
    np.testing.assert_allclose(found.ravel(), wanted, rtol=0, atol=most)


def amplified(x, case):
    """How much float32's rounding of x grows by the division: a constant row is divided by √epsilon."""
    return 1 if case["arguments"].get("epsilon", 1e-3) > 1e-3 else 3 * np.abs(x).max() / 1e-3**0.5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("number", range(len(TABLE["cases"])))
def test_outputs_and_gradients(number, dtype):
    case = TABLE["cases"][number]
    shape = case["shape"]
    layer = getattr(layers, case["name"])(**case["arguments"])
    x, dy = (np.array(case[name]).reshape(shape) for name in ("x", "dy"))
    first = case["arguments"].get("axis") == 1 and case["name"] == "GroupNormalization"
    layer.build(shape[1:], dtype=dtype)
    assert (layer.data_format == "channels_first") == first
    stores = [(store, name) for store in (layer.params, layer.state) for name in store]
    for (store, name), value in zip(stores, case["weights"], strict=True):
        store[name] = np.reshape(value, store[name].shape)
    more = amplified(x, case) if dtype == "float32" else 1
    if case["name"] in ("GroupNormalization", "LayerNormalization", "RMSNormalization"):
        more *= 30 if dtype == "float64" else 1
    for _ in range(2):
        for (store, name), value in zip(stores, case["weights"], strict=True):
            store[name] = np.reshape(value, store[name].shape)
        y = layer.forward(x.astype(dtype), training=True)
        assert_close(y, case["y"], dtype, more)
        assert_close(layer.backward(dy.astype(dtype)), case["dx"], dtype, 10 * more)
        assert list(layer.grads) == (list(layer.params) if layer.trainable else [])
        for gradient, wanted in zip(layer.grads.values(), case["gradients"], strict=True):
            assert_close(gradient, wanted, dtype, more)
        # Of a frozen layer Keras counts all weights as state.
        moved = case["state"][len(case["state"]) - len(layer.state) :]
        for value, wanted in zip(layer.state.values(), moved, strict=True):
            assert_close(value, wanted, dtype)


@pytest.mark.parametrize("case", TABLE["adapted"], ids=lambda case: str(case["axis"]))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_adapt(case, dtype):
    data = np.array(case["data"]).reshape(case["shape"]).astype(dtype)
    whole = layers.Normalization(axis=case["axis"]).adapt(data)
    y = whole.forward(data)
    assert_close(y, case["y"], dtype, 3)
    for name in ("mean", "variance"):
        assert_close(whole.state[name], case[name], dtype)
    assert whole.state["count"] == data.size / whole.state["mean"].size
    for batches in ([data[:2], data[2:]], iter([(data[:2], None), (data[2:], None)])):
        parts = layers.Normalization(axis=case["axis"]).build(data.shape[1:], dtype=dtype).adapt(batches)
        for name, wanted in zip(("mean", "variance"), case["in_parts"], strict=True):
            assert_close(parts.state[name], wanted, dtype)
