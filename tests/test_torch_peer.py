"""With torch itself, where it is installed: it reads what is written here, and predicts the same.

What it says of large networks is recorded by tools/peer_torch.py.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from cconv.io.torch import load_state_dict, save_state_dict

torch = pytest.importorskip("torch")
sys.path.append(str(Path(__file__).parents[1] / "tools"))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ending", ["pth", "pt", "safetensors"])
def test_torch_predicts_the_same(ending, seed, tmp_path):
    from peer_torch_files import Small
    from safetensors.torch import load_file
    from test_torch_files import last, small

    rng = np.random.default_rng(seed)
    model = small(dtype="float64")
    model.set_weights([rng.uniform(0.5, 1.5, array.shape) for array in model.get_weights()])
    path = tmp_path / f"a.{ending}"
    save_state_dict(model, path)
    state = load_file(path) if ending == "safetensors" else torch.load(path, weights_only=True)
    theirs = Small().double().eval()
    theirs.load_state_dict(state)
    x = rng.normal(size=(3, 4, 7, 5))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(model.predict(last(x), verbose=0), expected, rtol=1e-10)
    torch.save(theirs.state_dict(), tmp_path / "b.pth")
    twin = small(dtype="float64")
    load_state_dict(twin, tmp_path / "b.pth")
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))
