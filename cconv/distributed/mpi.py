"""Processes that train one model together: MPI through mpi4py, which the extra ``cconv[mpi]`` installs.

Arrays of the ranks are added in the same binary tree as shards (`cconv.ops.shards`). MPI's own reductions
are not used: the order of their sums depends on the number of ranks, and on the library.
"""

import atexit
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NoReturn

import numpy as np

__all__ = ["MPI"]

# Seconds that an error waits for rank 0 to report the same one.
PATIENCE = 0.5
# Seconds between two looks of a rank that has ended at what the others do.
LOOK = 0.01
# The tag of "I begin to train": the largest that every MPI allows. Sums have the numbers from 0 on.
BEGIN = 32767
# Whether what runs here is within a training with other ranks.
_together: ContextVar[bool] = ContextVar("together", default=False)


class MPI:
    """The ranks of an MPI job, for ``fit(…, shards=8, distributed=MPI())``.

    If a rank raises an error that nobody catches, or ends while another one trains, the job ends: the error
    is printed once, all ranks end. Ctrl-C on any rank raises KeyboardInterrupt on all, after the same step.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm, optional
        The ranks that train together; by default all ranks of the job.

    Attributes
    ----------
    rank, size : int
        The number of this process; the number of all.
    interrupted : bool
        Whether the last training ended, on all ranks, by Ctrl-C.

    Raises
    ------
    ImportError
        If mpi4py is missing, or an MPI library that it can load.
    TypeError
        If `comm` is not a communicator.
    RuntimeError
        If `comm` has several ranks, in a callback of a training with other ranks, which rank 0 alone calls.

    Examples
    --------
    Run by ``mpiexec -n 4 python train.py``; every rank makes the same model and opens the same data.

    >>> ranks = MPI()  # doctest: +SKIP
    >>> model.fit(x, y, batch_size=256, shards=8, distributed=ranks)  # doctest: +SKIP
    >>> if ranks.rank == 0:  # doctest: +SKIP
    ...     model.save("model.safetensors")
    """

    def __init__(self, comm: Any = None) -> None:
        try:
            from mpi4py import MPI as library
        except (ImportError, RuntimeError) as error:
            raise ImportError(
                f"distributed.MPI needs mpi4py and an MPI library: pip install 'cconv[mpi]' ({error})"
            ) from error
        if comm is not None and not isinstance(comm, library.Intracomm):
            raise TypeError(f"distributed.MPI: comm must be an mpi4py.MPI.Intracomm, got {comm!r}")
        self._library: Any = library
        comm = library.COMM_WORLD if comm is None else comm
        _not_inside("distributed.MPI", comm.size)
        self._comm: Any = comm.Dup()
        self.rank: int = self._comm.rank
        self.size: int = self._comm.size
        self._sums: list[_Sum] = []
        self._memory: dict[Any, np.ndarray] = {}
        self.interrupted: bool = False
        if self.size > 1:
            sys.excepthook = lambda _kind, error, _trace: self.end(error)
            atexit.register(self._leave)

    # --- communication ------------------------------------------------------------------------

    def broadcast(self, value: Any) -> Any:
        """Return the value that rank 0 passes here."""
        return self._comm.bcast(value)

    def each(self, value: Any) -> list[Any]:
        """Return the values that all ranks pass here, in the order of the ranks."""
        return self._comm.allgather(value)

    def notes(self, numbers: Sequence[float]) -> np.ndarray:
        """Return (ranks, n): the n numbers that each rank passes here, in the order of the ranks."""
        found = np.empty((self.size, len(numbers)))
        self._comm.Allgather(np.array(numbers, np.float64), found)
        return found

    def neighbours(self, value: Any) -> list[Any]:
        """Return what the ranks of this machine give here."""
        machine = self._comm.Split_type(self._library.COMM_TYPE_SHARED)
        found: list[Any] = machine.allgather(value)
        machine.Free()
        return found

    def gather(self, whole: np.ndarray) -> None:
        """Fill whole (S, …): each rank has written one part, in the order of ranks, all of one size."""
        self._comm.Allgather(self._library.IN_PLACE, whole)

    def gather_rows(self, own: np.ndarray, bounds: Sequence[int]) -> np.ndarray:
        """Return the rows of all ranks; rank r has rows ``bounds[r]`` to ``bounds[r + 1]``."""
        whole = np.empty((bounds[-1], *own.shape[1:]), own.dtype)
        each = whole[0].size
        counts = np.diff(bounds) * each
        mine = np.ascontiguousarray(own)[: bounds[self.rank + 1] - bounds[self.rank]]
        self._comm.Allgatherv(mine, (whole, counts))
        return whole

    def agree(self, where: str, told: Mapping[str, Any]) -> None:
        """Refuse values that differ between ranks.

        Raises
        ------
        ValueError
            On every rank; it names what differs, and the value of each rank.
        """
        given = self.each(dict(told))
        for name in told:
            values = [each[name] for each in given]
            if any(value != values[0] for value in values):
                raise ValueError(f"{where}: {name} must be the same on all ranks, got {values}")

    # --- sums ---------------------------------------------------------------------------------

    def begin_sum(self, array: np.ndarray, bounds: tuple[int, ...]) -> None:
        """Begin to add array (n,) of all ranks in place; after `end_sums` all ranks have the sum.

        `bounds` holds the first sample of each rank's part, then the number of samples. A rank without
        samples adds nothing. Earlier sums go on meanwhile. Every rank must begin the same sums in the same
        order.
        """
        self._sums.append(_Sum(self, array, bounds, len(self._sums)))
        for each in self._sums:
            each.go_on(wait=False)

    def end_sums(self) -> None:
        """Wait for all sums that were begun."""
        sums, self._sums = self._sums, []
        for each in sums:
            each.go_on(wait=True)

    def _room(self, number: int, like: np.ndarray) -> np.ndarray:
        """Return memory for what sum `number` receives."""
        key = number, like.dtype
        if key not in self._memory or len(self._memory[key]) < len(like):
            self._memory[key] = np.empty(len(like), like.dtype)
        return self._memory[key][: len(like)]

    # --- the end ------------------------------------------------------------------------------

    def end(self, error: BaseException, line: str | None = None) -> NoReturn:
        """End the job on all ranks, and print this error, or this line about it, to stderr."""
        with suppress(ValueError):  # not the thread that hears signals
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self.rank:  # if all ranks have the same error, rank 0 reports it
            time.sleep(PATIENCE)
        if line is None and isinstance(error, KeyboardInterrupt):
            line = f"interrupted{error}"
        elif line is None:
            import traceback

            traceback.print_exception(error)
            line = f"{type(error).__name__}: {error}"
        told = f"cconv: rank {self.rank} of {self.size} has ended the job: {line}"
        print(told, file=sys.stderr, flush=True)
        self._comm.Abort(1)
        raise SystemExit(1)

    @contextmanager
    def together(self) -> Iterator[None]:
        """End the job on all ranks if something is raised in the ``with`` block, but for `agreed`."""
        _not_inside("fit", self.size)
        self.interrupted = False
        within = _together.set(_together.get() or self.size > 1)
        try:
            self._meet()
            yield
        except BaseException as error:
            if self.size > 1 and not self.interrupted:
                self.end(error)
            raise
        finally:
            _together.reset(within)

    def agreed(self) -> KeyboardInterrupt:
        """Return what all ranks raise now, so that none of them must end the others."""
        self.interrupted = True
        return KeyboardInterrupt()

    def _meet(self) -> None:
        """Wait until all ranks are here; a rank that has ended is told that others wait for it."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        told = [self._comm.isend(None, rank, BEGIN) for rank in others]
        for rank in others:
            self._comm.recv(source=rank, tag=BEGIN)
        self._library.Request.waitall(told)

    def _leave(self) -> None:
        """Wait, at the end of this process, for the others' ends; end the job if one waits for this rank."""
        if self._library.Is_finalized():
            return
        try:
            ended = self._comm.Ibarrier()
            while not ended.Test():
                if self._comm.iprobe(tag=BEGIN):
                    self.end(SystemExit(), "it has ended, and another rank begins to train")
                time.sleep(LOOK)
        except KeyboardInterrupt as interrupt:
            self.end(interrupt)


