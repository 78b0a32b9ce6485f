import inspect
import subprocess
import sys

import numpy as np
import pytest

from cconv import applications
from cconv.layers import Conv2D, Dense, DepthwiseConv2D

NAMES = ["LeNet5", "AlexNet", "VGG11", "VGG16", "VGG19", "MobileNetV1"]  # layers one after another
ROWS = {row.name: row for row in applications.table()}

# What the papers and Keras give, for the default arguments.
PARAMETERS = {
    "LeNet5": 61_706,
    "AlexNet": 62_378_344,
    "VGG11": 132_863_336,
    "VGG16": 138_357_544,
    "VGG19": 143_667_240,
    "MobileNetV1": 4_253_864,
}
RECEPTIVE_FIELDS = {
    "LeNet5": 16,
    "AlexNet": 195,
    "VGG11": 150,
    "VGG16": 212,
    "VGG19": 268,
    "MobileNetV1": 315,
}
# Input shapes on which a step takes a moment.
SMALL = {
    "LeNet5": (32, 32, 1),
    "AlexNet": (67, 67, 3),
    "VGG11": (64, 64, 3),
    "VGG16": (64, 64, 3),
    "VGG19": (64, 64, 3),
    "MobileNetV1": (64, 64, 3),
}


def make(name, *arguments, **more):
    return getattr(applications, name)(*arguments, **more)


def test_the_table_has_every_network():
    functions = {name for name in applications.__all__ if inspect.isfunction(getattr(applications, name))}
    assert set(ROWS) == functions - {"table", "MobileNet"}
    years = [row.year for row in applications.table()]
    assert years == sorted(years)


@pytest.mark.parametrize("name", ROWS)
def test_the_page_of_a_network_says_what_the_table_counts(name):
    row, text = ROWS[name], " ".join(inspect.getdoc(getattr(applications, name)).split())
    assert f"{row.parameters:,}" in text
    assert f"{row.mult_adds:,}" in text
    assert f"receptive field {row.receptive_field[0]}x{row.receptive_field[1]}" in text
    assert str(row.year) in text or "ResNet18" in text or "VGG16" in text


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_for_the_default_arguments(name):
    defaults = inspect.signature(getattr(applications, name)).parameters
    assert defaults["input_shape"].default is defaults["weights"].default is None
    assert ROWS[name].parameters == PARAMETERS[name]
    assert ROWS[name].receptive_field == (RECEPTIVE_FIELDS[name],) * 2
    assert 1998 <= ROWS[name].year <= 2017


@pytest.mark.parametrize("name", ["LeNet5", "AlexNet", "MobileNetV1"])
def test_the_built_model_has_the_parameters_of_the_table(name):
    model = make(name, seed=0)
    assert model.count_params() == PARAMETERS[name]
    assert model.input_shape == (None, *ROWS[name].input_shape)


