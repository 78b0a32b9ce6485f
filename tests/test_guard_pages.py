"""No kernel reads or writes a byte outside its arrays, on any instruction set this machine runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from guard import Guarded, guarded_kernels

from cconv import _kernels, functional, reference

TESTS = Path(__file__).parent
# Those that the sanitizers run: see .ci/sanitize.
SIDES = os.environ.get("CCONV_TEST_GUARDS", "end start").split()


def run(isa, *arguments):
    """Run Python in a process of its own: a wild access must not take this one along."""
    paths = [str(Path(_kernels.__file__).parents[1]), str(TESTS), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", *arguments],
        env={**os.environ, "CCONV_ISA": isa, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


# A process for each: the longest tests of all, which the workers share better by halves.
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("isa", _kernels.available_isas())
def test_kernels_stay_inside_their_arrays(isa, dtype):
    done = run(isa, str(TESTS / "guard_cases.py"), dtype, *SIDES)
    lines = done.stdout.splitlines() or ["nothing"]
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        pytest.fail(f"{isa}, guard at the {lines[-1]}: {name}\n{done.stderr[-3000:]}")
    assert done.returncode == 0, f"{isa}, guard at the {lines[-1]}\n{done.stderr[-3000:]}"
    assert lines[-1].endswith("kernels")


OUT_OF_BOUNDS = {
    "a read behind the end": "ctypes.string_at(at_end.ctypes.data + at_end.nbytes, 1)",
    "a read before the start": "ctypes.string_at(at_start.ctypes.data - 1, 1)",
    "a write behind the end": "ctypes.memset(at_end.ctypes.data + at_end.nbytes, 0, 1)",
    "a write before the start": "ctypes.memset(at_start.ctypes.data - 1, 0, 1)",
    "a write to an input": "ctypes.memset(read_only.ctypes.data, 0, 1)",
    "a kernel whose output is too small": (
        "dense.dense_forward(x, k, None, None, at_end, False, None, 0, 0.0, None, None, 1)"
    ),
}


@pytest.mark.parametrize("access", OUT_OF_BOUNDS)
def test_the_guard_bites(access):
    code = f"""
import ctypes
import numpy as np
from cconv.kernels import dense
from guard import Guarded
x, k, y = np.ones((5, 3)), np.ones((3, 4)), np.ones((4, 4))
held = [Guarded(y, True), Guarded(y, False)]
y.setflags(write=False)
held.append(Guarded(y, True))
at_end, at_start, read_only = (guarded.array for guarded in held)
print(at_end.sum(), at_start.sum(), read_only.sum(), flush=True)
{OUT_OF_BOUNDS[access]}
"""
    done = run("generic", "-c", code)
    assert done.stdout.split() == ["16.0"] * 3
    assert done.returncode == -signal.SIGSEGV, done.stderr


@pytest.mark.parametrize("at_end", [True, False])
def test_writes_on_the_other_side_are_seen(at_end):
    guarded = Guarded(np.zeros(5, np.float32), at_end)
    guarded.check()
    before, after = guarded.around
    assert (before.size == 0) is not at_end
    assert (after.size == 0) is at_end
    if at_end:
        before[-1] = 0
    else:
        after[0] = 0
    with pytest.raises(AssertionError, match="bytes outside the array were written"):
        guarded.check()


def test_guarded_kernels_give_back_what_they_wrote():
    x, calls = np.linspace(-1, 1, 5), {}
    with guarded_kernels(True, calls):
        y = functional.relu(x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    assert {name for name, count in calls.items() if count} == {"cconv.kernels.activations.relu"}


def test_a_pointwise_convolution_may_step_past_the_image():
    x = np.arange(24.0).reshape(2, 2, 3, 2)
    kernel = np.arange(6.0).reshape(1, 1, 2, 3)
    y = functional.conv2d(x, kernel, strides=5)
    np.testing.assert_array_equal(y, reference.conv2d(x, kernel, strides=5))
    gradients = functional.conv2d_backward(y, x, kernel, strides=5)
    for gradient, wanted in zip(gradients, reference.conv2d_backward(y, x, kernel, strides=5), strict=True):
        np.testing.assert_array_equal(gradient, wanted)


def test_im2col_of_windows_that_see_no_pixel():
    x = np.arange(1.0, 7).reshape(1, 3, 1, 2)
    options = {"strides": 5, "padding": ((0, 4), (4, 0))}
    col = functional.im2col(x, 3, **options)
    np.testing.assert_array_equal(col, reference.im2col(x, 3, **options))
    np.testing.assert_array_equal(
        functional.col2im(col, x.shape, 3, **options), reference.col2im(col, x.shape, 3, **options)
    )
