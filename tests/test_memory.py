"""Sizes that cannot be allocated: a MemoryError, at once, and nothing is harmed."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cconv
from cconv import _kernels, functional
from cconv.arguments.arrays import aligned_empty

# An x86-64 or arm64 process has at most 2**47 or 2**48 bytes of addresses, whatever the system promises.
MANY = 2**24
ONE = np.ones((1, 1, 1, 1), np.float32)
TOUCHED = 128 * 1024  # KiB by which the peak of resident memory may grow


def view(*shape, dtype=np.float32):
    """Petabytes of the number 1 in a few bytes."""
    return np.broadcast_to(np.array(1, dtype), shape)


IMAGES, PIXELS = view(MANY, MANY, 4, 4), (1, MANY, MANY, 4)
ROWS = view(MANY, MANY, 8)
# Arguments that do fit into memory, and those that do not.
CASES = {
    "conv2d": [
        (IMAGES, ONE.repeat(4, axis=2)),
        (ONE, view(1, 1, 1, 2**47)),
        (ONE, ONE, None, {"padding": MANY // 2}),
    ],
    "conv2d_backward": [
        (IMAGES, IMAGES, view(1, 1, 4, 4)),
        (ONE, view(*PIXELS), view(1, 1, 4, 1), {"strides": MANY}),
        (view(1, 1, 1, 2**47), ONE, view(1, 1, 1, 2**47)),
    ],
    "conv2d_transpose": [(IMAGES, view(1, 1, 4, 4)), (ONE, ONE, None, {"strides": MANY, "padding": "same"})],
    "conv2d_transpose_backward": [
        (IMAGES, IMAGES, view(1, 1, 4, 4)),
        (view(1, 1, 1, 2**47), ONE, view(1, 1, 2**47, 1)),
    ],
    "resize": [(IMAGES, 4), (np.ones((1, 1, 1, 2**10)), (2**20, 2**20))],
    "resize_backward": [(IMAGES, IMAGES.shape), (np.ones((1, 1, 1, 2**10)), (1, 2**20, 2**20, 2**10))],
    "max_pool2d": [(IMAGES,), (ONE, 1, {"padding": MANY // 2})],
    "max_pool2d_backward": [
        (ONE, np.zeros(ONE.shape, np.uint8), (1, MANY, MANY, 1), 1, {"strides": MANY}),
        (view(1, MANY, MANY, 1), view(1, MANY, MANY, 1, dtype=np.uint8), (1, MANY, MANY, 1), 1),
    ],
    "average_pool2d": [(IMAGES,), (ONE, 1, {"padding": MANY // 2})],
    "average_pool2d_backward": [
        (ONE, (1, MANY, MANY, 1), 1, {"strides": MANY}),
        (view(1, MANY, MANY, 1), (1, MANY, MANY, 1), 1),
    ],
    "im2col": [(IMAGES, 2), (ONE, 1, {"padding": MANY // 2}), (ONE, MANY // 2, {"padding": MANY // 2})],
    "col2im": [(view(1, 4), PIXELS, 1, {"strides": MANY}), (view(MANY * MANY, 4), PIXELS, 1)],
    "dense": [(ROWS, view(8, 2)), (view(1, 8), view(8, 2**45)), (view(2**23, 1), view(1, 2**23))],
    "dense_backward": [
        (ROWS, ROWS, view(8, 8)),
        (view(1, 1), view(1, 2**47), view(2**47, 1)),
        (view(1, 2**23), view(1, 2**23), view(2**23, 2**23)),
    ],
    "softmax_cross_entropy": [(ROWS, ROWS), (ROWS, view(MANY, MANY, dtype=np.int64))],
    **{name: [(ROWS,)] for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")},
}
ALLOCATING = [(name, case) for name, cases in CASES.items() for case in range(len(cases))]


def test_every_function_that_allocates_is_tested():
    assert set(CASES) == set(functional.__all__) - {"output_size"}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize(("name", "case"), ALLOCATING)
def test_functional(name, case):
    arguments = CASES[name][case]
    options = arguments[-1] if isinstance(arguments[-1], dict) else {}
    before = peak()
    with pytest.raises(MemoryError):
        getattr(functional, name)(*arguments[: len(arguments) - bool(options)], **options)
    assert peak() - before < TOUCHED


@pytest.mark.parametrize("shape", [(2**48,), (2**31, 2**31), (2**62, 2), (2**62, 4), (2**70,), (MANY,) * 9])
def test_aligned_empty(shape):
    with pytest.raises(MemoryError):
        aligned_empty(shape, np.float64)


LAYERS = [
    (lambda: cconv.Conv2D(2**46, 3), (5, 5, 1)),
    (lambda: cconv.Dense(2**46), (4,)),
    (lambda: cconv.DepthwiseConv2D(3, depth_multiplier=2**46), (5, 5, 2)),
]


@pytest.mark.parametrize(("factory", "shape"), LAYERS)
def test_layers_too_large_to_build(factory, shape):
    with pytest.raises(MemoryError):
        factory().build(shape)


def test_layers_whose_output_is_too_large():
    with pytest.raises(MemoryError):
        cconv.Conv2D(1, 1, padding=MANY // 2).forward(ONE)
    with pytest.raises(MemoryError):
        cconv.Conv2D(1, 1).forward(IMAGES)


# Refused by a limit instead of the address space: what real machines do.
LIMITED = """
import resource
import numpy as np
import cconv
from cconv import functional as F
x, kernel = np.ones((1, 1024, 1024, 1), np.float32), np.ones((3, 3, 1, 4), np.float32)
rows, dy = np.ones((1 << 14, 64), np.float32), np.broadcast_to(np.float32(1), (1, 1024, 1024, 200))
y = F.conv2d(x, kernel, padding="same")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), -1))
refused = 0
calls = [
    lambda: F.conv2d(x, np.ones((1, 1, 1, 200), np.float32)),
    lambda: F.conv2d_backward(dy, x, kernel[:1, :1].repeat(50, 3)),
    lambda: F.im2col(x, 15, padding="same"),
    lambda: F.dense(rows, np.ones((64, 1 << 13), np.float32)),
    lambda: cconv.Conv2D(200, 1).forward(x),
]
for call in calls:
    try:
        call()
    except MemoryError:
        refused += 1
assert np.array_equal(F.conv2d(x, kernel, padding="same"), y)
print(refused, "of", len(calls))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_process_that_may_have_no_more_memory_goes_on():
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        env={"PYTHONPATH": str(Path(_kernels.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "5 of 5"
