"""A checkpoint, broken at every system call: killed there, or told that the disk is full, or that it fails.

``python tests/checkpoint_crashes.py FOLDER`` needs strace. A training of two epochs is recorded: the system
calls of its third checkpoint, which is written, moved into its place and lets the first one go. Then it is
run once for each of them, and killed there; and for each that may fail, once with ENOSPC and once with EIO.
Afterwards there is a whole checkpoint, and the training that is taken up there has the bits of one that was
left alone.
"""

import argparse
import errno
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import resuming

from cconv import set_num_threads
from cconv.callbacks import BackupAndRestore
from cconv.models.checkpoints import Checkpoint, last_of

MARKED = 3  # the checkpoint that is broken
FAILING = ("openat", "write", "fsync", "rename", "lseek", "unlink", "flock", "getdents64", "newfstatat")
ERRORS = (errno.ENOSPC, errno.EIO)


class Marked(BackupAndRestore):
    """A backup that makes a system call of which there are no others before and after one checkpoint."""

    count = 0

    def _write(self):
        self.count += 1
        if self.count == MARKED:
            os.getppid()
        super()._write()
        if self.count == MARKED:
            os.getppid()


def child(folder):
    """Train; an error of a file is told in a line."""
    set_num_threads(1)
    try:
        resuming.train(folder, Marked(folder / "backup", save_freq=1), epochs=2)
    except OSError as error:
        print(f"OSError {error.errno}: {error}")
        return 3
    return 0


def run(folder, *options):
    """Run the training under strace."""
    folder.mkdir(parents=True)
    return subprocess.run(
        ["strace", "-qq", *options, sys.executable, __file__, str(folder), "--child"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
    )


def recorded(folder):
    """Return the system calls of the marked checkpoint: name, number among those of the name."""
    log = folder.with_suffix(".log")
    assert run(folder, "-o", str(log)).returncode == 0
    counts, found, marks = Counter(), [], 0
    for line in log.read_text().splitlines():
        match = re.match(r"(\w+)\(", line)
        if match is None:
            continue
        name = match[1]
        counts[name] += 1
        marks += name == "getppid"
        if marks == 1 and name != "getppid":
            found.append((name, counts[name]))
    assert marks == 2
    return found


def goes_on(folder, expected):
    """Whether there is a whole checkpoint, and the training that is taken up there has the right bits."""
    whole = last_of(str(folder / "backup"))
    assert isinstance(whole, Checkpoint), folder
    assert (whole.epoch, whole.step) in ((0, MARKED - 1), (0, MARKED)), (whole.epoch, whole.step)
    return resuming.train(folder, BackupAndRestore(folder / "backup", save_freq=1), epochs=2) == expected


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="break every so many of the calls only")
    given = parser.parse_args()
    if given.child:
        return child(given.folder)
    (given.folder / "whole").mkdir(parents=True)
    expected = resuming.train(given.folder / "whole", epochs=2)
    calls = recorded(given.folder / "recorded")
    cases = [(name, number, "signal=KILL") for name, number in calls]
    for name, number in calls:
        cases += [(name, number, f"error={errno.errorcode[e]}") for e in ERRORS if name in FAILING]
    made, right = Counter(), Counter()
    for place, (name, number, fault) in enumerate(cases[:: given.every]):
        folder = given.folder / str(place)
        inject = f"inject={name}:{fault}:when={number}"
        done = run(folder, "-o", os.devnull, "-e", f"trace={name}", "-e", inject)
        kind = fault
        if "error" in fault:
            kind = f"{fault} of {name}, training {'ended with one OSError' if done.returncode else 'went on'}"
        made[kind] += 1
        told = done.returncode in (-9, 137) or (done.returncode == 0 and "error" in fault)
        if done.returncode == 3:
            told = str(folder / "backup") in done.stdout
        # Only a training that came to its end has taken its checkpoints away.
        ok = told and (done.returncode == 0 or goes_on(folder, expected))
        right[kind] += ok
        if not ok:
            print(f"{name} number {number}, {fault}: {done.returncode} {done.stdout} {done.stderr[-500:]}")
    for kind in sorted(made):
        print(f"{kind}: {right[kind]} of {made[kind]} left a whole checkpoint and went on to the same bits")
    return 0 if right == made else 1


if __name__ == "__main__":
    sys.exit(main())
