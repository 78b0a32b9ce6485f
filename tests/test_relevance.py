"""What a network looks at: maps with known answers, differences, and what must stay as it is."""

import copy

import matplotlib as mpl
import numpy as np
import pytest

import cconv
from cconv import plotting
from cconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    RandomFlip,
)
from cconv.models import Model, Sequential
from cconv.models.scores import Scores
from cconv.threads import limit
from cconv.utils import class_activation_map, occlusion_map

mpl.use("Agg")
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def rng(seed=3):
    return np.random.default_rng(seed)


def pooled(data_format="channels_last", activation="softmax"):
    """A convolution, the mean of its maps, a dense layer: where class activation maps are exact."""
    shape = (9, 11, 2) if data_format == "channels_last" else (2, 9, 11)
    model = Sequential(
        [
            Conv2D(5, 3, activation="relu", input_shape=shape, data_format=data_format, name="maps"),
            GlobalAveragePooling2D(data_format=data_format),
            Dense(4, activation=activation, name="head"),
        ],
        seed=1,
        dtype="float64",
    )
    return model, rng().standard_normal((3, *shape))


def branched(dtype="float64"):
    """A graph: a branch, a layer that is used twice, normalisation, dropout, a model in it."""
    inside = Sequential(
        [Conv2D(4, 3, padding="same", input_shape=(8, 8, 4), name="deep"), Activation("tanh")],
        name="inner",
        dtype=dtype,
    )
    inputs = Input((8, 8, 3))
    x = RandomFlip("horizontal")(inputs)
    x = Conv2D(4, 3, padding="same", activation="tanh", name="first")(x)
    twice = Conv2D(4, 3, padding="same", activation="tanh", name="twice")
    y = BatchNormalization(name="norm")(twice(twice(x)))
    y = Add(name="sum")([inside(y), x])
    y = Dropout(0.5)(y)
    y = Dense(6, activation="tanh")(Flatten()(MaxPooling2D(2)(y)))
    model = Model(inputs, Dense(3, activation="softmax")(y), seed=2, dtype=dtype)
    model.get_layer("norm").state["moving_mean"][...] = rng().standard_normal(4) / 4
    return model, rng(5).standard_normal((5, 8, 8, 3))


# --- known answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_with_a_linear_head_on_mean_maps_it_is_the_class_activation_map(data_format, activation):
    model, x = pooled(data_format, activation)
    maps = model.layers[0].forward(x)
    if data_format == "channels_first":
        maps = np.moveaxis(maps, 1, 3)
    weights = model.get_layer("head").params["kernel"]
    for number in range(4):
        expected = np.maximum(maps @ weights[:, number] / (7 * 9), 0)  # Zhou et al. 2016
        found = class_activation_map(model, x, class_index=number)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
        assert found.max() > 0


@pytest.mark.parametrize("layer", ["first", "norm", "sum", "inner/deep", "deep"])
def test_the_gradient_is_that_of_differences(layer):
    model, x = branched()
    scores = Scores("here", model)
    images = scores.images(x)
    classes = np.array([2, 0, 1, 1, 2])
    found = scores.attention(images, layer, classes)
    # The score's change with the bias of a map, which moves all of its pixels, is the sum of its gradient.
    name = layer.split("/")[-1]
    owner = {"norm": model.get_layer("norm"), "first": model.get_layer("first"), "sum": None}.get(
        name, model.get_layer("inner").layers[0]
    )
    if owner is None:
        # Behind the sum all is at hand: the model from there on by itself.
        head = Model(model.get_layer("sum").output, model.output, dtype="float64")
        tail = Scores("there", head)
        step = rng(8).standard_normal(found.output.shape)
        up, down = (tail.of(found.output + sign * 1e-6 * step) for sign in (1, -1))
        slope = ((up - down) / 2e-6)[np.arange(5), classes]
        np.testing.assert_allclose((found.gradient * step).sum(axis=(1, 2, 3)), slope, rtol=1e-6, atol=1e-9)
        return
    before = [array.copy() for array in model.get_weights()]
    offset = owner.params["beta" if name == "norm" else "bias"]
    slope = np.empty((5, offset.size))
    for channel in range(offset.size):
        kept, ends = offset[channel], []
        for sign in (1, -1):
            offset[channel] = kept + sign * 1e-6
            ends.append(scores.of(images)[np.arange(5), classes])
        offset[channel] = kept
        slope[:, channel] = (ends[0] - ends[1]) / 2e-6
    total = found.gradient.sum(axis=(1, 2))
    if name == "first":  # its bias stands in front of its tanh
        total = (found.gradient * (1 - found.output**2)).sum(axis=(1, 2))
    np.testing.assert_allclose(total, slope, rtol=1e-6, atol=1e-9)
    for array, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_the_outputs_are_those_of_the_layer_in_inference_mode():
    model, x = branched()
    scores = Scores("here", model)
    found = scores.attention(scores.images(x), "norm", np.zeros(5, int))
    part = Model(model.input, model.get_layer("norm").output, dtype="float64")
    np.testing.assert_allclose(found.output, part.predict(x, verbose=0), rtol=1e-12, atol=1e-14)
    logits = scores.of(scores.images(x))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        powers / powers.sum(axis=1, keepdims=True), model.predict(x, verbose=0), rtol=1e-12
    )


