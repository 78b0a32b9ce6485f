"""The page of `cconv.report` in a real browser: clicks, hovers, keys, light and dark, wide and narrow.

It needs Chromium and Playwright: ``pip install 'cconv[browser]'``. `.ci/run` sets ``CCONV_BROWSER`` to the
Chromium of the machine; then nothing is skipped.
"""

import importlib.util
import os
import shutil

import numpy as np
import pytest
from report_graphs import graph

import cconv
from cconv.layers import Add, Concatenate, Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input, MaxPooling2D
from cconv.models import Model, Sequential
from cconv.reporting import seeing

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ASKED = os.environ.get("CCONV_BROWSER")
BROWSER = ASKED or next(filter(None, map(shutil.which, NAMES)), None)
if not ASKED:
    if BROWSER is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)}", allow_module_level=True)
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("a browser, but no Playwright: pip install 'cconv[browser]'", allow_module_level=True)

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
IMAGES = np.random.default_rng(0).random((12, 12, 12, 1), np.float32)


@pytest.fixture(scope="module")
def model():
    layers = [
        Conv2D(4, 3, padding="same", activation="relu", bias_initializer="ones", input_shape=(12, 12, 1)),
        MaxPooling2D(2),
        Conv2D(6, 3),
        Flatten(),
        Dense(3, activation="softmax"),
    ]
    return Sequential(layers, seed=1)


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    history = {"loss": [1.0, 0.5, 0.4], "val_loss": [1.1, 0.7, 0.6]}
    path = tmp_path_factory.mktemp("page") / "page.html"
    return cconv.report(model, IMAGES, np.arange(12) % 3, path, history=history, classes=["<a>", "b", "ß"])


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens a file; at the end, nothing may have been an error, nor asked for from outside."""
    faults, contexts = [], []

    def opened(file, viewport=WIDE, scheme="light", sums=True):
        contexts.append(chromium.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce"))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: faults.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: request.url.startswith(("file:", "data:")) or faults.append(request.url),
        )
        page.goto(file.as_uri())
        if sums:
            page.locator("#sum").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def output_of(model, layer, number):
    part = Model(model.inputs, model.layers[layer - 1].output)
    return part.predict(IMAGES[number : number + 1], verbose=0)[0]


def sample_of(page):
    return int(page.locator("#samples [aria-pressed=true] .hidden").text_content().split()[1].rstrip(":"))


def pixel_of(page):
    words = page.locator("#pixel").inner_text().replace(",", " ").replace(":", " ").split()
    return int(words[1]), int(words[3])


def number(text):
    return float(text.replace("\u2212", "-"))


def shown_sum(page):
    """The last number of the sum, as it is written."""
    return number(page.locator("#sum b").last.inner_text())


def shows_pixel(page, row, column):
    """Wait until the page tells of this pixel."""
    page.wait_for_function(
        "text => document.getElementById('pixel').textContent.startsWith(text)",
        arg=f"row {row}, column {column}:",
    )


def hover(page, row, column, rows, columns):
    stage = page.locator("#inspector .stage").first
    box = stage.bounding_box()
    x, y = (column + 0.5) * box["width"] / columns, (row + 0.5) * box["height"] / rows
    stage.hover(position={"x": x, "y": y})
    shows_pixel(page, row, column)


DRAWN = "document.querySelector('.large').toDataURL()"
# What can be reached or is a picture, and has no name.
NAMELESS = """[...document.querySelectorAll("button, [tabindex], [role=img], .kernels canvas")]
    .filter((node) => !node.ariaLabel && !node.textContent.trim()).map((node) => node.outerHTML)"""

# Numbers of elements and names of regions that are there twice.
TWICE = """[...document.querySelectorAll("[id], [role=region]")].map((node) => node.id || node.ariaLabel)
    .filter((name, at, all) => all.indexOf(name) !== at)"""


def test_hovering_shows_the_sum_of_the_pixel(model, file, open_page):
    page = open_page(file)
    y = output_of(model, 1, sample_of(page))
    page.get_by_role("button", name="Map 2").click()
    for row, column in [(0, 0), (5, 7), (11, 11)]:
        hover(page, row, column, 12, 12)
        assert shown_sum(page) == pytest.approx(y[row, column, 2], rel=5.1e-4, abs=1e-6)
        products = [number(cell) for cell in page.locator(".numbers").nth(2).locator("td").all_inner_texts()]
        assert len(products) == 9
        assert sum(products) == pytest.approx(number(page.locator("#sum b").first.inner_text()), abs=0.01)
    assert page.locator(".numbers .outside").count() == 3 * 5  # at a corner
    seen = page.locator(".seen-of rect")
    assert [float(seen.get_attribute(name)) for name in ("x", "y", "width", "height")] == [10, 10, 2, 2]


def test_clicking_layers_and_channels(model, file, open_page):
    page = open_page(file)
    page.locator("#layers button").nth(3).click()
    assert page.locator("#layer h3").inner_text().startswith("conv2d_1 ")
    assert page.locator("#layers [aria-pressed=true]").count() == 1
    assert page.locator(".maps button").count() == 6
    page.get_by_role("button", name="Map 5").click()
    hover(page, 2, 3, 4, 4)
    whole = shown_sum(page)
    assert whole == pytest.approx(output_of(model, 3, sample_of(page))[2, 3, 5], rel=5.1e-4, abs=1e-6)
    parts = []
    for n in range(4):
        page.locator(".chips button").nth(n).click()
        page.locator(".chips button").nth(n).and_(page.locator("[aria-pressed=true]")).wait_for()
        parts.append(number(page.locator(".chips button").nth(n).get_attribute("aria-label").split(": ")[1]))
    assert sum(parts) == pytest.approx(whole, abs=2e-3)
    page.locator("#layers button").nth(2).click()
    hover(page, 1, 1, 6, 6)
    page.locator(".picked").wait_for()
    pooled = output_of(model, 2, sample_of(page))
    assert shown_sum(page) == pytest.approx(
        pooled[1, 1, int(page.locator(".stages figcaption").first.inner_text()[4:])], rel=5.1e-4
    )


def test_dense_layers_and_other_samples(model, file, open_page):
    page = open_page(file)
    page.locator("#layers button").nth(5).click()
    assert page.locator(".units .bar").count() == 3
    page.get_by_role("button", name="ß: ").click()
    page.locator("#inspector h4", has_text="Unit 2").wait_for()
    before = page.locator("#sum b").last.inner_text()
    page.locator("#samples button").nth(3).click()
    assert page.locator("#samples [aria-pressed=true]").count() == 1
    page.wait_for_function(
        "before => !document.getElementById('sum').textContent.includes(before)", arg=before
    )
    dense = model.layers[-1]
    z = output_of(model, 4, sample_of(page)) @ dense.kernel + dense.bias
    assert shown_sum(page) == pytest.approx(z[2], rel=5.1e-4)


def test_everything_by_keys(file, open_page):
    page = open_page(file)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#layers button").nth(2).focus()
    page.keyboard.press("Enter")
    assert page.locator("#layer h3").inner_text().startswith("max_pooling2d ")
    stage = page.locator("#inspector .stage").first
    stage.focus()
    page.locator("#sum").wait_for()
    row, column = pixel_of(page)
    for key, (down, right) in {
        "ArrowUp": (-1, 0),
        "ArrowDown": (1, 0),
        "ArrowLeft": (0, -1),
        "ArrowRight": (0, 1),
    }.items():
        row, column = (min(max(at + step, 0), 5) for at, step in ((row, down), (column, right)))
        page.keyboard.press(key)
        shows_pixel(page, row, column)
    assert page.evaluate(NAMELESS) == []


def test_a_mistake_leads_to_its_sample(file, open_page):
    page = open_page(file)
    page.locator(".gallery button").last.click()
    chosen = page.locator("#samples [aria-pressed=true]")
    assert "wrong" in chosen.get_attribute("class")
    assert page.locator("#sample strong").inner_text().strip() == "Wrong."


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_light_and_dark_at_every_width(file, open_page, viewport):
    colours = {}
    for scheme in ("light", "dark"):
        page = open_page(file, viewport, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        colours[scheme] = page.evaluate(f"[getComputedStyle(document.body).backgroundColor, {DRAWN}]")
        layers, layer = (page.locator(f"#{name}").bounding_box() for name in ("layers", "layer"))
        assert (layer["y"] > layers["y"] + layers["height"]) == (viewport is NARROW)
        assert page.locator("#outputs .answers td").count() == 3 * 4 + 4
        assert page.locator("#curves svg").count() == 1
        assert page.locator("#outputs .answers th", has_text="<a>").count() == 2
    assert all(light != dark for light, dark in zip(colours["light"], colours["dark"], strict=True))
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"drawn => {DRAWN} === drawn", arg=colours["light"][1])


def test_graphs_numbers_and_what_is_not_finite(open_page, tmp_path):
    image = Input((12, 12, 1))
    x = Conv2D(3, 3, padding="same")(image)
    y = Add()([Conv2D(3, 3, padding="same")(Conv2D(3, 1)(x)), x])
    model = Model(image, Dense(2)(GlobalAveragePooling2D()(y)))
    file = cconv.report(model, IMAGES, np.ones((12, 2)), tmp_path / "graph.html")
    page = open_page(file)
    assert page.locator(".rail path").count() == 7
    assert page.locator("#outputs .answers circle").count() == 24
    page.locator("#layers button", has_text="add").click()
    page.locator("#sums", has_text="first convolutions").wait_for()
    weights = model.get_weights()
    weights[0][...] = np.nan
    model.set_weights(weights)
    page = open_page(cconv.report(model, IMAGES, np.ones((12, 2)), tmp_path / "nan.html"))
    assert "NaN" in page.locator(".numbers").nth(1).inner_text()
    assert "not finite" in page.locator("#sum").inner_text()


@pytest.fixture(scope="module")
def several():
    """Two images and a row of numbers; a class, yes or no, and a map. The images share a layer."""
    left, right, more = (
        Input((12, 12, 1), name="left"),
        Input((12, 12, 1), name="right"),
        Input((4,), name="more"),
    )
    shared = Conv2D(4, 3, activation="relu", bias_initializer="ones", name="shared")
    maps = [shared(left), shared(right)]
    joined = Add(name="both")(maps)
    flat = Concatenate()([Flatten()(joined), Dense(3, name="mixed")(more)])
    outputs = [
        Dense(3, activation="softmax", name="kind")(flat),
        Dense(1, activation="sigmoid", name="near")(flat),
        Conv2D(1, 3, name="map")(joined),
    ]
    return Model([left, right, more], outputs, seed=1)


@pytest.fixture(scope="module")
def several_file(several, tmp_path_factory):
    path = tmp_path_factory.mktemp("several") / "page.html"
    labels = [np.arange(12) % 3, np.arange(12) % 2, np.zeros((12, 8, 8, 1))]
    classes = {"kind": ["<a>", "b", "ß"], "near": ["far", "near"]}
    return cconv.report(several, several_data(), labels, path, classes=classes)


def several_data():
    return [IMAGES, IMAGES[::-1], IMAGES[:, 0, :4, 0]]


def flow_values(model, number):
    return seeing.Eye(model).values(
        tuple(np.ascontiguousarray(x[number : number + 1]) for x in several_data())
    )


def layers_called(page, name):
    """The numbers of the layers with that name in the list."""
    names = page.locator("#layers b span:first-child").all_inner_texts()
    return [n for n, each in enumerate(names) if each == name]


def test_each_input_can_be_chosen_and_what_is_seen_of_it(several, several_file, open_page):
    page = open_page(several_file)
    assert page.locator("#inputs button").all_inner_texts() == ["left 12×12×1", "right 12×12×1", "more 4"]
    pictures = page.locator("#samples img").first
    left = pictures.get_attribute("src")
    page.get_by_role("button", name="right 12×12×1").first.click()
    assert page.locator("#inputs [aria-pressed=true]").inner_text() == "right 12×12×1"
    assert pictures.get_attribute("src") != left
    values = flow_values(several, sample_of(page))
    rows = page.locator("#layers button")
    for n, input_ in zip(
        layers_called(page, "shared"), ("left", "right"), strict=True
    ):  # the same weights on either image
        rows.nth(n).click()
        page.get_by_role("button", name="Map 3", exact=True).click()
        hover(page, 4, 2, 10, 10)
        assert shown_sum(page) == pytest.approx(values[n][4, 2, 3], rel=5.1e-4)
        assert page.locator(".seen-of").count() == 1
        assert f"of \u2068{input_}\u2069" in page.locator(".stages figcaption").last.inner_text()
        assert page.locator("#layer .kernels canvas").count() == 4
    rows.nth(layers_called(page, "both")[0]).click()
    hover(page, 1, 2, 10, 10)
    boxes = page.locator(".seen-of rect")
    assert [boxes.nth(n).get_attribute("x") for n in range(boxes.count())] == ["2", "2"]
    told = page.locator(".facts").inner_text()
    assert all(f"3×3 pixels of \u2068{name}" in told for name in ("left", "right"))
    rows.nth(1).click()
    assert page.locator("#layer h3").inner_text().startswith("right ")


def test_each_output_has_its_results(several, several_file, open_page):
    page = open_page(several_file)
    assert page.locator("#outputs h3").all_inner_texts() == [
        "kind 3 classes",
        "near 2 classes",
        "map an image of 8×8×1",
    ]
    assert page.locator("#outputs .output").nth(0).locator(".matrix td").count() == 3 * 4 + 4
    assert page.locator("#outputs .output").nth(1).locator(".matrix td").count() == 2 * 3 + 3
    assert page.locator("#outputs .output").nth(2).locator(".chart").count() == 1
    assert page.locator("#outputs .output").nth(2).locator(".gallery li").first.locator("img").count() == 5
    assert page.locator("#layers li", has_text="output · Dense · 3 units, softmax").count() == 1
    assert page.locator("#figures dt").first.inner_text().startswith("Accuracy")
    (near,) = layers_called(page, "near")
    page.locator("#layers button").nth(near).click()
    page.locator("#inspector h4", has_text="Unit 0").wait_for()
    assert shown_sum(page) == pytest.approx(flow_values(several, sample_of(page))[near][0], rel=5.1e-4)
    for output in (0, 1):  # a mistake leads to its sample
        button = page.locator("#outputs .output").nth(output).locator(".gallery button").first
        button.click()
        assert page.locator("#sample strong").count() >= 1
        assert button.locator("img").count() == 3
    page.locator("#each a").last.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#output-2"
    assert page.evaluate(NAMELESS) == []


@pytest.mark.parametrize(("viewport", "seeds"), [(WIDE, (7, 12)), (NARROW, (3, 21))], ids=["wide", "narrow"])
def test_graphs_drawn_at_random_can_be_looked_at(open_page, tmp_path, viewport, seeds, monkeypatch):
    monkeypatch.setattr("cconv.models.explaining.ROUNDS", 1)
    for seed in seeds:
        drawn = graph(seed)
        page = open_page(
            cconv.report(drawn.model, drawn.x, drawn.y, tmp_path / f"{seed}.html", images=3),
            viewport,
            sums=False,
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        for button in page.locator("#layers button").all():
            button.click()
            assert page.locator("#layers [aria-pressed=true]").count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        for button in page.locator("#inputs button").all():
            button.click()
        assert page.locator("#outputs .output").count() == len(drawn.kinds)
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(TWICE) == []


def test_names_of_ends_are_texts_however_long(open_page, tmp_path):
    images = [Input((12, 12, 1), name="<b>one</b>"), Input((12, 12, 1), name="x" * 300)]
    flat = Concatenate()([Flatten()(Conv2D(2, 3)(image)) for image in images])
    outputs = [Dense(3, activation="softmax", name="<i>two</i>"), Dense(1, name="y" * 300)]
    model = Model(images, [output(flat) for output in outputs], seed=0)
    labels = [np.arange(12) % 3, np.zeros(12)]
    page = open_page(cconv.report(model, [IMAGES, IMAGES], labels, tmp_path / "names.html"), NARROW)
    for button in page.locator("#layers button").all():
        button.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert page.locator("#inputs button").first.inner_text() == "<b>one</b> 12×12×1"
    assert page.locator("#outputs h3").first.inner_text() == "<i>two</i> 3 classes"
    assert page.locator("i").count() == 0
