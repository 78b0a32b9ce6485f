"""What more threads than a machine has would bring: a model of a step from the tasks that it is cut into.

On T threads a kernel call takes as long as on one for what is not cut into tasks; for a loop of n tasks as
long as the thread that gets most of them, ⌈n / T⌉; and what a team costs: to open it, two transfers of a
cache line for each further thread, which joins and leaves, and as many again at each barrier within. A step
whose arrays come from memory, and not from a cache, takes at least what the triad takes for its bytes on the
threads that were measured: what memory more cores would have is not known here. Between the kernels there is
Python, as on one thread.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MOST = 64  # threads
ENOUGH = 1.05  # times the least time: with more threads nothing is gained


class Team(NamedTuple):
    """Seconds of one further thread that joins and leaves a region, and of opening a region at all."""

    opened: float
    joined: float

    @classmethod
    def of(cls, handoff: float, team: float) -> "Team":
        """Return it from what a word of memory takes to another core, and a region of two threads in all."""
        return cls(max(team - 2 * handoff, 0.0), 2 * handoff)

    def seconds(self, threads: int, regions: int, barriers: int) -> float:
        """Return what the regions of a step cost beside their work."""
        if threads == 1:
            return 0.0
        return regions * self.opened + (regions + barriers) * self.joined * (threads - 1)


@dataclass(frozen=True)
class Cut:
    """A step on one thread: what stays on one, its loops as (tasks, seconds), and what memory sets."""

    serial: float
    loops: tuple[tuple[int, float], ...]
    regions: int = 0
    barriers: int = 0
    memory: float = 0.0  # seconds that no number of threads goes below

    def tasks(self, threads: int) -> float:
        """Return the seconds of its loops."""
        return sum(taken * math.ceil(count / threads) / count for count, taken in self.loops)


class Share(NamedTuple):
    """Seconds of a network's step, by what they go to."""

    python: float  # and what kernels do not cut into tasks
    tasks: float
    teams: float
    memory: float  # waited for, beyond the others

    @property
    def whole(self) -> float:
        return sum(self)


def share(cuts: Iterable[Cut], python: float, threads: int, team: Team) -> Share:
    """Return what a step of a network takes on so many threads."""
    serial, tasks, teams, memory = python, 0.0, 0.0, 0.0
    for cut in cuts:
        of_tasks, of_teams = cut.tasks(threads), team.seconds(threads, cut.regions, cut.barriers)
        memory += max(cut.memory - (cut.serial + of_tasks + of_teams), 0.0)
        serial, tasks, teams = serial + cut.serial, tasks + of_tasks, teams + of_teams
    return Share(serial, tasks, teams, memory)


def stops_at(cuts: Sequence[Cut], python: float, team: Team) -> int:
    """Return the fewest threads that are nearly as fast as any number up to `MOST`."""
    seconds = [share(cuts, python, threads, team).whole for threads in range(1, MOST + 1)]
    return next(n for n, taken in enumerate(seconds, start=1) if taken <= ENOUGH * min(seconds))


def cuts_of(row: dict[str, Any]) -> tuple[list[Cut], float]:
    """Return the cuts of a row of results, and the seconds of Python, which are no step's."""
    steps, triad = row["steps"], row["limits"]["triad"]["median"]
    cuts = []
    for nbytes, seconds, serial, regions, barriers, loops in zip(
        *(steps[name] for name in ("nbytes", "seconds", "serial", "regions", "barriers", "tasks")),
        strict=True,
    ):
        # Where a step was faster than memory, caches have given what it reads.
        memory = nbytes / triad if nbytes / triad <= seconds else 0.0
        cuts.append(Cut(serial, tuple((count, taken) for count, taken in loops), regions, barriers, memory))
    return cuts, row["python"]
