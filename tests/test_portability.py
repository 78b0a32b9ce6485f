"""The C kernels without Python, on this machine and, under an emulator, on arm64 (NEON)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from sharing import shared

from cconv import _kernels

DRIVER = Path(__file__).parent / "c" / "micro_kernels.c"
SIMD = Path(_kernels.__file__).parent / "simd"
# How to compile for a machine, and how to run what comes out.
MACHINES = {
    "native": (os.environ.get("CC", "cc").split(), []),
    "clang": (["clang"], []),
    "arm64": (["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
}
# A machine that sets up builds the package has a compiler; that for arm64 is apt's gcc-aarch64-linux-gnu.
TOOLS = {name: [command[0], *(emulator or [])] for name, (command, emulator) in MACHINES.items()}
FOUND = [name for name, tools in TOOLS.items() if all(map(shutil.which, tools))]
# A driver that calls a kernel by arguments that it no longer has must not compile.
# -O1 compiles in half the time of the package's -O3; no level may change a bit.
STRICT = ["-std=gnu11", "-ffp-contract=off", "-Werror=int-conversion", "-Werror=incompatible-pointer-types"]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{command[:2]}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module", params=FOUND)
def machine(request):
    return request.param


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The driver, compiled for each machine that this one can compile for and run."""
    sources = [str(DRIVER), *map(str, sorted((SIMD / "isa").glob("*.c")))]

    def make(folder):
        for name in FOUND:
            flags = [*STRICT, "-O1", f"-I{SIMD}", *sources, "-o", str(folder / name), "-lm"]
            run(*MACHINES[name][0], *flags)

    folder = shared(tmp_path_factory, "programs", make)
    return {name: folder / name for name in FOUND}


def digest(programs, machine, isa):
    """The digest of all results; the program itself compares them with plain loops."""
    name, bits = run(*MACHINES[machine][1], str(programs[machine]), isa).split()
    assert name == isa
    return bits


def isas_of(machine):
    return ["generic"] if machine == "arm64" else _kernels.available_isas()


def has_fma(machine, isa):
    """NEON has a fused multiply-add; of x86-64 only the generic code has none."""
    return machine == "arm64" or isa != "generic"


def test_a_compiler_was_found():
    assert "native" in FOUND


def test_results_are_those_of_plain_loops(programs, machine):
    for isa in isas_of(machine):
        digest(programs, machine, isa)


def test_the_same_bits_on_every_machine_with_fused_multiply_add(programs):
    bits = {
        (machine, isa): digest(programs, machine, isa)
        for machine in FOUND
        for isa in isas_of(machine)
        if has_fma(machine, isa)
    }
    assert len(set(bits.values())) <= 1, bits


def test_the_driver_sees_a_wrong_result(tmp_path):
    """With a micro-kernel that skips the last term of each run, or an exponential that is 0.001 % off."""
    for file, right, wrong in (
        ("product/tile.h", "for (ptrdiff_t k = run; k > 0; k--)", "for (ptrdiff_t k = run; k > 1; k--)"),
        (
            "activations/functions.h",
            "SPLAT(EXP_LOW), x), &t) + 1;",
            "SPLAT(EXP_LOW), x), &t) + (REAL)1.00001;",
        ),
    ):
        simd = tmp_path / file / "simd"
        shutil.copytree(SIMD, simd)
        source = (simd / file).read_text()
        assert right in source
        (simd / file).write_text(source.replace(right, wrong))
        # One instruction set is enough, and much faster to compile.
        (simd / "only.c").write_text(
            '#include "isa/isa_generic.c"\n'
            "int cconv_choose(const char *name, cconv_isa *isa) {\n"
            "    (void)name;\n"
            '    *isa = (cconv_isa){"generic", &cconv_f32_generic, &cconv_f64_generic};\n'
            "    return 0;\n}\n"
        )
        program = tmp_path / file / "program"
        flags = [*STRICT, "-O1", f"-I{simd}", "-o", str(program)]
        run(*MACHINES["native"][0], *flags, str(DRIVER), str(simd / "only.c"), "-lm")
        done = subprocess.run([str(program)], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 1, f"{file}: {done.stdout}"
        assert " for " in done.stderr
