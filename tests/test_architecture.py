"""The pages that lead from a formula to its kernel name what there is, and all of it."""

import re
from pathlib import Path

import pytest

from cconv import functional

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
KERNELS = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")


def table(page, first):
    """The cells of the rows of the table whose header begins so."""
    lines = page[page.index(f"| {first} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


OPERATIONS = table(PAGE, "operation")


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row[0])
def test_the_files_of_an_operation_are_there(row):
    _, *files, test = (cell.strip("`") for cell in row)
    for file in files:
        assert (ROOT / "cconv" / file).is_file(), file
    assert (ROOT / "tests" / test).is_file(), test


def test_every_public_operation_has_a_line():
    named = {name for row in OPERATIONS for name in re.split(r", ", row[0])}
    assert set(functional.__all__) <= named


def test_every_kernel_module_and_twin_is_in_the_table():
    shown = {cell.strip("`") for row in OPERATIONS for cell in row}
    kernels = {f"kernels/{path.name}" for path in (ROOT / "cconv" / "kernels").glob("*.pyx")}
    assert kernels | {"_kernels.pyx"} <= shown
    twins = {f"reference/{path.name}" for path in (ROOT / "cconv" / "reference").glob("*.py")}
    helpers = {f"reference/{name}.py" for name in ("__init__", "uneven", "windows")}
    assert twins - helpers <= shown


@pytest.mark.parametrize("path", sorted((ROOT / "cconv").glob("**/*.pyx")), ids=lambda path: path.stem)
def test_every_kernel_is_on_its_page(path):
    made = re.findall(r"^def ([a-z]\w*)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [row[0] for row in table(KERNELS, "kernel") if f"`{path.stem}." in row[0]]
    questions = (
        r".*_scratch|.*_chunks|kept_size|dense_in_place|available_isas|isa|compiler|.*openmp.*|view"
        r"|tunings?|tuning_said|processor_answers|race_multipliers"
    )
    for name in made:
        if path.stem == "_control" or re.fullmatch(
            rf"{questions}|omp_max_threads|probe_threads|look_for_work", name
        ):
            continue
        assert any(f"{name}`" in row or f"{path.stem}.*" in row for row in rows), f"{path.stem}.{name}"


def test_paths_that_the_pages_name_are_there():
    for page in (PAGE, KERNELS):
        for path in re.findall(r"`((?:cconv/|simd/|kernels/|reference/|ops/|tests/)[\w/]+\.\w+)`", page):
            places = (ROOT, ROOT / "cconv")
            assert any((place / path).exists() for place in places), path
