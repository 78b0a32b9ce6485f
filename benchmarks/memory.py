"""Peak resident memory of a training, each network and framework in a fresh process.

The peak is the kernel's own count for the process (VmHWM) after some steps, data included; beside it
stands what the process had already used when the framework was imported and nothing else done.
"""

from benchmarks.machine import cores
from benchmarks.models import TASKS, task_of
from benchmarks.peers import FRAMEWORKS, PEERS
from benchmarks.pool import PeerError, PeerMissing, Pool, machine_limits
from benchmarks.results import Results, limits_line, parser, pythons

STEPS = 5  # after the two that warm up


def _peak(pool: Pool, name: str, task: dict) -> dict[str, int] | None:
    """Return bytes after the import and after training, or None if the peer cannot."""
    process = None
    try:
        process = pool.start(name, cores(), "float32")
        pool.versions |= process.versions
        imported = process.ask("memory")
        process.ask("open", task=task)
        process.ask("turn", mode="train", seconds=0, least=STEPS)
        return {"imported": imported, "peak": process.ask("memory")}
    except PeerMissing as error:
        pool.missing[name] = str(error)
    except PeerError as error:
        pool.fail(name, task["title"], error)
    finally:
        if process is not None:
            process.close()
    return None


def main() -> None:
    arguments = parser("memory", __doc__.splitlines()[0])
    trainers = [name for name in FRAMEWORKS if PEERS[name].training]
    arguments.add_argument("--peers", nargs="+", choices=trainers, default=trainers)
    given = arguments.parse_args()
    tasks = [task for task in TASKS if "train" in task[2]]
    with Pool(given.peers, pythons(given, arguments)) as pool:
        results = Results("memory", given, pool)
        limits = machine_limits(pool, cores(), "float32")
        print(limits_line(limits))
        for network, batch, _, kind in tasks[1:2] if given.quick else tasks:
            task = task_of(network, batch, ["train"])
            found = {name: _peak(pool, name, task) for name in given.peers if name not in pool.missing}
            peaks = {name: entry for name, entry in found.items() if entry is not None}
            row = {"network": network, "batch": batch, "kind": kind, "threads": cores()}
            results.add(**row, limits=limits, peers=peaks)
            shown = ", ".join(f"{name} {entry['peak'] / 2**20:.0f}" for name, entry in peaks.items())
            print(f"{task['title']}: MiB {shown}", flush=True)
            results.write()
        results.finish()


if __name__ == "__main__":
    main()
