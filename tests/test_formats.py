"""A data format that a layer or a model was told is never overruled: all agree, or are refused."""

import itertools

import numpy as np
import pytest

import cconv
from cconv.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    ReLU,
    Rescaling,
    Reshape,
    ZeroPadding2D,
)
from cconv.models import Sequential, load_model
from cconv.models.formats import named_formats

LAST, FIRST = "channels_last", "channels_first"
RNG = np.random.default_rng(1)
# Of each kind a layer that keeps the image, told this format, or none.
TOLD = {
    "conv": lambda told: Conv2D(2, 3, padding="same", data_format=told),
    "depthwise": lambda told: DepthwiseConv2D(3, padding="same", data_format=told),
    "max": lambda told: MaxPooling2D(1, data_format=told),
    "average": lambda told: AveragePooling2D(1, data_format=told),
    "padding": lambda told: ZeroPadding2D(0, told),
    "flip": lambda told: RandomFlip(data_format=told),
    "shift": lambda told: RandomTranslation(0.1, 0.1, data_format=told),
    "turn": lambda told: RandomRotation(0.1, data_format=told),
    "crop": lambda told: RandomCrop(6, 5, data_format=told),
    "global": lambda told: GlobalAveragePooling2D(told, keepdims=True),
    "norm": lambda told: BatchNormalization({LAST: 3, FIRST: 1, None: -1}[told]),
}
SILENT = [Rescaling(0.5), Dropout(0.1), ReLU(), Activation("tanh")]
PAIRS = list(itertools.product(TOLD, TOLD))
SHAPES = {LAST: (6, 5, 2), FIRST: (2, 6, 5)}


def images(data_format, n=3):
    return RNG.normal(size=(n, *SHAPES[data_format])).astype(np.float32)


def grown(layers, **options):
    model = Sequential(**options)
    for layer in layers:
        model.add(layer)
    return model


MAKERS = [lambda layers, **options: Sequential(layers, **options), grown]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_layers_that_were_told_different_formats(first, second, make):
    for one, two in ((LAST, FIRST), (FIRST, LAST)):
        for between in ([], [layer.clone() for layer in SILENT]):
            for shape in (None, SHAPES[one]):
                given = [] if shape is None else [Input(shape)]
                if shape is None and "norm" in (first, second) and first == second:
                    continue  # nobody knows yet whether they see images
                with pytest.raises(ValueError, match=f"layer .* {LAST}|layer .* {FIRST}"):
                    make([*given, TOLD[first](one), *between, TOLD[second](two)])


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_layers_that_were_told_nothing_take_the_format_of_the_others(first, second):
    for told in (LAST, FIRST):
        for one, two in ((told, None), (None, told), (told, told)):
            model = Sequential([TOLD[first](one), *[e.clone() for e in SILENT], TOLD[second](two)], seed=1)
            model.build(SHAPES[told])
            assert model.data_format == told
            twin = Sequential.from_config(model.get_config())
            assert twin.data_format == told
            last = Sequential([TOLD[first](None), *[e.clone() for e in SILENT], TOLD[second](None)], seed=1)
            last.build(SHAPES[LAST]).set_weights(model.get_weights())
            x = images(told)
            y = model.predict(x, verbose=0)
            if told == FIRST:
                x, y = x.transpose(0, 2, 3, 1), y.transpose(0, 2, 3, 1)
            assert np.array_equal(y, last.predict(np.ascontiguousarray(x), verbose=0))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize(("model", "layer"), [(LAST, FIRST), (FIRST, LAST)])
def test_a_model_and_a_layer_that_were_told_different_formats(kind, model, layer, make):
    with pytest.raises(ValueError, match=f"the model was given {model}"):
        make([Input(SHAPES[model]), TOLD[kind](layer)], data_format=model)
    agreed = make([Input(SHAPES[model]), TOLD[kind](model)], data_format=model)
    assert agreed.data_format == model
    assert agreed.built


@pytest.mark.parametrize("make", MAKERS)
def test_layers_that_see_no_images_say_nothing_of_them(make):
    model = make(
        [
            Conv2D(2, 3, data_format=LAST, input_shape=(6, 5, 2)),
            Flatten(LAST),
            Dense(8),
            BatchNormalization(axis=1),
            Flatten(FIRST),
            Dense(3),
        ]
    )
    assert model.data_format == LAST
    assert [layer.input_shape for layer in model.layers][:2] == [(6, 5, 2), (4, 3, 2)]
    assert len(model.layers[3].params["gamma"]) == 8
    plain = make([Dense(4, input_shape=(3,)), BatchNormalization(axis=1)])
    assert plain.data_format == LAST
    with pytest.raises(ValueError, match="channels_first"):
        make([Conv2D(2, 3, data_format=LAST), Flatten(FIRST)])
    again = make([Dense(18, input_shape=(3,)), Reshape((3, 3, 2)), Conv2D(2, 2, data_format=FIRST)])
    assert again.data_format == FIRST