def test_a_map_that_no_score_depends_on_is_zero():
    x = Input((6, 6, 1))
    dead = Activation("relu", name="dead")(Conv2D(2, 3, bias_initializer=cconv.initializers.Constant(-9))(x))
    model = Model(x, Dense(2)(Flatten()(dead)), seed=0)
    assert not class_activation_map(model, np.zeros((6, 6, 1)), "dead", 1).any()


def test_occlusion_of_a_linear_model_is_what_was_covered():
    model = Sequential(
        [Flatten(input_shape=(6, 7, 2)), Dense(3, activation="softmax")], seed=4, dtype="float64"
    )
    x = rng().standard_normal((2, 6, 7, 2))
    parts = (x[..., np.newaxis] * model.layers[1].params["kernel"].reshape(6, 7, 2, 3)).sum(axis=3)
    found = occlusion_map(model, x, [2, 0], size=1, fill=0)
    np.testing.assert_allclose(found, [parts[0, ..., 2], parts[1, ..., 0]], rtol=1e-9, atol=1e-12)
    whole = occlusion_map(model, x, 1, size=(6, 7), fill=0)
    np.testing.assert_allclose(whole, np.broadcast_to(parts[..., 1].sum((1, 2))[:, None, None], (2, 6, 7)))
    # Windows at the columns 0, 3 and, where the image ends, 4: the mean of those that cover a pixel.
    found = occlusion_map(model, x, 1, size=(6, 3), strides=(6, 3), fill=0)
    columns = parts[..., 1].sum(axis=1)
    first, second, third = (columns[:, begin : begin + 3].sum(axis=1) for begin in (0, 3, 4))
    expected = np.stack([first, first, first, second, *[(second + third) / 2] * 2, third], axis=1)
    np.testing.assert_allclose(found, np.broadcast_to(expected[:, None], found.shape))


def test_occlusion_fills_with_the_mean_of_each_channel():
    model = Sequential([Flatten(input_shape=(5, 5, 2)), Dense(2)], seed=4, dtype="float64")
    x = rng().standard_normal((1, 5, 5, 2))
    kernel = model.layers[1].params["kernel"].reshape(5, 5, 2, 2)
    expected = ((x[0] - x[0].mean(axis=(0, 1)))[..., np.newaxis] * kernel).sum(axis=2)
    np.testing.assert_allclose(occlusion_map(model, x, 1, size=1)[0], expected[..., 1], rtol=1e-9, atol=1e-12)


# --- classes, layers, and what stays --------------------------------------------------------------


def test_by_default_the_class_with_the_highest_score():
    model, x = pooled()
    best = model.predict(x, verbose=0).argmax(axis=1)
    for function in (class_activation_map, occlusion_map):
        np.testing.assert_array_equal(function(model, x), function(model, x, class_index=best.tolist()))


def test_a_batch_is_its_images_one_by_one():
    model, x = branched("float32")
    many = np.concatenate([x] * 9)
    together = class_activation_map(model, many, class_index=1)  # more than are kept at a time
    alone = [class_activation_map(model, image, class_index=1)[0] for image in x]
    np.testing.assert_array_equal(together, np.stack(alone * 9))


def test_by_default_the_last_layer_that_gives_images_and_is_no_pooling():
    model, x = branched()
    np.testing.assert_array_equal(class_activation_map(model, x), class_activation_map(model, x, "sum"))
    model, x = pooled()
    np.testing.assert_array_equal(class_activation_map(model, x), class_activation_map(model, x, 0))
    layer = model.layers[0]
    np.testing.assert_array_equal(class_activation_map(model, x), class_activation_map(model, x, layer))


