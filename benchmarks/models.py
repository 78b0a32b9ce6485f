"""Training steps and predictions of whole networks, beside other frameworks, milliseconds a step.

Adam and cross-entropy everywhere; the batch already lies in each framework's own kind of array. A
training step is what that framework's users write: `train_on_batch` of cconv and Keras; zero_grad,
forward, backward, step and loss.item() of PyTorch.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from benchmarks.machine import cores
from benchmarks.networks import NETWORKS
from benchmarks.peers import BOTH, FRAMEWORKS, PEERS
from benchmarks.pool import Pool, limits, spread
from benchmarks.results import Results, limits_line, parser, pythons

Task = tuple[str, int, list[str], str]

FULL = ["train", "predict"]
# (network, batch, modes, kind): "users" are the networks that cconv's users train.
TASKS: list[Task] = [
    ("scratch", 1000, FULL, "users"),
    ("scratch", 100, FULL, "users"),
    ("lenet5", 128, FULL, "users"),
    ("mnist_b", 128, FULL, "users"),
    ("cifar_c", 32, FULL, "users"),
    ("mnist_a", 128, FULL, "users"),
    ("scratch", 1, ["predict"], "latency"),
    ("lenet5", 1, ["predict"], "latency"),
    ("mnist_b", 1, ["predict"], "latency"),
    ("cifar_c", 1, ["predict"], "latency"),
    ("mnist_a", 1, ["predict"], "latency"),
    ("vgg11", 32, FULL, "large"),
    ("mobilenet", 1, ["predict"], "large"),
    ("mobilenet", 8, FULL, "large"),
    ("vgg16", 1, ["predict"], "large"),
    ("vgg16", 8, ["predict"], "large"),
]


def task_of(network: str, batch: int, modes: list[str]) -> dict[str, Any]:
    """Return what a worker needs to know to build this."""
    described = NETWORKS[network]
    return {
        "kind": "network",
        "network": network,
        "batch": batch,
        "modes": modes,
        "parameters": described.parameters(),
        "title": f"{described.title}, {batch}",
    }


def _measure(
    pool: Pool,
    results: Results,
    task: dict[str, Any],
    kind: str,
    names: list[str],
    threads: int,
    dtype: str,
    timing: tuple,
) -> None:
    """Measure one network with all peers, print and keep the figures."""
    print(f"{task['title']}, {threads} threads, {dtype}", flush=True)
    opened = pool.open(["machine", *names], threads, dtype, task)
    times = pool.measure(opened, *timing)
    found = limits(times, opened["machine"][1]["work"])
    # Whoever has huge pages may lose them to others who use memory: kept, to be read beside the times.
    huge = {name: answer["huge"] for name, (_, answer) in opened.items() if name != "machine"}
    print(f"  {limits_line(found)}")
    for mode in task["modes"]:
        flops = NETWORKS[task["network"]].flops(task["batch"], mode == "train")
        row = {"network": task["network"], "batch": task["batch"], "mode": mode, "kind": kind}
        row |= {"threads": threads, "dtype": dtype, "flops": flops, "limits": found, "huge": huge}
        row["peers"] = {name: spread(times[name, mode]) for name in names if (name, mode) in times}
        results.add(**row)
        floor = flops / found["fma"]["median"]
        shown = ", ".join(f"{name} {entry['median'] * 1e3:.3f}" for name, entry in row["peers"].items())
        print(f"  {mode:<8} at peak {floor * 1e3:.3f} ms; {shown}", flush=True)
    results.write()


def _arguments(name: str, description: str, tasks: list[Task], threads: list[int]) -> ArgumentParser:
    arguments = parser(name, description)
    columns = [list(dict.fromkeys(task[column] for task in tasks)) for column in (0, 1, 3)]
    for option, known, what in zip(("networks", "batches", "kinds"), columns, ("", "", "tasks"), strict=True):
        of = type(known[0])
        arguments.add_argument(
            f"--{option}", nargs="+", type=of, choices=known, default=known, help=f"only these {what}".strip()
        )
    arguments.add_argument("--modes", nargs="+", choices=FULL, default=FULL)
    arguments.add_argument("--peers", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    arguments.add_argument("--threads", nargs="+", type=int, default=threads)
    arguments.add_argument("--dtypes", nargs="+", choices=BOTH, default=BOTH)
    arguments.add_argument("--rounds", type=int, help="turns of each peer and mode (7, or 2 if quick)")
    arguments.add_argument("--seconds", type=float, help="of each turn (0.4, or 0.1 if quick)")
    arguments.add_argument("--awake", action="store_true", help="do not stop those that are not in turn")
    return arguments


def _chosen(given: Namespace, tasks: list[Task], dtype: str) -> Iterator[Task]:
    """Yield what the command line chooses of the tasks; float64 is for what users train."""
    for network, batch, modes, kind in tasks:
        wanted = [mode for mode in modes if mode in given.modes]
        here = network in given.networks and batch in given.batches and kind in given.kinds
        if here and wanted and (dtype == "float32" or kind == "users"):
            yield network, batch, wanted, kind


def run(name: str, description: str, tasks: list[Task], threads: list[int], fresh: bool = False) -> None:
    """Measure what the command line chooses of the tasks.

    With `fresh` every task has workers of its own: frameworks keep memory of each network they have seen,
    and several large ones do not fit.
    """
    arguments = _arguments(name, description, tasks, threads)
    given = arguments.parse_args()
    timing = given.rounds or (2 if given.quick else 7), given.seconds or (0.1 if given.quick else 0.4)
    with Pool(given.peers, pythons(given, arguments), given.awake) as pool:
        results = Results(name, given, pool)
        for dtype in given.dtypes:
            able = [peer for peer in given.peers if dtype in PEERS[peer].dtypes]
            for count in given.threads:
                for network, batch, modes, kind in _chosen(given, tasks, dtype):
                    names = [peer for peer in able if PEERS[peer].training or "predict" in modes]
                    task = task_of(network, batch, modes)
                    _measure(pool, results, task, kind, names, count, dtype, timing)
                    if fresh:
                        pool.close()
                pool.close()
        results.finish()


if __name__ == "__main__":
    run("models", __doc__.splitlines()[0], TASKS, sorted({1, cores()}))
