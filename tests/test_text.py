"""Names of a user's own: drawings are valid XML and tables keep their rows, whatever the names hold."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import many

import cconv
from cconv import plotting
from cconv.arguments.text import LONGEST, columns, fitted, printable, short
from cconv.layers import Conv2D, Dense, Flatten
from cconv.models import Sequential
from cconv.utils import plot_model

SVG = "{http://www.w3.org/2000/svg}"
# Every kind of character that is special to XML, to a line, to a terminal or to UTF-8.
SPECIAL = "\0\x01\b\t\n\v\f\r\x1b\x7f\x85\xa0\u2028\u2029\u202e\u2066\ud800\udfff\ufffe\uffff<>&'\"]]>\\$^{}%"
NAMES = st.one_of(
    st.text(st.characters(codec=None, categories=None), min_size=1, max_size=30),
    st.text(st.sampled_from(SPECIAL), min_size=1, max_size=30),
    st.text(st.sampled_from("שלום عربي 👩‍👩‍👧 🇯🇵 畳み込み é́"), min_size=1, max_size=30),
)
HARD = [
    "a\x00b",
    "a\nb",
    "\ud800",
    "quote\"'<>&]]>",
    "<!-- -- <![CDATA[ &amp; &#0;",
    "👩‍👩‍👧",
    "\u202eשלום",
    "畳" * 40,
    "x" * 100_000,
    "\n" * 100_000,
    "\ufffe\uffff",
]


def network(name):
    return Sequential([Conv2D(2, 3, input_shape=(6, 6, 1), name=name), Flatten(), Dense(3)], seed=0)


def hard_names(test):
    for name in HARD:
        test = example(name)(test)
    return many(given(NAMES)(test))


@hard_names
def test_drawings_are_xml(name):
    drawing = plot_model(network(name), to_file=None)
    texts = [element.text for element in ET.fromstring(drawing).iter(f"{SVG}text")]
    assert short(name) in texts
    drawing.encode("utf-8")
    assert len(drawing) < 20_000


@hard_names
def test_notebook_views_are_xml(name):
    view = ET.fromstring(f"<div>{network(name)._repr_html_()}</div>")
    assert [element.tag for element in view] == ["pre", "details"]
    assert len(view[0].text.splitlines()) == len(
        network("plain")._repr_html_().split("</pre>")[0].splitlines()
    )


@hard_names
def test_tables_keep_their_rows(name):
    lines, plain = [], []
    network(name).summary(print_fn=lines.append)
    network("plain").summary(print_fn=plain.append)
    assert len(lines) == len(plain)
    for line, usual in zip(lines, plain, strict=True):
        assert line.splitlines() in ([line], [])
        line.encode("utf-8")
        assert columns(line) == columns(usual)
    # What stands behind the name is where it always is.
    assert lines[3].endswith("(None, 4, 4, 2)           20        ")


@hard_names
def test_messages_are_one_line(name):
    model = network(name)
    assert printable(repr(model)) == repr(model)
    with pytest.raises(ValueError, match="expects x of shape") as caught:
        model.predict(np.zeros((1, 5, 5, 1)))
    assert printable(caught.value) == str(caught.value)
    assert len(str(caught.value)) < 400
    with pytest.raises(ValueError, match="expected one of") as caught:
        model.get_layer("nowhere")
    assert printable(caught.value) == str(caught.value)
    with pytest.raises(ValueError, match="cannot take the shape") as caught:
        Sequential([Dense(2, input_shape=(3,)), Conv2D(1, 1, name=name)])
    assert printable(caught.value) == str(caught.value)


@many
@given(NAMES, st.integers(0, 40))
def test_fitted_is_as_wide_as_it_says(text, size):
    shown = printable(text)
    assert printable(shown) == shown
    assert len(shown.splitlines()) <= 1
    kept = fitted(shown, size)
    assert columns(kept) == size
    assert shown.startswith(kept.rstrip()) or kept.rstrip() == shown.rstrip()[: len(kept.rstrip())]
    assert len(short(text)) <= LONGEST


def test_classes_of_any_name_are_drawn():
    kind = type("Od<d\n\x01", (Dense,), {})
    model = Sequential([kind(2, input_shape=(3,))], seed=0)
    texts = [element.text for element in ET.fromstring(plot_model(model, to_file=None)).iter(f"{SVG}text")]
    assert r"Od<d\n\x01" in texts


def test_files_of_drawings(tmp_path):
    model = network("\ud800\x00é👩")
    plot_model(model, to_file=tmp_path / "model.svg")
    assert ET.parse(tmp_path / "model.svg").getroot().tag == f"{SVG}svg"


def test_explain_keeps_its_rows():
    lines, plain = [], []
    cconv.explain(network("a\nb\x00畳み"), 2, print_fn=lines.append)
    cconv.explain(network("plain"), 2, print_fn=plain.append)
    assert len(lines) == len(plain)
    assert all(len(line.splitlines()) == 1 for line in lines)
    # The first number of every line ends in the same column.
    fronts = [re.match(r".*?\d\.\d{3}", line)[0] for line in lines[2:]]
    assert len({columns(front) for front in fronts}) == 1


def test_plots_do_not_read_names_as_mathematics():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model = network(r"$\frac$ \n")
    for figure in (plotting.filters(model.layers[0]), plotting.feature_maps(model, np.zeros((6, 6, 1)))):
        figure.canvas.draw()  # which refuses mathematics like this
        assert any("frac" in found.get_text() for found in figure.findobj(pyplot.Text))
    pyplot.close("all")
