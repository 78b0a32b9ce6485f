"""Run a script of this folder with cconv or with Keras, in a process of its own; print its RESULT as JSON.

    python tests/keras_scripts/run.py 01                  with cconv
    python tests/keras_scripts/run.py 01 --root keras     with Keras, where it is installed
    python tests/keras_scripts/run.py --compare           all scripts with both: what differs

A script imports cconv where a user of Keras imports keras; nothing else in it is changed.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
SCRIPTS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
RTOL = 1e-5  # a script with a reason to be looser sets its own


def write_mnist(folder):
    """Write mnist.npz, arranged as Keras' own, with the first of the images that ship with cconv."""
    from cconv.datasets import mnist_small

    (x_train, y_train), (x_test, y_test) = mnist_small.load_data()
    train, test = {"x_train": x_train, "y_train": y_train}, {"x_test": x_test, "y_test": y_test}
    first = {name: array[:256] for name, array in train.items()}
    np.savez(Path(folder) / "mnist.npz", **first, **{name: array[:64] for name, array in test.items()})


def plain(value):
    """Return what JSON can hold, numbers with nine digits."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.ndim:
        return plain(array.tolist())
    if array.dtype.kind == "b":
        return bool(array)
    return int(array) if array.dtype.kind in "iu" else float(f"{float(array):.9g}")


def play(path, root="cconv"):
    """Run a script in the current folder; return its RESULT, and the bound that holds for it."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^(from|import) cconv\b", rf"\1 {root}", text, flags=re.MULTILINE)
    space = {"__name__": "__main__", "__file__": str(path)}
    exec(compile(text, str(path), "exec"), space)
    return plain(space["RESULT"]), space.get("RTOL", RTOL)


def play_alone(path, root="cconv"):
    """Run a script in a new folder that holds the images, and come back; what it prints goes to stderr."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        write_mnist(folder)
        os.chdir(folder)
        try:
            return play(path.resolve(), root)
        finally:
            os.chdir(before)


def differences(expected, found, rtol=RTOL, name="RESULT"):
    """Return what differs, a line each; numbers of a list are measured by the largest of them.

    The order of a dict is not looked at: a script for which it counts gives list(…) of it.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        if set(expected) != set(found):
            return [f"{name}: the keys are {list(found)}, Keras' are {list(expected)}"]
        pairs = [(expected[key], found[key], rtol, f"{name}[{key!r}]") for key in expected]
        return [line for pair in pairs for line in differences(*pair)]
    lists = isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found)
    if lists and not all(isinstance(item, int | float | list) for item in expected + found):
        pairs = [(*pair, rtol, f"{name}[{i}]") for i, pair in enumerate(zip(expected, found, strict=True))]
        return [line for pair in pairs for line in differences(*pair)]
    wrong = [f"{name}: {found}, Keras has {expected}"]
    try:
        wanted, got = np.asarray(expected), np.asarray(found)
    except ValueError:  # lists of several lengths
        return [] if expected == found else wrong
    if not {wanted.dtype.kind, got.dtype.kind} <= set("iuf") or wanted.shape != got.shape:
        return [] if expected == found else wrong
    finite = np.abs(wanted[np.isfinite(wanted)])
    largest = float(finite.max()) if finite.size else 0.0
    return [] if np.allclose(got, wanted, rtol=0, atol=rtol * largest, equal_nan=True) else wrong


def in_process(path, root):
    """Run a script in a process of its own; return its answer, or None and the last line of its error."""
    command = [sys.executable, __file__, path.stem, "--root", root]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["result"], answer["rtol"]


def compare():
    """Run all scripts with both and print what differs; return how many do."""
    wrong = 0
    for path in SCRIPTS:
        (expected, rtol), (found, reason) = in_process(path, "keras"), in_process(path, "cconv")
        if expected is None or found is None:
            lines = [f"keras: {rtol}"] if expected is None else [f"cconv: {reason}"]
        else:
            lines = differences(expected, found, max(rtol, reason))
        wrong += bool(lines)
        print(f"{path.stem}: {'; '.join(lines) or 'equal'}", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("script", nargs="?", help="how its name begins")
    parser.add_argument("--root", default="cconv", choices=["cconv", "keras"])
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    if options.compare:
        return min(compare(), 1)
    if not options.script:
        parser.error("which script?")
    (path,) = FOLDER.glob(f"{options.script}*.py")
    result, rtol = play_alone(path, options.root)
    print(json.dumps({"result": result, "rtol": rtol}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