def test_the_model_its_gradients_and_the_images_stay_as_they_are():
    model, x = branched()
    model.compile("sgd", "categorical_crossentropy")
    y = np.eye(3)[[0, 1, 2, 0, 1]]
    model.fit(x, y, epochs=1, verbose=0)
    twin = copy.deepcopy(model)
    grads = [{k: v.copy() for k, v in layer.grads.items()} for layer in model._layers]
    assert any(grads)
    kept = x.copy()
    class_activation_map(model, x, "norm")
    occlusion_map(model, x, size=4, strides=4)
    np.testing.assert_array_equal(x, kept)
    for layer, before in zip(model._layers, grads, strict=True):
        assert layer.trainable
        for name, gradient in before.items():
            np.testing.assert_array_equal(layer.grads[name], gradient)
    for each in (model, twin):
        each.fit(x, y, epochs=2, verbose=0)
    for array, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_same_bits_on_any_number_of_threads(threads):
    model, x = branched("float32")
    found = []
    for number in (1, threads):
        with limit(number):
            found.append(class_activation_map(model, x, "first"))
    np.testing.assert_array_equal(*found)


def test_bytes_lists_and_strided_images():
    model, _ = pooled()
    x = rng().integers(0, 255, (2, 9, 22, 2), np.uint8)[:, :, ::2]
    expected = class_activation_map(model, x.astype(float), class_index=0)
    np.testing.assert_array_equal(class_activation_map(model, x, class_index=0), expected)
    np.testing.assert_array_equal(class_activation_map(model, x.tolist(), class_index=0), expected)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"class_index": 4}, ValueError, "class_index must be an int from 0 to 3, got 4"),
        ({"class_index": -1}, ValueError, "class_index must be an int from 0 to 3, got -1"),
        ({"class_index": 1.0}, TypeError, "class_index must be an int from 0 to 3, or one for each image"),
        ({"class_index": "3"}, TypeError, "class_index must be"),
        ({"class_index": [1, 2]}, ValueError, "or one for each of 3 images, got 2"),
        ({"layer": "nowhere"}, ValueError, "layer must be one of maps, global_average_pooling2d, head"),
        ({"layer": 9}, ValueError, "layer must be one of maps"),
        ({"layer": 1.5}, TypeError, "layer must be a layer of the model, its name or number, got 1.5"),
        ({"layer": "head"}, ValueError, r"computes images at inference, but head gives the shape \(4,\)"),
        ({"layer": Dense(3)}, ValueError, "layer must be one of maps"),
        ({"x": np.zeros((9, 10, 2))}, ValueError, r"x must be images of the shape \(9, 11, 2\)"),
        ({"x": np.zeros((9, 11, 2), complex)}, TypeError, "x must hold real numbers"),
        ({"model": Sequential([Flatten()])}, ValueError, "model must be built"),
        ({"model": Dense(3)}, TypeError, "model must be a Sequential or a Model"),
        ({"model": Sequential([Dense(3, input_shape=(4,))])}, ValueError, "one input, of images"),
        ({"model": Sequential([Conv2D(3, 3, input_shape=(9, 11, 2))])}, ValueError, "a score for each class"),
    ],
)
def test_class_activation_map_refuses(arguments, error, message):
    model, x = pooled()
    with pytest.raises(error, match=f"^class_activation_map: .*{message}"):
        class_activation_map(**{"model": model, "x": x, **arguments})


