"""The process that one peer is measured in: it reads commands, one JSON line each, and answers likewise.

Started by `pool.py`. Commands: ``open`` (make the steps of a task and warm them up), ``turn`` (do one of
them for a while and return the times), ``details`` (the same, and what the module finds inside them),
``results`` (save what a convolution computes), ``algorithms``, ``memory``.
"""

import gc
import importlib
import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path

import numpy as np

WARM_UP = 2  # steps: the first compiles, allocates and touches pages
MOST_STEPS = 2000  # of one turn


def _peak_bytes() -> int:
    """Return the most memory that this process ever had resident."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _huge_share() -> float | None:
    """Return how much of this process' own memory lies in huge pages, or None if the system does not say."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
    own = sizes.get("Anonymous", 0)
    return round(sizes.get("AnonHugePages", 0) / own, 3) if own else None


class Worker:
    """One peer, set up once; its tasks come one after another."""

    def __init__(self, peer: dict, threads: int, dtype: str) -> None:
        self.module = importlib.import_module(f"benchmarks.peers.{peer['module']}")
        self.versions = self.module.prepare(peer["setting"], threads, dtype)
        self.steps: dict = {}

    def open(self, task: dict) -> dict:
        """Make the steps of a task, forget those of the one before, and warm up those that will be timed."""
        self.steps = {}
        gc.collect()
        steps = getattr(self.module, task["kind"])(task)
        self.steps = {mode: steps[mode] for mode in task.get("modes") or steps if mode in steps}
        for step in self.steps.values():
            for _ in range(task.get("warm_up", WARM_UP)):
                step()
        work = self.module.work() if hasattr(self.module, "work") else {}
        return {"modes": list(self.steps), "work": work, "huge": _huge_share()}

    def turn(self, mode: str, seconds: float, least: int, before: bool = True) -> list[float]:
        """Return the times of the steps that fit into so many seconds, but at least so many.

        An untimed step before them brings back the caches that others have emptied, if they are to be.
        """
        step = self.steps[mode]
        times: list[float] = []
        if before:
            step()
        end = time.perf_counter() + seconds
        while len(times) < least or (time.perf_counter() < end and len(times) < MOST_STEPS):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        return times

    def details(self, mode: str, seconds: float, least: int) -> object:
        """Return what the module finds inside the steps of a mode, which it does as `turn` does."""
        return self.module.details(mode, seconds, least)

    def results(self, task: dict, path: str) -> None:
        """Save what a convolution computes as .npz."""
        np.savez(path, **self.module.results(task))

    def algorithms(self) -> list[str]:
        """Return the names of the algorithms that a convolution can be told to use."""
        return self.module.algorithms()

    def memory(self) -> int:
        """Return the peak resident memory so far, in bytes."""
        return _peak_bytes()


def main(setting: dict) -> None:
    # Libraries print: only this module may write where the answers go.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**value: object) -> None:
        print(json.dumps(value), file=answers, flush=True)

    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: setting["threads"]])
        worker = Worker(setting["peer"], setting["threads"], setting["dtype"])
    except ImportError as error:
        return answer(missing=str(error))
    except Exception as error:
        traceback.print_exc()
        return answer(error=f"{type(error).__name__}: {error}")
    answer(result=worker.versions)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer(result=getattr(worker, command.pop("command"))(**command))
        except Exception as error:
            traceback.print_exc()
            answer(
                error=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
            )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
