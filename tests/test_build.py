"""What the build says where it cannot compile, and that it finds OpenMP behind a launcher."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from cconv import _kernels

ROOT = Path(__file__).parents[1]
BUILT = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "_*.c")
COMPILER = os.environ.get("CC", "cc").split()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the sources, as an sdist has them."""
    target = tmp_path_factory.mktemp("source") / "tree"
    target.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    shutil.copytree(ROOT / "cconv", target / "cconv", ignore=BUILT)
    return target


def build(tree, command, compiler):
    """What a build that must fail prints, on both streams; nothing is written in C before it does."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CFLAGS", "CPPFLAGS")}
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tree,
        env=environment | {"CC": compiler},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    assert not list((tree / "cconv").glob("_*.c"))
    assert "OpenMP" not in done.stdout
    return done.stdout


def script(path, *lines):
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return str(path)


SETUP = "import runpy, sys; sys.argv = ['setup.py', {}]; runpy.run_path('setup.py', run_name='__main__')"
# What pip calls, and what CONTRIBUTING.md names.
WAYS = {
    "wheel": "from setuptools.build_meta import build_wheel; build_wheel('.')",
    "editable": "from setuptools.build_meta import build_editable; build_editable('.')",
    "in place": SETUP.format("'build_ext', '--inplace'"),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_compiler(tree, way):
    said = build(tree, WAYS[way], "/nothing/there/gcc -pthread")
    assert len(said.splitlines()) <= 20, said  # most are what setuptools does for itself
    first, *rest = said[said.index("error: ") :].splitlines()
    assert first == (
        "error: cconv's kernels are C, and there is no C compiler to build them: /nothing/there/gcc: "
        "No such file or directory"
    )
    assert rest[0].startswith("Install one: apt install build-essential")
    assert "CC=/path/to/gcc" in rest[1]
    assert rest[2].startswith("Or take a wheel")
    assert "Traceback" not in said
    assert len(rest) == 3


def test_a_launcher_without_a_compiler(tree, tmp_path):
    launcher = script(tmp_path / "ccache", 'exec "$@"')
    said = build(tree, WAYS["in place"], f"{launcher} no-such-gcc")
    assert f"there is no C compiler to build them: {launcher} no-such-gcc: " in said


def test_a_compiler_that_does_not_compile(tree, tmp_path):
    broken = script(tmp_path / "cc", "echo 'cc: fatal error: cannot execute cc1' >&2", "exit 1")
    said = build(tree, WAYS["in place"], broken)
    assert f"no C compiler to build them: {broken}: cc: fatal error: cannot execute cc1\n" in said


def test_no_headers_of_pythons(tree, tmp_path):
    """A compiler that does not see Python.h."""
    headers = sysconfig.get_path("include")
    without = script(
        tmp_path / "cc",
        "for argument do",
        "    shift",
        f'    case "$argument" in -I{headers}*) ;; *) set -- "$@" "$argument" ;; esac',
        "done",
        f'exec {" ".join(COMPILER)} "$@"',
    )
    said = build(tree, WAYS["in place"], without)
    assert "cconv's kernels are C, and Python's headers to build them with are missing: " in said
    assert "Python.h" in said
    assert "apt install python3-dev" in said
    assert "no C compiler" not in said
    assert len(said[said.index("error: ") :].splitlines()) == 2


@pytest.fixture(scope="module")
def setup():
    """setup.py as a module."""
    spec = importlib.util.spec_from_file_location("cconv_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not _kernels.has_openmp(), reason="the compiler has no OpenMP")
def test_openmp_behind_a_launcher(setup, tmp_path):
    """CC="ccache gcc": the flags are asked of the whole command, and it is that which is run."""
    log = tmp_path / "log"
    launcher = script(tmp_path / "launcher", f'echo "$@" >> {log}', 'exec "$@"')
    assert setup.openmp_flags([launcher, *COMPILER]) == setup.openmp_flags(COMPILER) != ([], [])
    assert COMPILER[0] in log.read_text()


def test_a_compiler_without_openmp_is_said_once(setup, tmp_path):
    without = script(
        tmp_path / "cc",
        'case "$*" in *openmp*) echo "error: no such option" >&2; exit 1 ;; esac',
        f'exec {" ".join(COMPILER)} "$@"',
    )
    with pytest.warns(UserWarning, match="this compiler has no OpenMP") as said:
        assert setup.openmp_flags([without]) == ([], [])
    assert len(said) == 1


def test_every_thread_that_computes_sets_its_control_word(setup, tmp_path):
    """What setup.py writes into the C of Cython's, in every form that Cython gives to those places."""
    written = tmp_path / "kernel.c"
    region = "#pragma omp parallel num_threads(n)\n#endif /* _OPENMP */\n{\n#pragma omp for\nfor (;;) {}"
    written.write_text(f"_save = PyEval_SaveThread();\n__Pyx_FastGIL_Remember();\n{region}\n")
    setup.guard_control_word(written)
    once = written.read_text()
    assert once.count("CCONV_CONTROL") == 2
    assert "PyEval_SaveThread(); CCONV_CONTROL" in once
    assert "/* _OPENMP */\n{ CCONV_CONTROL\n#pragma omp for" in once
    setup.guard_control_word(written)
    assert written.read_text() == once
