"""Test an installed cconv, as a wheel brings it: python tools/wheels/test.py [WHEEL PYTHON...].

Without arguments the cconv of this Python is tested.  With them, each of these Pythons gets a new
environment with the wheel of its version among `WHEEL` (a file or a folder of files), and the tests run
there.  It is also what cibuildwheel calls for every wheel of a release (pyproject.toml).  The tests are
those that need no sources, no compiler and little else installed: kernels against their twins, layers,
models, files, estimators, threads.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = [
    "kernels_*",
    "layers",
    "layers_values",
    "models",
    "models_errors",
    "models_files",
    "models_summary",
    "models_training",
    "graphs",
    "optimizers",
    "losses",
    "metrics",
    "callbacks",
    "files_attacks",
    "estimators_formats",
    "estimators_parameters",
    "determinism",
    "threads",
]
# It reads the C of the kernels, which no wheel has.
LEFT_OUT = "tests/test_kernels_few_taps.py::test_python_and_c_agree_on_how_many_taps_are_few"
# Processes that fork, and limits of memory and threads, are Unix'.
UNIX = ["files_saving", "fork"]


def run(*command, **options):
    """Say what is run, and run it to its end."""
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True, **options)


def test_here():
    """Run the tests on the cconv that this Python finds outside of the sources; return pytest's exit code."""
    names = [*TESTS, *(UNIX if os.name == "posix" else [])]
    with tempfile.TemporaryDirectory() as folder:
        tests = Path(folder, "tests")
        shutil.copytree(ROOT / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        files = sorted({path for name in names for path in tests.glob(f"test_{name}.py")})
        where = "import cconv; print(cconv.__file__); cconv.show_config()"
        environment = {"CCONV_TEST_EXAMPLES": "10", "OMP_WAIT_POLICY": "passive", **os.environ}
        environment.pop("PYTHONPATH", None)
        run(sys.executable, "-c", where, cwd=folder, env=environment)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--deselect", LEFT_OUT]
        command += [str(path.relative_to(folder)) for path in files]
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def test_wheel(wheels, python):
    """Install the wheel of that Python's version into a new environment, and run the tests there."""
    tag = "import sys, sysconfig; print(f'cp{sys.version_info[0]}{sys.version_info[1]}' + sys.abiflags)"
    tag = subprocess.run([python, "-c", tag], check=True, capture_output=True, text=True).stdout.strip()
    (wheel,) = wheels.glob(f"*-{tag}-*.whl") if wheels.is_dir() else [wheels]
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]["test-requires"]
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        there = Path(folder, "Scripts" if os.name == "nt" else "bin", "python")
        run(there, "-m", "pip", "install", "--quiet", "--only-binary=:all:", wheel, *needed)
        run(there, __file__)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(test_here())
    for given in sys.argv[2:]:
        test_wheel(Path(sys.argv[1]), given)
