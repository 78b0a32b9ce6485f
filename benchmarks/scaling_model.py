"""What a training on many ranks takes: a model of its step, checked against the ranks that there are here.

A step takes what one rank computes, and what ranks exchange. A message takes ``latency + software + bytes /
bandwidth``; a gradient of n bytes is added over R ranks by recursive halving and doubling
(`cconv.distributed.MPI`): log₂R rounds of n/2, n/4, … bytes with an addition each, and as many back. The sums
of batch normalisation, and the outputs, are gathered by recursive doubling. Of the gradients' way between
nothing and as much as the backward pass takes is hidden behind that: the model gives both ends.

    python -m benchmarks.scaling_model                ranks on this machine, then up to 1,024
    python -m benchmarks.scaling_model --rate 1gbit   each rank behind a link of its own

The second needs root: each rank has a network namespace, whose link `tc` slows down. ``--delay 1ms`` needs a
kernel with netem. What is measured is taken in turns, on a machine that does nothing else.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.machine import cores
from cconv import functional, set_num_threads
from cconv.applications import LeNet5, ResNet20
from cconv.callbacks import Callback
from cconv.distributed import MPI

NETWORKS = {"lenet5": (LeNet5, (28, 28, 1), 256), "resnet20": (ResNet20, (32, 32, 3), 128)}
SHARDS = 8
BACKWARD = 2 / 3  # of the time that depends on the samples
# Links to predict for: seconds, and bytes a second.
LINKS = {"10 Gbit/s Ethernet": (30e-6, 1.1e9), "100 Gbit/s InfiniBand": (2e-6, 11e9)}


# --- the model --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Link:
    """A message of n bytes, while one comes back, takes ``latency + software + n / bandwidth`` seconds."""

    latency: float
    bandwidth: float
    note: float = 0.0  # seconds in which two ranks tell each other some numbers; 0: two messages
    addition: float = 4e9  # bytes a second that are added to others
    software: float = 0.0  # seconds that Python and the MPI library take for a message of a sum

    def message(self, nbytes: float) -> float:
        return self.latency + self.software + nbytes / self.bandwidth


@dataclass(frozen=True)
class Messages:
    """What a step exchanges, in bytes."""

    sums: tuple[int, ...]  # gradients, each added over all ranks
    gathered: tuple[int, ...]  # sums of batch normalisation, of which each rank has a part
    outputs: int  # of the whole batch, of which each rank has a part
    notes: int  # in which all ranks tell each other some numbers


@dataclass(frozen=True)
class Compute:
    """A step of a rank takes ``fixed + each * n`` seconds for its n samples, and `loss` for one of another.

    All ranks compute the loss of the whole batch.
    """

    fixed: float
    each: float
    loss: float = 0.0

    def seconds(self, samples: float, others: float = 0.0) -> float:
        return self.fixed + self.each * samples + self.loss * others


def rounds_of(ranks: int) -> int:
    return ranks.bit_length() - 1


def sum_seconds(nbytes: int, ranks: int, link: Link) -> float:
    """Return what recursive halving and doubling take."""
    parts = [nbytes / 2**round_ for round_ in range(1, rounds_of(ranks) + 1)]
    return sum(2 * link.message(part) + part / link.addition for part in parts)


def gather_seconds(nbytes: int, ranks: int, link: Link) -> float:
    """Return what recursive doubling of `nbytes` in all takes."""
    return sum(link.message(nbytes / 2**round_) for round_ in range(1, rounds_of(ranks) + 1))


def step_seconds(
    ranks: int, batch: int, compute: Compute, messages: Messages, link: Link, processors: int | None = None
) -> tuple[float, float]:
    """Return the seconds of a step: with as much hidden as can be, and with nothing.

    `processors` are those that all ranks share; None where each has one of its own.
    """
    crowd = max(1.0, ranks / processors) if processors else 1.0
    own = compute.seconds(batch / ranks, batch - batch / ranks) * crowd
    sums = sum(sum_seconds(nbytes, ranks, link) for nbytes in messages.sums)
    # What is gathered goes around whole: the figures are those of the whole batch.
    waited = sum(gather_seconds(nbytes, ranks, link) for nbytes in (*messages.gathered, messages.outputs))
    waited += messages.notes * rounds_of(ranks) * (link.note or 2 * link.latency)
    last = sum_seconds(messages.sums[-1], ranks, link) if messages.sums else 0.0
    backward = BACKWARD * compute.each * batch / ranks * crowd
    return own + waited + max(last, sums - backward), own + waited + sums


# --- what a step exchanges --------------------------------------------------------------------


class Counted(MPI):
    """Stands for one of two ranks, and writes down what would be sent."""

    def __init__(self) -> None:
        self.rank, self.size = 0, 2
        self.forget()

    def forget(self) -> None:
        self.sums: list[int] = []
        self.gathered: list[int] = []
        self.outputs = self.notes_told = 0

    def broadcast(self, value: Any) -> Any:
        return value

    def notes(self, numbers: Sequence[float]) -> np.ndarray:
        self.notes_told += 1
        return np.tile(np.array(numbers, np.float64), (self.size, 1))

    def each(self, value: Any) -> list[Any]:
        return [value] * self.size

    def gather(self, whole: np.ndarray) -> None:
        half = len(whole) // 2
        whole[half:] = whole[:half]  # the other rank's are as large
        self.gathered.append(whole.nbytes)

    def gather_rows(self, own: np.ndarray, bounds: Sequence[int]) -> np.ndarray:
        whole = np.zeros((bounds[-1], *own.shape[1:]), own.dtype)
        whole[: bounds[1]] = own[: bounds[1]]
        self.outputs += whole.nbytes
        return whole

    def begin_sum(self, array: np.ndarray, bounds: tuple[int, ...]) -> None:
        self.sums.append(array.nbytes)

    def end_sums(self) -> None:
        pass

    def together(self) -> Any:
        return nullcontext()


def network(name: str) -> tuple[Any, int]:
    """Return a model, and its batch."""
    make, shape, batch = NETWORKS[name]
    model = make(input_shape=shape, classes=10, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, batch


def data(model: Any, samples: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((samples, *model.input_shape[1:]), np.float32), rng.integers(0, 10, samples)


def messages_of(name: str, batch: int) -> Messages:
    """Return what a step of a network exchanges."""
    model, _ = network(name)
    ranks = Counted()
    found = []

    class Notes(Callback):
        def on_train_batch_begin(self, number: int, logs: Any = None) -> None:
            found.append(Messages(tuple(ranks.sums), tuple(ranks.gathered), ranks.outputs, ranks.notes_told))
            ranks.forget()

    x, y = data(model, 3 * batch)
    model.fit(x, y, batch_size=batch, verbose=0, shards=SHARDS, distributed=ranks, callbacks=[Notes()])
    return found[-1]  # from the beginning of one step to that of the next


# --- what is measured -------------------------------------------------------------------------


class Times(Callback):
    """The seconds of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_end(self, number: int, logs: Any = None) -> None:
        now = time.perf_counter()
        if number:
            self.seconds.append(now - self.last)
        self.last = now


