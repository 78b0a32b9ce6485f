"""The kernel tests again under every instruction set this machine runs, and the bits of each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cconv import _kernels

TESTS = Path(__file__).parent
KERNEL_TESTS = sorted(str(path) for path in TESTS.glob("test_kernels_*.py"))
EXAMPLES = "25"

available = _kernels.available_isas()


def run(isa, *command):
    """Run Python under that instruction set and return what it printed."""
    environment = {
        **os.environ,
        "CCONV_ISA": isa,
        "CCONV_TEST_EXAMPLES": EXAMPLES,
        "PYTHONPATH": os.pathsep.join(
            [str(Path(_kernels.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        ),
    }
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, f"{isa}:\n{done.stdout[-6000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_this_machine_runs_at_least_the_generic_code():
    assert "generic" in available
    assert _kernels.isa() in available


@pytest.mark.parametrize("isa", available)
def test_the_instruction_set_can_be_forced(isa):
    assert run(isa, "-c", "from cconv import _kernels; print(_kernels.isa())").strip() == isa


# The tests of this process run the instruction set in use.
@pytest.mark.parametrize("isa", [isa for isa in available if isa != _kernels.isa()])
def test_kernels(isa):
    assert " passed" in run(isa, "-m", "pytest", "-p", "no:cacheprovider", *KERNEL_TESTS)


def test_unknown_instruction_set_is_refused():
    with pytest.raises(AssertionError, match=r"CCONV_ISA must be .*generic, or empty .*, got 'mmx'"):
        run("mmx", "-c", "import cconv; cconv.Conv2D")


def test_every_instruction_set_with_fma_gives_the_same_bits():
    """On one thread and on three; generic code on x86-64, which has no FMA, must only agree with itself."""
    exempt = {"generic"} if len(available) > 1 else set()
    bits = {
        (isa, threads): json.loads(run(isa, str(TESTS / "bits.py"), threads))
        for isa in available
        for threads in ("1", "3")
    }
    for (isa, threads), found in bits.items():
        base = bits[isa if isa in exempt else available[0], "1"]
        assert found.keys() == base.keys()
        different = [case for case in base if found[case] != base[case]]
        assert not different, f"{isa} on {threads} threads: {different}"
