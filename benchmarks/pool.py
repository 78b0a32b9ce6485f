"""Worker processes, and turns among them.

Frameworks are compared by taking turns: A B C A B C …, so that a neighbour that disturbs the machine
for a while disturbs all of them alike, and the medians of all turns are compared. Who is not in turn is
stopped: threads that wait for work spin, and a core that they take for a moment costs those most who have
shared their work out to all cores beforehand.
"""

import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from statistics import median, quantiles

from benchmarks.peers import PEERS

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 1800  # seconds for one answer; compilers of whole networks take minutes
MACHINE = {"kind": "network", "modes": ["fma", "triad"]}  # what its worker does, whatever the others do
PAUSE = 0.02  # seconds between turns, in which the last one's threads stop waiting for work, if awake


class PeerError(Exception):
    """A peer could not do what was asked; the message is for the table."""


class PeerMissing(PeerError):
    """A peer is not installed."""


def _environment(setting: str, threads: int) -> dict[str, str]:
    count = str(threads)
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count)
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    backend = {"KERAS_BACKEND": "jax" if setting == "jax" else "tensorflow"}
    isa = {"CCONV_ISA": setting} if setting == "avx2" else {}
    return {**os.environ, **limits, **quiet, **backend, **isa, "PYTHONPATH": str(ROOT)}


