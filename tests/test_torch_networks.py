"""Networks of torchvision and timm: their names, their tensors, their predictions, in float64.

What they predict with the weights of torch_cases.py is in tests/data/torch.json, which tools/peer_torch.py
writes where torch is; there the files go both ways too.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch_cases as cases

from cconv import applications
from cconv.applications.frame import without_weights
from cconv.io.torch import load_state_dict, save_state_dict
from cconv.io.torch.known import known_as, shape_there
from cconv.io.torch.matching import SKIPPED, full
from cconv.io.torch.parts import BATCH, parts_of

ROOT = Path(__file__).parents[1]
RECORDED = json.loads((ROOT / "tests" / "data" / "torch.json").read_text(encoding="utf-8"))
by_name = pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)


def shapes_there(case, model):
    """What their state dict has, by the names that are known here."""
    parts = parts_of(model, "chw")
    own = [part.name for part in parts]
    (table,) = known_as(own, case.package)
    shapes = {}
    for part in parts:
        for slot in part.slots:
            name = full(table[part.name], slot)
            shapes[name] = shape_there(case.package, name, slot.shape)
        if part.kind == BATCH:
            shapes[f"{table[part.name]}.{SKIPPED}"] = ()
    return shapes


@by_name
def test_names_and_shapes_are_theirs(case):
    with without_weights():
        model = cases.network(case, "float32")
    assert cases.digest(shapes_there(case, model)) == RECORDED[case.name]["tensors"]


@pytest.mark.parametrize("case", [c for c in cases.CASES if not c.large], ids=lambda case: case.name)
def test_predictions_are_theirs(case):
    model = cases.network(case, "float64")
    state = {name: cases.drawn(name, shape) for name, shape in shapes_there(case, model).items()}
    if case.ours == "InceptionV3":
        state["AuxLogits.fc.weight"] = np.ones((cases.CLASSES, 768))
    names = sorted(state)  # as safetensors has them: the order says nothing
    taken = load_state_dict(model, {name: state[name] for name in names})
    assert set(taken.values()) == {name for name in names if not name.endswith(SKIPPED) and "Aux" not in name}
    made = model.predict(np.ascontiguousarray(cases.images(case.size).transpose(0, 2, 3, 1)), verbose=0)
    expected = np.array(RECORDED[case.name]["predictions"]).reshape(made.shape)
    assert np.abs(made - expected).max() <= 1e-9 * np.abs(expected).max()


@by_name
def test_what_was_recorded_agrees(case):
    """Files went both ways, and predictions were the same but for the rounding of their dtype."""
    assert RECORDED[case.name]["error64"] < 1e-12
    assert RECORDED[case.name]["error32"] < 1e-4


def test_the_page_has_these_figures():
    page = (ROOT / "docs" / "bring-your-model.md").read_text(encoding="utf-8")
    for case in cases.CASES:
        errors = " | ".join(f"{RECORDED[case.name][error]:.1e}" for error in ("error64", "error32"))
        assert f"| {case.package} | `{case.theirs}` | `{case.ours}` | {errors} |" in page


def test_a_network_in_keras_form_is_told_of_the_other():
    model = applications.ResNet50(input_shape=(32, 32, 3), classes=cases.CLASSES, seed=0)
    theirs = {"conv1.weight": np.zeros((64, 3, 7, 7)), "bn1.weight": np.zeros(64)}
    with pytest.raises(ValueError, match=r"(?s)missing: conv1\.bias \(64,\).*made with form='torchvision'"):
        load_state_dict(model, theirs | complete(model, theirs))


def complete(model, known):
    """What else torchvision's network has; its convolutions have no bias."""
    case = next(case for case in cases.CASES if case.name == "torchvision resnet50")
    shapes = shapes_there(case, model).items()
    return {
        name: np.zeros(shape)
        for name, shape in shapes
        if name not in known and not (name.endswith("bias") and ("conv" in name or "sample.0" in name))
    }


def test_weights_for_other_padding_are_warned_about(tmp_path):
    model = applications.MobileNetV2((32, 32, 3), classes=cases.CLASSES, seed=0)
    save_state_dict(model, tmp_path / "a.pth", names="timm")
    with pytest.warns(UserWarning, match=r"predictions will be others; .* form='torchvision'"):
        load_state_dict(model, tmp_path / "a.pth")
    theirs = applications.MobileNetV2((32, 32, 3), classes=cases.CLASSES, form="torchvision")
    load_state_dict(theirs, tmp_path / "a.pth")  # a warning would be an error
    own = tmp_path / "b.pth"
    save_state_dict(model, own)
    load_state_dict(model, own)