def timed(name: str, batch: int, shards: int, ranks: MPI | None, steps: int) -> list[float]:
    """Return the seconds of steps, on one thread."""
    set_num_threads(1)
    model, _ = network(name)
    x, y = data(model, batch * steps)
    times = Times()
    given = {"batch_size": batch, "shards": shards, "distributed": ranks, "callbacks": [times]}
    model.fit(x, y, epochs=2, shuffle=False, verbose=0, **given)
    # Of rank 0, whose callbacks are called; those of the second epoch.
    return times.seconds[steps - 1 :]


def loss_seconds(rows: int, repeats: int) -> float:
    """Return the seconds that the loss takes for a sample of ten classes."""
    set_num_threads(1)
    rng = np.random.default_rng(0)
    y, labels, found = rng.random((rows, 10), np.float32), rng.integers(0, 10, rows), []
    for _ in range(repeats):
        begin = time.perf_counter()
        functional.softmax_cross_entropy(y, labels)
        found.append(time.perf_counter() - begin)
    return statistics.median(found) / rows


def exchanged(ranks: MPI, repeats: int) -> Link:
    """Return the link between two ranks."""
    comm, request = ranks._comm, ranks._library.Request
    seconds = {}
    sizes = [8, 1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 22]
    for size in sizes:
        given, taken, found = np.zeros(size, np.uint8), np.zeros(size, np.uint8), []
        for _ in range(repeats):
            comm.Barrier()
            begin = time.perf_counter()
            request.Waitall(
                [comm.Irecv(taken, source=1 - ranks.rank), comm.Isend(given, dest=1 - ranks.rank)]
            )
            found.append(time.perf_counter() - begin)
        seconds[size] = statistics.median(found)
    found = []
    for _ in range(repeats):
        comm.Barrier()
        begin = time.perf_counter()
        ranks.notes((0.0, 0.001, 0.0, 0.0))
        comm.Barrier()
        found.append(time.perf_counter() - begin)
    # By least squares of relative errors, since sizes are from bytes to megabytes.
    weights = np.array([1 / seconds[size] for size in sizes])
    columns = np.stack([np.ones(len(sizes)), np.array(sizes, float)], axis=1) * weights[:, None]
    latency, each = np.linalg.lstsq(columns, np.ones(len(sizes)), rcond=None)[0]
    sums, small = [], np.zeros(2, np.float32)
    for _ in range(repeats):
        comm.Barrier()
        begin = time.perf_counter()
        ranks.begin_sum(small, (0, 1, 2))
        ranks.end_sums()
        sums.append(time.perf_counter() - begin)
    # A sum of two ranks is two messages, one after the other.
    software = max(statistics.median(sums) / 2 - float(latency), 0.0)
    note = statistics.median(found)
    return Link(max(float(latency), 1e-7), 1 / max(float(each), 1e-12), note, software=software)


