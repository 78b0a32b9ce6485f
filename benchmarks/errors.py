"""Rounding errors of float32 convolutions and dense layers, beside PyTorch's.

The largest error over the largest magnitude of the exact result (float64), of y, dx and dkernel. The inputs
are normal, the same for all, and PyTorch computes in both of its layouts, in a process of its own::

    python -m benchmarks.errors --python peers/bin/python [--random 20] [--seed 0]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cconv import functional

PASSES = ("y", "dx", "dkernel")
COLUMNS = ("direct", "auto", "PyTorch", "channels_last")


class Case(NamedTuple):
    """A convolution: images, their side, channels, filters, side of the kernel, strides."""

    images: int
    side: int
    channels: int
    filters: int
    kernel: int
    strides: int


CASES = [
    Case(1, 28, 256, 256, 3, 1),
    Case(1, 28, 64, 64, 3, 1),
    Case(2, 14, 512, 128, 3, 1),
    Case(4, 32, 32, 32, 3, 1),
    Case(2, 16, 24, 40, 3, 1),
    Case(4, 14, 128, 128, 3, 2),
    Case(2, 27, 96, 64, 5, 1),
    Case(8, 12, 6, 16, 5, 1),
    Case(1, 56, 3, 64, 7, 2),
    Case(2, 28, 128, 128, 1, 1),
    Case(1, 14, 1024, 256, 1, 1),
]


def random_cases(count: int, seed: int) -> list[Case]:
    """Draw convolutions of up to 20,000 products for an output."""
    rng = np.random.default_rng(seed)
    sizes = [1, 3, 8, 13, 24, 64, 100, 256, 512]
    return [
        Case(
            images=int(rng.integers(1, 5)),
            side=int(rng.integers(7, 29)),
            channels=int(rng.choice(sizes)),
            filters=int(rng.choice(sizes[2:])),
            kernel=int(rng.choice([1, 3, 5, 7])),
            strides=int(rng.integers(1, 3)),
        )
        for _ in range(count)
    ]


def arrays(case: Case, seed: int) -> dict[str, np.ndarray]:
    """Return x, the kernel and dy, float32."""
    rng = np.random.default_rng(seed)
    side = -(-case.side // case.strides)
    shapes = {
        "x": (case.images, case.side, case.side, case.channels),
        "kernel": (case.kernel, case.kernel, case.channels, case.filters),
        "dy": (case.images, side, side, case.filters),
    }
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def compute(case: Case, given: dict[str, np.ndarray], algorithm: str) -> list[np.ndarray]:
    """Return y, dx and dkernel as cconv computes them."""
    half = case.kernel // 2
    options = {"strides": case.strides, "padding": half, "algorithm": algorithm}
    y = functional.conv2d(given["x"], given["kernel"], **options)
    return [y, *functional.conv2d_backward(given["dy"], given["x"], given["kernel"], **options)[:2]]


def peers(python: str, cases: list[Case], given: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return PyTorch's results by "number/layout/pass"."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "asked.npz", Path(folder) / "answered.npz"
        named = {f"{i}/{name}": array for i, made in enumerate(given) for name, array in made.items()}
        np.savez(asked, strides=[case.strides for case in cases], **named)
        script = Path(__file__).parent / "peers" / "torch_errors.py"
        subprocess.run([python, str(script), str(asked), str(answered)], check=True)
        with np.load(answered) as found:
            return dict(found)


def error(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the largest error over the largest magnitude."""
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def rows(python: str, cases: list[Case], seed: int):
    """Yield (case, pass, errors in the order of COLUMNS)."""
    given = [arrays(case, seed + i) for i, case in enumerate(cases)]
    theirs = peers(python, cases, given)
    for i, (case, made) in enumerate(zip(cases, given, strict=True)):
        exact = compute(case, {name: array.astype(np.float64) for name, array in made.items()}, "direct")
        ours = [compute(case, made, algorithm) for algorithm in ("direct", "auto")]
        for number, name in enumerate(PASSES):
            found = [results[number] for results in ours]
            found += [theirs[f"{i}/{layout}/{name}"] for layout in ("plain", "last")]
            yield case, name, [error(result, exact[number]) for result in found]


def main() -> None:
    """Print a table in Markdown, in units of 1e-7, and the largest ratio to PyTorch's better layout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--random", type=int, default=0, help="draw so many convolutions more")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    cases = [*CASES, *random_cases(given.random, given.seed)]
    print("| images × side² × channels → filters, kernel/strides | pass |", " | ".join(COLUMNS), "|")
    print("| --- | --- |" + " --- |" * len(COLUMNS))
    measured = []
    for case, name, errors in rows(given.python, cases, given.seed):
        shape = f"{case.images} × {case.side}² × {case.channels} → {case.filters}"
        shown = " | ".join(f"{1e7 * value:.1f}" for value in errors)
        print(f"| {shape}, {case.kernel}/{case.strides} | {name} | {shown} |")
        measured.append(errors)
    direct, auto, plain, last = np.transpose(measured)
    for ours, errors in (("direct", direct), ("auto", auto)):
        for theirs, others in (("PyTorch", plain), ("its better layout", np.minimum(plain, last))):
            ratios = errors / others
            print(f"{ours} / {theirs}: {np.median(ratios):.2f} (median), {ratios.max():.2f} at most")


if __name__ == "__main__":
    main()
