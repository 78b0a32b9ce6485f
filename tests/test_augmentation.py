"""Random zooms, crops, brightness, contrast and erasing: their figures, by Keras and by their statistics."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import cconv
from cconv import layers
from cconv.layers import (
    Conv2D,
    Dense,
    Flatten,
    Layer,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomErasing,
    RandomFlip,
    RandomZoom,
    Rescaling,
)
from cconv.models import Sequential
from cconv.ops import images
from cconv.ops.run import Run

TABLE = json.loads((Path(__file__).parent / "data" / "augmentation.json").read_text())


def pictures(height, width, channels):
    """The images of tools/tables/augmentation.py."""
    places = np.arange(2 * height * width * channels)
    return (places * 37 % 251).reshape(2, height, width, channels).astype(np.float32)


def arguments_of(case):
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in case["arguments"].items()
    }


@pytest.mark.parametrize("case", TABLE["layers"], ids=lambda case: f"{case['layer']}{case['arguments']}")
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_keras_computes(case, data_format, dtype):
    x = pictures(*case["size"]).astype(dtype)
    layer = getattr(layers, case["layer"])(**arguments_of(case), data_format=data_format)
    y = layer.forward(x if data_format == "channels_last" else x.transpose(0, 3, 1, 2), training=True)
    y = y if data_format == "channels_last" else y.transpose(0, 2, 3, 1)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, case["y"], rtol=1e-6, atol=5e-3)


@pytest.mark.parametrize("case", TABLE["contrast"], ids=lambda case: str(case["factor"]))
def test_contrast_of_keras(case):
    y = images.contrast(pictures(*case["size"]), np.full(2, case["factor"]), (0.0, 255.0), "y", Run())
    np.testing.assert_allclose(y, case["y"], rtol=1e-6, atol=5e-3)


# --- what is drawn --------------------------------------------------------------------------------

MANY = 4000


def test_brightness_is_drawn_from_its_range():
    x = np.full((MANY, 1, 1, 2), 0.5)
    y = RandomBrightness((-0.2, 0.4), (0, 1), seed=1).forward(x, training=True)
    assert np.array_equal(y[..., 0], y[..., 1])
    delta = y[:, 0, 0, 0] - 0.5
    assert -0.2 < delta.min() < -0.19
    assert 0.39 < delta.max() < 0.4
    assert abs(delta.mean() - 0.1) < 0.01
    assert abs(delta.std() - 0.6 / 12**0.5) < 0.01


def test_brightness_stays_within_the_values():
    x = np.random.default_rng(0).uniform(0, 255, (50, 4, 4, 3))
    y = RandomBrightness(0.9, seed=1).forward(x, training=True)
    assert y.min() == 0.0
    assert y.max() == 255.0


@pytest.mark.parametrize(("factor", "low", "high"), [(0.5, 0.5, 1.5), ((0.2, 0.9), 0.8, 1.9)])
def test_contrast_is_drawn_from_its_range(factor, low, high):
    x = np.tile(np.array([90.0, 110.0]).reshape(1, 1, 2, 1), (MANY, 1, 1, 1))
    y = RandomContrast(factor, seed=1).forward(x, training=True)
    drawn = (y[:, 0, 1, 0] - 100) / 10
    assert low < drawn.min() < low + 0.01
    assert high - 0.01 < drawn.max() < high
    assert abs(drawn.mean() - (low + high) / 2) < 0.02


def test_zooms_are_drawn_from_their_ranges():
    def zooms(layer):
        layer.build((3, 5, 1))
        (at, middle), _ = layer._drawn(layer._draws(Run(training=True), MANY), (MANY, 3, 5, 1)), None
        assert middle.middle == (1.0, 2.0)
        return at[:, 0, -1], at[:, 1, 4] / 2

    rows, columns = zooms(RandomZoom((-0.5, 0.2), seed=1))
    np.testing.assert_allclose(rows, columns, rtol=1e-15)
    assert 0.5 < rows.min() < 0.51
    assert 1.19 < rows.max() < 1.2
    rows, columns = zooms(RandomZoom((-0.5, 0.2), 0.3, seed=1))
    assert 0.7 < columns.min() < 0.71
    assert 1.29 < columns.max() < 1.3
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.05


def test_crops_are_drawn_from_all_places():
    x = np.tile(np.arange(30.0).reshape(1, 5, 6, 1), (MANY, 1, 1, 1))
    y = RandomCrop(3, 2, seed=1).forward(x, training=True)
    corners, counts = np.unique(y[:, 0, 0, 0], return_counts=True)
    assert corners.tolist() == [6 * row + column for row in range(3) for column in range(5)]
    assert counts.min() > MANY / 15 * 0.75
    expected = y[:, :1, :1] + np.array([[0, 1], [6, 7], [12, 13]])[..., np.newaxis]
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    ("size", "corner", "window"),
    [((5, 7), (1, 2), (3, 3)), ((9, 4), (3, 0), (3, 3)), ((6, 12), (0, 3), (6, 6)), ((2, 5), (0, 1), (2, 2))],
)
def test_the_middle_in_prediction(size, corner, window):
    x = pictures(*size, 2)
    layer = RandomCrop(3, 3)
    y = layer.forward(x)
    assert y.shape == (2, 3, 3, 2)
    square = min(size)
    top, left = (size[0] - square) // 2, (size[1] - square) // 2
    part = x[:, top : top + square, left : left + square]
    # Each pixel between those of the window around its middle.
    at = np.clip((np.arange(3) + 0.5) * square / 3 - 0.5, 0, square - 1)
    low = np.minimum(at.astype(int), square - 1)
    high, share = np.minimum(low + 1, square - 1), at - low
    rows = part[:, low] * (1 - share)[:, None, None] + part[:, high] * share[:, None, None]
    wanted = rows[:, :, low] * (1 - share)[:, None] + rows[:, :, high] * share[:, None]
    np.testing.assert_allclose(y, wanted, rtol=1e-6)


@pytest.mark.parametrize(("factor", "share"), [((1.0, 1.0), 1.0), ((0.3, 0.3), 0.3), (1.0, 0.5), (0.0, 0.0)])
def test_how_many_images_are_erased(factor, share):
    x = np.full((MANY, 8, 8, 1), 9.0, np.float32)
    y = RandomErasing(factor, (0.3, 0.6), fill_value=1.0, seed=1).forward(x, training=True)
    erased = (y != x).any(axis=(1, 2, 3)).mean()
    assert abs(erased - share) < (0.03 if 0 < share < 1 else 1e-9)


def test_where_images_are_erased():
    x = np.zeros((MANY, 20, 30, 1), np.float32)
    y = RandomErasing((1.0, 1.0), (0.04, 0.25), fill_value=255.0, seed=1).forward(x, training=True)[..., 0]
    rows, columns = y.any(axis=2).sum(axis=1), y.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal((y == 255).sum(axis=(1, 2)), rows * columns)  # rectangles
    assert (rows.min(), rows.max()) == (4, 10)
    assert (columns.min(), columns.max()) == (6, 15)
    # As in Keras a pixel is within where its number is: the first row and column never are.
    assert y.mean(axis=0)[1:, 1:].min() > 0
    assert y[:, 0].max() == y[:, :, 0].max() == 0


def test_noise_of_what_is_erased():
    x = np.full((60, 32, 32, 3), -1.0, np.float32)
    y = RandomErasing((1.0, 1.0), (0.5, 0.9), seed=1).forward(x, training=True)
    noise = y[y >= 0]
    assert abs((noise == 0).mean() - 0.5) < 0.01
    assert abs((noise == 255).mean() - 0.1587) < 0.01
    between = np.sort(noise[(noise > 0) & (noise < 255)])
    assert abs(between.mean() / 255 - 0.4598) < 0.01  # of a normal number between 0 and 1
    assert len({image.tobytes() for image in y}) == 60


def test_colours_of_what_is_erased():
    x = np.zeros((2, 3, 4, 3), np.float32)
    layer = RandomErasing((1.0, 1.0), (1.0, 1.0), fill_value=[1, 2, 400], seed=1)
    assert layer.get_config()["fill_value"] == (1.0, 2.0, 400.0)
    assert np.array_equal(layer.forward(x, training=True), np.broadcast_to([1.0, 2.0, 255.0], x.shape))
    with pytest.raises(
        ValueError, match="fill_value must be None, a number, or one for each of the 1 channels"
    ):
        layer.clone().build((3, 4, 1))


# --- in a model -----------------------------------------------------------------------------------

FRONT = [
    lambda told: RandomCrop(8, 7, data_format=told),
    lambda told: RandomZoom(0.3, data_format=told),
    lambda told: RandomBrightness(0.2, (0, 1), data_format=told),
    lambda told: RandomContrast(0.4, (0, 1), data_format=told),
    lambda told: RandomErasing(value_range=(0, 1), data_format=told),
]
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 11, 9, 3), np.uint8)
Y = RNG.integers(0, 4, 40)


def trained(data_format="channels_last", fuse=True, epochs=2, **options):
    front = [make(data_format) for make in FRONT]
    body = [Conv2D(4, 3, activation="relu"), Flatten(), Dense(4, activation="softmax")]
    model = Sequential([Rescaling(1 / 255), *front, *body], seed=3, data_format=data_format)
    model.fuse = fuse
    model.compile("adam", "sparse_categorical_crossentropy")
    x = X if data_format == "channels_last" else np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    model.fit(x, Y, batch_size=16, epochs=epochs, verbose=0, **options)
    return model, model.predict(x, verbose=0)


def test_training_has_the_same_bits_whatever_the_threads():
    found = set()
    before = cconv.get_num_threads()
    try:
        for threads in (1, 2, 3, 8):
            cconv.set_num_threads(threads)
            for fuse in (True, False):
                found.add(trained(fuse=fuse)[1].tobytes())
    finally:
        cconv.set_num_threads(before)
    assert len(found) == 1


def test_a_front_is_what_layers_compute(monkeypatch):
    from cconv.inputs.batches import Batches

    wanted = trained()[1].tobytes()
    prepared = Batches.__init__

    def without(self, *args, **options):
        prepared(self, *args, **options)
        self._augmented = False

    monkeypatch.setattr(Batches, "__init__", without)
    assert trained()[1].tobytes() == wanted


def test_models_are_saved_and_predict_alike(tmp_path):
    model, predicted = trained()
    model.save(tmp_path / "model.cconv")
    loaded = cconv.load_model(tmp_path / "model.cconv")
    assert [layer.get_config() for layer in loaded.layers] == [layer.get_config() for layer in model.layers]
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), predicted)
    np.testing.assert_array_equal(loaded.predict(X[:7], verbose=0), predicted[:7])  # a smaller batch
    assert model.layers[1].output_shape == (8, 7, 3)


def test_both_data_formats_draw_alike():
    last, first = trained()[0], trained("channels_first")[0]
    x = X[:2].astype(np.float32) / 255
    for a, b in zip(last.layers[1:6], first.layers[1:6], strict=True):
        run = Run(training=True, seed=1, step=2)
        y = a.augment(x, run)
        np.testing.assert_array_equal(y, b.augment(x, run))  # inside, channels are last
        x = y


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomZoom(1.5), ValueError, "RandomZoom: height_factor must lie between -1 and 1, got 1.5"),
        (
            lambda: RandomZoom(0.1, (-1.0, 0.0)),
            ValueError,
            r"RandomZoom: width_factor must be above -1 and at most 1, got \(-1.0, 0.0\)",
        ),
        (lambda: RandomZoom(0.1, fill_mode="edge"), ValueError, "RandomZoom: fill_mode must be one of"),
        (lambda: RandomCrop(0, 3), ValueError, "RandomCrop: height must be a positive int, got 0"),
        (lambda: RandomCrop(3, 2.5), TypeError, "RandomCrop: width must be a positive int, got 2.5"),
        (
            lambda: RandomBrightness(2),
            ValueError,
            "RandomBrightness: factor must lie between -1 and 1, got 2",
        ),
        (
            lambda: RandomBrightness(0.1, value_range=255),
            ValueError,
            "RandomBrightness: value_range must be a pair of numbers, got 255",
        ),
        (
            lambda: RandomBrightness(0.1, value_range=(1, 0)),
            ValueError,
            r"RandomBrightness: value_range must be \(lowest, highest\), got \(1, 0\)",
        ),
        (lambda: RandomContrast(1.2), ValueError, "RandomContrast: factor must lie between 0 and 1, got 1.2"),
        (
            lambda: RandomContrast((-0.5, 0.5)),
            ValueError,
            r"RandomContrast: factor must lie between 0 and 1, got \(-0.5, 0.5\)",
        ),
        (lambda: RandomErasing(1.5), ValueError, "RandomErasing: factor must lie between 0 and 1, got 1.5"),
        (lambda: RandomErasing(scale=(0.4, 0.2)), ValueError, "RandomErasing: scale must be"),
        (
            lambda: RandomErasing(fill_value="noise"),
            TypeError,
            "RandomErasing: fill_value must be a finite number, got 'noise'",
        ),
        (lambda: RandomFlip(seed=-1), ValueError, "RandomFlip: seed must be"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()


def chain(seed):
    """Augmentations in a random order, among them crops to the image's own size, which return their input."""
    rng = np.random.default_rng(seed)
    makers = [
        lambda: RandomCrop(8, 8, seed=1),
        lambda: RandomFlip(seed=2),
        lambda: RandomZoom(0.2, seed=3),
        lambda: RandomBrightness(0.2, seed=4),
        lambda: RandomErasing(1.0, seed=5),
    ]
    return [makers[number]() for number in rng.integers(0, len(makers), rng.integers(1, 6))]


