"""The site of `docs/`: its reference has every public name, its links hold, its lessons are whole."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

import cconv

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
from _site import links, pages, reference, staging  # noqa: E402

PAGES = reference.collect()
MADE = {*staging.MADE, "changelog.md", "contributing.md"}
PLACES = sorted(path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
WRITTEN = [f"docs/{path}" for path in PLACES if not any(path.is_relative_to(name) for name in MADE)]


def listed():
    """Return the public modules by what cconv says of itself, not by what the site says."""
    found = {"", "estimators", *cconv._MODULES}
    for name in ("io", "optimizers"):
        module = importlib.import_module(f"cconv.{name}")
        found |= {
            f"{name}.{value}" for value in module.__all__ if value in ("keras", "onnx", "torch", "schedules")
        }
    return found


def test_every_public_module_is_in_the_reference():
    assert {page.module for page in PAGES} == listed()


@pytest.mark.parametrize("module", reference.MODULES)
def test_every_public_name_is_in_the_reference(module):
    own = [page for page in PAGES if page.module == module]
    names = [name for page in own for name in (*page.described, *page.elsewhere)]
    assert sorted(names) == sorted(importlib.import_module(reference.full(module, "")).__all__)
    text = "\n".join(map(reference.text_of, own))
    for page in own:
        for name in page.described:
            assert f"{reference.full(module, name)}\n" in f"{text}\n" or f"``{name}``" in text
        for name, place in page.elsewhere.items():
            there, _, last = place.rpartition(".")
            assert hasattr(importlib.import_module(there), last), name


def test_every_public_name_has_an_example():
    without = []
    for page in PAGES:
        module = importlib.import_module(reference.full(page.module, ""))
        for name in page.described:
            thing = getattr(module, name)
            if callable(thing) and ">>> " not in (thing.__doc__ or ""):
                without.append(reference.full(page.module, name))
    assert without == []


def test_a_name_that_no_page_expects_is_an_error():
    _, page_for = reference.pages_of("layers", importlib.import_module("cconv.layers"))
    assert page_for("cconv.layers.pooling").file == "layers-pooling"
    with pytest.raises(KeyError):
        page_for("cconv.layers.attention")


@pytest.mark.parametrize("name", ["README.md", "README.ja.md", *WRITTEN])
def test_links_of_pages_work_where_the_repository_is_read(name):
    text = re.sub(
        r"^```.*?^```$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    for _, _, target in links.LINK.findall(re.sub(r"`[^`\n]*`", "", text)):
        path = target.partition("#")[0]
        if path and "://" not in path:
            assert ((ROOT / name).parent / path).exists(), target


def test_links_are_brought_into_the_site():
    source = (
        "[a](../examples/learn/05_forward_and_backward.ipynb) [b](kernels.md#x) [c](../cconv/seeds.py) "
        "![d](images/tile.svg) [e](https://example.org/a) [f](../README.md) [g](nowhere.md)"
    )
    assert links.relinked(source, "docs/architecture.md", "architecture.md", ROOT) == (
        "[a](learn/05_forward_and_backward.ipynb) [b](kernels.md#x) c ![d](images/tile.svg) "
        "[e](https://example.org/a) [f](index.md) [g](nowhere.md)"
    )


def test_links_to_sources_lead_to_the_repository_where_it_has_an_address(monkeypatch):
    monkeypatch.setenv("CCONV_REPOSITORY", "https://example.org/cconv/")
    text = links.relinked("[s](../cconv/seeds.py)", "docs/architecture.md", "architecture.md", ROOT)
    assert text == "[s](https://example.org/cconv/blob/main/cconv/seeds.py)"


@pytest.mark.parametrize(
    "path", sorted((DOCS / "ja" / "lessons").glob("*.md")), ids=lambda path: path.stem[:2]
)
def test_translated_lessons_are_whole(path):
    book = json.loads((ROOT / "examples" / "learn" / f"{path.stem}.ipynb").read_text(encoding="utf-8"))
    code = [cell["source"] for cell in book["cells"] if cell["cell_type"] == "code"]
    english = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "markdown"]
    made = staging.translated(staging.described(book), path.read_text(encoding="utf-8"))
    texts = [cell["source"] for cell in made["cells"] if cell["cell_type"] == "markdown"]
    assert [cell["source"] for cell in made["cells"] if cell["cell_type"] == "code"] == code
    for here, there in zip(texts, english, strict=True):
        assert re.search(r"[ぁ-んァ-ヶ]", here)
        # Formulas and headings stand where they do in the English text.
        assert re.findall(r"\$\$.*?\$\$", here, re.DOTALL) == re.findall(r"\$\$.*?\$\$", there, re.DOTALL)
        assert len(re.findall(r"^#+ ", here, re.MULTILINE)) == len(re.findall(r"^#+ ", there, re.MULTILINE))


def test_a_translation_with_a_text_too_few_is_refused():
    book = {"cells": [{"cell_type": "markdown", "source": "a"}, {"cell_type": "markdown", "source": "b"}]}
    with pytest.raises(ValueError, match="expected 2 texts"):
        staging.translated(book, "only one")


def test_pictures_of_lessons_are_described():
    code = {"cell_type": "code", "source": 'plotting.images(a, title="maps $x$")', "metadata": {}}
    text = {"cell_type": "markdown", "source": "## Four kernels"}
    plain = {"cell_type": "code", "source": "plotting.images(a)", "metadata": {}}
    book = staging.described({"cells": [text, plain, code]})
    alts = [cell["metadata"]["mystnb"]["image"]["alt"] for cell in book["cells"][1:]]
    assert alts == ["Picture: Four kernels", "Picture: maps x"]


def test_lines_of_japanese_are_joined_without_a_space():
    text = "見ます。\nここでは\n1 枚、\nABC の\n（表）\n<b>end</b>\n<pre># 層。\n入力\n</pre>。\n\nend"
    assert pages.joined(text) == (
        "見ます。ここでは\n1 枚、ABC の（表）<b>end</b>\n<pre># 層。\n入力\n</pre>。\n\nend"
    )


def test_the_style_sheet_keeps_what_pages_name():
    css = (
        '@charset "UTF-8";a{b:1}.used,.unused{c:1}.unused a{d:1}.used:not(.unused){e:1}'
        "@media print{.unused{f:1}.used{g:1}}@media screen{.unused{h:1}}"
        "@font-face{i:1}.used:is(h1,.other) p{j:1}"
    )
    assert pages.purged(css, {"used"}) == (
        '@charset "UTF-8";a{b:1}.used{c:1}.used:not(.unused){e:1}'
        "@media print{.used{g:1}}@font-face{i:1}.used:is(h1,.other) p{j:1}"
    )


def test_ci_builds_the_site():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "-m sphinx -W --keep-going" in script
