"""A checkout whose kernels are not compiled says so, and what to do, however it is imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cconv

SOURCES = Path(cconv.__file__).parent
WAYS = ("import cconv", "from cconv.layers import Conv2D", "import cconv.threads", "import cconv.io")


@pytest.fixture
def checkout(tmp_path):
    """The Python files of cconv, and the source of its kernels, as after ``git clone``."""
    for file in SOURCES.rglob("*.py"):
        copy = tmp_path / "cconv" / file.relative_to(SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    (tmp_path / "cconv" / "_kernels.pyx").touch()
    return tmp_path


@pytest.mark.parametrize("way", [["-m", "cconv", "train"], *(["-c", way] for way in WAYS)])
def test_sources_are_refused_with_what_to_do(checkout, way):
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, *way], capture_output=True, text=True, cwd=checkout, env=environment, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "ImportError: cconv must be imported with its kernels compiled, got its sources in "
    )
    assert str(checkout / "cconv") in last
    assert "pip install -e ." in last
