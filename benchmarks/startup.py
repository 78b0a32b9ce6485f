"""Time from starting Python to having imported a framework, in turns; a bare Python and NumPy beside it."""

import subprocess
import time

from benchmarks.machine import cores
from benchmarks.peers import PEERS
from benchmarks.pool import ROOT, Pool, machine_limits, spread
from benchmarks.results import Results, limits_line, parser, pythons

# label: (peer, whose interpreter it is, statement)
IMPORTS = {
    "Python alone": ("cconv", "pass"),
    "numpy": ("cconv", "import numpy"),
    "cconv": ("cconv", "import cconv"),
    "cconv.models": ("cconv", "from cconv import models, layers, optimizers, losses"),
    "PyTorch": ("torch", "import torch"),
    "Keras/TensorFlow": ("keras-tf", "import keras"),
    "Keras/JAX": ("keras-jax", "import keras"),
    "onnxruntime": ("onnxruntime", "import onnxruntime"),
}


def _seconds(pool: Pool, label: str) -> float | None:
    """Return how long one import took, or None if it failed."""
    peer, statement = IMPORTS[label]
    command, environment = pool.command(peer)
    start = time.perf_counter()
    done = subprocess.run([*command, "-c", statement], cwd=ROOT, env=environment, capture_output=True)
    taken = time.perf_counter() - start
    if done.returncode:
        reason = done.stderr.decode().strip().splitlines()[-1]
        pool.missing[label] = f"{reason}; {PEERS[peer].install}"
        return None
    return taken


def main() -> None:
    arguments = parser("startup", __doc__.splitlines()[0])
    given = arguments.parse_args()
    with Pool([], pythons(given, arguments)) as pool:
        results = Results("startup", given, pool)
        times: dict[str, list[float]] = {}
        for turn in range(3 if given.quick else 11):
            for label in IMPORTS:
                taken = None if label in pool.missing else _seconds(pool, label)
                if turn and taken is not None:  # the first reads the files from the disk
                    times.setdefault(label, []).append(taken)
        found = machine_limits(pool, cores(), "float32")
        print(limits_line(found))
        for label, seconds in times.items():
            results.add(label=label, limits=found, **spread(seconds))
            print(f"{label:<18} {spread(seconds)['median'] * 1e3:8.0f} ms")
        results.finish()


if __name__ == "__main__":
    main()
