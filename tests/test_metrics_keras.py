"""Metrics over two batches of different sizes, as Keras has them (tools/tables/losses.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from cconv import metrics

TABLE = json.loads((Path(__file__).parent / "data" / "losses.json").read_text())
INPUTS = {name: np.array(value) for name, value in TABLE["inputs"].items()}
NARROW = ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "BinaryIoU")  # Keras divides in float32


def named(case):
    options = ",".join(f"{key}={value}" for key, value in case["options"].items())
    return f"{case['name']}({options}) {case['true']} {case['weight'] or ''}"


@pytest.mark.parametrize("case", TABLE["metrics"], ids=named)
def test_metrics(case):
    metric = getattr(metrics, case["name"])(**case["options"])
    parts = slice(0, case["cut"]), slice(case["cut"], None)
    for number in range(2):
        for part in parts if number == 0 else parts[::-1]:
            weight = {} if case["weight"] is None else {"sample_weight": INPUTS[case["weight"]][part]}
            metric.update_state(INPUTS[case["true"]][part], INPUTS[case["pred"]][part], **weight)
        tolerance = 1e-6 if case["name"] in NARROW else 5e-9
        np.testing.assert_allclose(metric.result(), case["result"], rtol=tolerance, atol=tolerance)
        assert metric.gives_number == (np.ndim(case["result"]) == 0)
        metric.reset_state()
