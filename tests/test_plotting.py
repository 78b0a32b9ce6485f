import base64
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest

from cconv import plotting, utils
from cconv.applications import LeNet5, MobileNetV1, ResNet20
from cconv.callbacks import History
from cconv.datasets import circle
from cconv.layers import (
    Activation,
    Add,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
    Rescaling,
    ZeroPadding2D,
)
from cconv.models import Model, Sequential, diagram
from cconv.plotting import _fonts
from cconv.utils import plot_model

mpl.use("Agg")
from matplotlib import pyplot as plt

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def rng():
    return np.random.default_rng(5)


def texts_overlap(figure):
    """Return the pairs of texts of a figure whose boxes meet by more than a pixel."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = []
    for text in figure.findobj(mpl.text.Text):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent(renderer)
            boxes.append((text.get_text(), box.x0, box.y0, box.x1, box.y1))
    pairs = []
    for i, (a, ax0, ay0, ax1, ay1) in enumerate(boxes):
        for b, bx0, by0, bx1, by1 in boxes[:i]:
            if min(ax1, bx1) - max(ax0, bx0) > 1 and min(ay1, by1) - max(ay0, by0) > 1:
                pairs.append((a, b))
    return pairs


def pictures(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


# --- filters and feature maps ---------------------------------------------------------------------


def test_filters_draws_each_filter_with_one_scale():
    layer = Conv2D(10, (3, 5)).build((20, 20, 1), seed=1)
    figure = plotting.filters(layer, columns=4)
    shown = [axes for axes in figure.axes if axes.images]
    kernel = layer.params["kernel"]
    for number in range(10):
        np.testing.assert_array_equal(shown[number].images[0].get_array(), kernel[:, :, 0, number])
        assert shown[number].images[0].get_clim() == (-np.abs(kernel).max(), np.abs(kernel).max())
    assert not texts_overlap(figure)


def test_filters_of_three_channels_are_coloured_and_of_more_one_channel_is_drawn():
    rgb = Conv2D(4, 3).build((8, 8, 3), seed=1)
    drawn = pictures(plotting.filters(rgb))
    kernel = rgb.params["kernel"]
    assert len(drawn) == 4
    assert drawn[0].shape == (3, 3, 3)
    stretched = (kernel - kernel.min()) / (kernel.max() - kernel.min())
    np.testing.assert_allclose(drawn[2], stretched[..., 2], rtol=1e-6)
    one = pictures(plotting.filters(rgb, channel=1))
    np.testing.assert_array_equal(one[3], kernel[:, :, 1, 3])
    deep = Conv2D(70, 3).build((8, 8, 5), seed=1)
    figure = plotting.filters(deep, channel=4)
    assert figure.get_suptitle() == "conv2d: first 64 of 70 filters, channel 4 of 5"
    np.testing.assert_array_equal(pictures(figure)[63], deep.params["kernel"][:, :, 4, 63])


def test_filters_of_a_depthwise_convolution():
    layer = DepthwiseConv2D(3, depth_multiplier=2).build((8, 8, 3), seed=1)
    drawn = pictures(plotting.filters(layer))
    np.testing.assert_array_equal(drawn[3], layer.params["kernel"][:, :, 1, 1])


@pytest.mark.parametrize(
    ("layer", "more", "error", "message"),
    [
        (Dense(3).build((2,)), {}, TypeError, "filters: layer must be a convolution"),
        (Conv2D(3, 3), {}, ValueError, "filters: layer must be built"),
        (
            Conv2D(3, 3).build((8, 8, 2)),
            {"channel": 2},
            ValueError,
            "channel must be an int from 0 to 1, got 2",
        ),
        (Conv2D(3, 3).build((8, 8, 2)), {"count": 0}, ValueError, "count must be"),
        (Conv2D(3, 3).build((8, 8, 2)), {"columns": 1.5}, TypeError, "columns must be"),
    ],
)
def test_filters_refuses(layer, more, error, message):
    with pytest.raises(error, match=message):
        plotting.filters(layer, **more)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_feature_maps_are_the_outputs_of_the_layers(data_format):
    model = Sequential(
        [
            Conv2D(4, 3, activation="relu", data_format=data_format),
            MaxPooling2D(2, data_format=data_format),
            Conv2D(3, 3, data_format=data_format),
            Flatten(data_format=data_format),
            Dense(2),
        ],
        seed=4,
    )
    last = data_format == "channels_last"
    model.build((12, 14, 3) if last else (3, 12, 14))
    x = rng().random(model.input_shape[1:], np.float32)
    kept = x.copy()
    figure = plotting.feature_maps(model, x)
    np.testing.assert_array_equal(x, kept)
    y, expected = x[np.newaxis], []
    for layer in model.layers[:3]:
        y = layer.forward(y)
        expected += list(np.moveaxis(y[0], 2 if last else 0, 0))
    drawn = pictures(figure)
    assert len(drawn) == 1 + 4 + 4 + 3
    np.testing.assert_allclose(drawn[0], x if last else np.moveaxis(x, 0, 2))
    for picture, channel in zip(drawn[1:], expected, strict=True):
        np.testing.assert_allclose(picture, channel, rtol=1e-6)
    assert not texts_overlap(figure)


def test_feature_maps_of_a_graph():
    model = ResNet20(input_shape=(16, 16, 3), seed=0)
    x = rng().random((16, 16, 3), np.float32)
    figure = plotting.feature_maps(model, x, ["layer1.0.add", "conv1"], count=2)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == [
        "x  16×16×3",
        "conv1  16×16×16, first 2",
        "layer1.0.add  16×16×16, first 2",
    ]
    sums = Model(model.input, model.get_layer("layer1.0.add").output).predict(x[np.newaxis], verbose=0)
    np.testing.assert_allclose(pictures(figure)[3], sums[0, :, :, 0], rtol=1e-5, atol=1e-6)
    left, right = Input((8, 8, 1)), Input((8, 8, 1))
    with pytest.raises(ValueError, match="model must have one input, got 2"):
        plotting.feature_maps(Model([left, right], Add()([left, right])), x)


def test_feature_maps_of_chosen_layers_and_shapes_of_the_image():
    model = LeNet5((28, 28, 1), seed=0)
    x = rng().random((28, 28), np.float32)
    for image in (x, x[..., None], x[None, ..., None], x[None]):
        figure = plotting.feature_maps(model, image, [0, "conv2d_1"], count=3)
        assert len(pictures(figure)) == 1 + 3 + 3
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title][1:] == [
        "conv2d  28×28×6, first 3",
        "conv2d_1  10×10×16, first 3",
    ]


def test_feature_maps_refuses():
    model = LeNet5((28, 28, 1), seed=0)
    x = np.zeros((28, 28))
    with pytest.raises(
        ValueError, match=r"x must be one image of the shape \(28, 28, 1\), got \(2, 28, 28, 1\)"
    ):
        plotting.feature_maps(model, np.zeros((2, 28, 28, 1)))
    with pytest.raises(ValueError, match=r"got \(784,\)"):
        plotting.feature_maps(model, np.zeros(784))
    with pytest.raises(ValueError, match=r"layers must give images, but dense gives the shape \(120,\)"):
        plotting.feature_maps(model, x, ["dense"])
    with pytest.raises(ValueError, match="expected one of"):
        plotting.feature_maps(model, x, ["nowhere"])
    with pytest.raises(ValueError, match="at least one"):
        plotting.feature_maps(model, x, [])
    with pytest.raises(ValueError, match="built"):
        plotting.feature_maps(Sequential([Flatten()]), x)
    with pytest.raises(TypeError, match="model must be a Sequential or a Model"):
        plotting.feature_maps(model.layers[0], x)


# --- results --------------------------------------------------------------------------------------


def test_history_draws_every_figure_training_beside_validation():
    h = History()
    for epoch in range(3):
        logs = {
            "loss": 2.0 - epoch,
            "accuracy": 0.2 * epoch,
            "val_loss": 2.5 - epoch,
            "val_accuracy": 0.1 * epoch,
        }
        h.on_epoch_end(epoch, logs)
    figure = plotting.history(h)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    loss = figure.axes[0].lines
    assert [line.get_label() for line in loss] == ["training", "validation"]
    np.testing.assert_array_equal(loss[1].get_xydata(), [[1, 2.5], [2, 1.5], [3, 0.5]])
    assert loss[0].get_linestyle() != loss[1].get_linestyle()  # not told apart by colour alone
    assert not texts_overlap(figure)
    assert [len(axes.lines) for axes in plotting.history({"loss": [1.0]}).axes] == [1]


def test_history_knows_that_the_learning_rate_is_no_figure_of_training():
    for name in ("learning_rate", "lr"):
        figure = plotting.history({"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], name: [0.1, 0.01]})
        loss, rate = figure.axes
        assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
        assert rate.get_legend() is None
        np.testing.assert_array_equal(rate.lines[0].get_xydata(), [[1, 0.1], [2, 0.01]])


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([4000.0, 30.0, 0.5], "log"),
        ([1.0, 0.5, 0.02], "linear"),
        ([4000.0, 1.0, 0.0], "linear"),
        ([4000.0, np.nan, 1.0, np.inf], "log"),
        ([np.nan], "linear"),
        ([-4000.0, 1.0], "linear"),
    ],
)
def test_history_of_many_powers_of_ten_is_logarithmic(values, scale):
    (axes,) = plotting.history({"loss": values}).axes
    assert axes.get_yscale() == scale
    assert axes.get_xlim() == (0.5, len(values) + 0.5)


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (0.994, "99 %"),
        (0.996, "> 99 %"),
        (1.0, "> 99 %"),
        (0.004, "0 %"),
        (-3.25, "−3.25"),
        (1234.5, "1.23e+03"),
    ],
)
def test_predictions_are_never_all_sure(score, text):
    p = [[0 if 0 <= score <= 1 else score - 1, score]]
    (axes,) = plotting.predictions(np.zeros((1, 4, 4)), None, p).axes
    assert axes.get_xlabel() == f"1 ({text})"


def test_history_refuses():
    with pytest.raises(ValueError, match="at least one epoch"):
        plotting.history(History())
    with pytest.raises(TypeError, match="h must be a History or a mapping"):
        plotting.history([1.0, 0.5])


def test_predictions_marks_mistakes_in_words_too():
    x = rng().integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    p = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.7, 0.3, 0], [0, 0, 1]])
    for y in ([0, 1, 1, 2], [[0], [1], [1], [2]], np.eye(3)[[0, 1, 1, 2]]):
        figure = plotting.predictions(x, y, p, count=3)
        assert [axes.get_xlabel() for axes in figure.axes] == ["0 (90 %)", "1 (80 %)", "0 (70 %)\ntruth: 1"]
    np.testing.assert_array_equal(pictures(figure)[1], x[1])
    assert not texts_overlap(figure)
    labels = [
        axes.get_xlabel() for axes in plotting.predictions(x[..., 0], None, [2, 1, 0, 0], columns=3).axes
    ]
    assert labels == ["2", "1", "0", "0", "", ""]


def test_predictions_refuses():
    x, y, p = np.zeros((3, 5, 5)), np.zeros(3), np.ones((3, 2))
    with pytest.raises(ValueError, match=r"x must have the shape"):
        plotting.predictions(x[0], y, p)
    with pytest.raises(ValueError, match=r"p must have 3 rows"):
        plotting.predictions(x, y, p[:2])
    with pytest.raises(ValueError, match=r"y must have 3 rows"):
        plotting.predictions(x, y[:2], p)
    with pytest.raises(ValueError, match=r"classes must name class 1 too"):
        plotting.predictions(x, y, [0, 1, 0], classes=["zero"])
    with pytest.raises(ValueError, match=r"\(h, w, 3\)"):
        plotting.predictions(np.zeros((3, 5, 5, 2)), y, p)


def test_confusion_matrix_writes_the_counts():
    y, p = rng().integers(0, 10, 200), rng().integers(0, 10, 200)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    figure = plotting.confusion_matrix(y, p, classes=names)
    expected = np.zeros((10, 10), int)
    np.add.at(expected, (y, p), 1)
    written = {tuple(map(int, text.get_position()[::-1])): text.get_text() for text in figure.axes[0].texts}
    assert written == {(i, j): str(n) for (i, j), n in np.ndenumerate(expected) if n}
    assert figure.axes[0].get_title() == f"{(y == p).sum()} of 200 right"
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == names
    with pytest.raises(ValueError, match="class numbers"):
        plotting.confusion_matrix([0, 3], [0, 1], classes=["a", "b"])


# --- padding and images ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("padding", "kernel", "strides", "title", "zeros"),
    [
        ("valid", 3, 1, "10×10, no padding\nwindows 3×3 → 8×8", 0),
        ("same", 3, 1, "10×10 with padding, 12×12\nwindows 3×3 → 10×10", 44),
        ((2, 2), 3, 2, "10×10 with padding, 14×14\nwindows 3×3, strides 2×2 → 6×6", 96),
        ("same", 2, 1, "10×10 with padding, 11×11\nwindows 2×2 → 10×10", 21),
    ],
)
def test_padding_draws_a_zero_for_every_pixel_around(padding, kernel, strides, title, zeros):
    figure = plotting.padding(circle.load_data(), padding, kernel, strides)
    (axes,) = figure.axes
    assert axes.get_title() == title
    assert [text.get_text() for text in axes.texts] == ["0"] * zeros
    np.testing.assert_array_equal(pictures(figure)[0], circle.load_data())
    hatched = [patch for patch in axes.patches if patch.get_hatch()]
    unseen = (14 if padding == (2, 2) else 10) % strides != kernel % strides
    assert len(hatched) == (2 if unseen else 0)
    names = ["padding, 0"] * bool(zeros) + ["first window", "last window"] + ["in no window"] * unseen
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names


def test_padding_says_what_stands_around():
    figure = plotting.padding(circle.load_data(), "same", value="−∞")
    assert {text.get_text() for text in figure.axes[0].texts} == {"−∞"}
    assert figure.legends[0].get_texts()[0].get_text() == "padding, −∞"


def test_a_list_of_paddings_is_drawn_side_by_side():
    figure = plotting.padding(circle.load_data(), ["valid", "same", (3, 1)])
    assert [len(axes.texts) for axes in figure.axes] == [0, 44, 92]
    assert not texts_overlap(figure)
    with pytest.raises(ValueError, match="must not be an empty list"):
        plotting.padding(circle.load_data(), [])


def test_padding_refuses():
    with pytest.raises(ValueError, match="padding: the kernel must fit"):
        plotting.padding(circle.load_data(), "valid", 11)
    with pytest.raises(ValueError, match="x must have the shape"):
        plotting.padding(np.zeros((2, 3, 4)))


def test_images_with_numbers_titles_and_one_scale():
    a, b = np.arange(16.0).reshape(4, 4), np.array([[-20.0, 0.25]])
    figure = plotting.images([a, b], ["a", "b"], numbers=True, shared=True, title="both")
    assert [axes.images[0].get_clim() for axes in figure.axes if axes.images] == [(-20, 20)] * 2
    assert [text.get_text() for text in figure.axes[1].texts] == ["−20", "0.25"]
    assert [text.get_text() for text in figure.axes[0].texts] == [str(n) for n in range(16)]
    assert not texts_overlap(figure)
    own = plotting.images([a, b], columns=1)
    assert [axes.images[0].get_clim() for axes in own.axes] == [(0, 15), (-20, 20)]


def test_the_same_colour_is_zero_in_every_picture_and_weights_are_signed():
    ones, values = np.eye(3), np.full((3, 3), 5.0)
    figure = plotting.images([ones, values, -ones, np.zeros((3, 3))])
    assert [axes.images[0].get_clim() for axes in figure.axes] == [(0, 1), (0, 5), (-1, 1), (0, 1)]
    palest = [axes.images[0].cmap(axes.images[0].norm(0.0)) for axes in figure.axes]
    for colour in palest:
        assert min(colour) > 0.94
    signed = plotting.images([ones, values], signed=True, shared=True)
    assert {axes.images[0].get_clim() for axes in signed.axes if axes.images} == {(-5, 5)}
    assert {axes.images[0].cmap.name for axes in signed.axes if axes.images} == {"cconv.signed"}


def test_a_scale_of_whole_numbers_has_whole_steps():
    def ticks(pictures):
        figure = plotting.images(pictures, shared=True)
        figure.canvas.draw()
        low, high = figure.axes[-1].get_ylim()
        return [tick for tick in figure.axes[-1].get_yticks() if low <= tick <= high]

    assert ticks([np.arange(4.0).reshape(2, 2), np.eye(2)]) == [0, 1, 2, 3]
    assert any(tick % 1 for tick in ticks([np.array([[0.5, 3.0]])]))


def test_numbers_stand_out_from_their_cells_and_cells_from_each_other():
    figure = plotting.images([np.arange(16.0).reshape(4, 4)], numbers=True, size=3)
    image, texts = figure.axes[0].images[0], figure.axes[0].texts
    for text, value in zip(texts, range(16), strict=True):
        pair = [mpl.colors.to_rgb(text.get_color()), image.cmap(image.norm(value))[:3]]
        dark, bright = sorted(luminance(colour) for colour in pair)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5
    assert [*figure.axes[0].xaxis.get_minorticklocs()] == [0.5, 1.5, 2.5]


def luminance(colour):
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_style_is_that_of_the_pictures_alone():
    before = dict(mpl.rcParams)
    figure = plotting.history({"loss": [1.0, 0.5]})
    assert dict(mpl.rcParams) == before
    assert not figure.axes[0].spines["top"].get_visible()
    with pytest.raises(ValueError, match="at least one"):
        plotting.history({})
    assert dict(mpl.rcParams) == before
    with plt.style.context("cconv.plotting.cconv"):
        assert mpl.rcParams["axes.spines.top"] is False


def test_threads_that_draw_leave_matplotlib_as_it_was():
    before, errors = dict(mpl.rcParams), []

    def draw():
        try:
            for _ in range(4):
                plotting.images([np.eye(3)], numbers=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert dict(mpl.rcParams) == before


def test_a_saved_picture_has_no_blank_border(tmp_path):
    plotting.images([np.ones((4, 9))] * 3, ["a", "b", "c"], title="all").savefig(tmp_path / "picture.png")
    pixels = plt.imread(tmp_path / "picture.png")[..., :3].min(axis=2) < 0.9
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    edges = rows[0], pixels.shape[0] - 1 - rows[-1], columns[0], pixels.shape[1] - 1 - columns[-1]
    assert max(edges) <= 12


def test_names_without_a_font_are_said_once_in_a_sentence():
    letter = chr(0x16A40)  # of the Mro script, which hardly any machine has a font for
    figure = plotting.confusion_matrix([0, 1], [1, 1], classes=["a", letter])
    if _fonts.fonts_for(frozenset([ord(letter)]))[1]:
        with pytest.warns(UserWarning, match="no font of this machine has .*: install one") as caught:
            figure.canvas.draw()
        assert {str(warning.message)[:7] for warning in caught} == {"no font"}
    else:
        figure.canvas.draw()


def test_a_font_that_has_the_letters_is_found_and_taken(monkeypatch):
    asked = []

    def names():
        asked.append(1)
        yield "no such letters", "a"
        yield "DejaVu Sans Mono", "b"

    has = {"a": frozenset([65]), "b": frozenset([0x732B, 65])}
    letters = _fonts._letters
    monkeypatch.setattr(_fonts, "_names", names)
    monkeypatch.setattr(_fonts, "_letters", lambda path: has.get(path) or letters(path))
    _fonts.fonts_for.cache_clear()
    figure = plotting.predictions(np.zeros((2, 4, 4)), None, [0, 1], classes=["猫", "dog"])
    with _fonts.dress(figure):
        pass
    families = [axes.xaxis.label.get_fontfamily() for axes in figure.axes]
    _fonts.fonts_for.cache_clear()
    assert families[0][-1] == "DejaVu Sans Mono"
    assert "DejaVu Sans Mono" not in families[1]
    assert asked == [1]


def test_numbers_never_overlap_and_vanish_where_they_would_be_too_small():
    for n in (2, 10, 14, 20):
        figure = plotting.images([rng().standard_normal((n, n))] * 2, ["a", "b"], numbers=True)
        assert not texts_overlap(figure), n
    assert not figure.axes[0].texts


def test_images_takes_bytes_floats_and_normalised_colours():
    colours = rng().standard_normal((4, 4, 3))
    drawn = pictures(
        plotting.images([np.zeros((4, 4, 1), np.uint8), colours, np.full((4, 4), 7), [[True, False]]])
    )
    assert drawn[0].shape == (4, 4)
    assert drawn[1].min() == 0
    assert drawn[1].max() == 1
    with pytest.raises(ValueError, match="titles must be 1 names"):
        plotting.images([np.zeros((2, 2))], ["a", "b"])
    with pytest.raises(ValueError, match="must not be empty"):
        plotting.images([])
    with pytest.raises(TypeError, match=r"pictures\[0\] must hold real numbers"):
        plotting.images([np.zeros((2, 2), complex)])


def test_without_matplotlib_the_error_says_what_to_do():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from cconv import plotting\n"
        "plotting.history({'loss': [1.0]})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: plotting.history needs matplotlib: pip install 'cconv[plot]'"
    )


def test_importing_plotting_does_not_import_matplotlib():
    code = "import sys, cconv.plotting; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- the diagram ----------------------------------------------------------------------------------


def layer_chain():
    return [
        Rescaling(1 / 255, input_shape=(28, 28, 1)),
        ZeroPadding2D(((1, 0), (2, 3))),
        Conv2D(32, 2, strides=(2, 1), padding="same", dilation_rate=1, activation="relu"),
        DepthwiseConv2D(3, padding=(1, 1)),
        Conv2D(8, 3, groups=4, dilation_rate=2),
        MaxPooling2D(2, strides=1),
        Activation("tanh"),
        Flatten(),
        Dropout(0.25),
        Dense(10, activation="softmax", name="a<b&c"),
    ]


def test_describe_names_what_is_not_the_default():
    assert [diagram.describe(layer) for layer in layer_chain()] == [
        "times 0.003922",
        "top 1, bottom 0, left 2, right 3",
        "32 filters 2×2, strides 2×1, same, relu",
        "every channel 3×3, padding (1, 1)",
        "8 filters 3×3, dilation 2×2, 4 groups",
        "2×2, strides 1×1",
        "tanh",
        "",
        "rate 0.25",
        "10 units, softmax",
    ]


def svg_boxes(drawing):
    """Return the boxes of a drawing, (x, y, width, height), and its texts."""
    root = ET.fromstring(drawing)
    rectangles = [
        tuple(float(rect.get(name)) for name in ("x", "y", "width", "height"))
        for rect in root.iter(f"{SVG}rect")
        if rect.get("stroke")
    ]
    return root, rectangles, [text.text for text in root.iter(f"{SVG}text")]


def test_the_diagram_is_a_whole_svg_with_every_layer(tmp_path):
    model = Sequential(layer_chain(), seed=0)
    file = tmp_path / "model.svg"
    drawing = plot_model(model, file)
    assert file.read_text(encoding="utf-8") == drawing
    encoded = re.search(r'<img alt="[^"]+" src="data:image/svg\+xml;base64,([^"]+)" ', drawing._repr_html_())
    assert base64.b64decode(encoded[1]).decode() == drawing
    assert repr(drawing) == f"<Drawing: an SVG file of {file.stat().st_size:,} bytes>"
    root, boxes, texts = svg_boxes(drawing)
    assert len(boxes) == 1 + len(model.layers)
    for layer in model.layers:
        assert layer.name in texts
        assert "×".join(map(str, layer.output_shape)) in texts
        if layer.params:
            assert f"{layer.count_params():,} parameters" in texts
    assert "28×28×1" in texts
    width, height = (float(root.get(name)) for name in ("width", "height"))
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)


@pytest.mark.parametrize("count", [1, 14, 15, 16, 60, 87])
def test_boxes_of_long_models_stand_in_columns_and_never_meet(count):
    layers = [Activation("relu", name=f"activation_number_{i}") for i in range(count)]
    model = Sequential(layers).build((4,))
    root, boxes, _ = svg_boxes(plot_model(model, None))
    width, height = (float(root.get(name)) for name in ("width", "height"))
    assert len(boxes) == count + 1
    assert height < 1300
    for i, (x, y, w, h) in enumerate(boxes):
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
        for a, b, c, d in boxes[:i]:
            assert x >= a + c or a >= x + w or y >= b + d or b >= y + h
    # The arrows: each ends where its next box begins.
    ends = [line.get("points").split()[-1].split(",") for line in root.iter(f"{SVG}polyline")]
    assert len(ends) == count + 1
    for (x, y), box in zip(ends, boxes[1:], strict=False):
        assert float(x) == pytest.approx(box[0] + box[2] / 2, abs=0.2)
        assert float(y) == pytest.approx(box[1] - 2, abs=0.2)


def test_shapes_and_names_can_be_left_out():
    model = MobileNetV1((32, 32, 3), classes=10, seed=0)
    _, _, texts = svg_boxes(plot_model(model, None, show_shapes=False, show_layer_names=False))
    assert "conv_dw_3" not in texts
    assert not [text for text in texts if text.startswith(("8×8", "32×32×3"))]
    assert texts.count("DepthwiseConv2D") == 13


def test_a_long_chain_fits_a_page_and_nothing_of_it_is_lost():
    model = MobileNetV1(seed=0)
    root, boxes, texts = svg_boxes(plot_model(model, None))
    assert float(root.get("width")) < 1000
    assert texts.count("+ BatchNormalization, relu6") == 27
    counts = [
        int(text.split()[0].replace(",", "")) for text in texts if text and text.endswith(" parameters")
    ]
    assert sum(counts) == model.count_params()
    assert len(boxes) < 1 + len(model.layers) - 2 * 26


def test_plot_model_refuses(tmp_path):
    with pytest.raises(ValueError, match=r"to_file must end in \.svg, got 'model\.png'"):
        plot_model(LeNet5(), "model.png")
    with pytest.raises(ValueError, match="not built"):
        plot_model(Sequential([Flatten()]), tmp_path / "model.svg")
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_summary_and_diagram():
    model = LeNet5(seed=0)
    html = model._repr_html_()
    assert "Total params: 61,706" in html
    assert html.count("data:image/svg+xml;base64,") == 1
    assert "<svg" not in html
    assert Sequential([Flatten()])._repr_html_() is None
    assert "&lt;" in Sequential([Dense(2, name="a<b")]).build((2,))._repr_html_()


def test_feature_maps_of_layers_that_another_model_used_before():
    layers = [Conv2D(3, 3, activation="relu", input_shape=(8, 8, 1)), MaxPooling2D(2)]
    Sequential(layers, seed=0)
    model = Sequential([*layers, Conv2D(2, 2)], seed=0)
    model.build((8, 8, 1))
    figure = plotting.feature_maps(model, np.ones((8, 8)))
    assert len(figure.axes) >= 3 + 3 + 2


def test_a_model_with_one_sigmoid():
    """Its only output is the probability of the second class."""
    p = np.array([[0.25], [0.75], [0.375]])
    figure = plotting.predictions(np.zeros((3, 8, 8)), [0, 1, 1], p, classes=["small", "large"])
    labels = [axes.get_xlabel() for axes in figure.axes[:3]]
    assert labels == ["small (75 %)", "large (75 %)", "small (62 %)\ntruth: large"]
    layers = [Conv2D(2, 3, input_shape=(8, 8, 1)), Flatten(), Dense(1, activation="sigmoid")]
    model, x = Sequential(layers, seed=0), np.ones((2, 8, 8, 1))
    for draw, more in ((plotting.grad_cam, {}), (plotting.occlusion, {"size": 4, "strides": 4})):
        titles = [axes.get_title() for axes in draw(model, x, **more).axes[:2]]
        assert titles == ["score", "score"]
        titles = [axes.get_title() for axes in draw(model, x, classes=["small", "large"], **more).axes[:2]]
        assert titles == ["large", "large"]
        with pytest.raises(ValueError, match="classes must be 2 names, got 3"):
            draw(model, x, classes=["a", "b", "c"], **more)


def test_a_drawing_tells_the_shape_of_every_output():
    x = Input((8, 8, 3))
    y = Conv2D(4, 3)(x)
    outputs = [Dense(3)(Flatten()(y)), Conv2D(1, 1)(y), Conv2D(5, 2)(Conv2D(4, 1)(y))]
    drawing = str(utils.plot_model(Model(x, outputs), to_file=None))
    shapes = re.findall(r">([0-9×]+)</text>", drawing)
    assert {"3", "6×6×1", "5×5×5"} <= set(shapes)
    assert drawing.count("marker-end") == 6 + 3  # from box to box, and out


def joined_points(points, pieces):
    """Return which points follow one another on pieces of one line: ``{place: [(low, high), ...]}``."""
    pairs = []
    for place, along in pieces.items():
        here = sorted(at for where, at in points if where == place)
        for low, high in pairwise(here):
            if any(begin <= low and high <= end for begin, end in along):
                pairs.append(((place, low), (place, high)))
    return pairs


def read_off(drawing, names):
    """Return the connections that eyes which never go up along a line find in a drawing."""
    root, boxes, _ = svg_boxes(drawing)
    lines = [
        [tuple(float(value) for value in point.split(",")) for point in line.get("points").split()]
        for line in root.iter(f"{SVG}polyline")
    ]
    points = {point for line in lines for point in line}
    upright, level = {}, {}
    for line in lines:
        for (x0, y0), (x1, y1) in pairwise(line):
            if x0 == x1:
                upright.setdefault(x0, []).append(sorted((y0, y1)))
            else:
                level.setdefault(y0, []).append(sorted((x0, x1)))
    then = {}
    for a, b in joined_points(points, upright):
        then.setdefault(a, set()).add(b)
    for (y, x0), (_, x1) in joined_points({(y, x) for x, y in points}, level):
        then.setdefault((x0, y), set()).add((x1, y))
        then.setdefault((x1, y), set()).add((x0, y))
    found = set()
    for name, (left, top, width, height) in zip(names, boxes, strict=True):
        seen = [(x, y) for x, y in points if left <= x <= left + width and abs(y - top - height) < 0.2]
        for point in seen:
            seen += sorted(then.get(point, set()) - set(seen))
        for other, (x0, y0, w, _) in zip(names, boxes, strict=True):
            if any(x0 <= x <= x0 + w and abs(y - y0 + 2) < 0.2 for x, y in seen):
                found.add((name, other))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_the_lines_of_a_drawing_lead_nowhere_else(seed):
    """Lines of several boxes that turned at the same height drew different graphs alike."""
    rng = np.random.default_rng(seed)
    values, edges = {"in0": Input((3,), name="in0"), "in1": Input((2,), name="in1")}, set()
    for number in range(9):
        near = list(values)[-4:]
        sources = sorted(rng.choice(near, size=int(rng.integers(1, 4)) if number else 2, replace=False))
        name = f"n{number}"
        layer = Concatenate(name=name) if len(sources) > 1 else Dense(2 + number, name=name)
        tensors = [values[source] for source in sources]
        values[name] = layer(tensors if len(sources) > 1 else tensors[0])
        edges |= {(source, name) for source in sources}
    read = {source for source, _ in edges}
    outputs = [tensor for name, tensor in values.items() if name not in read]
    drawing = plot_model(Model([values["in0"], values["in1"]], outputs), to_file=None)
    assert read_off(drawing, [text for text in svg_boxes(drawing)[2] if text in values]) == edges


def test_shapes_that_meet_at_a_box_stand_beside_one_another():
    x, y = Input((4,)), Input((6,))
    assert ">4, 6</text>" in plot_model(Model([x, y], Concatenate()([y, x])), to_file=None)


def test_what_no_picture_can_show_is_named():
    for wrong in (3.0, "ab", [[1.0]]):
        with pytest.raises(
            TypeError, match="history: h must hold a list of numbers in 'loss', one an epoch, got"
        ):
            plotting.history({"loss": wrong})
    model = Sequential([Dense(2, input_shape=(3,))])
    with pytest.raises(
        ValueError, match=r"feature_maps: model must have images as its input, got one of .*\(3,\)"
    ):
        plotting.feature_maps(model, np.ones(3))