class Process:
    """The worker of one peer with one number of threads and one dtype.

    Unless it is to be `awake`, it is stopped, with all that it has started, but while it is asked.

    Raises
    ------
    PeerMissing, PeerError
        When it does not start.
    """

    def __init__(self, name: str, python: str, threads: int, dtype: str, awake: bool = False) -> None:
        peer = PEERS[name]
        self.name, self.threads, self.dtype, self.awake = name, threads, dtype, awake
        setting = {"peer": dataclasses.asdict(peer), "threads": threads, "dtype": dtype}
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", json.dumps(setting)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env=_environment(peer.setting, threads),
            process_group=0,
        )
        try:
            self.versions: dict[str, str] = self._answer()
        except (PeerError, PeerMissing):
            self.close()
            raise
        self._sleep()

    @property
    def number(self) -> int:
        """What the system calls the process."""
        return self._process.pid

    def ask(self, command: str, **arguments):
        """Return the worker's answer to a command."""
        assert self._process.stdin is not None
        self._signal(signal.SIGCONT)
        try:
            print(json.dumps({"command": command, **arguments}), file=self._process.stdin, flush=True)
        except BrokenPipeError as error:
            raise PeerError(f"ended by itself: {self._last_words()}") from error
        try:
            return self._answer()
        finally:
            self._sleep()

    def _sleep(self) -> None:
        if not self.awake:
            self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        """Send it to the worker and what it has started; the group is its own."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _answer(self):
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            why = f"no answer: {self._last_words()}" if ready else f"took more than {PATIENCE} s"
            self.close()
            raise PeerError(why)
        answer = json.loads(line)
        if "missing" in answer:
            raise PeerMissing(f"{answer['missing']}; {PEERS[self.name].install}")
        if "error" in answer:
            raise PeerError(answer["error"][:300])
        return answer.get("result")

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def close(self) -> None:
        """End the worker, and what it has started; once."""
        if self._log.closed:
            return
        self._signal(signal.SIGKILL)
        self._process.communicate()
        self._log.close()


class Pool:
    """The workers of several peers, started when first needed; what cannot be measured is remembered.

    Parameters
    ----------
    peers : list of str
        Names in `PEERS`.
    pythons : dict of str to str
        Interpreter by peer, by its first word ("torch"), or "peers" for all but cconv.
    awake : bool
        Whether those that are not in turn go on running.

    Attributes
    ----------
    versions : dict
        Of the packages in use.
    missing : dict
        What is not installed, with what to do about it.
    failures : list of str
        What went wrong, a line each.
    """

    def __init__(self, peers: list[str], pythons: dict[str, str], awake: bool = False) -> None:
        self.peers, self.pythons, self.awake = peers, pythons, awake
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.failures: list[str] = []
        self._processes: dict[tuple[str, int, str], Process] = {}

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self, but: Collection[str] = ()) -> None:
        """End all workers, but those of these peers."""
        for process in self._processes.values():
            if process.name not in but:
                process.close()
        self._processes = {key: kept for key, kept in self._processes.items() if kept.name in but}

    def _python(self, name: str) -> str:
        family = name.split("-")[0]
        keys = [name, family, *([] if family in ("cconv", "machine") else ["peers"])]
        return next((self.pythons[key] for key in keys if key in self.pythons), sys.executable)

    def command(self, name: str) -> tuple[list[str], dict[str, str]]:
        """Return the interpreter of a peer, as the head of a command, and its environment."""
        return [self._python(name)], _environment(PEERS[name].setting, 1)

    def start(self, name: str, threads: int, dtype: str) -> Process:
        """Return a new worker; it is the caller's to close."""
        return Process(name, self._python(name), threads, dtype, self.awake)

    def worker(self, name: str, threads: int, dtype: str) -> Process | None:
        """Return the worker, or None if there is none to be had."""
        key = (name, threads, dtype)
        if name in self.missing:
            return None
        if key not in self._processes:
            try:
                self._processes[key] = self.start(name, threads, dtype)
            except PeerMissing as error:
                self.missing[name] = str(error)
                return None
            except PeerError as error:
                self.fail(name, "start", error)
                return None
            self.versions |= self._processes[key].versions
        return self._processes[key]

    def fail(self, name: str, what: str, error: Exception) -> None:
        """Remember and print that a peer could not do something."""
        self.failures.append(f"{PEERS[name].title}, {what}: {error}")
        print(f"  ! {self.failures[-1]}", flush=True)

    def open(self, names: list[str], threads: int, dtype: str, task: dict) -> dict[str, tuple[Process, dict]]:
        """Return the workers that have the task ready, each with its answer.

        Without the machine's own there is nothing to compare with: SystemExit.
        """
        opened = {}
        for name in names:
            if dtype not in PEERS[name].dtypes:
                continue
            process = self.worker(name, threads, dtype)
            if process is None:
                continue
            wanted = MACHINE if name == "machine" else task
            try:
                opened[name] = process, process.ask("open", task=wanted)
            except PeerError as error:
                self.fail(name, task.get("title", task["kind"]), error)
                self._drop(process)
        if "machine" in names and "machine" not in opened:
            reasons = [self.missing.get("machine", ""), *self.failures]
            raise SystemExit("the machine's limits cannot be measured: " + " ".join(reasons))
        return opened

    def _drop(self, process: Process) -> None:
        process.close()
        self._processes = {key: kept for key, kept in self._processes.items() if kept is not process}

    def measure(
        self, opened: dict[str, tuple[Process, dict]], rounds: int, seconds: float, least: int = 2
    ) -> dict[tuple[str, str], list[float]]:
        """Return the times of every (peer, mode) in seconds, taken in turns."""
        times: dict[tuple[str, str], list[float]] = {}
        modes = list(dict.fromkeys(mode for _, answer in opened.values() for mode in answer["modes"]))
        for _ in range(rounds):
            for mode in modes:
                for name, (process, answer) in list(opened.items()):
                    if mode not in answer["modes"]:
                        continue
                    time.sleep(PAUSE)
                    try:
                        turn = process.ask("turn", mode=mode, seconds=seconds, least=least)
                    except PeerError as error:
                        self.fail(name, mode, error)
                        self._drop(process)
                        del opened[name]
                        continue
                    times.setdefault((name, mode), []).extend(turn)
        return times


def machine_limits(pool: Pool, threads: int, dtype: str) -> dict[str, dict[str, float]]:
    """Return the machine's rates, for a benchmark that has no turns for them to be measured in."""
    opened = pool.open(["machine"], threads, dtype, MACHINE)
    times = pool.measure(opened, rounds=5, seconds=0.1)
    return limits(times, opened["machine"][1]["work"])


def spread(times: list[float]) -> dict[str, float]:
    """Return the median, the quartiles, the least and the number of times."""
    low, _, high = quantiles(times, n=4) if len(times) > 1 else times * 3
    return {"median": median(times), "low": low, "high": high, "least": min(times), "count": len(times)}


def limits(times: dict[tuple[str, str], list[float]], work: dict[str, int]) -> dict[str, dict[str, float]]:
    """Return the machine's rates in work a second: median, quartiles and best, which show who disturbed."""
    found = {}
    for mode, amount in work.items():
        rates = [amount / seconds for seconds in times["machine", mode]]
        entry = spread(rates)
        found[mode] = {key: entry[key] for key in ("median", "low", "high")} | {"best": max(rates)}
    return found
