"""Saving and loading where memory runs out: MemoryError, the process goes on, the old file is whole."""

import os
import subprocess
import sys
from pathlib import Path

import cconv

CODE = """
import os, resource, sys
from pathlib import Path
import numpy as np
import cconv
from cconv.layers import Dense
from cconv.models import Sequential, load_model

path = Path(sys.argv[1])
cconv.set_num_threads(1)
INFINITE = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

def within(nbytes, call):
    "Call with so much memory more than there is; return what was raised."
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + nbytes, resource.RLIM_INFINITY))
    try:
        call()
    except MemoryError as error:
        return error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, INFINITE)

def trained(seed):
    model = Sequential([Dense(4000, input_shape=(1000,)), Dense(1)], seed=seed)  # 16 MB, and Adam's 32
    model.compile("adam", "mse")
    model.fit(np.ones((2, 1000), np.float32), np.ones((2, 1), np.float32), verbose=0)
    return model

old, new = trained(1), trained(2)
old.save(path)
whole = path.read_bytes()
counts = dict(save=0, weights=0, load=0, load_weights=0)
for megabytes in [*range(0, 64, 3), 100]:
    nbytes = megabytes << 20
    error = within(nbytes, lambda: new.save(path))
    if error is not None:
        counts["save"] += 1
        assert str(path) in str(error), error
        assert path.read_bytes() == whole
    path.write_bytes(whole)
    error = within(nbytes, lambda: new.save_weights(path))
    counts["weights"] += error is not None
    assert error is None or path.read_bytes() == whole
    path.write_bytes(whole)
    loaded = []
    error = within(nbytes, lambda: loaded.append(load_model(path)))
    if error is None:
        assert np.array_equal(loaded[0].get_weights()[0], old.get_weights()[0])
    else:
        counts["load"] += 1
        assert str(path) in str(error), error
    before = new.get_weights()
    error = within(nbytes, lambda: new.load_weights(path))
    after = (new if error else old).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(new.get_weights(), before if error else after))
    counts["load_weights"] += error is not None
    new.set_weights(before)
    assert os.listdir(path.parent) == [path.name]
assert min(counts.values()) >= 1 and counts["save"] + counts["load"] >= 6, counts
new.fit(np.ones((2, 1000), np.float32), np.ones((2, 1), np.float32), verbose=0)
new.save(path)
load_model(path)
print(counts)
"""


def test_low_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "m")],
        env=os.environ | {"PYTHONPATH": str(Path(cconv.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    print(done.stdout)