def products(model):
    """Count the products with a weight of one image, output pixel by output pixel."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, Conv2D):
            height, width, filters = layer.output_shape
            total += (
                height * width * filters * layer.kernel_size[0] * layer.kernel_size[1] * layer.in_channels
            )
        elif isinstance(layer, DepthwiseConv2D):
            height, width, channels = layer.output_shape
            total += height * width * channels * layer.kernel_size[0] * layer.kernel_size[1]
        elif isinstance(layer, Dense):
            total += layer.input_shape[0] * layer.units
    return total


@pytest.mark.parametrize("name", ["LeNet5", "AlexNet", "MobileNetV1"])
def test_the_table_counts_the_products(name):
    assert ROWS[name].mult_adds == products(make(name, seed=0))


def test_vgg16_products_by_hand():
    # (pixels a side, in, out) of the thirteen convolutions, and (in, out) of the dense layers
    convolutions = [(224, 3, 64), (224, 64, 64), (112, 64, 128), (112, 128, 128), (56, 128, 256)]
    convolutions += [(56, 256, 256)] * 2 + [(28, 256, 512)] + [(28, 512, 512)] * 2 + [(14, 512, 512)] * 3
    dense = [(25088, 4096), (4096, 4096), (4096, 1000)]
    by_hand = sum(n * n * 9 * i * o for n, i, o in convolutions) + sum(i * o for i, o in dense)
    assert ROWS["VGG16"].mult_adds == by_hand == 15_470_264_320


def test_what_keras_counts_as_not_trained_in_mobilenet():
    model = applications.MobileNetV1((32, 32, 3), seed=0)
    trained = sum(array.size for layer in model.layers for array in layer.params.values())
    assert (trained, model.count_params()) == (4_231_976, 4_253_864)


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward(name):
    """One training step: probabilities come out, and every weight has moved to a finite value."""
    model = make(name, input_shape=SMALL[name], classes=7, seed=3)
    x = np.random.default_rng(0).random((2, *SMALL[name]), np.float32)
    p = model.predict(x, verbose=0)
    assert p.shape == (2, 7)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = [{name: array.copy() for name, array in layer.params.items()} for layer in model.layers]
    loss = model.train_on_batch(x, np.array([1, 4]))
    assert 0 < loss < 20
    for layer, old in zip(model.layers, before, strict=True):
        for key, array in layer.params.items():
            assert np.isfinite(array).all(), (layer.name, key)
            assert np.any(array != old[key]), (layer.name, key)


@pytest.mark.parametrize("name", ["LeNet5", "MobileNetV1"])
def test_seed_and_dtype(name):
    first, twin, other = (
        make(name, input_shape=SMALL[name], classes=5, seed=seed, dtype="float64") for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), twin.get_weights(), strict=True))
    assert not all(
        np.array_equal(a, b) for a, b in zip(first.get_weights(), other.get_weights(), strict=True)
    )
    x = np.ones((1, *SMALL[name]))
    assert first.predict(x, verbose=0).dtype == np.float64


@pytest.mark.parametrize("name", NAMES[:1] + NAMES[5:])
def test_rescale_is_a_first_layer(name):
    shape = SMALL[name]
    plain, scaled = (make(name, input_shape=shape, seed=1, rescale=by) for by in (None, 1 / 255))
    assert len(scaled.layers) == len(plain.layers) + 1
    scaled.set_weights(plain.get_weights())
    x = np.random.default_rng(1).integers(0, 256, (2, *shape), dtype=np.uint8)
    floats = x.astype(np.float32) * np.float32(1 / 255)
    np.testing.assert_allclose(
        scaled.predict(x, verbose=0), plain.predict(floats, verbose=0), rtol=1e-4, atol=1e-7
    )


def test_the_width_multiplier_of_mobilenet():
    # Keras' counts for these alphas
    for alpha, parameters in [(0.25, 475_544), (0.5, 1_342_536), (0.75, 2_601_976)]:
        assert applications.MobileNetV1(alpha=alpha, seed=0).count_params() == parameters
    assert applications.MobileNet is applications.MobileNetV1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"input_shape": (32, 32)},
            ValueError,
            "input_shape must be (height, width, channels), got (32, 32)",
        ),
        ({"input_shape": 32}, TypeError, "input_shape must be (height, width, channels), got 32"),
        ({"input_shape": "abc"}, TypeError, "input_shape must be (height, width, channels), got 'abc'"),
        ({"input_shape": (32, 32.5, 3)}, TypeError, "input_shape must be (height, width, channels)"),
        ({"input_shape": (32, 0, 3)}, ValueError, "input_shape entry must be"),
        ({"classes": 0}, ValueError, "classes must be"),
        ({"classes": 2.5}, TypeError, "classes must be"),
    ],
)
def test_arguments_that_cannot_be(name, arguments, error, message):
    with pytest.raises(error) as caught:
        make(name, **arguments)
    assert str(caught.value).startswith(f"{name}: {message}")


def test_images_that_are_too_small():
    for name, least in (("LeNet5", 16), ("AlexNet", 67), ("VGG11", 32), ("MobileNetV1", 32)):
        with pytest.raises(ValueError, match=f"^{name}: input_shape must have at least {least} pixels"):
            make(name, input_shape=(least - 1, 99, 3))
        assert make(name, input_shape=(least, least, 3), include_top=False).output_shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match="alpha"):
        applications.MobileNetV1(alpha=0.01)


def test_the_table_prints_and_shows_itself():
    table = applications.table()
    lines = repr(table).splitlines()
    assert len(lines) == 1 + len(ROWS) == 1 + len(table)
    vgg16 = lines[1 + list(ROWS).index("VGG16")]
    assert "138,357,544" in vgg16
    assert "15,470,264,320" in vgg16
    assert lines[0].index("Paper") == lines[1].index("LeCun")
    html = table._repr_html_()
    assert html.count("<tr>") == 1 + len(ROWS)
    assert html.count("<td") == len(ROWS) * html.count("<th")
    assert "227×227×3" in html


FULL = """
import sys
import numpy as np
from cconv.applications import VGG16
if sys.argv[1] == "forward":
    p = VGG16(seed=0).predict(np.random.default_rng(0).random((1, 224, 224, 3), np.float32), verbose=0)
    print(p.shape, abs(float(p.sum()) - 1) < 1e-4)
else:
    model = VGG16(seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).random((4, 224, 224, 3), np.float32)
    print(0 < model.train_on_batch(x, np.arange(4)) < 20)
# The peak of this process alone; getrusage would count its parent's, from before exec.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) * 1024)
"""


def vgg16_at_full_size(what):
    done = subprocess.run(
        [sys.executable, "-c", FULL, what], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_vgg16_forward_fits_into_memory(record_property):
    result, peak = vgg16_at_full_size("forward")
    record_property("vgg16_forward_peak_bytes", int(peak))
    assert result == "(1, 1000) True"
    assert int(peak) <= 1.5e9


def test_vgg16_trains_at_full_size(record_property):
    result, peak = vgg16_at_full_size("step")
    record_property("vgg16_step_peak_bytes", int(peak))
    assert result == "True"
