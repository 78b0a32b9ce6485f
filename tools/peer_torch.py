"""Record what networks of torchvision and timm predict, and that cconv does the same: tests/data/torch.json.

    python tools/peer_torch.py [name ...]

needs torchvision, timm and safetensors. Every network gets the weights of tests/torch_cases.py, is written
by torch.save and by safetensors, read here, compared in float64 and float32, and written back for torch,
which must load it strictly and predict the same.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data" / "torch.json"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch_cases as cases  # noqa: E402

from cconv.io.torch import load_state_dict, save_state_dict  # noqa: E402


def theirs(case):
    """Return the network of their package with the weights of the formula, in float64."""
    if case.package == cases.TIMM:
        model = timm.create_model(case.theirs, num_classes=cases.CLASSES)
    else:
        more = {"init_weights": False} if case.theirs == "inception_v3" else {}
        model = torchvision.models.get_model(case.theirs, weights=None, num_classes=cases.CLASSES, **more)
    if case.large:
        made_for(model, case)
    model = model.double().eval()
    state = {
        name: torch.from_numpy(np.asarray(cases.drawn(name, tuple(tensor.shape))))
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model


def made_for(model, case):
    """Let a network take its last maps as they are, where it would bring them to those of 224 pixels."""
    side = {"AlexNet": 3}.get(case.ours, case.size // 32)
    if case.package == cases.TIMM:
        model.pre_logits.fc1 = torch.nn.Conv2d(512, 4096, side)
        model.pre_logits.input_kernel_size = side
        return
    model.avgpool = torch.nn.Identity()
    first = next(n for n, layer in enumerate(model.classifier) if isinstance(layer, torch.nn.Linear))
    maps = 256 if case.ours == "AlexNet" else 512
    model.classifier[first] = torch.nn.Linear(maps * side * side, 4096)


def predicted(model, case, dtype):
    """Return what their network predicts: probabilities where ours does."""
    with torch.no_grad():
        y = model.to(dtype)(torch.from_numpy(cases.images(case.size)).to(dtype))
        if case.ours in ("VGG16", "VGG19", "AlexNet"):
            y = y.softmax(1)
    return y.numpy()


def error(made, expected):
    """Return the largest difference beside the largest prediction."""
    return float(np.abs(made - expected).max() / np.abs(expected).max())


def compared(case, folder):
    """Return what is recorded of a network."""
    model, found = theirs(case), {}
    x = np.ascontiguousarray(cases.images(case.size).transpose(0, 2, 3, 1))
    found["tensors"] = cases.digest({name: tensor.shape for name, tensor in model.state_dict().items()})
    for bits, dtype in ((64, torch.float64), (32, torch.float32)):
        expected = predicted(model, case, dtype)
        ours = cases.network(case, f"float{bits}")
        torch.save(model.state_dict(), folder / "a.pth")
        load_state_dict(ours, folder / "a.pth")
        made = ours.predict(x.astype(expected.dtype), verbose=0)
        found[f"error{bits}"] = float(f"{error(made, expected):.2g}")
        save_file(model.state_dict(), folder / "a.safetensors")
        load_state_dict(ours, folder / "a.safetensors")
        assert np.array_equal(made, ours.predict(x.astype(expected.dtype), verbose=0))
        if bits == 64:
            found["predictions"] = [float(f"{value:.13g}") for value in expected.ravel()]
    for ending, read in (("pth", torch.load), ("safetensors", load_file)):
        save_state_dict(ours, folder / f"b.{ending}", names=case.package)
        state = read(folder / f"b.{ending}")
        missing = {name: tensor for name, tensor in model.state_dict().items() if cases.skipped(name)}
        model.load_state_dict(missing | state)
        assert np.array_equal(predicted(model, case, torch.float32), expected), ending
    return found


def main():
    """Record the networks of these names, or all."""
    known = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}
    wanted = sys.argv[1:]
    for case in cases.CASES:
        if wanted and not any(name in case.name for name in wanted):
            continue
        with tempfile.TemporaryDirectory() as folder:
            known[case.name] = compared(case, Path(folder))
        print(case.name, known[case.name]["error64"], known[case.name]["error32"], flush=True)
        ordered = {each.name: known[each.name] for each in cases.CASES if each.name in known}
        DATA.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
