"""The sdist and the wheel of this tree, made once for all tests, and the kernels compiled for the wheel."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from sharing import shared

ROOT = Path(__file__).parents[1]
BUILT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "*.so", "*.pyd", "__pycache__", ".*_cache", ".hypothesis"
)


def run(*command, cwd, **environment):
    """Run a command to its end and return what it printed; its stderr is in the failure."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CCONV_SANITIZE")}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def sdist(tmp_path_factory):
    """The sdist of this tree, made from a copy so that the tree stays as it is."""

    def make(folder):
        tree = shutil.copytree(ROOT, folder / "tree", ignore=BUILT)
        code = f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})"
        run(sys.executable, "-c", code, cwd=tree)

    (path,) = shared(tmp_path_factory, "sdist", make).glob("*.tar.gz")
    return path


def _built(tmp_path_factory):
    """A folder with the wheel, made from nothing but the sdist, and with what was compiled for it."""
    source = sdist(tmp_path_factory)
    pip = (sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index")

    def make(folder):
        with tarfile.open(source) as tar:
            # Python has the filter from 3.11.4 on, and warns without it from 3.12 on.
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            tar.extractall(folder / "unpacked", **safe)
        (tree,) = (folder / "unpacked").iterdir()
        run(*pip, "--wheel-dir", str(folder), str(tree), cwd=folder)

    return shared(tmp_path_factory, "wheel", make)


def wheel(tmp_path_factory):
    """The wheel of that sdist."""
    (path,) = _built(tmp_path_factory).glob("*.whl")
    return path


def kernel_objects(tmp_path_factory):
    """What the compiler made of each C file in `simd/isa` for the wheel."""
    found = sorted(_built(tmp_path_factory).glob("unpacked/*/build/temp*/cconv/simd/isa/*.o"))
    assert {path.stem for path in found} == {path.stem for path in (ROOT / "cconv/simd/isa").glob("*.c")}
    return found
