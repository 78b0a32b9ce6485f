import ast
import importlib
import inspect
import os
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import packages
import pytest
from packages import ROOT, run

LARGEST_WHEEL = 4_000_000  # bytes


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return packages.sdist(tmp_path_factory)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return packages.wheel(tmp_path_factory)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that holds the unpacked wheel, as an installation would."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_installed(installed, *arguments, **environment):
    return run(sys.executable, *arguments, cwd=installed.parent, PYTHONPATH=str(installed), **environment)


def members(sdist):
    with tarfile.open(sdist) as tar:
        return {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}


def test_sdist_holds_the_sources_and_nothing_built(sdist):
    found = members(sdist)
    for folder, pattern in [
        ("cconv", "**/*.py"),
        ("cconv", "**/*.p[yx][xdi]*"),
        ("cconv/simd", "**/*.[ch]"),
        ("tests", "*.py"),
        ("examples", "**/*.py"),
        ("tools", "*.py"),
        ("docs", "_site/*.py"),
        ("docs", "_templates/*.html"),
    ]:
        sources = {str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(pattern)}
        assert sources
        assert sources <= found
    assert found >= {"LICENSE", "README.md", "README.ja.md", "CHANGELOG.md", "CONTRIBUTING.md", ".ci/run"}
    made_by_cython = {
        str(path.relative_to(ROOT).with_suffix(".c")) for path in (ROOT / "cconv").rglob("*.pyx")
    }
    assert not found & made_by_cython
    assert not [name for name in found if re.search(r"\.(so|pyd|pyc|o)$", name)]


def test_what_the_c_includes_is_in_the_sdist(sdist, tmp_path):
    """Where the wheel is made of what was compiled before, no compiler has read these files."""
    (tree,) = packages.unpacked(sdist, tmp_path).iterdir()
    files = sorted(str(path.relative_to(tree)) for path in (tree / "cconv/simd").rglob("*.c"))
    compiler = os.environ.get("CC", "cc").split()
    included = run(*compiler, "-M", "-Icconv/simd", *files, cwd=tree)
    assert len(files) == len(list((ROOT / "cconv/simd").rglob("*.c")))
    assert {f"{Path(file).stem}.o" for file in files} == set(
        re.findall(r"^(\w+\.o):", included, re.MULTILINE)
    )
    assert len(set(re.findall(r"cconv/simd/[\w/]+\.h", included))) > 40


def test_wheel_is_small_and_whole(wheel, record_property):
    size = wheel.stat().st_size
    record_property("wheel_bytes", size)
    assert size <= LARGEST_WHEEL
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"cconv/py.typed", "cconv/datasets/mnist_small.npz", "cconv/plotting/cconv.mplstyle"} <= names
    assert {
        f"cconv/{path.relative_to(ROOT / 'cconv')}" for path in (ROOT / "cconv/reporting/page").iterdir()
    } <= names
    for source in (ROOT / "cconv").rglob("*.pyx"):
        path = source.relative_to(ROOT).with_suffix("").as_posix()
        assert f"{path}.pyi" in names
        assert [name for name in names if re.fullmatch(rf"{path}\..*(so|pyd)", name)]
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"cconv"}
    assert not [name for name in names if re.search(r"\.(pyx|pxd|[ch])$", name)]


def test_every_kernel_module_has_a_stub_and_the_package_is_typed():
    modules = sorted(path.stem for path in (ROOT / "cconv").glob("*.pyx"))
    assert "_kernels" in modules
    assert [name for name in modules if not (ROOT / "cconv" / f"{name}.pyi").is_file()] == []
    assert (ROOT / "cconv" / "py.typed").is_file()


def test_stubs_say_what_the_sources_say():
    tool = (sys.executable, str(ROOT / "tools" / "make_stubs.py"), "--check")
    assert run(*tool, cwd=ROOT) == ""


@pytest.mark.parametrize("path", sorted((ROOT / "cconv").glob("*.pyi")), ids=lambda path: path.stem)
def test_stubs_name_what_the_compiled_modules_have(path):
    module = importlib.import_module(f"cconv.{path.stem}")
    stubs = {
        node.name: [argument.arg for argument in node.args.args]
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert stubs
    public = {name for name, value in vars(module).items() if callable(value) and not name.startswith("_")}
    assert {name for name in public if getattr(module, name).__module__ == module.__name__} <= set(stubs)
    for name, arguments in stubs.items():
        assert list(inspect.signature(getattr(module, name)).parameters) == arguments


IMPORTS = """
import sys, time
import numpy
begin = time.perf_counter()
import cconv
milliseconds = 1000 * (time.perf_counter() - begin)
print(cconv.__file__)
print(round(milliseconds, 1))
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_import_is_light(installed, record_property):
    times = []
    for _ in range(3):
        file, milliseconds, modules = run_installed(installed, "-c", IMPORTS).splitlines()
        assert Path(file).parent == installed / "cconv"
        assert not {"sklearn", "matplotlib", "scipy", "pandas", "pooch", "PIL"} & set(modules.split())
        times.append(float(milliseconds))
    record_property("import_milliseconds_over_numpy", min(times))
    print(f"import cconv: {min(times)} ms over numpy")


def test_installed_wheel_trains_and_predicts(installed, tmp_path):
    model = tmp_path / "model.safetensors"
    printed = run_installed(installed, "-m", "cconv", "train", "--epochs", "1", "--out", str(model))
    assert "test accuracy" in printed
    assert model.is_file()
    assert "instruction set" in run_installed(installed, "-m", "cconv", "info")


def test_installed_wheel_runs_without_special_instructions(installed):
    printed = run_installed(installed, "-m", "cconv", "info", CCONV_ISA="generic")
    assert re.search(r"instruction set +generic", printed)
