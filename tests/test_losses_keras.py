"""Losses, their gradients and their values of each sample, as Keras has them (tools/tables/losses.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from cconv import losses

TABLE = json.loads((Path(__file__).parent / "data" / "losses.json").read_text())
INPUTS = {name: np.array(value) for name, value in TABLE["inputs"].items()}


def named(case):
    options = ",".join(f"{key}={value}" for key, value in case["options"].items())
    return f"{case['name']}({options}) {case['true']} {case.get('weight') or ''}"


@pytest.mark.parametrize("case", TABLE["losses"], ids=named)
def test_losses_and_gradients(case):
    loss = getattr(losses, case["name"])(**case["options"])
    weight = None if case["weight"] is None else INPUTS[case["weight"]]
    pred = INPUTS[case["pred"]]
    for _ in range(2):
        found, gradient = loss(INPUTS[case["true"]], pred, weight)
        assert found == pytest.approx(case["loss"], rel=2e-9, abs=2e-9)
        assert gradient.shape == pred.shape
        np.testing.assert_allclose(gradient.ravel(), case["gradient"], rtol=2e-8, atol=2e-9)
    narrow, gradient = loss(INPUTS[case["true"]], pred.astype("float32"), weight)
    assert gradient.dtype == "float32"
    assert narrow == pytest.approx(case["loss"], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("case", TABLE["functions"], ids=named)
def test_values_of_each_sample(case):
    pred = INPUTS[case["pred"]]
    values = getattr(losses, case["name"])(INPUTS[case["true"]], pred, **case["options"])
    if case["name"] in ("dice", "tversky"):
        axes = case["options"].get("axis", range(pred.ndim))
        left = np.delete(pred.shape, axes).tolist()
        assert values.shape == tuple(left)
    else:
        assert values.shape == pred.shape[:-1]
    assert values.dtype == pred.dtype
    np.testing.assert_allclose(values.ravel(), case["values"], rtol=2e-9, atol=2e-9)
