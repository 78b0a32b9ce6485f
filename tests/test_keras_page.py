"""The tables of Keras' names have their form, and the page about them is true."""

import re
import subprocess
import sys

import numpy as np
import pytest
from keras_tables import API, INSIDE, ROOT, SECTIONS, module_of, section_in, takes

from cconv import layers
from cconv.arguments import keras_names
from cconv.arguments.keras_names import METHODS, PAGE, section_of
from cconv.arguments.keras_names.arguments import ARGUMENTS, OWN_NAME, Argument
from cconv.arguments.keras_names.missing import MISSING
from cconv.models import Sequential

# --- the form of the tables -----------------------------------------------------------------------


def test_the_form_of_the_tables():
    for namespace, table in MISSING.items():
        module_of(namespace)
        assert section_of(namespace) in SECTIONS
        for name, instead in table.items():
            assert name.isidentifier()
            assert "\n" not in instead
            assert instead == instead.strip()
    for key, table in ARGUMENTS.items():
        place, name = key.split(".")
        owner = Sequential if place == "Sequential" else module_of(place)
        assert name == "*" or hasattr(owner, name), key
        assert place != "Sequential" or name in METHODS
        for argument, entry in table.items():
            assert argument.isidentifier()
            assert isinstance(entry, Argument)
            assert entry.same or entry.accepted
            if name != "*":
                own = takes(getattr(owner, name))
                assert argument not in own, f"cconv takes {argument} of {key} now: remove its line"
                assert not entry.same or entry.same in own


def test_one_line_a_name():
    for file in ("missing.py", "layers.py", "arguments.py"):
        lines = (ROOT / "cconv" / "arguments" / "keras_names" / file).read_text(encoding="utf-8").splitlines()
        entries = [line for line in lines if re.match(r' +"\w+": [^{]', line)]
        assert all(line.endswith(",") and line.count('": ') >= 1 for line in entries)
    for table in MISSING.values():
        assert list(table) == list(dict.fromkeys(table))


def test_what_is_accepted_is_of_its_type():
    assert Argument((0.0,)).accepts(0, "")
    assert Argument((1,)).accepts(1, "")
    assert not Argument((1,)).accepts(True, "")
    assert not Argument((1,)).accepts(1.5, "")
    assert not Argument((False,)).accepts(0, "")
    assert not Argument((0.0,)).accepts(False, "")
    assert not Argument((0.0,)).accepts(np.zeros(2), "")
    assert Argument((OWN_NAME,)).accepts("mean_squared_error", "MeanSquaredError")
    assert not Argument((OWN_NAME,)).accepts("mse", "MeanSquaredError")


# --- the page -------------------------------------------------------------------------------------


def rows(text, *header):
    """Return the rows of the tables of that header, as lists of cells."""
    line = re.escape(f"| {' | '.join(header)} |")
    found = []
    for table in re.findall(rf"^{line}\n\|[ |-]+\|\n((?:\|.*\|\n)*)", text, re.MULTILINE):
        found += [re.split(r"(?<!\\) \| ", row.strip("|").strip()) for row in table.splitlines()]
    return found


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("section", SECTIONS)
def test_what_the_page_says_is_here_is_importable_and_what_is_missing_is_missing(section):
    module = "cconv" if section == "keras" else f"cconv.{section}"
    here = [name for (cell,) in rows(SECTIONS[section], "Here") for name in names(cell)]
    missing = [name for cells in rows(SECTIONS[section], "Not here", "Instead") for name in names(cells[0])]
    assert here
    assert missing or not MISSING[section]

    def attempt(name):
        place, _, last = f"{module}.{name}".rpartition(".")
        exec(f"from {place} import {last}", {})

    for name in here:
        attempt(name)
    for name in missing:
        with pytest.raises(ImportError, match=rf"see {PAGE}#{section}"):
            attempt(name)
    assert not set(here) & set(missing)
    # Nothing is left out.
    listed = {*here, *missing}
    for namespace, table in API.items():
        if namespace in MISSING and section_of(namespace) == section:
            prefix = "schedules." if "." in namespace else ""
            assert {prefix + name for name in table} - INSIDE <= listed


def test_the_page_lists_every_argument():
    for section, text in SECTIONS.items():
        listed = set()
        for cells in rows(text, "Argument", "of", "Accepted", "Instead"):
            owners = names(cells[1]) or ["*"]
            listed |= {(name, owner.split(".")[-1]) for name in names(cells[0]) for owner in owners}
            if "all" in cells[1].split(", "):
                listed |= {(name, "*") for name in names(cells[0])}
        expected = {
            (argument, key.split(".")[1])
            for key, table in ARGUMENTS.items()
            for argument in table
            if section_of({"Sequential": "models"}.get(key.split(".")[0], key.split(".")[0])) == section
        }
        assert listed == expected


def test_what_the_page_says_of_models():
    made = Sequential([layers.Dense(2, input_shape=(3,))])
    missing = [
        name
        for cells in rows(SECTIONS["models"], "Not in `Sequential`", "Instead")
        for name in names(cells[0])
    ]
    assert len(missing) > 10
    for name in missing:
        assert not hasattr(made, name)
    for cells in rows(SECTIONS["models"], "Not in `Sequential`", "Instead"):
        for word in names(cells[1]):
            if word.isidentifier() and not word[0].isupper():
                owners = (made, made.layers[0])
                assert any(hasattr(owner, word) for owner in owners), word


def test_the_page_is_made_of_the_tables(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_keras_page.py", "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_the_readmes_link_the_page(name):
    assert f"({PAGE})" in (ROOT / name).read_text(encoding="utf-8")


def test_messages_name_sections_that_exist():
    for namespace in MISSING:
        assert section_in(keras_names.pointer(namespace)) == section_of(namespace)
