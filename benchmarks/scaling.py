"""How cconv's time depends on threads, and on batch, image area and channels, with fitted exponents.

An exponent is the slope of log time over log size by least squares: 1 is linear. In the sweep of the
channels, inputs and filters grow in turn.
"""

from typing import Any

import numpy as np

from benchmarks.layers import conv_task
from benchmarks.machine import cores
from benchmarks.models import TASKS, task_of
from benchmarks.pool import Pool, limits, spread
from benchmarks.results import Results, limits_line, parser, pythons

BASE = "(32,30,30,32) → 32, 3×3"
# What grows, and how: changes of the convolution BASE, all three passes together.
SWEEPS: dict[str, list[dict[str, int]]] = {
    "batch": [{"n": n} for n in (8, 16, 32, 64, 128, 256)],
    "area": [{"h": side + 2, "w": side + 2, "n": 16} for side in (14, 20, 28, 40, 56, 80)],
    "channels": [{"c": c, "n": 16} for c in (16, 32, 64, 128, 256)],
    "filters": [{"filters": f, "n": 16} for f in (16, 32, 64, 128, 256)],
}
TITLES = {
    "step": "LeNet-5, training step over the batch",
    "batch": "convolution 3×3, three passes, over the batch",
    "area": "convolution 3×3, three passes, over the area",
    "channels": "convolution 3×3, three passes, over the input channels",
    "filters": "convolution 3×3, three passes, over the filters",
}
BATCHES = [64, 128, 256, 512, 1024]  # of whole training steps


def size_of(sweep: str, task: dict[str, Any]) -> int:
    """Return what grows in a sweep: images, output pixels, channels or filters."""
    edge = task["size"] - 1
    sizes = {"batch": task["n"], "area": (task["h"] - edge) * (task["w"] - edge)}
    return (sizes | {"channels": task["c"], "filters": task["filters"]})[sweep]


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Return the slope of log seconds over log sizes."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _threads(pool: Pool, results: Results, counts: list[int], tasks: list[tuple], timing: tuple) -> None:
    """Time each network with every number of threads, in turns."""
    for network, batch, modes, _ in tasks:
        task = task_of(network, batch, modes)
        seconds: dict[str, dict[int, dict]] = {mode: {} for mode in modes}
        found = {}
        workers = {}
        for count in counts:
            workers[count] = pool.open(["machine", "cconv"], count, "float32", task | {"modes": modes})
        rounds, *turn = timing
        times: dict[int, dict] = {count: {} for count in counts}
        for _ in range(rounds):
            for count in counts:
                for key, taken in pool.measure(workers[count], 1, *turn).items():
                    times[count].setdefault(key, []).extend(taken)
        for count in counts:
            found[count] = limits(times[count], workers[count]["machine"][1]["work"])
            for mode in modes:
                seconds[mode][count] = spread(times[count]["cconv", mode])
        print(f"{task['title']}: {limits_line(found[counts[-1]])}")
        for mode in modes:
            first = seconds[mode][counts[0]]["median"]
            speedup = {count: first / entry["median"] for count, entry in seconds[mode].items()}
            print(
                f"  {mode}: " + ", ".join(f"{count} threads {s:.2f}×" for count, s in speedup.items()),
                flush=True,
            )
            row = {"table": "threads", "network": network, "batch": batch, "mode": mode}
            results.add(**row, seconds=seconds[mode], speedup=speedup, limits=found[counts[-1]])
        results.write()


def _measure_all(pool: Pool, tasks: list[dict], threads: int, timing: tuple) -> tuple[list[float], dict]:
    """Return the seconds of each task, all its modes together, and the machine's limits meanwhile."""
    rounds, *turn = timing
    taken: list[dict] = [{} for _ in tasks]
    machine: dict = {}
    work = {}
    for _ in range(rounds):
        for number, task in enumerate(tasks):
            opened = pool.open(["machine", "cconv"], threads, "float32", task)
            work = opened["machine"][1]["work"]
            for key, times in pool.measure(opened, 1, *turn).items():
                (machine if key[0] == "machine" else taken[number]).setdefault(key, []).extend(times)
    seconds = [sum(spread(times)["median"] for times in modes.values()) for modes in taken]
    return seconds, limits(machine, work)


def _sweep(
    pool: Pool, results: Results, name: str, tasks: list[dict], sizes: list[int], timing: tuple
) -> None:
    """Time tasks of growing size, fit and keep the exponent."""
    title = TITLES[name]
    seconds, found = _measure_all(pool, tasks, cores(), timing)
    slope = exponent(sizes, seconds)
    print(f"{title}: exponent {slope:.2f}; {limits_line(found)}")
    shown = (f"{size}: {s * 1e3:.2f} ms" for size, s in zip(sizes, seconds, strict=True))
    print("  " + ", ".join(shown), flush=True)
    row = {"table": "sizes", "sweep": name, "title": title, "sizes": sizes, "seconds": seconds}
    results.add(**row, exponent=slope, threads=cores(), limits=found)
    results.write()


def main() -> None:
    arguments = parser("scaling", __doc__.splitlines()[0])
    arguments.add_argument("--threads", nargs="+", type=int, default=list(range(1, cores() + 1)))
    given = arguments.parse_args()
    timing = (2, 0.1) if given.quick else (7, 0.3)
    users = [task for task in TASKS if task[3] == "users"]
    with Pool(["machine", "cconv"], pythons(given, arguments)) as pool:
        results = Results("scaling", given, pool)
        _threads(pool, results, sorted(given.threads), users[1:2] if given.quick else users, timing)
        batches = BATCHES[:3] if given.quick else BATCHES
        tasks = [task_of("lenet5", batch, ["train"]) for batch in batches]
        _sweep(pool, results, "step", tasks, batches, timing)
        for name, changes in SWEEPS.items():
            tasks = [conv_task(BASE) | change for change in (changes[:3] if given.quick else changes)]
            sizes = [size_of(name, task) for task in tasks]
            _sweep(pool, results, name, tasks, sizes, timing)
        results.finish()


if __name__ == "__main__":
    main()
