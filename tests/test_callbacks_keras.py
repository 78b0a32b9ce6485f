"""EarlyStopping, ModelCheckpoint and ReduceLROnPlateau over histories of which Keras' results are kept.

tools/keras_histories.py makes the file, where Keras is installed.
"""

import json
from pathlib import Path

import pytest

from cconv import callbacks
from tools.keras_histories import play

KEPT = json.loads((Path(__file__).parent / "keras_histories.json").read_text())["cases"]


def made(name, options):
    first = ["m"] if name == "ModelCheckpoint" else []
    return getattr(callbacks, name)(*first, **options)


@pytest.mark.parametrize("name", ["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"])
def test_histories_go_as_in_keras(name):
    cases = [case for case in KEPT if case["callback"] == name]
    assert len(cases) > 60
    for case in cases:
        assert play(made(name, case["options"]), case["values"]) == case["did"], case
