import base64
import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEARN = ROOT / "examples" / "learn"
SOURCES = sorted((ROOT / "tools" / "notebooks" / "lessons").glob("*.py"))
LARGEST = 300_000  # bytes of a notebook
INDEXES = ["README.md", "README.ja.md"]

_spec = importlib.util.spec_from_file_location("build_notebooks", ROOT / "tools" / "notebooks" / "build.py")
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)

each = pytest.mark.parametrize("source", SOURCES, ids=[path.stem[:2] for path in SOURCES])


def committed(source):
    return json.loads((LEARN / f"{source.stem}.ipynb").read_text(encoding="utf-8"))


def outputs(book):
    return [output for cell in book["cells"] for output in cell.get("outputs", [])]


def printed(source):
    """Return what the code of a lesson printed."""
    texts = [output["text"] for output in outputs(committed(source)) if output["output_type"] == "stream"]
    return "".join("".join(text) for text in texts)


def lesson(number):
    (source,) = [path for path in SOURCES if path.stem.startswith(number)]
    return source


def test_there_are_thirteen_lessons_and_a_notebook_of_each():
    assert [path.stem[:2] for path in SOURCES] == [f"{number:02}" for number in range(1, 14)]
    assert sorted(path.stem for path in LEARN.glob("*.ipynb")) == [path.stem for path in SOURCES]


@each
def test_a_notebook_is_its_source(source):
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in committed(source)["cells"]]
    assert cells == build.cells(source.read_text(encoding="utf-8"))


@each
def test_a_notebook_was_run_from_top_to_bottom_without_errors(source):
    book = committed(source)
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert {output["output_type"] for output in outputs(book)} <= {"stream", "display_data", "execute_result"}
    assert not [output for output in outputs(book) if output.get("name") == "stderr"]


@each
def test_a_notebook_is_small_and_names_no_folder(source):
    path = LEARN / f"{source.stem}.ipynb"
    assert path.stat().st_size <= LARGEST
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
    assert set(committed(source)["metadata"]) == {"kernelspec", "language_info"}


@each
def test_a_lesson_has_text_a_picture_and_the_way_on(source):
    book = committed(source)
    text = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "markdown"]
    assert text[0].startswith(f"# {int(source.stem[:2])} · ")
    assert sum(map(len, text)) > 1000
    pictures = [
        output["data"]["image/png"] for output in outputs(book) if "image/png" in output.get("data", {})
    ]
    assert pictures
    for picture in pictures:
        assert base64.b64decode(picture).startswith(b"\x89PNG\r\n\x1a\n")
    target = re.search(r"\]\(([^)]+)\)\.?$", text[-1])[1]
    following = SOURCES.index(source) + 1
    assert target == (f"{SOURCES[following].stem}.ipynb" if following < len(SOURCES) else "README.md")


@each
def test_what_a_lesson_compares_is_the_same(source):
    assert "False" not in printed(source)


def test_the_three_cases_are_right():
    text = printed(lesson("06"))
    for row in ("1    142×142×6         168", "2     58×58×48      10,416", "3       9×9×20       1,820"):
        assert row in text
    assert "Total params: 5,576,522" in text


def test_the_networks_of_the_course_have_its_counts_and_learn():
    mnist, cifar = printed(lesson("09")), printed(lesson("10"))
    assert "Total params: 1,199,882" in mnist
    assert "Total params: 1,250,858" in cifar
    digits = [float(value) for value in re.findall(r"val_accuracy: ([\d.]+)", mnist)]
    photographs = [float(value) for value in re.findall(r"val_accuracy: ([\d.]+)", cifar)]
    assert digits[-1] > 0.97
    assert photographs[-1] > 0.45


def test_the_later_lessons_show_what_they_say():
    losses = [float(value) for value in re.findall(r"loss ([\d.]+)$", printed(lesson("11")), re.MULTILINE)]
    plain_20, residual_20, plain_56, residual_56 = losses
    assert residual_20 < plain_20 < plain_56
    assert residual_56 < plain_56 / 4
    with_skips, without = re.findall(r"intersection over union ([\d.]+)", printed(lesson("12")))
    assert float(with_skips) > float(without) + 0.05
    assert float(re.search(r"accuracy on the test images ([\d.]+)", printed(lesson("13")))[1]) > 0.93


@pytest.mark.parametrize("name", INDEXES)
def test_the_index_links_every_lesson_in_order(name):
    text = (LEARN / name).read_text(encoding="utf-8")
    assert re.findall(r"\]\((\d\d_\w+)\.ipynb\)", text) == [path.stem for path in SOURCES]
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (LEARN / target).exists(), target


def test_both_indexes_have_the_same_commands():
    commands = [
        [
            line.split("#")[0].strip()
            for line in (LEARN / name).read_text(encoding="utf-8").splitlines()
            if line[:4] == "    "
        ]
        for name in INDEXES
    ]
    assert commands[0] == commands[1]
    assert len(commands[0]) == 5


def test_cells_are_read_as_they_stand():
    source = "# %% [markdown]\n# # Title\n#\n# text\n\n# %%\nx = 1\n\n\n# a comment\n"
    assert build.cells(source) == [("markdown", "# Title\n\ntext"), ("code", "x = 1\n\n\n# a comment")]
    with pytest.raises(ValueError, match="must begin with"):
        build.cells("x = 1\n")


def test_ci_runs_the_notebooks():
    assert "tools/notebooks/build.py --check" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
