"""Convolutions of shapes that no kernel was made for, beside PyTorch in both layouts.

Strides, dilation, groups, kernels that are not square, odd numbers of channels, small and large images: what
networks have besides 3x3 and 1x1. Each pass, and the backward pass as a whole, as `auto` chooses; `--random`
draws more. Memory is that of a plan for cconv, new arrays for PyTorch, which has no others.
"""

from typing import Any, NamedTuple

import numpy as np

from benchmarks.layers import PASSES, flops_of
from benchmarks.machine import cores
from benchmarks.peers import PEERS
from benchmarks.pool import Pool, limits, spread
from benchmarks.results import Results, limits_line, parser, pythons

PEER_NAMES = ["cconv", "torch", "torch-last"]
MODES = [*PASSES, "backward"]


class Shape(NamedTuple):
    """A convolution: images (n, h, w, c), filters, kernel, zeros on each side, stride, dilation, groups."""

    x: tuple[int, int, int, int]
    filters: int
    size: tuple[int, int]
    padding: tuple[int, int]
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def title(self) -> str:
        """How it is called in tables."""
        depthwise = self.groups == self.x[-1] == self.filters
        parts = [f"({','.join(map(str, self.x))})" + ("" if depthwise else f" → {self.filters}")]
        parts.append(f"{self.size[0]}×{self.size[1]}" + (f"/{self.stride}" if self.stride > 1 else ""))
        if self.dilation > 1:
            parts.append(f"dilation {self.dilation}")
        if self.groups > 1:
            parts.append("depthwise" if depthwise else f"{self.groups} groups")
        return ", ".join(parts)

    def task(self) -> dict[str, Any]:
        """Return what a worker needs to know. Neither framework computes the gradient of an image."""
        n, h, w, c = self.x
        task: dict[str, Any] = {"kind": "conv", "title": self.title, "n": n, "h": h, "w": w, "c": c}
        task |= {"filters": self.filters, "size": self.size, "padding": self.padding, "stride": self.stride}
        task |= {"dilation": self.dilation, "groups": self.groups, "algorithm": "auto"}
        return task | {"modes": ["forward", "weight_gradient"] if c == 3 else MODES}


SHAPES = [
    Shape((8, 56, 56, 64), 64, (3, 3), (1, 1), stride=2),
    Shape((8, 28, 28, 128), 256, (3, 3), (1, 1), stride=2),
    Shape((8, 28, 28, 256), 512, (1, 1), (0, 0), stride=2),
    Shape((8, 56, 56, 64), 256, (1, 1), (0, 0)),
    Shape((8, 56, 56, 24), 144, (1, 1), (0, 0)),
    Shape((8, 7, 7, 960), 160, (1, 1), (0, 0)),
    Shape((8, 224, 224, 3), 64, (7, 7), (3, 3), stride=2),
    Shape((8, 224, 224, 3), 64, (11, 11), (2, 2), stride=4),
    Shape((8, 224, 224, 3), 32, (3, 3), (1, 1), stride=2),
    Shape((4, 224, 224, 3), 192, (16, 16), (0, 0), stride=16),
    Shape((8, 28, 28, 64), 64, (3, 3), (2, 2), dilation=2),
    Shape((4, 28, 28, 128), 128, (3, 3), (4, 4), dilation=4),
    Shape((8, 28, 28, 256), 256, (3, 3), (1, 1), groups=32),
    Shape((8, 56, 56, 128), 128, (3, 3), (1, 1), groups=32),
    Shape((8, 27, 27, 96), 256, (5, 5), (2, 2), groups=2),
    Shape((8, 27, 27, 96), 256, (5, 5), (2, 2)),
    Shape((16, 32, 32, 32), 64, (5, 5), (2, 2), stride=2),
    Shape((8, 17, 17, 128), 128, (1, 7), (0, 3)),
    Shape((8, 17, 17, 128), 128, (7, 1), (3, 0)),
    Shape((8, 14, 14, 240), 240, (5, 5), (2, 2), groups=240),
    Shape((8, 56, 56, 144), 144, (5, 5), (2, 2), stride=2, groups=144),
    Shape((8, 56, 56, 128), 128, (3, 3), (1, 1), groups=128),
    Shape((8, 112, 112, 96), 96, (3, 3), (1, 1), stride=2, groups=96),
    Shape((16, 64, 64, 8), 8, (3, 3), (1, 1)),
    Shape((16, 64, 64, 13), 13, (3, 3), (1, 1)),
    Shape((16, 64, 64, 24), 24, (3, 3), (1, 1)),
    Shape((8, 7, 7, 512), 512, (3, 3), (1, 1)),
    Shape((2, 256, 256, 16), 16, (3, 3), (1, 1)),
    Shape((16, 32, 32, 64), 128, (4, 4), (1, 1), stride=2),
    Shape((16, 28, 28, 64), 128, (2, 2), (0, 0), stride=2),
]