def _not_inside(where: str, size: int) -> None:
    """Refuse what `size` ranks must do together where rank 0 is alone: it would wait for ever."""
    if size > 1 and _together.get():
        raise RuntimeError(
            f"{where}: this process is in a training with other ranks, whose callbacks only rank 0 calls; "
            "train there without distributed=, or after the training"
        )


class _Sum:
    """An array that is added up by recursive halving: each rank gets a part of the sum, then all of it.

    In round k a rank works with the rank whose number differs in bit k. Each has the sums of 2ᵏ ranks. Of
    what both have, each keeps one half and sends the other. So the sums of neighbours are added first, then
    those of pairs of neighbours: a binary tree, the same for each element.
    """

    def __init__(self, ranks: MPI, array: np.ndarray, bounds: tuple[int, ...], number: int) -> None:
        self._ranks, self._array, self._bounds, self._number = ranks, array, bounds, number
        self._requests: list[Any] = []
        self._rounds = self._halving()
        self._done = False

    def go_on(self, wait: bool) -> None:
        """Do what is possible now; if `wait`, do all."""
        request = self._ranks._library.Request
        while not self._done:
            if wait:
                request.Waitall(self._requests)
            elif not request.Testall(self._requests):
                return
            self._done = next(self._rounds, None) is None

    def _exchange(self, partner: int, given: np.ndarray, room: np.ndarray) -> None:
        comm = self._ranks._comm
        self._requests = [
            comm.Irecv(room, source=partner, tag=self._number),
            comm.Isend(given, dest=partner, tag=self._number),
        ]

    def _halving(self) -> Iterator[bool]:
        """Do round after round; yield where messages must have arrived."""
        rank, array = self._ranks.rank, self._array
        part, wholes = slice(0, len(array)), []
        for bit in range(self._ranks.size.bit_length() - 1):
            partner = rank ^ (1 << bit)
            middle = (part.start + part.stop) // 2
            halves = slice(part.start, middle), slice(middle, part.stop)
            mine, other = halves if rank < partner else halves[::-1]
            room = self._ranks._room(self._number, array[mine])
            self._exchange(partner, array[other], room)
            yield True
            if not self._has_samples(rank, bit):
                array[mine] = room
            elif self._has_samples(partner, bit):
                np.add(array[mine], room, out=array[mine])
            wholes.append((partner, other))
            part = mine
        for partner, other in reversed(wholes):
            self._exchange(partner, array[part], array[other])
            yield True
            part = slice(min(part.start, other.start), max(part.stop, other.stop))

    def _has_samples(self, rank: int, bit: int) -> bool:
        """Whether the ranks that are summed on `rank` before round `bit` have samples."""
        first = rank >> bit << bit
        return self._bounds[first] < self._bounds[first + (1 << bit)]