def work(arguments: argparse.Namespace) -> None:
    """Be a rank: measure what is asked for; rank 0 writes it down."""
    ranks = None if arguments.alone else MPI()
    if arguments.work == "link":
        assert ranks is not None
        found: Any = asdict(exchanged(ranks, arguments.repeats))
    else:
        found = timed(arguments.network, arguments.batch, arguments.shards, ranks, arguments.steps)
    if ranks is None or not ranks.rank:
        arguments.out.write_text(json.dumps(found))


# --- ranks, here or behind links --------------------------------------------------------------


@contextmanager
def links(count: int, rate: str | None, delay: str | None) -> Iterator[list[str]]:
    """Yield a network namespace for each rank, with a link of that rate and delay to a bridge."""
    if not (rate or delay):
        yield []
        return
    names = [f"cconv{os.getpid()}n{number}" for number in range(count)]
    bridge = f"cconv{os.getpid()}b"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    try:
        for name in (bridge, *names):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", bridge, "link", "add", "br0", "type", "bridge")
        ip("-n", bridge, "link", "set", "br0", "up")
        for number, name in enumerate(names):
            port = f"p{number}"
            ip("-n", bridge, "link", "add", port, "type", "veth", "peer", "name", "v0", "netns", name)
            ip("-n", bridge, "link", "set", port, "master", "br0", "up")
            ip("-n", name, "addr", "add", f"10.77.0.{number + 1}/24", "dev", "v0")
            ip("-n", name, "link", "set", "v0", "up")
            slow = ["netem", "delay", delay, *(["rate", rate] if rate else [])] if delay else []
            slow = slow or ["tbf", "rate", str(rate), "burst", "16kb", "limit", "4mb"]
            subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", "v0", "root", *slow], check=True)
        yield names
    finally:
        for name in (*names, bridge):
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def run(count: int, inside: Sequence[str], *words: Any) -> Any:
    """Return what rank 0 of so many has measured."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        program = _program(out, words)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        if inside:  # through the links, and not through the memory that the ranks share
            environment |= {"MPIR_CVAR_NOLOCAL": "1", "UCX_TLS": "tcp,self", "FI_PROVIDER": "tcp"}
            command = [str(mpiexec)]
            for name in inside[:count]:
                between = [":"] if len(command) > 1 else []
                command += [*between, "-n", "1", "ip", "netns", "exec", name, *program]
        else:
            command = [str(mpiexec), "-n", str(count), *program]
        subprocess.run(command, env=environment, check=True)
        return json.loads(out.read_text())


def _program(out: Path, words: Sequence[Any]) -> list[str]:
    return [sys.executable, "-m", "benchmarks.scaling_model", *map(str, words), "--out", str(out)]


def side_by_side(copies: int, *words: Any) -> float:
    """Return the median seconds of the slowest of so many processes at each step; they exchange nothing.

    Ranks wait for the slowest of them at every step.
    """
    with tempfile.TemporaryDirectory() as folder:
        outs = [Path(folder) / f"{number}.json" for number in range(copies)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        commands = [[*_program(out, words), "--alone"] for out in outs]
        running = [subprocess.Popen(command, env=environment) for command in commands]
        if any([process.wait() for process in running]):
            raise RuntimeError("a process has ended with an error")
        steps = zip(*(json.loads(out.read_text()) for out in outs), strict=True)
        return statistics.median(map(max, steps))


class Measured(NamedTuple):
    """What one round has measured on some ranks: their link, a step, and what it takes without exchange.

    Ranks share caches and memory, so `own` is that of as many processes side by side.
    """

    link: Link
    own: float
    step: float


def measure(arguments: argparse.Namespace, batch: int) -> tuple[Compute, dict[int, list[Measured]]]:
    """Return what a rank computes that has the machine to itself, and what each number of ranks takes."""
    told = ("--work", "steps", "--network", arguments.network, "--steps", arguments.steps)
    alone: dict[int, list[float]] = {}
    found: dict[int, list[Measured]] = {}
    several = [ranks for ranks in arguments.ranks if ranks > 1]
    with links(max(2, *arguments.ranks), arguments.rate, arguments.delay) as names:
        for _ in range(arguments.rounds):
            link = Link(**run(2, names, "--work", "link"))
            for ranks in sorted({1, 2, 4, *arguments.ranks}):
                one = (*told, "--batch", batch // ranks, "--shards", SHARDS // ranks)
                alone.setdefault(batch // ranks, []).append(side_by_side(1, *one))
                if ranks in several:
                    own = side_by_side(min(ranks, cores()), *one)
                    step = statistics.median(run(ranks, names, *told, "--batch", batch, "--shards", SHARDS))
                    found.setdefault(ranks, []).append(Measured(link, own, step))
    seconds = {samples: statistics.median(times) for samples, times in alone.items()}
    each, fixed = np.polyfit(list(seconds), list(seconds.values()), 1)
    loss = loss_seconds(1 << 16, arguments.repeats)
    return Compute(max(float(fixed), 0.0), float(each), loss), found


# --- what is told -----------------------------------------------------------------------------


def checked(ranks: int, batch: int, messages: Messages, loss: float, rounds: Sequence[Measured]) -> str:
    """Return a line: a step on so many ranks of this machine, the model's, and the median of the ratios."""
    modelled = [
        step_seconds(ranks, batch, Compute(0.0, each.own * ranks / batch, loss), messages, each.link, cores())
        for each in rounds
    ]
    ratios = [
        each.step / min(max(each.step, low), high) for each, (low, high) in zip(rounds, modelled, strict=True)
    ]
    low, high = (statistics.median(ends) * 1e3 for ends in zip(*modelled, strict=True))
    step = statistics.median(each.step for each in rounds) * 1e3
    link = sorted((each.link for each in rounds), key=lambda each: each.latency)[len(rounds) // 2]
    told = f"{link.latency * 1e6:.1f} + {link.software * 1e6:.0f} µs, {link.bandwidth / 1e6:,.0f} MB/s"
    return f"| {ranks} | {told} | {step:.2f} ms | {low:.2f}–{high:.2f} ms | {statistics.median(ratios):.2f} |"


def line(ranks: int, batch: int, ends: tuple[float, float], one: float) -> str:
    low, high = (end * 1e3 for end in ends)
    efficiency = [100 * one / (ranks * end) for end in ends]
    return f"| {ranks} | {batch} | {low:.3g}–{high:.3g} ms | {efficiency[1]:.0f}–{efficiency[0]:.0f} % |"


def predictions(compute: Compute, messages: Messages, batch: int, software: float) -> None:
    """Print steps up to 1,024 ranks: a batch that grows with them, and one that does not."""
    for title, numbers in LINKS.items():
        link = Link(*numbers, software=software)
        for what in ("grows with the ranks", "stays"):
            print(
                f"\n{title}, a batch that {what}:\n\n"
                "| ranks | batch | step | efficiency |\n| --- | --- | --- | --- |"
            )
            for power in range(11):
                ranks = 1 << power
                whole = batch * ranks if what != "stays" else batch * 8
                if whole < ranks:
                    continue
                told = scaled(messages, whole / batch, ranks)
                one = compute.seconds(whole)
                print(line(ranks, whole, step_seconds(ranks, whole, compute, told, link), one))


def scaled(messages: Messages, times: float, ranks: int) -> Messages:
    """Return the messages of a batch so many times as large, with as many shards as ranks at least."""
    shards = max(1, ranks // SHARDS)
    gathered = tuple(nbytes * shards for nbytes in messages.gathered)
    return replace(messages, gathered=gathered, outputs=math.ceil(messages.outputs * times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="lenet5")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rate", help="of a simulated link, as tc writes it: 1gbit")
    parser.add_argument("--delay", help="of a simulated link, as tc writes it: 1ms")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=200)
    for hidden in ("--work", "--out", "--batch", "--shards"):
        kind = {"--work": str, "--out": Path}.get(hidden, int)
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments)
        return
    batch = NETWORKS[arguments.network][2]
    messages = messages_of(arguments.network, batch)
    compute, found = measure(arguments, batch)
    print(f"{arguments.network}, batch {batch}, {SHARDS} shards, one thread a rank, {cores()} processors")
    print(
        f"{len(messages.sums)} gradients of {sum(messages.sums):,} bytes, gathered {sum(messages.gathered):,}"
    )
    print(
        f"computed: {compute.fixed * 1e3:.3f} ms + {compute.each * 1e6:.2f} µs a sample, "
        f"{compute.loss * 1e9:.0f} ns for the loss of one of another rank\n"
    )
    print("| ranks | link | measured | model | measured / model |\n| --- | --- | --- | --- | --- |")
    for ranks, rounds in sorted(found.items()):
        print(checked(ranks, batch, messages, compute.loss, rounds))
    rounds = [each for several in found.values() for each in several]
    software = statistics.median(each.link.software for each in rounds) if rounds else 0.0
    predictions(compute, messages, batch, software)


if __name__ == "__main__":
    main()
