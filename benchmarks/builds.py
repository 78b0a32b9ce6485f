"""Networks with two builds of cconv, in turns: what a change, or another compiler, costs.

    python -m benchmarks.builds ../other --names GCC clang

times this checkout beside another one that was built in place. Every pair of times is taken in one turn,
first the one, then the other, and both processes are started anew several times, since where their
memory lies makes a difference of some per cent. With ``--out`` the ratios are kept for the page. With
``--what graphs`` networks with branches are timed in place of layers in a row, with ``--what layers`` single
convolutions and row kernels.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import graphs
from benchmarks.layers import MOVED, ROW_SHAPE, SHAPES, conv_task
from benchmarks.machine import cores, facts
from benchmarks.models import TASKS, task_of
from benchmarks.peers import PEERS

ROOT = Path(__file__).resolve().parents[1]
# Seconds after which the threads of the other process no longer wait for work, which takes a core from
# this one: LLVM's take 0.2.
BLOCK_TIME = 0.3


class Build:
    """A worker process that imports cconv from one checkout, and all else from this one."""

    def __init__(self, checkout: Path, threads: int, folder: str) -> None:
        place = Path(tempfile.mkdtemp(dir=folder))
        (place / "cconv").symlink_to(checkout.resolve() / "cconv", target_is_directory=True)
        environment = {**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{ROOT}"}
        setting = {"peer": asdict(PEERS["cconv"]), "threads": threads, "dtype": "float32"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(setting)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder,
        )  # fmt: skip
        self.read()

    def read(self) -> Any:
        """Return the worker's answer."""
        answer = json.loads(self.process.stdout.readline())
        if "result" not in answer:
            raise SystemExit(str(answer))
        return answer["result"]

    def ask(self, command: str, **arguments: Any) -> Any:
        """Give a command and return what comes of it."""
        self.process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def ratios(
    checkouts: list[Path], task: dict[str, Any], threads: int, starts: int, turns: int, seconds: float
) -> dict[str, list[float]]:
    """Return, for each mode, the times of the second build over those of the first."""
    found: dict[str, list[float]] = {mode: [] for mode in task["modes"]}
    with tempfile.TemporaryDirectory() as folder:
        for start in range(starts):
            builds = [Build(checkout, threads, folder) for checkout in checkouts]
            for build in builds:
                build.ask("open", task=task)
            for turn in range(turns):
                order = builds if (start + turn) % 2 else builds[::-1]
                for mode in task["modes"]:
                    times = {}
                    for build in order:
                        time.sleep(BLOCK_TIME)
                        times[build] = statistics.median(
                            build.ask("turn", mode=mode, seconds=seconds, least=5)
                        )
                    found[mode].append(times[builds[1]] / times[builds[0]])
            for build in builds:
                build.close()
    return found


def tasks_of(what: str) -> list[dict[str, Any]]:
    """Return what the workers are to time: whole networks, or single layers."""
    if what != "layers":
        tasks = graphs.TASKS if what == "graphs" else TASKS
        return [task_of(network, batch, modes) for network, batch, modes, _ in tasks]
    rows = {"kind": "rows", "title": f"rows {ROW_SHAPE}", "shape": ROW_SHAPE, "modes": list(MOVED)}
    return [*map(conv_task, SHAPES), rows]


def main() -> None:
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.builds", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("other", type=Path, help="the other checkout, built in place")
    arguments.add_argument("--names", nargs=2, default=["this", "other"], help="of the two builds")
    arguments.add_argument("--what", choices=["models", "graphs", "layers"], default="models")
    arguments.add_argument("--threads", type=int, default=cores())
    arguments.add_argument("--starts", type=int, default=4, help="of both processes")
    arguments.add_argument("--turns", type=int, default=3, help="after each start")
    arguments.add_argument("--seconds", type=float, default=0.2, help="of each turn")
    arguments.add_argument("--out", type=Path, help="a JSON file for the ratios")
    given = arguments.parse_args()
    rows = []
    print(f"{given.names[1]} over {given.names[0]}, {given.threads} threads: median (quartiles)")
    checkouts = [ROOT, given.other]
    for task in tasks_of(given.what):
        found = ratios(checkouts, task, given.threads, given.starts, given.turns, given.seconds)
        for mode, values in found.items():
            low, middle, high = statistics.quantiles(values, n=4)
            rows.append({"title": task["title"], "mode": mode, "ratio": middle, "low": low, "high": high})
            print(f"{task['title']:<24} {mode:<8} {middle:.3f} ({low:.3f} to {high:.3f})", flush=True)
    if given.out:
        kept = {"names": given.names, "threads": given.threads, "machine": facts(), "rows": rows}
        kept["date"] = datetime.date.today().isoformat()
        given.out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
