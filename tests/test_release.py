"""A release: version and date in step, links that lead somewhere, all wheels, builds on other systems."""

import importlib.util
import re
import tomllib
import types
import zipfile
from pathlib import Path

import pytest
from setuptools.errors import CompileError

import cconv

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOW = (ROOT / ".github/workflows/wheels.yml").read_text(encoding="utf-8")


def loaded(path):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(f"cconv_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def setup():
    return loaded(ROOT / "setup.py")


@pytest.fixture
def check(monkeypatch):
    return loaded(ROOT / "tools/wheels/check.py")


# ---- what a release says of itself ------------------------------------------------------------


def test_changelog_and_citation_name_the_version_and_one_date():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    dated = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    assert dated == sorted(dated, key=lambda one: [*map(int, one[0].split("."))], reverse=True)
    version, date = dated[0]
    assert version == cconv.__version__
    assert f"\nversion: {version}\n" in citation
    assert f"\ndate-released: {date}\n" in citation


def test_the_licence_names_the_data_and_every_licence_is_in_the_text():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "BSD-3-Clause AND CC-BY-SA-3.0"
    for words in ("BSD 3-Clause", "licenses/by-sa/3.0/", "GCC-exception-3.1", "LLVM-exception"):
        assert words in licence


def test_the_page_of_a_release_has_absolute_links(setup, monkeypatch):
    monkeypatch.chdir(ROOT)
    page, links = setup.about_repository("https://example.org/cconv", "1.2.3")
    targets = re.findall(r"\]\(([^)\s]+)\)", page)
    assert len(targets) > 20
    for target in targets:
        assert target.startswith(("https://", "#")), target
        found = re.fullmatch(r"https://example\.org/cconv/(?:blob|raw)/v1\.2\.3/([^#]+)(?:#.*)?", target)
        assert found is None or (ROOT / found[1]).exists(), target
    assert "![" in page
    assert re.search(r"!\[[^\]]*\]\(https://example\.org/cconv/raw/v1\.2\.3/docs/images/\w+\.png\)", page)
    assert links["Changelog"] == "https://example.org/cconv/blob/v1.2.3/CHANGELOG.md"


def test_without_an_address_the_page_is_the_readme_and_no_link_is_invented(setup, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert setup.about_repository("", "1.2.3") == ((ROOT / "README.md").read_text(encoding="utf-8"), {})


# ---- the files of a release -------------------------------------------------------------------


def test_every_wheel_is_built_by_some_job_and_said_in_the_docs(check):
    settings = PROJECT["tool"]["cibuildwheel"]
    jobs = re.findall(r"\{ os: (\w+)-[\w.-]+, archs: (\w+) \}", WORKFLOW)
    systems = {"ubuntu": "linux", "macos": "macos", "windows": "windows"}
    wanted = {(system, arch) for system in systems.values() for arch in settings[system]["archs"]}
    assert {(systems[os], arch) for os, arch in jobs} == wanted
    assert len(check.expected("0")) == 1 + len(settings["build"]) * (2 * 2 + 2 + 1)
    page = (ROOT / "docs/wheels.md").read_text(encoding="utf-8")
    for name in (*settings["build"], *(arch for _, arch in wanted)):
        assert name.removesuffix("-*").removeprefix("cp3") in page


def test_a_version_of_python_is_claimed_only_if_wheels_of_it_are_built():
    claimed = re.findall(r"Python :: 3\.(\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    built = re.findall(r"cp3(\d+)-", " ".join(PROJECT["tool"]["cibuildwheel"]["build"]))
    assert claimed
    assert {*claimed} <= {*built}


def test_a_release_that_lacks_a_file_or_has_another_is_refused(check, tmp_path):
    version = cconv.__version__
    for pattern in check.expected(version):
        (tmp_path / pattern.replace("macosx_*", "macosx_15_0").replace("*", "")).touch()
    assert check.faults(tmp_path) == []
    wheel = tmp_path / f"cconv-{version}-cp312-cp312-manylinux_2_28_x86_64.whl"
    wheel.write_bytes(bytes(check.LARGEST + 1))
    assert check.faults(tmp_path) == [f"{wheel.name} has 4,000,001 bytes, more than 4,000,000"]
    wheel.rename(tmp_path / f"cconv-{version}-cp312-cp312-linux_x86_64.whl")
    said = check.faults(tmp_path)
    assert said[0] == f"expected one file cconv-{version}-cp312-cp312-*manylinux_2_28_x86_64*.whl, found 0"
    assert said[1] == f"cconv-{version}-cp312-cp312-linux_x86_64.whl is of no release"


def test_wheels_are_compressed_without_another_change(tmp_path):
    pytest.importorskip("zopfli")
    wheel = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/b.py", "a/c.so"):
            member = zipfile.ZipInfo(name, (2026, 12, 1, 10, 0, 0))
            member.external_attr = 0o755 << 16
            archive.writestr(member, (name * 900).encode() + bytes(range(256)) * 20, zipfile.ZIP_DEFLATED)
    was = wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        members = [(one.filename, one.external_attr, archive.read(one)) for one in archive.infolist()]
    before, after = loaded(ROOT / "tools/wheels/squeeze.py").squeeze(wheel)
    assert before == len(was) > after == wheel.stat().st_size
    with zipfile.ZipFile(wheel) as archive:
        assert [(one.filename, one.external_attr, archive.read(one)) for one in archive.infolist()] == members
    assert [path.name for path in tmp_path.iterdir()] == [wheel.name]


# ---- builds on other systems ------------------------------------------------------------------


class Compiler(types.SimpleNamespace):
    """setuptools' compiler for Windows, as far as the build asks it."""

    def __init__(self):
        super().__init__(initialized=False, cc="cl.exe", compile_options=None, folders=[])

    def initialize(self):
        assert not self.initialized
        self.initialized = True
        self.compile_options = ["/nologo", "/O2", "/W3", "/GL", "/DNDEBUG", "/MD"]

    def add_library_dir(self, folder):
        self.folders.append(folder)


def test_windows_takes_clang_cl(setup, tmp_path, monkeypatch):
    command = tmp_path / "LLVM" / "bin" / "clang-cl"
    command.parent.mkdir(parents=True)
    command.write_text("")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent))
    monkeypatch.delenv("CC", raising=False)
    compiler = Compiler()
    setup.use_clang_cl(compiler)
    assert compiler.cc == str(command)
    assert compiler.folders == [str(tmp_path / "LLVM" / "lib")]
    assert compiler.compile_options == ["/nologo", "/O2", "/W3", "/DNDEBUG", "/MD"]


def test_windows_without_clang_cl_says_so_in_three_lines(setup, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CC", "no-clang-cl")
    with pytest.raises(CompileError, match="there is no no-clang-cl to build") as said:
        setup.use_clang_cl(Compiler())
    assert len(str(said.value).splitlines()) == 3


def test_openmp_of_homebrew_is_found(setup, tmp_path, monkeypatch):
    """Apple's clang knows neither -fopenmp nor where Homebrew keeps LLVM's library."""
    brewed = tmp_path / "libomp"
    brewed.mkdir()
    compiler = tmp_path / "cc"
    compiler.write_text(f'#!/bin/sh\ncase "$*" in *-L{brewed}/lib*) exit 0 ;; esac\nexit 1\n')
    compiler.chmod(0o755)
    monkeypatch.setattr(setup, "LIBOMP", [tmp_path / "elsewhere", brewed])
    flags, to_link = setup.openmp_flags([str(compiler)])
    assert flags == ["-Xpreprocessor", "-fopenmp", f"-I{brewed}/include"]
    assert to_link == ["-lomp", f"-L{brewed}/lib"]
