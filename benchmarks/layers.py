"""Single layers, in per cent of the machine's limits measured in the same run; and their errors.

Convolutions count the flops of the direct sum, whatever the algorithm, against the FMA peak: Winograd
passes 100 %. Row kernels count the bytes that they must read and write, once each, against the triad.
Memory is that of a plan: no fresh page is touched. Errors are the largest difference to cconv's
float64 result, over the largest result.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import cores
from benchmarks.peers import BOTH, PEERS
from benchmarks.peers.data import geometry_of
from benchmarks.pool import PeerError, Pool, limits, spread
from benchmarks.results import Results, limits_line, parser, pythons

PASSES = ["forward", "input_gradient", "weight_gradient"]
OURS, TORCHES = ["cconv", "cconv-avx2"], ["torch", "torch-last"]

# title: (n, h, w, c), filters, size, padding, groups, kind
SHAPES: dict[str, tuple] = {
    "(128,26,26,32) → 64, 3×3": ((128, 26, 26, 32), 64, 3, "valid", 1, "3×3"),
    "(32,30,30,32) → 32, 3×3": ((32, 30, 30, 32), 32, 3, "valid", 1, "3×3"),
    "(8,56,56,64) → 64, 3×3 same": ((8, 56, 56, 64), 64, 3, "same", 1, "3×3"),
    "(8,28,28,128) → 128, 3×3 same": ((8, 28, 28, 128), 128, 3, "same", 1, "3×3"),
    "(16,14,14,256) → 256, 3×3 same": ((16, 14, 14, 256), 256, 3, "same", 1, "3×3"),
    "(32,2,2,512) → 512, 3×3 same": ((32, 2, 2, 512), 512, 3, "same", 1, "3×3"),
    "(128,28,28,1) → 32, 3×3": ((128, 28, 28, 1), 32, 3, "valid", 1, "few taps"),
    "(256,28,28,1) → 30, 5×5": ((256, 28, 28, 1), 30, 5, "valid", 1, "few taps"),
    "(64,32,32,3) → 32, 3×3 same": ((64, 32, 32, 3), 32, 3, "same", 1, "few taps"),
    "(64,32,32,3) → 64, 5×5": ((64, 32, 32, 3), 64, 5, "valid", 1, "few taps"),
    "(128,14,14,6) → 16, 5×5": ((128, 14, 14, 6), 16, 5, "valid", 1, "5×5"),
    "(128,27,27,32) → 32, 2×2 same": ((128, 27, 27, 32), 32, 2, "same", 1, "2×2"),
    "(8,28,28,128) → 256, 1×1": ((8, 28, 28, 128), 256, 1, "valid", 1, "1×1"),
    "(8,14,14,512) → 512, 1×1": ((8, 14, 14, 512), 512, 1, "valid", 1, "1×1"),
    "(8,56,56,128) depthwise, 3×3 same": ((8, 56, 56, 128), 128, 3, "same", 128, "depthwise"),
}
QUICK = ["(128,26,26,32) → 64, 3×3", "(256,28,28,1) → 30, 5×5"]

ROW_SHAPE = (128, 48, 48, 64)  # 75 MB of float32: far beyond any cache
# Arrays' worth of items moved, in sizes of the input.
MOVED = {
    "max_pool": 1.25,  # and a byte an output
    "max_pool_backward": 1.25,
    "average_pool": 1.25,
    "average_pool_backward": 1.25,
    "relu": 2,
    "relu_backward": 3,
    "sigmoid": 2,
    "tanh": 2,
    "softmax": 2,
    "dropout": 2,  # and a bit an item
    "dropout_backward": 2,
    "sgd": 3,
    "momentum": 5,
    "adam": 7,
}
BYTES = {"max_pool": 1 / 4, "max_pool_backward": 1 / 4, "dropout": 1 / 8, "dropout_backward": 1 / 8}


def moved_bytes(name: str, items: int, itemsize: int) -> float:
    """Return the bytes that a row kernel must read and write over an input of so many items."""
    return items * (MOVED[name] * itemsize + BYTES.get(name, 0))


def conv_task(title: str) -> dict[str, Any]:
    """Return what a worker needs to know of a convolution."""
    (n, h, w, c), filters, size, padding, groups, kind = SHAPES[title]
    task = {"kind": "conv", "title": title, "n": n, "h": h, "w": w, "c": c, "filters": filters, "size": size}
    # Neither framework computes the gradient of a first layer's input.
    modes = ["forward", "weight_gradient"] if kind == "few taps" else PASSES
    return task | {"padding": padding, "groups": groups, "algorithm": "auto", "modes": modes}


def _outputs(task: dict[str, Any]) -> int:
    return task["n"] * math.prod(outputs for *_, outputs in geometry_of(task)) * task["filters"]


def _weights(task: dict[str, Any]) -> int:
    return math.prod(size for size, *_ in geometry_of(task)) * task["c"] // task["groups"] * task["filters"]


def flops_of(task: dict[str, Any]) -> int:
    """Return the flops of one pass; padding counts as work, as the field counts it."""
    return 2 * _outputs(task) * _weights(task) // task["filters"]


def traffic_of(title: str, mode: str, dtype: str) -> int:
    """Return the bytes that memory moves in one pass: what is written counts twice, as it is read first."""
    task = conv_task(title)
    pixels = task["n"] * task["h"] * task["w"]
    items = {"x": pixels * task["c"], "y": _outputs(task), "kernel": _weights(task)}
    written = {"forward": "y", "input_gradient": "x", "weight_gradient": "kernel"}[mode]
    return (sum(items.values()) + items[written]) * np.dtype(dtype).itemsize


def _algorithms(title: str, pool: Pool, threads: int, dtype: str) -> list[str]:
    """Return the algorithms that cconv should be told to use on this shape."""
    kind, process = SHAPES[title][5], pool.worker("cconv", threads, dtype)
    if kind != "3×3" or process is None:
        return ["auto"]
    return process.ask("algorithms")


def _convolution(pool: Pool, results: Results, title: str, threads: int, dtype: str, timing: tuple) -> None:
    """Time the passes of one shape: cconv with each algorithm, on AVX2 too; PyTorch in both layouts."""
    task = conv_task(title)
    figures: dict[str, dict] = {}
    found: dict[str, dict] = {}
    for algorithm in _algorithms(title, pool, threads, dtype):
        names = ["machine", *OURS, *(TORCHES if algorithm == "auto" else [])]
        opened = pool.open(names, threads, dtype, task | {"algorithm": algorithm})
        times = pool.measure(opened, *timing)
        found = limits(times, opened["machine"][1]["work"])
        for (name, mode), seconds in times.items():
            if name == "machine":
                continue
            label = name if algorithm == "auto" else f"{PEERS[name].title} {algorithm}"
            of_peak = flops_of(task) / spread(seconds)["median"] / found["fma"]["median"]
            figures.setdefault(label, {})[mode] = {**spread(seconds), "of_peak": of_peak}
    print(f"{title}, {threads} threads, {dtype}: {limits_line(found)}")
    for label, modes in figures.items():
        shown = ", ".join(f"{mode} {entry['of_peak']:.0%}" for mode, entry in modes.items())
        who = PEERS[label].title if label in PEERS else label
        print(f"  {who:<22} {shown}", flush=True)
    row = {"table": "convolutions", "shape": title, "kind": SHAPES[title][5], "threads": threads}
    results.add(**row, dtype=dtype, flops=flops_of(task), limits=found, figures=figures)
    results.write()


def _rows(pool: Pool, results: Results, threads: int, dtype: str, timing: tuple) -> None:
    """Time the kernels that are bound by memory."""
    task = {"kind": "rows", "title": "row kernels", "shape": ROW_SHAPE}
    opened = pool.open(["machine", "cconv"], threads, dtype, task)
    times = pool.measure(opened, *timing)
    found = limits(times, opened["machine"][1]["work"])
    print(f"row kernels on {ROW_SHAPE}, {threads} threads, {dtype}: {limits_line(found)}")
    figures = {}
    for name in MOVED:
        if ("cconv", name) in times:
            figure = spread(times["cconv", name])
            rate = moved_bytes(name, int(np.prod(ROW_SHAPE)), np.dtype(dtype).itemsize) / figure["median"]
            figures[name] = {**figure, "rate": rate, "of_triad": rate / found["triad"]["median"]}
            print(
                f"  {name:<22} {rate / 1e9:6.1f} GB/s, {figures[name]['of_triad']:.0%} of the triad",
                flush=True,
            )
    row = {"table": "rows", "shape": list(ROW_SHAPE), "threads": threads}
    results.add(**row, dtype=dtype, limits=found, figures=figures)
    results.write()


def _outcomes(pool: Pool, name: str, dtype: str, task: dict, folder: str) -> dict[str, np.ndarray] | None:
    """Return what a peer computes, or None if it cannot."""
    process = pool.worker(name, cores(), dtype)
    if process is None:
        return None
    path = Path(folder) / "results.npz"
    try:
        process.ask("results", task=task, path=str(path))
    except PeerError as error:
        pool.fail(name, f"{task['title']} {task['algorithm']}", error)
        return None
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def _errors(pool: Pool, results: Results, title: str) -> None:
    """Compare float32 results with float64 ones: cconv's algorithms and PyTorch, on the same inputs."""
    task, figures = conv_task(title), {}
    with tempfile.TemporaryDirectory() as folder:
        exact = _outcomes(pool, "cconv", "float64", task, folder)
        if exact is None:
            return
        entries = [("cconv", algorithm) for algorithm in _algorithms(title, pool, cores(), "float32")]
        for name, algorithm in [*entries, ("torch", "auto")]:
            found = _outcomes(pool, name, "float32", task | {"algorithm": algorithm}, folder)
            if found is not None:
                label = name if algorithm == "auto" else f"{name} {algorithm}"
                figures[label] = {
                    mode: float(np.abs(found[mode] - exact[mode]).max() / np.abs(exact[mode]).max())
                    for mode in task["modes"]
                }
    print(f"errors of {title}")
    for label, modes in figures.items():
        print(
            f"  {label:<15} " + ", ".join(f"{mode} {error:.1e}" for mode, error in modes.items()), flush=True
        )
    results.add(table="errors", shape=title, kind=SHAPES[title][5], figures=figures)
    results.write()


def main() -> None:
    arguments = parser("layers", __doc__.splitlines()[0])
    arguments.add_argument("--threads", nargs="+", type=int, default=sorted({1, cores()}))
    arguments.add_argument("--dtypes", nargs="+", choices=BOTH, default=BOTH)
    arguments.add_argument("--shapes", nargs="+", choices=SHAPES, help="only these, and no row kernels")
    arguments.add_argument("--rounds", type=int, help="turns of each peer and pass (7, or 2 if quick)")
    given = arguments.parse_args()
    timing = (given.rounds or 2, 0.05) if given.quick else (given.rounds or 7, 0.2)
    titles = given.shapes or (QUICK if given.quick else list(SHAPES))
    with Pool(["machine", *OURS, *TORCHES], pythons(given, arguments)) as pool:
        results = Results("layers", given, pool)
        for dtype in given.dtypes:
            for threads in given.threads:
                for title in titles:
                    _convolution(pool, results, title, threads, dtype, timing)
                if not given.shapes:
                    _rows(pool, results, threads, dtype, timing)
                pool.close()
        for title in titles:
            _errors(pool, results, title)
        results.finish()


if __name__ == "__main__":
    main()
