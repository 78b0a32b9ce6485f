"""The sdist and the wheel of this tree, made once for all tests, and the kernels compiled for the wheel."""

import os
import shutil
import subprocess
import sys
import sysconfig
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


def _compiled_as_for_a_wheel(modules, sources):
    """Whether an editable installation compiled these modules, after the last change of a source.

    Those of `setup.py build_ext --inplace` have names that a wheel's have not; where cconv is installed
    otherwise, there are none.
    """
    if not all(module.is_file() for module in modules):
        return False
    changed = max(source.stat().st_mtime_ns for source in sources)
    return all(
        module.stat().st_mtime_ns > changed and b".symtab" not in module.read_bytes() for module in modules
    )


def _lay_beside(tree):
    """Copy what the editable installation of this tree compiled to where builds look for it.

    They compile only what they do not find there, or find older than its source.
    """
    package = ROOT / "cconv"
    where = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    names = [package / "_shared", *(path.with_suffix("") for path in package.rglob("*.pyx"))]
    modules = [path.with_name(path.name + suffix) for path in names]
    sources = [ROOT / "setup.py", *package.rglob("*.p[yx][xd]"), *package.glob("simd/**/*.[ch]")]
    if not _compiled_as_for_a_wheel(modules, sources):
        return
    by_cython = [path.with_suffix(".c") for path in names]
    objects = (ROOT / f"build/temp.{where}").rglob("*.o")
    copies = {path: path.relative_to(ROOT) for path in (*by_cython, *objects)}
    # The last, and so newer than what Cython wrote.
    copies |= {path: Path("build", f"lib.{where}", path.relative_to(ROOT)) for path in modules}
    for path, copy in copies.items():
        (tree / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tree / copy)


def unpacked(sdist, folder):
    """The folder, into which the sdist is unpacked."""
    with tarfile.open(sdist) as tar:
        # Python has the filter from 3.11.4 on, and warns without it from 3.12 on.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder, **safe)
    return folder


def _built(tmp_path_factory):
    """A folder with the wheel, made from the sdist, and with what was compiled for it."""
    source = sdist(tmp_path_factory)
    pip = (sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index")

    def make(folder):
        (tree,) = unpacked(source, folder / "unpacked").iterdir()
        _lay_beside(tree)
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
