"""Scripts as a user of Keras writes them give Keras' figures.

The figures are in data/keras_scripts.json, made by tools/tables/scripts.py where Keras is installed;
`python tests/keras_scripts/run.py --compare` runs both beside each other.
"""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from keras_scripts.run import SCRIPTS, differences, play, write_mnist

KEPT = json.loads((Path(__file__).parent / "data" / "keras_scripts.json").read_text(encoding="utf-8"))[
    "results"
]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    write_mnist(folder)
    return folder / "mnist.npz"


@pytest.fixture
def workplace(images, tmp_path, monkeypatch):
    """A folder of its own; what a script does to the generators of random numbers is undone."""
    (tmp_path / "mnist.npz").symlink_to(images)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cconv.seeds._global_seed", None)
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002


def test_every_script_has_its_figures_and_says_what_it_does():
    assert [path.stem for path in SCRIPTS] == sorted(KEPT)
    for number, path in enumerate(SCRIPTS, start=1):
        assert path.name.startswith(f"{number:02d}_")
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith('"""')
        assert lines[0].endswith('."""')
        assert 10 <= len(lines) <= 60, path.name


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_gives_the_figures_of_keras(path, workplace):
    found, rtol = play(path)
    assert differences(KEPT[path.stem], found, rtol) == []


def test_differences_are_seen():
    assert differences({"a": [1.0, 2.0]}, {"a": [1.0, 2.0 + 1e-6]}) == []
    for other in ({"a": [1.0, 2.1]}, {"a": [1.0]}, {"b": [1.0, 2.0]}, {"a": [1.0, float("nan")]}, {"a": "x"}):
        assert len(differences({"a": [1.0, 2.0]}, other)) == 1
