"""One small network trained on the same images from an array, from files, and from objects that make batches.

Each source in a process of its own, in turns: seconds an epoch of `fit`, and of the processors, which others
that are busy do not change; the most anonymous memory
(RssAnon, sampled) above what the process had when it had imported what it needs; and the weights at the
end, which must be the same where the order of samples is. Memory that maps a file is not anonymous: it is
the system's to take back.
"""

import hashlib
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks import stored
from benchmarks.machine import cores
from benchmarks.peers import SOURCES
from benchmarks.pool import PeerError, Pool, Process, machine_limits, spread
from benchmarks.results import Results, limits_line, parser, pythons

# set: (images, fewer of them if quick, the sources that give it)
SETS = {
    "in batches": (
        4096,
        1024,
        ["cconv-array", "cconv-generator", "cconv-sequence", "torch-loader", "cconv-folder"],
    ),
    "on disk": (30720, 2048, ["cconv-array", "cconv-memmap", "cconv-h5py", "cconv-zarr"]),
}
MODES = ("ordered", "shuffled", "alone")
INTERVAL = 0.005  # seconds between two looks at a process' memory


def anonymous(process: int) -> int:
    """Return the bytes of anonymous memory that a process has resident."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not say how much memory is anonymous")


class Watch:
    """The most anonymous memory of a process while a ``with`` block runs, above what it had before."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._base = self._most = anonymous(process)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    @property
    def above(self) -> int:
        """Bytes."""
        return self._most - self._base

    def _look(self) -> None:
        while not self._over.wait(INTERVAL):
            self._most = max(self._most, anonymous(self._process))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _weights(process: Process, task: dict[str, Any], folder: Path) -> dict[str, str]:
    """Return a digest of the weights that a source's training ends with, for each order."""
    path = folder / f"{process.name}.npz"
    process.ask("results", task=task, path=str(path))
    found: dict[str, Any] = {}
    with np.load(path) as arrays:
        for name in sorted(arrays):
            digest = found.setdefault(name.rstrip("0123456789"), hashlib.sha256())
            digest.update(arrays[name].tobytes())
    return {mode: digest.hexdigest()[:16] for mode, digest in found.items()}


def processors(process: int) -> float:
    """Return the seconds that all of a process' threads have computed."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _turns(opened: dict[str, Any], rounds: int) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Return the seconds of each epoch, and those of the processors, by source and mode, taken in turns."""
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for mode in MODES:
            for source, (process, answer) in opened.items():
                if mode in answer["modes"]:
                    before = processors(process.number)
                    (seconds,) = process.ask("turn", mode=mode, seconds=0, least=1, before=False)
                    spent = processors(process.number) - before
                    times.setdefault((source, mode), []).append((seconds, spent))
    return times


def _measure(
    pool: Pool, results: Results, name: str, n: int, names: list[str], folder: Path, rounds: int
) -> None:
    """Measure one set with all its sources, print and keep the figures."""
    paths = stored.write_set(folder / name.replace(" ", "_"), n)
    for source in names:
        if (kind := SOURCES[source].setting) in stored.WRITERS:
            stored.WRITERS[kind](paths)
    task = {"kind": "epochs", "title": name, "warm_up": 1, "folder": str(paths.root)}
    opened, found = {}, {}
    for source in names:
        process = pool.worker(source, cores(), "float32")
        if process is None:
            continue
        try:
            with Watch(process.number) as watch:
                answer = process.ask("open", task=task)
            found[source] = {"memory": watch.above, "weights": _weights(process, task, folder)}
            opened[source] = process, answer
        except PeerError as error:
            pool.fail(source, name, error)
    for (source, mode), turns in _turns(opened, rounds).items():
        found[source][mode] = {
            kind: spread(list(seconds))
            for kind, seconds in zip(("wall", "cpu"), zip(*turns, strict=True), strict=True)
        }
    row = {"set": name, "images": n, "bytes": int(np.prod(paths.shape)), "threads": cores()}
    found_limits = machine_limits(pool, cores(), "float32")
    results.add(**row, limits=found_limits, peers=found)
    print(f"{name}: {n} images, {row['bytes'] / 2**20:.0f} MiB; {limits_line(found_limits)}")
    for source, entry in found.items():
        shown = ", ".join(
            f"{mode} {entry[mode]['wall']['median']:.3f} s ({entry[mode]['cpu']['median']:.3f})"
            for mode in MODES
            if mode in entry
        )
        print(
            f"  {SOURCES[source].title:<28} {shown}; {entry['memory'] / 2**20:.0f} MiB; {entry['weights']}",
            flush=True,
        )
    results.write()
    pool.close()
    shutil.rmtree(paths.root)


def main() -> None:
    arguments = parser("sources", __doc__.splitlines()[0])
    arguments.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS), help="only these")
    arguments.add_argument("--rounds", type=int, help="turns of each source and mode (3, or 1 if quick)")
    arguments.add_argument(
        "--folder", type=Path, help="where 5 GB may be written for a while; default the system's"
    )
    given = arguments.parse_args()
    with (
        Pool(list(SOURCES), pythons(given, arguments)) as pool,
        tempfile.TemporaryDirectory(dir=given.folder) as folder,
    ):
        results = Results("sources", given, pool)
        for name in given.sets:
            many, few, sources = SETS[name]
            rounds = given.rounds or (1 if given.quick else 3)
            _measure(pool, results, name, few if given.quick else many, sources, Path(folder), rounds)
        results.finish()


if __name__ == "__main__":
    main()