class Records(Layer):
    """Keeps copies of what it gets in training."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seen = []

    def forward(self, x, training):
        if training:
            self.seen.append(x.copy())
        return x

    def backward(self, dy):
        return dy


@pytest.mark.parametrize("seed", range(30))
def test_batches_prepared_ahead_are_those_of_one_layer_after_the_other(seed):
    x = np.random.default_rng(0).random((24, 8, 8, 3)).astype(np.float32)
    front, records = chain(seed), Records()
    model = Sequential([*front, records, Flatten(), Dense(3, activation="softmax")], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, np.arange(24) % 3, batch_size=8, epochs=2, shuffle=False, verbose=0)
    assert len(records.seen) == 6
    for step, seen in enumerate(records.seen):
        start = step % 3 * 8
        wanted = x[start : start + 8]
        for layer in front:
            run = Run(training=True, seed=model.seed, step=step, first_sample=start)
            wanted = np.array(layer.augment(wanted, run))
        np.testing.assert_array_equal(seen, wanted)


CALLED = {
    "a layer": lambda: RandomFlip("horizontal", seed=1),
    "a stack that is not built": lambda: Sequential([RandomFlip("horizontal", seed=1)]),
    "a graph": lambda: _graph_of(RandomFlip("horizontal", seed=1)),
    "a model inside a graph": lambda: _graph_of(Sequential([RandomFlip("horizontal", seed=1)])),
}


def _graph_of(item, **call):
    given = cconv.Input((6, 5, 2))
    return cconv.Model(given, item(given, **call))


def _flipped(y, x):
    """Whether each image of y is that of x mirrored; it is one of the two."""
    mirrored = np.array([np.array_equal(one, other[:, ::-1]) for one, other in zip(y, x, strict=True)])
    same = np.array([np.array_equal(one, other) for one, other in zip(y, x, strict=True)])
    assert (mirrored ^ same).all()
    return mirrored


@pytest.mark.parametrize("make", CALLED.values(), ids=CALLED)
def test_a_call_augments_unless_told_otherwise(make):
    """As Keras', whose augmenting layers have ``call(x, training=True)``."""
    x = some_images(32)
    before = x.copy()
    called = make()
    first, second = _flipped(called(x), x), _flipped(called(x), x)
    assert 0 < first.sum() < 32
    assert (first != second).any()
    np.testing.assert_array_equal(called(x, training=False), x)
    np.testing.assert_array_equal(x, before)


