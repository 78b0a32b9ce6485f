"""The experiments run, on little data: each ends in a table of figures."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cconv
from cconv.datasets import cifar10

FOLDER = Path(__file__).parents[1] / "examples" / "experiments"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "common")


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_experiment_prints_its_table(name, tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / cifar10.FOLDERS[1]
    folder.mkdir()
    for file in cifar10.TRAIN + cifar10.TEST:
        records = rng.integers(0, 256, (20, cifar10.RECORD), np.uint8)
        records[:, 0] %= len(cifar10.CLASSES)
        (folder / file).write_bytes(records.tobytes())
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--quick"],
        env=os.environ
        | {"CCONV_DATA_DIR": str(tmp_path), "PYTHONPATH": str(Path(cconv.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *_, titles, row, aim = done.stdout.splitlines()
    assert titles.split()[0] == "seed"
    assert aim.startswith("aim: ")
    seed, *figures = row.split()
    assert seed == "0"
    assert len(figures) >= 3
    assert all(float(figure) >= 0 for figure in figures)


def test_the_index_names_every_experiment():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in SCRIPTS if f"{name}.py" not in text] == []
