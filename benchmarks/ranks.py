"""Two ranks of one thread beside one process of two threads: images per second of `fit`.

    python -m benchmarks.ranks --rounds 5

Each measurement is a process, or a job of two ranks, of its own; they take turns. Printed are medians, and
the median of the ratios of neighbours.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import networks
from benchmarks.peers import with_cconv
from benchmarks.scaling_model import Times
from cconv import set_num_threads
from cconv.distributed import MPI
from cconv.models import Sequential

TASKS = {"mnist_b": 128, "scratch": 1000}
SHARDS = 2


def work(arguments: argparse.Namespace) -> None:
    """Train, and let rank 0 write down the median seconds of a step."""
    ranks = None if arguments.threads > 1 else MPI()
    set_num_threads(arguments.threads)
    described, batch = networks.NETWORKS[arguments.network], TASKS[arguments.network]
    assert isinstance(described, networks.Network)
    model = Sequential(with_cconv._layers(described), seed=0)
    model.build(described.input_shape)
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x = rng.random((batch * arguments.steps, *described.input_shape), np.float32)
    y = rng.integers(0, described.classes, len(x))
    times = Times()
    given = {"batch_size": batch, "shards": arguments.shards, "distributed": ranks, "callbacks": [times]}
    model.fit(x, y, epochs=2, shuffle=False, verbose=0, **given)
    if ranks is None or not ranks.rank:
        arguments.out.write_text(json.dumps(statistics.median(times.seconds[arguments.steps - 1 :])))


def run(network: str, threads: int, shards: int, steps: int) -> float:
    """Return the seconds of a step: of one process, or of two ranks of one thread."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        words = ("--work", "--network", network, "--threads", threads, "--shards", shards, "--steps", steps)
        command = [sys.executable, "-m", "benchmarks.ranks", *map(str, words), "--out", str(out)]
        if threads == 1:
            command = [str(Path(sys.executable).with_name("mpiexec")), "-n", "2", *command]
        subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": str(threads)}, check=True)
        return json.loads(out.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--network", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--shards", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments)
        return
    print("| network | batch | 1 × 2 threads | the same, 2 shards | 2 ranks × 1 | ratio | ratio, 2 shards |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for network, batch in TASKS.items():
        ways = ((2, 1), (2, SHARDS), (1, SHARDS))
        rounds = [[run(network, *way, arguments.steps) for way in ways] for _ in range(arguments.rounds)]
        whole, cut, ranks = (batch / statistics.median(times) for times in zip(*rounds, strict=True))
        ratios = [statistics.median(times[which] / times[2] for times in rounds) for which in (0, 1)]
        shown = f"{whole:,.0f} | {cut:,.0f} | {ranks:,.0f} images/s"
        print(f"| {network} | {batch} | {shown} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