def test_a_call_of_a_model_augments_and_is_at_inference_otherwise():
    x = some_images(32)
    rest = [layers.Dropout(0.5), layers.BatchNormalization(), layers.Conv2D(3, 3)]
    model = Sequential([*rest[:2], RandomFlip("horizontal"), rest[2]])
    model.build((6, 5, 2))
    weights = model.get_weights()
    y, plain = model(x), model.predict(x, verbose=0)
    mirrored = Sequential(rest).predict(x[:, :, ::-1], verbose=0)
    for one, *either in zip(y, plain, mirrored, strict=True):
        assert min(np.abs(one - other).max() for other in either) < 1e-5
    assert np.abs(y - plain).max() > 1e-2
    for after, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(after, before)


def test_calls_of_other_sizes_views_and_kinds():
    """The first call of a layer, a larger batch after it, views, integers and numbers of a list."""
    x = some_images(9)
    layer = RandomFlip("horizontal")
    for given in (x[:1], x, x[::-2], np.asfortranarray(x), x.tolist(), (x * 9).astype(np.uint8)):
        before = np.array(given)
        y = layer(given)
        assert y.dtype == np.float32
        assert not np.may_share_memory(y, x)
        _flipped(y, np.asarray(given, np.float32))
        np.testing.assert_array_equal(given, before)