def drawn(count: int, seed: int) -> list[Shape]:
    """Draw shapes of 0.2 to 4 GFLOP a pass."""
    rng, shapes = np.random.default_rng(seed), []
    while len(shapes) < count:
        groups = int(rng.choice([1, 1, 1, 1, 2, 8, 32]))
        c, f = (groups * int(rng.choice([4, 8, 13, 16, 24, 32, 48, 64, 100, 128, 256])) for _ in range(2))
        side, stride = int(rng.integers(7, 113)), int(rng.choice([1, 1, 2]))
        size = tuple(map(int, rng.choice([1, 2, 3, 3, 4, 5, 7], 2)))
        dilation = int(rng.choice([1, 1, 1, 2]))
        padding = tuple(int(rng.integers(0, dilation * (k - 1) // 2 + 1)) for k in size)
        if side + 2 * min(padding) <= dilation * (max(size) - 1):
            continue
        shape = Shape((8, side, side, c), f, size, padding, stride, dilation, groups)
        if 2e8 <= flops_of(shape.task()) <= 4e9:
            shapes.append(shape)
    return shapes


def measure(pool: Pool, results: Results, shape: Shape, timing: tuple) -> None:
    """Time the passes of one shape, in turns."""
    task, threads = shape.task(), cores()
    opened = pool.open(["machine", *PEER_NAMES], threads, "float32", task)
    times = pool.measure(opened, *timing)
    found = limits(times, opened["machine"][1]["work"])
    figures: dict[str, dict] = {}
    for (name, mode), seconds in times.items():
        if name != "machine":
            flops = flops_of(task) * (2 if mode == "backward" else 1)
            of_peak = flops / spread(seconds)["median"] / found["fma"]["median"]
            figures.setdefault(name, {})[mode] = {**spread(seconds), "of_peak": of_peak}
    results.add(shape=shape.title, threads=threads, dtype="float32", limits=found, figures=figures)
    results.write()
    ratios = {mode: ratio_of(figures, mode) for mode in task["modes"]}
    print(f"{shape.title}: {limits_line(found)}")
    print("  " + ", ".join(f"{mode} {ratio:.2f}" for mode, ratio in ratios.items() if ratio), flush=True)


def ratio_of(figures: dict[str, dict], mode: str) -> float | None:
    """Return how many times as fast as PyTorch's better layout cconv is."""
    others = [
        passes[mode]["median"] for name, passes in figures.items() if name != "cconv" and mode in passes
    ]
    ours = figures.get("cconv", {}).get(mode)
    return min(others) / ours["median"] if others and ours else None


def main() -> None:
    arguments = parser("shapes", __doc__.splitlines()[0])
    arguments.add_argument("--random", type=int, default=0, help="draw so many shapes more")
    arguments.add_argument("--seed", type=int, default=0, help="of what is drawn")
    arguments.add_argument("--rounds", type=int, help="turns of each peer and pass (5, or 2 if quick)")
    given = arguments.parse_args()
    timing = (given.rounds or 2, 0.05) if given.quick else (given.rounds or 5, 0.12)
    shapes = SHAPES[:4] if given.quick else SHAPES
    with Pool(["machine", *PEER_NAMES], pythons(given, arguments)) as pool:
        results = Results("shapes", given, pool)
        for shape in [*shapes, *drawn(given.random, given.seed)]:
            measure(pool, results, shape, timing)
        results.finish()
    titles = ", ".join(PEERS[name].title for name in PEER_NAMES)
    print(f"times as fast as the better layout; {titles}")


if __name__ == "__main__":
    main()
