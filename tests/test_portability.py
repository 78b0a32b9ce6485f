"""The C kernels without Python, here and, under emulators, on arm64 (NEON) and on Windows (AVX2)."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packages import kernel_objects
from sharing import shared

from cconv import _kernels

DRIVER = Path(__file__).parent / "c" / "micro_kernels.c"
SIMD = Path(_kernels.__file__).parent / "simd"
# How to compile for a machine, and how to run what comes out.
MACHINES = {
    "native": (os.environ.get("CC", "cc").split(), []),
    "clang": (["clang"], []),
    "arm64": (["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
    "windows": (["x86_64-w64-mingw32-gcc", "-static"], ["wine"]),
}
# A machine that sets up builds the package has a compiler; those for the others are apt's
# gcc-aarch64-linux-gnu and gcc-mingw-w64-x86-64, and the emulators its qemu-user and wine64.
TOOLS = {name: [command[0], *(emulator or [])] for name, (command, emulator) in MACHINES.items()}
FOUND = [name for name, tools in TOOLS.items() if all(map(shutil.which, tools))]
# A driver that calls a kernel by arguments that it no longer has must not compile.
STRICT = ["-std=gnu11", "-ffp-contract=off", "-Werror=int-conversion", "-Werror=incompatible-pointer-types"]

# No level may change a bit. The kernels of this machine are the wheel's, optimised as ever; -O0 compiles in a
# quarter of that time, and the kernels that clang optimises run in `.ci/clang`.
LEVELS = {"native": "-O1", "clang": "-O0", "arm64": "-O0", "windows": "-O1"}

# A program with one instruction set, which compiles in a third of the time.
ONLY = """
#include "isa/isa_{name}.c"
int cconv_choose(const char *name, cconv_isa *isa) {{
    (void)name;
    *isa = (cconv_isa){{"{name}", &cconv_f32_{name}, &cconv_f64_{name}}};
    return 0;
}}
"""


def program(folder, machine):
    """Where the program of a machine is; Windows runs what is called so."""
    return folder / (f"{machine}.exe" if machine == "windows" else machine)


def run(*command, **environment):
    environment = os.environ | environment
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=environment)
    assert done.returncode == 0, f"{command[:2]}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module", params=FOUND)
def machine(request):
    return request.param


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The driver, compiled for each machine that this one can compile for and run."""
    compiled = kernel_objects(tmp_path_factory)
    sources = [str(DRIVER), *map(str, sorted((SIMD / "isa").glob("*.c")))]

    def make(folder):
        (folder / "avx2.c").write_text(ONLY.format(name="avx2"))
        for name in FOUND:
            chosen = {
                "native": [str(DRIVER), *map(str, compiled)],
                "windows": [str(DRIVER), str(folder / "avx2.c")],
            }.get(name, sources)
            flags = [*STRICT, LEVELS[name], f"-I{SIMD}", *chosen, "-o", str(program(folder, name)), "-lm"]
            run(*MACHINES[name][0], *flags)

    folder = shared(tmp_path_factory, "programs", make)
    return {name: program(folder, name) for name in FOUND}


@functools.cache
def digest(program, machine, isa):
    """The digest of all results; the program itself compares them with plain loops."""
    wine = {"WINEPREFIX": str(program.parent / "wine"), "WINEDEBUG": "-all"}
    name, bits = run(*MACHINES[machine][1], str(program), isa, **wine).split()
    assert name == isa
    return bits


def isas_of(machine):
    here = _kernels.available_isas()
    return {"arm64": ["generic"], "windows": [*({"avx2"} & {*here})]}.get(machine, here)


def has_fma(machine, isa):
    """NEON has a fused multiply-add; of x86-64 only the generic code has none."""
    return machine == "arm64" or isa != "generic"


def test_a_compiler_was_found():
    assert "native" in FOUND


def test_results_are_those_of_plain_loops(programs, machine):
    for isa in isas_of(machine):
        digest(programs[machine], machine, isa)


def test_the_same_bits_on_every_machine_with_fused_multiply_add(programs):
    bits = {
        (machine, isa): digest(programs[machine], machine, isa)
        for machine in FOUND
        for isa in isas_of(machine)
        if has_fma(machine, isa)
    }
    assert len(set(bits.values())) <= 1, bits


# Where a result goes wrong if a number that the program is started with is not 0: a micro-kernel that skips
# the last terms of each run, an exponential that is off.
WRONG = {
    "product/tile.h": ("for (ptrdiff_t k = run; k > 0; k--)", "for (ptrdiff_t k = run; k > skipped; k--)"),
    "activations/functions.h": (
        "SPLAT(EXP_LOW), x), &t) + 1;",
        "SPLAT(EXP_LOW), x), &t) + (REAL)(1 + added);",
    ),
}
NUMBERS = """
#include <stdlib.h>
static ptrdiff_t skipped;
static double added;
__attribute__((constructor)) static void read_numbers(void) {
    skipped = atoi(getenv("SKIPPED"));
    added = atof(getenv("ADDED"));
}
"""


def test_the_driver_sees_a_wrong_result(tmp_path):
    """The last term of each run skipped, or an exponential 0.001 % off; with neither it sees none."""
    simd = tmp_path / "simd"
    shutil.copytree(SIMD, simd)
    for file, (right, wrong) in WRONG.items():
        source = (simd / file).read_text()
        assert right in source
        (simd / file).write_text(source.replace(right, wrong))
    isa = "avx2" if "avx2" in _kernels.available_isas() else "generic"  # the one that compiles fastest
    (simd / "only.c").write_text("#include <stddef.h>" + NUMBERS + ONLY.format(name=isa))
    program = tmp_path / "program"
    flags = [*STRICT, "-O0", f"-I{simd}", "-o", str(program)]
    run(*MACHINES["native"][0], *flags, str(DRIVER), str(simd / "only.c"), "-lm")
    assert run(str(program), SKIPPED="0", ADDED="0")
    for numbers in ({"SKIPPED": "1", "ADDED": "0"}, {"SKIPPED": "0", "ADDED": "1e-5"}):
        done = subprocess.run(
            [str(program)],
            env=os.environ | numbers,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 1, f"{numbers}: {done.stdout}"
        assert " for " in done.stderr


@pytest.mark.skipif("windows" not in FOUND, reason="no MinGW and wine here")
def test_no_vector_lies_on_windows_stack_as_if_it_were_aligned(programs):
    """Win64 aligns the stack to 16 bytes; GCC without a patch stores vectors there as if it were to 32."""
    listed = run("x86_64-w64-mingw32-objdump", "-d", "--no-show-raw-insn", str(programs["windows"]))
    on_stack = re.findall(r"\t(vmov\w+) +(?:%[yz]mm\S+\(%r[sb]p\)|\S*\(%r[sb]p\),%[yz]mm)", listed)
    assert len(on_stack) > 100
    assert not {name for name in on_stack if name.startswith(("vmova", "vmovdqa"))}