def test_a_normalisation_of_a_model_that_is_built_later():
    layers = [BatchNormalization(axis=1), ReLU(), BatchNormalization(axis=3)]
    model = Sequential(layers)
    with pytest.raises(ValueError, match="axis=3"):
        model.build((4, 3, 2))
    with pytest.raises(ValueError, match="axis must be -1 or 1"):
        Sequential([BatchNormalization(axis=3)]).build((4,))
    with pytest.raises(ValueError, match="axis must be -1, "):
        Sequential([BatchNormalization(axis=1)]).build((4, 3))
    with pytest.raises(ValueError, match="axis must be -1, "):
        BatchNormalization(axis=3).forward(np.ones((2, 4, 3)))
    ones = Sequential([BatchNormalization(axis=1)], seed=0)
    ones.build((4, 3, 2))
    assert ones.layers[0].params["gamma"].shape == (4,)
    assert ones.data_format == FIRST
    flat = Sequential([BatchNormalization(axis=1)], seed=0).build((4,))
    assert flat.data_format == LAST
    assert flat.predict(np.ones((2, 4)), verbose=0).shape == (2, 4)


def test_weights_that_were_made_for_one_format_stay():
    model = Sequential([Conv2D(2, 3, input_shape=(6, 5, 2))], seed=0)
    weights = model.get_weights()
    for layer in (BatchNormalization(axis=1), MaxPooling2D(2, data_format=FIRST)):
        with pytest.raises(ValueError, match="were made for channels_last"):
            model.add(layer)
    assert [layer.name for layer in model.layers] == ["conv2d"]
    assert model.data_format == LAST
    assert all(map(np.array_equal, weights, model.get_weights()))
    # Without weights yet, or in a list given at once, the first layers take what a later one was told.
    for make in MAKERS:
        early = make([Rescaling(0.5, input_shape=(2, 6, 5)), Conv2D(3, 3, data_format=FIRST)])
        assert early.layers[1].params["kernel"].shape == (3, 3, 2, 3)
    whole = Sequential([Conv2D(3, 3, input_shape=(2, 6, 5)), BatchNormalization(axis=1)])
    assert whole.layers[0].params["kernel"].shape == (3, 3, 2, 3)


def test_a_model_keeps_its_format_when_the_layer_that_named_it_goes(tmp_path):
    model = Sequential([Conv2D(3, 3, input_shape=(2, 6, 5)), MaxPooling2D(1, data_format=FIRST)], seed=0)
    x = images(FIRST)
    y = model.predict(x, verbose=0)
    model.pop()
    assert model.data_format == FIRST
    assert np.array_equal(model.predict(x, verbose=0), y)
    with pytest.raises(ValueError, match="were made for channels_first"):
        model.add(MaxPooling2D(1, data_format=LAST))
    model.save(tmp_path / "m")
    twin = load_model(tmp_path / "m")
    assert twin.data_format == FIRST
    assert np.array_equal(twin.predict(x, verbose=0), y)


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("told", [LAST, FIRST, None])
def test_what_a_layer_was_told_is_in_its_configuration(kind, told, tmp_path):
    layer = TOLD[kind](told)
    assert layer.clone().get_config() == layer.get_config()
    assert layer.clone()._named_format() == told
    if kind != "norm":
        assert layer.get_config()["data_format"] == told
        assert layer.data_format == (told or LAST)
    model = Sequential([layer], seed=0).build(SHAPES[told or LAST])
    model.save(tmp_path / "m")
    twin = load_model(tmp_path / "m")
    assert named_formats(twin.layers, 3) == named_formats(model.layers, 3) == ([(0, told)] if told else [])
    other = FIRST if told == LAST else LAST
    if told:
        with pytest.raises(ValueError, match=other):
            twin.add(MaxPooling2D(1, data_format=other))


def test_estimators_have_the_format_of_their_images():
    x, y = RNG.normal(size=(12, 6, 6, 2)), np.arange(12) % 2
    for layers in ([Conv2D(2, 3, data_format=FIRST)], [Conv2D(2, 3), BatchNormalization(axis=1)]):
        with pytest.raises(ValueError, match="channels_last"):
            cconv.CNNClassifier(layers=layers, max_epochs=1, data_format=LAST).fit(x, y)
        turned = cconv.CNNClassifier(layers=layers, max_epochs=1, data_format=FIRST)
        turned.fit(np.moveaxis(x, 3, 1), y).predict(np.moveaxis(x, 3, 1))
    for layers in ([Conv2D(2, 3, data_format=LAST), BatchNormalization(axis=3)], [Conv2D(2, 3)]):
        cconv.CNNClassifier(layers=layers, max_epochs=1).fit(x, y).predict(x)