def test_a_model_called_at_inference_in_a_graph_does_not_augment():
    x = some_images(8)
    model = _graph_of(Sequential([RandomFlip("horizontal")]), training=False)
    np.testing.assert_array_equal(model(x), x)


def _trained(calls):
    """The weights of a small training, and what it drew; after each batch `calls(model, front)` is called."""

    class Calls(cconv.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            calls(self.model, front)

    front = Sequential([RandomFlip("horizontal", seed=4), layers.RandomRotation(0.1)])
    model = Sequential(
        [layers.Rescaling(0.5), front, layers.Dropout(0.2), layers.Flatten(), layers.Dense(2)], seed=5
    )
    model.compile("sgd", "mse")
    x = some_images(12)
    model.fit(x, x[:, 0, 0], batch_size=5, epochs=2, callbacks=[Calls()], verbose=0)
    return model.get_weights()


def test_calls_leave_a_training_as_it_is():
    """Of the whole model, and of the part that augments, in the middle of an epoch."""
    x, said = some_images(8), []
    alone = _trained(lambda model, front: None)
    called = _trained(lambda model, front: said.append((model(x).shape, front(x), front.layers[0](x))))
    for one, other in zip(called, alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(said) == 6
    assert all(shape == (8, 2) and (images != x).any() for shape, images, _ in said)
    assert any((flipped != x).any() for _, _, flipped in said)


def test_a_call_leaves_what_backward_needs():
    x, dy = some_images(8), some_images(8) + 1
    layer = RandomFlip("horizontal", seed=1)
    flipped = _flipped(layer.forward(x, training=True), x)
    layer(some_images(3))
    np.testing.assert_array_equal(_flipped(layer.backward(dy), dy), flipped)


def test_many_threads_may_call_one_model():
    x = some_images(16)
    model = Sequential([RandomFlip("horizontal"), layers.RandomCrop(4, 4)])
    with ThreadPoolExecutor(4) as pool:
        shapes = {y.shape for y in pool.map(lambda _: model(x), range(200))}
    assert shapes == {(16, 4, 4, 2)}


@pytest.mark.parametrize("alone", [False, True])
def test_layers_of_a_model_draw_apart(alone):
    """Two layers of one seed, as in training: what one flips, the other does not always flip back."""
    x = some_images(64)
    pair = [RandomFlip("horizontal", seed=2), RandomFlip("horizontal", seed=2)]
    if alone:  # they were called before there was a model
        np.testing.assert_array_equal(pair[0](x), pair[1](x))
    assert 16 < _flipped(Sequential(pair)(x), x).sum() < 48


def test_layers_added_to_a_model_and_to_one_inside_it_augment():
    """After calls of the models as they were."""
    x = some_images(32)
    front = Sequential([layers.Rescaling(1.0)])
    model = Sequential([front, layers.Rescaling(1.0)])
    np.testing.assert_array_equal(model(x), x)
    front.add(RandomFlip("horizontal"))
    assert _flipped(model(x), x).any()
    front.pop()
    np.testing.assert_array_equal(model(x), x)
    model.add(RandomFlip("horizontal"))
    assert _flipped(model(x), x).any()
    np.testing.assert_array_equal(front(x), x)


def some_images(n):
    return np.random.default_rng(3).random((n, 6, 5, 2), dtype=np.float32)
