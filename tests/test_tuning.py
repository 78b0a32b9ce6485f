"""What kernels know of the processor: read from CPUID or forced by name, and never a bit different."""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from cconv import _kernels

CASES = Path(__file__).with_name("tuning_cases.py")
KB = 1024


def python(tuning, *command):
    """Run Python under that tuning."""
    paths = [str(Path(_kernels.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "CCONV_TUNE": tuning, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def told():
    """What each tuning, and none (""), gives."""
    found = {}
    for name in ["", *_kernels.tunings()]:
        done = python(name, str(CASES))
        assert done.returncode == 0, f"{name}: {done.stderr}"
        found[name] = json.loads(done.stdout)
    return found


# What CPUID answers: leaf, part, eax, ebx, ecx, edx; the first and the second cache and others.
INTEL = 4
AMD, AMD_WIDTHS = 0x8000001D, 0x8000001A
PROCESSORS = {
    "Haswell": (
        [(INTEL, 0, 0x1C004121, 0x01C0003F, 0x3F, 0), (INTEL, 2, 0x1C004143, 0x01C0003F, 0x1FF, 0)],
        256,
        0,
    ),
    "Skylake": (
        [(INTEL, 2, 0x1C004143, 0x00C0003F, 0x3FF, 0), (INTEL, 3, 0x1C03C163, 0x03C0003F, 0x1FFF, 6)],
        256,
        0,
    ),
    "Skylake-X": (
        [(INTEL, 2, 0x1C004143, 0x03C0003F, 0x3FF, 0), (INTEL, 3, 0x1C07C163, 0x0280003F, 0x9FFF, 4)],
        1024,
        0,
    ),
    "Ice Lake server": (
        [(INTEL, 0, 0x1C004121, 0x02C0003F, 0x3F, 0), (INTEL, 2, 0x1C004143, 0x04C0003F, 0x3FF, 0)],
        1280,
        0,
    ),
    "Sapphire Rapids": ([(INTEL, 2, 0x1C004143, 0x03C0003F, 0x7FF, 0)], 2048, 0),
    "Zen 2": (
        [(INTEL, 0, 0, 0, 0, 0), (AMD, 2, 0x4143, 0x01C0003F, 0x3FF, 2), (AMD_WIDTHS, 0, 6, 0, 0, 0)],
        512,
        32,
    ),
    "Zen 4": (
        [
            *[(INTEL, part, 0, 0, 0, 0) for part in range(8)],
            (AMD, 0, 0x121, 0x01C0003F, 0x3F, 0),
            (AMD, 1, 0x122, 0x01C0003F, 0x3F, 0),
            (AMD, 2, 0x143, 0x01C0003F, 0x7FF, 2),
            (AMD, 3, 0x4163, 0x03C0003F, 0x7FFF, 1),
            *[(AMD, part, 0, 0, 0, 0) for part in range(4, 8)],
            (AMD_WIDTHS, 0, 6, 0, 0, 0),
        ],
        1024,
        32,
    ),
    "Zen 5": ([(AMD, 2, 0x143, 0x03C0003F, 0x3FF, 2), (AMD_WIDTHS, 0, 0xA, 0, 0, 0)], 1024, 64),
    # A cache of four cores, tales of hypervisors, and one that hides all.
    "shared": ([(INTEL, 2, 0x1C00C143, 0x03C0003F, 0xFFF, 0)], 2048, 0),
    "of no machine": ([(INTEL, 2, 0x143, 0xFFFFFFFF, 0xFFFFFFFF, 0)], 2048, 0),
    "128 kB": ([(INTEL, 2, 0x143, 0x01C0003F, 0xFF, 0)], 256, 0),
    "of instructions": ([(INTEL, 2, 0x142, 0x01C0003F, 0x3FF, 0)], 1024, 0),
    "nothing said": ([(INTEL, 0, 0, 0, 0, 0), (AMD_WIDTHS, 0, 0, 0, 0, 0)], 1024, 0),
    "nothing asked": ([], 1024, 0),
}


@pytest.mark.parametrize("processor", PROCESSORS)
def test_what_a_processor_says_is_understood(processor):
    answers, cache, multiplier = PROCESSORS[processor]
    answers = b"".join(struct.pack("=6I", *answer) for answer in answers)
    assert _kernels.tuning_said(answers) == ("found", cache * KB, multiplier)


def test_every_tuning_gives_the_same_bits(told):
    base = told[""]["bits"]
    assert len(base) > 40
    for name, found in told.items():
        assert found["bits"].keys() == base.keys()
        assert not [case for case in base if found["bits"][case] != base[case]], name


def test_the_named_tuning_is_the_one_in_use(told):
    found = {name: said["tuning"] for name, said in told.items() if name}
    assert all(name == tuning[0] for name, tuning in found.items())
    assert {tuple(tuning[1:]) for tuning in found.values()} >= {
        (256 * KB, 32),
        (512 * KB, 32),
        (1024 * KB, 32),
        (1024 * KB, 64),
        (2048 * KB, 64),
    }


def test_kernels_read_it(told):
    """Whether a kernel of dense layers is laid out depends on what of it fits into the second cache."""
    by_cache = {said["tuning"][1]: said["places"] for said in told.values()}
    assert by_cache[256 * KB] == [True, False, False, False]
    assert by_cache[512 * KB] == [True, True, False, False]
    assert by_cache[1024 * KB] == [True, True, True, False]
    assert by_cache[2048 * KB] == [True, True, True, True]


def test_info_shows_it(told):
    for name, said in told.items():
        _, cache, multiplier = said["tuning"]
        shown = (
            rf"{name or '(found|generic)'}: second cache {cache // KB} kB, multipliers {8 * multiplier} bits"
        )
        assert re.fullmatch(shown, said["info"])


def test_without_a_name_it_is_what_this_processor_says(told):
    answers = _kernels.processor_answers()
    _, cache, multiplier = _kernels.tuning_said(answers)
    name, *found = told[""]["tuning"]
    assert name == ("found" if answers else "generic")
    assert found[0] == cache
    assert found[1] == (multiplier or found[1])
    assert found[1] in (32, 64)


@pytest.mark.skipif(
    "avx512" not in _kernels.available_isas() or not _kernels.tuning_said(_kernels.processor_answers())[2],
    reason="no processor with AVX-512 that says how wide its multipliers are",
)
def test_the_race_finds_what_the_processor_says():
    said = _kernels.tuning_said(_kernels.processor_answers())[2]
    assert said in [_kernels.race_multipliers() for _ in range(5)]


ALLOWED = "generic, haswell, zen2, zen4, zen5, skylake-avx512 or sapphirerapids"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("zen", "'zen'"), ("zen4,zen5", "'zen4,zen5'"), ("x" * 10_000, f"'{'x' * 40}...'")],
    ids=["zen", "two", "long"],
)
def test_an_unknown_tuning_is_refused(name, shown):
    done = python(name, "-c", "import cconv.threads")
    assert (done.returncode, done.stdout) == (1, "")
    wanted = f"ImportError: CCONV_TUNE must be {ALLOWED}, or empty for what this processor says, got {shown}"
    assert done.stderr.splitlines()[-1] == wanted


def test_names_may_have_any_case_and_blanks():
    done = python(" Zen5 ", "-c", "from cconv import _kernels; print(_kernels.tuning()[0])")
    assert done.stdout.strip() == "zen5"