def test_layers_of_models_in_the_model_and_those_models():
    x = Input((9, 11, 2))
    inner = [
        Sequential([Conv2D(3, 3, name="conv"), Conv2D(3, 1, name=end, activation="tanh")], name=name)
        for name, end in (("a", "end"), ("b", "last"))
    ]
    tensor = Input((9, 11, 2))
    outer = Model(tensor, inner[1](tensor), name="outer")
    y = Add(name="sum")([inner[0](x), outer(x)])
    model = Model(x, Dense(3)(GlobalAveragePooling2D()(y)), seed=1)
    images = rng().normal(size=(2, 9, 11, 2))

    def maps(layer):
        return class_activation_map(model, images, layer, 1)

    same = ("a", "a/end", "end", 1, inner[0]), ("outer", "outer/b", "outer/b/last", "b", "last", inner[1])
    for names in same:
        first, *others = map(maps, names)
        assert first.any()
        assert all(np.array_equal(first, other) for other in others)
    assert np.array_equal(maps("outer/b/conv"), maps(inner[1].layers[0]))
    assert not np.array_equal(maps("outer/b/conv"), maps("a/conv"))
    with pytest.raises(ValueError, match="layer must be 'a/conv' or 'outer/b/conv', got 'conv'"):
        maps("conv")
    with pytest.raises(ValueError, match="a, a/conv, a/end, outer, outer/input_layer, outer/b, outer/b/conv"):
        maps("c")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be a positive int"),
        ({"size": (9, 12)}, ValueError, r"size must fit into the image \(9, 11\), got \(9, 12\)"),
        ({"size": 2, "strides": 3}, ValueError, r"strides must be no more than size, \(2, 2\), got 3"),
        ({"fill": np.inf}, ValueError, "fill must be"),
        ({"class_index": 7}, ValueError, "class_index must be an int from 0 to 3, got 7"),
    ],
)
def test_occlusion_map_refuses(arguments, error, message):
    model, x = pooled()
    with pytest.raises(error, match=f"^occlusion_map: {message}"):
        occlusion_map(model, x, **arguments)


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", ["grad_cam", "occlusion"])
def test_a_picture_has_the_images_and_their_maps_with_one_scale(name, data_format):
    model, x = pooled(data_format)
    figure = getattr(plotting, name)(model, x, class_index=[0, 3, 1], classes=["a", "b", "c", "$d"])
    function = class_activation_map if name == "grad_cam" else occlusion_map
    maps = function(model, x, class_index=[0, 3, 1])
    assert [axes.get_title() for axes in figure.axes[:3]] == ["a", "$d", "b"]
    first = x[..., 0] if data_format == "channels_last" else x[:, 0]
    reach = np.abs(maps).max()
    for number, (above, below) in enumerate(zip(figure.axes[:3], figure.axes[3:6], strict=True)):
        np.testing.assert_array_equal(above.images[0].get_array(), first[number])
        drawn = below.images[1]
        np.testing.assert_array_equal(drawn.get_array(), maps[number])
        assert drawn.get_clim() == pytest.approx((0 if name == "grad_cam" else -reach, reach))
        assert drawn.get_extent() == [-0.5, 10.5, 8.5, -0.5]  # over the whole image
    colours = figure.axes[3].images[1].cmap
    red, _, blue, alpha = colours(1.0)
    assert red > blue
    assert alpha == 1
    assert min(colours(np.linspace(0, 1, 99))[:, 3]) < 0.05  # nothing is seen of a map at zero


def test_one_image_for_several_classes_and_a_map_of_zeros():
    model, x = pooled()
    figure = plotting.grad_cam(model, x[0], "maps", [2, 0])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["2", "0"]
    np.testing.assert_array_equal(
        figure.axes[3].images[1].get_array(), class_activation_map(model, x[0], "maps", 0)[0]
    )
    nothing = plotting.occlusion(model, np.zeros((9, 11, 2)), 1)
    assert not nothing.axes[1].images[1].get_array().any()


def test_pictures_refuse():
    model, x = pooled()
    with pytest.raises(ValueError, match=r"^grad_cam: classes must be 4 names, got 2"):
        plotting.grad_cam(model, x, classes=["a", "b"])
    with pytest.raises(ValueError, match=r"^occlusion: class_index must be an int from 0 to 3, got 4"):
        plotting.occlusion(model, x, 4)
    with pytest.raises(ValueError, match=r"^grad_cam: x must be images of the shape"):
        plotting.grad_cam(model, x[..., :1])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_grey_images_may_lack_their_channel_as_in_fit(data_format):
    first = data_format == "channels_first"
    shape = (1, 7, 6) if first else (7, 6, 1)
    made = Sequential([Input(shape), Conv2D(2, 3), Flatten(), Dense(3)], seed=0, data_format=data_format)
    x = np.random.default_rng(0).random((2, *shape), np.float32)
    expected = class_activation_map(made, x)
    if first:  # there `fit` wants it too
        with pytest.raises(ValueError, match="got \\(2, 7, 6\\)"):
            class_activation_map(made, x[:, 0])
        return
    assert np.array_equal(class_activation_map(made, x[..., 0]), expected)
    assert np.array_equal(class_activation_map(made, x[0, ..., 0]), class_activation_map(made, x[0]))
    assert len(plotting.grad_cam(made, x[..., 0]).axes) == 5
    with pytest.raises(ValueError, match="x must be images of the shape"):
        class_activation_map(made, x[:, :, :5, 0])
