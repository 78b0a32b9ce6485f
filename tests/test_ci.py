"""The steps of .ci/run: all are taken by a lane, and one that fails is shown and fails the whole."""

import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = (Path(__file__).parents[1] / ".ci" / "run").read_text(encoding="utf-8")
STEPS = re.findall(r"^(\w+)\(\) \{", SCRIPT, re.MULTILINE)
MACHINERY = ["begin", "step", "next_step", "lane"]
WAITING = re.search(r"^printf '%s\\n' (.*) > \"\$work/waiting\"$", SCRIPT, re.MULTILINE)[1].split()
# What stands in the script for its own steps.
OURS = """
good() { echo "good runs"; }
better() { good; }
best() { good; }
other() { good; }
bad() { echo "before"; false; echo "never"; }
printf '%s\\n' good NAME better best > "$work/waiting"
lane &
first=$!
lane &
"""


def part(begin, end):
    return SCRIPT[SCRIPT.index(begin) : SCRIPT.index(end)]


def test_every_step_is_run_once():
    assert sorted(WAITING) == sorted(set(STEPS) - set(MACHINERY))
    assert len(WAITING) == 11


@pytest.mark.parametrize("name", ["other", "bad"])
def test_a_step_that_fails_is_shown_and_fails_the_run(name, tmp_path):
    program = [
        f"set -euo pipefail\nwork={tmp_path}\n",
        part("begin() {", "# The sources alone"),
        part("step() {", "printf '%s\\n' sanitizers"),
        'touch "$work/failed"\n',
        OURS.replace("NAME", name),
        part("second=$!", "tail -n 1"),
    ]
    done = subprocess.run(
        ["bash", "-c", "".join(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "never" not in done.stdout
    assert done.returncode == (name == "bad"), done.stderr
    assert done.stdout.count("good runs\n") == (3 if name == "bad" else 4)
    assert ("before\nFAILED with exit code 1: bad\n" in done.stdout) == (name == "bad")
    *_, last = re.findall(r"^=== (.*) \(after \d+ s\)$", done.stdout, re.MULTILINE)
    assert last == ("FAILED: bad" if name == "bad" else "done")
