"""Every block of Python in the pages of `docs/` runs: those of a page in order, as a reader types them."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
FENCE = re.compile(r"^```(python\b[^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Written for the site from files that stand elsewhere, and tested there.
MADE = {"api", "learn", "gallery", "changelog.md", "contributing.md"}


def sources():
    found = [path.relative_to(DOCS) for path in DOCS.rglob("*.md")]
    return sorted(str(path) for path in found if not MADE & {*path.parts})


def blocks(name):
    """Return the (words of the fence, code, line) of each block of Python in a page."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return [(m[1].split()[1:], m[2], text.count("\n", 0, m.start()) + 1) for m in FENCE.finditer(text)]


PAGES = {name: blocks(name) for name in sources()}
WITH_CODE = [name for name in PAGES if any(not words for words, _, _ in PAGES[name])]
ELSEWHERE = [name for name in PAGES if any(words for words, _, _ in PAGES[name])]


def test_pages_with_code_are_found():
    assert {"start.md", "bring-your-model.md", "guides/own-images.md", "how/winograd.md"} <= {*WITH_CODE}


@pytest.mark.parametrize("name", WITH_CODE)
def test_the_code_of_a_page_runs(name, tmp_path, monkeypatch):
    import cconv

    monkeypatch.chdir(tmp_path)
    threads, names = cconv.get_num_threads(), {"__name__": "page"}
    for words, code, line in PAGES[name]:
        if not words:
            exec(compile("\n" * line + code, str(DOCS / name), "exec"), names)
    assert cconv.get_num_threads() == threads


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_code_of_other_frameworks_is_python_and_runs_where_they_are(name):
    """A fence of ``python torch`` needs torch: it is compiled, and run where torch is installed."""
    for (package, *rest), code, line in [block for block in PAGES[name] if block[0]]:
        assert not rest
        assert f"import {package}" in code
        program = compile("\n" * line + code, str(DOCS / name), "exec")
        if importlib.util.find_spec(package):
            exec(program, {"__name__": "page"})


def test_there_is_an_example_of_every_way_of_a_model():
    text = "".join(code for _, code, _ in PAGES["bring-your-model.md"])
    ways = [
        *("onnx.load(", ".export(", "load_model(", ".keras", "load_weights(", "save_weights("),
        *("load_state_dict(", "save_state_dict(", ".from_model(", "export_onnx("),
    ]
    for way in ways:
        assert way in text


def test_an_error_names_the_line_of_the_page(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nx = 1\nassert x == 2\n```\n", encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "DOCS", tmp_path)
    monkeypatch.setitem(PAGES, "page.md", blocks("page.md"))
    with pytest.raises(AssertionError) as caught:
        test_the_code_of_a_page_runs("page.md", tmp_path, monkeypatch)
    assert caught.traceback[-1].lineno + 1 == 5
