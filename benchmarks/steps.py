"""How long each step of cconv's networks takes, beside the floor that the machine's limits set it.

A step's kernel calls are timed one by one, as they are repeated from a recorded batch; the machine's limits
are measured in turns with them. A second process does the same calls on one thread, and notes the tasks that
their loops are cut into: from these benchmarks/thread_model.py says what more threads would bring.
"""

import json
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import graphs, models
from benchmarks.machine import HANDOFFS, cores
from benchmarks.models import task_of
from benchmarks.networks import NETWORKS
from benchmarks.pool import Pool, Process, limits, spread
from benchmarks.results import Results, limits_line, parser, pythons

Task = models.Task

TASKS: list[Task] = [*models.TASKS, *graphs.TASKS]
DIGITS = 4  # of seconds
FEWEST, LONG = 2, 12.0  # rounds that a network has at least; seconds after which it has no more of them
COLUMNS = ("name", "kind", "direction", "flops", "nbytes", "seconds", "calls")
CUT = ("serial", "regions", "barriers", "tasks")  # those of the process that counts tasks


def rounded(value: float) -> float:
    """Return a figure without the digits that say nothing."""
    return float(f"{value:.{DIGITS}g}")


def columns(steps: list[dict[str, Any]], cut: list[dict[str, Any]]) -> dict[str, list]:
    """Return the steps as columns, with how each is cut into tasks: its loops' tasks and seconds."""
    of = {(step["direction"], step["number"]): step for step in cut}
    found: dict[str, list] = {name: [step[name] for step in steps] for name in COLUMNS}
    found["seconds"] = [rounded(seconds) for seconds in found["seconds"]]
    if cut:
        twins = [of[step["direction"], step["number"]] for step in steps]
        found |= {name: [twin[name] for twin in twins] for name in CUT}
        found["serial"] = [rounded(seconds) for seconds in found["serial"]]
        found["tasks"] = [[[count, rounded(taken)] for count, taken in loops] for loops in found["tasks"]]
    return found


def team_of(pool: Pool, rounds: int, seconds: float) -> dict[str, float]:
    """Return the seconds in which two threads hand over a word, and by which a team lengthens a call."""
    process = pool.worker("machine", 2, "float32")
    if process is None:
        raise SystemExit(f"the machine's limits cannot be measured: {pool.missing.get('machine')}")
    process.ask("open", task={"kind": "network", "modes": ["handoff"]})
    times = [
        taken
        for _ in range(rounds)
        for taken in process.ask("turn", mode="handoff", seconds=seconds, least=2)
    ]
    opened = pool.open(["cconv-steps"], 2, "float32", {"kind": "team"})
    calls = pool.measure(opened, rounds, seconds)
    alone, team = (spread(calls["cconv-steps", mode])["median"] for mode in ("alone", "team"))
    # Two tasks: the team does them side by side.
    return {"handoff": spread(times)["median"] / (2 * HANDOFFS), "team": max(team - alone / 2, 0.0)}


def over_rounds(rounds: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the steps with the medians of what the rounds found."""
    return [
        entries[0] | {"seconds": median(entry["seconds"] for entry in entries)}
        for entries in zip(*rounds, strict=True)
    ]


def _inside(process: Process, mode: str, seconds: float) -> dict[str, Any]:
    return process.ask("details", mode=mode, seconds=seconds, least=2)


def _measure(pool: Pool, results: Results, chosen: Task, threads: int, timing: tuple[int, float]) -> None:
    """Look into the steps of one network; print and keep the figures."""
    network, batch, modes, kind = chosen
    task, (rounds, seconds) = task_of(network, batch, modes), timing
    print(task["title"], flush=True)
    opened = pool.open(["machine", "cconv-steps"], threads, "float32", task)
    single = pool.open(["cconv-steps"], 1, "float32", task) if threads > 1 else {}
    times: dict[tuple[str, str], list[float]] = {}
    alone: dict[tuple[str, str], list[float]] = {}
    inside: dict[str, list[dict[str, Any]]] = {mode: [] for mode in modes}
    begin = time.monotonic()
    for turn in range(rounds):
        if turn >= FEWEST and time.monotonic() - begin > LONG:
            break
        for workers, taken in ((opened, times), (single, alone)):
            for key, more in pool.measure(workers, 1, seconds).items():
                taken.setdefault(key, []).extend(more)
        for mode in modes:
            inside[mode].append(_inside(opened["cconv-steps"][0], mode, seconds))
    counting = pool.open(["cconv-tasks"], 1, "float32", task)
    found = limits(times, opened["machine"][1]["work"])
    print(f"  {limits_line(found)}")
    for mode in modes:
        steps = over_rounds([turn["steps"] for turn in inside[mode]])
        python = median(turn["python"] for turn in inside[mode])
        cut = _inside(counting["cconv-tasks"][0], mode, seconds)["steps"] if counting else []
        whole = {str(threads): spread(times["cconv-steps", mode])}
        if ("cconv-steps", mode) in alone:
            whole["1"] = spread(alone["cconv-steps", mode])
        row = {"network": network, "batch": batch, "mode": mode, "kind": kind, "threads": threads}
        parts = {"python": rounded(python), "steps": columns(steps, cut)}
        results.add(**row, dtype="float32", limits=found, whole=whole, **parts)
        found_in = sum(step["seconds"] for step in steps)
        shown = (
            f"{whole[str(threads)]['median'] * 1e3:.3f} ms, {found_in * 1e3:.3f} of it in {len(steps)} steps"
        )
        print(f"  {mode:<8} {shown}", flush=True)
    results.write()


def kept(path: Path | None, chosen: list[Task]) -> list[dict[str, Any]]:
    """Return the rows of a file but those of these tasks."""
    if path is None or not path.exists():
        return []
    again = {task[:2] for task in chosen}
    return [
        row for row in json.loads(path.read_text())["rows"] if (row["network"], row["batch"]) not in again
    ]


def place_of(row: dict[str, Any]) -> int:
    """Return the place of a row's task among all."""
    return [task[:2] for task in TASKS].index((row["network"], row["batch"]))


def main() -> None:
    arguments = parser("steps", __doc__.splitlines()[0])
    arguments.add_argument(
        "--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="only these"
    )
    arguments.add_argument("--batches", nargs="+", type=int, help="only these")
    arguments.add_argument("--threads", type=int, default=cores())
    arguments.add_argument(
        "--add", action="store_true", help="keep the rows of the file that are not measured anew"
    )
    arguments.add_argument("--note", default="", help="what the page is to say of this measurement")
    given = arguments.parse_args()
    timing = (2, 0.05) if given.quick else (3, 0.15)
    chosen = [
        task
        for task in TASKS
        if task[0] in given.networks and (given.batches is None or task[1] in given.batches)
    ]
    with Pool(["machine", "cconv-steps", "cconv-tasks"], pythons(given, arguments)) as pool:
        results = Results("steps", given, pool)
        results.data["note"] = given.note
        results.data["team"] = team_of(pool, *timing)
        print(", ".join(f"{name} {value * 1e6:.2f} µs" for name, value in results.data["team"].items()))
        results.data["rows"] = kept(results.path, chosen) if given.add else []
        for task in chosen:
            _measure(pool, results, task, given.threads, timing)
            pool.close(but=["machine"])  # large networks do not fit beside one another
        results.data["rows"].sort(key=place_of)
        results.finish()


if __name__ == "__main__":
    main()
