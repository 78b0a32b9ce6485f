"""MixUp, CutMix, and data sets whose batches are augmented."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_augmentation import pictures

import cconv
from cconv.layers import CutMix, Dense, Flatten, Input, MixUp, RandomBrightness, RandomCrop, RandomFlip
from cconv.layers.mixing import symmetric_beta
from cconv.models import Sequential
from cconv.ops import images as kernels
from cconv.ops.run import Run
from cconv.utils import Augmented, PyDataset, to_categorical

TABLE = json.loads((Path(__file__).parent / "data" / "augmentation.json").read_text())
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (50, 9, 7, 3), np.uint8)
Y = to_categorical(RNG.integers(0, 4, 50), 4)


@pytest.mark.parametrize("case", TABLE["mixed"], ids=["MixUp", "CutMix"])
def test_what_keras_computes(case):
    x, labels, order = pictures(4, 6, 2), np.eye(3, dtype=np.float32)[[0, 2]], np.array([1, 0])
    weight, box = np.full(2, case["weight"]), case["box"]
    if box is None:
        y = kernels.mix(x, order, weight, Run())
    else:
        edges = np.tile(np.ceil(box).astype(np.int64), (2, 1))
        y = kernels.paste(x, x, order, edges, "y", Run())
    np.testing.assert_allclose(y, case["mixed"][0], atol=1e-3)
    np.testing.assert_allclose(kernels.mix(labels, order, weight, Run()), case["mixed"][1], atol=1e-4)


@pytest.mark.parametrize("alpha", [1e-6, 0.05, 0.2, 0.5, 1.0, 4.0])
def test_weights_are_of_the_beta_distribution(alpha):
    draws = np.random.default_rng(1).random((200_000, 2))
    found = symmetric_beta(np.full(len(draws), alpha), draws)
    assert 0 <= found.min() <= found.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(found.mean() - 0.5) < 0.005
    assert abs(found.var() - variance) < 0.01 * variance
    fourth = np.mean((found - 0.5) ** 4)
    assert abs(fourth - 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3))) < 0.02 * variance


def codes(n=200, size=(10, 12)):
    """Images and labels that say which sample they are."""
    number = np.arange(n, dtype=np.float64)
    return np.tile(number[:, None, None, None], (1, *size, 1)), np.eye(n)


def test_mixup_mixes_labels_as_images():
    x, labels = codes()
    mixed = MixUp(1.0, seed=1)({"images": x, "labels": labels})
    assert np.ptp(mixed["images"], axis=(1, 2, 3)).max() == 0
    np.testing.assert_allclose(mixed["labels"] @ np.arange(200), mixed["images"][:, 0, 0, 0], atol=1e-10)
    np.testing.assert_allclose(mixed["labels"].sum(axis=1), 1, atol=1e-15)
    # Partners are a permutation: all images together stay as much as they were.
    weight = mixed["labels"].diagonal()
    others = mixed["labels"] - np.diag(weight)
    partner = np.where(others.any(axis=1), others.argmax(axis=1), np.arange(200))
    assert sorted(partner) == list(range(200))
    assert abs(weight.mean() - 0.5) < 0.06


def test_cutmix_pastes_rectangles_and_weighs_their_areas():
    x, labels = codes(400)
    mixed = CutMix(seed=1)({"images": x, "labels": labels})
    own = (mixed["images"] == x)[..., 0]
    pasted = ~own
    rows, columns = pasted.any(axis=2).sum(axis=1), pasted.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(pasted.sum(axis=(1, 2)), rows * columns)  # rectangles
    weight = mixed["labels"].diagonal()
    share = own.mean(axis=(1, 2))
    moved = mixed["labels"].argmax(axis=1) != np.arange(400)
    assert moved.mean() > 0.3
    # The label has the rectangle's own area, the image whole pixels of it.
    assert np.abs(weight - share)[weight < 1].max() < (10 + 12) / 120
    assert abs(np.mean(weight - share)) < 0.05
    assert abs(weight.mean() - 0.5) < 0.05


@pytest.mark.parametrize("layer", [MixUp(0.8, seed=5), CutMix(seed=5)])
def test_dicts_and_images_alone(layer):
    data = {"images": X, "labels": Y}
    before = X.copy(), Y.copy()
    layer = layer.clone()
    first, second = layer(data), layer(data)
    assert first["images"].dtype == first["labels"].dtype == np.float32
    assert first["images"].tobytes() != second["images"].tobytes()  # another step
    assert layer.clone()(data)["images"].tobytes() == first["images"].tobytes()
    assert layer.clone()(X).tobytes() == first["images"].tobytes()
    assert "labels" not in layer({"images": X})
    plain = layer(data, training=False)
    np.testing.assert_array_equal(plain["images"], X)
    assert not np.may_share_memory(plain["labels"], Y)
    assert (before[0] == X).all()
    assert (before[1] == Y).all()
    turned = type(layer).from_config(layer.get_config() | {"data_format": "channels_first"})
    mixed = turned({"images": X.transpose(0, 3, 1, 2), "labels": Y})
    assert mixed["images"].transpose(0, 2, 3, 1).tobytes() == first["images"].tobytes()
    assert mixed["images"].flags.c_contiguous
    assert layer(X.astype(np.float64)).dtype == np.float64


def trained(batches, epochs=3, **options):
    model = Sequential([Flatten(), Dense(8, activation="relu"), Dense(4, activation="softmax")], seed=3)
    model.compile("adam", "categorical_crossentropy")
    model.fit(batches, epochs=epochs, verbose=0, **options)
    return b"".join(array.tobytes() for array in model.get_weights())


LAYERS = [RandomFlip("horizontal"), RandomCrop(8, 6), RandomBrightness(0.1), MixUp(0.4), CutMix()]


@pytest.mark.parametrize("shuffle", [True, False])
def test_training_is_the_same_whatever_the_threads_and_workers(shuffle):
    found, before = set(), cconv.get_num_threads()
    try:
        for threads, workers in ((1, 1), (2, 1), (3, 4), (8, 2)):
            cconv.set_num_threads(threads)
            found.add(trained(Augmented((X, Y), LAYERS, 16, shuffle, seed=1, workers=workers)))
    finally:
        cconv.set_num_threads(before)
    assert len(found) == 1
    assert trained(Augmented((X, Y), LAYERS, 16, shuffle, seed=2)) not in found


def test_batches_depend_on_seed_epoch_and_number():
    def whole(batches):
        return [tuple(part.tobytes() for part in batch) for batch in batches]

    batches = Augmented((X, Y), LAYERS, 16, seed=1)
    first = whole(batches)
    assert len(first) == len(batches) == 4
    assert whole(batches) == first
    assert whole(batches)[::-1] == [tuple(p.tobytes() for p in batches[-1 - i]) for i in range(4)]
    batches.on_epoch_end()
    assert not set(whole(batches)) & set(first)
    assert whole(Augmented((X, Y), LAYERS, 16, seed=1)) == first
    assert not set(whole(Augmented((X, Y), LAYERS, 16, seed=2))) & set(first)
    with pytest.raises(IndexError, match="index must lie in"):
        batches[4]


def test_every_sample_comes_once_an_epoch():
    numbers = np.arange(50.0).reshape(50, 1, 1, 1)
    batches = Augmented((numbers, Y, np.arange(50.0)), RandomFlip(), 16, seed=1)
    parts = [batches[i] for i in range(len(batches))]
    x = np.concatenate([part[0] for part in parts])
    assert [len(part[0]) for part in parts] == [16, 16, 16, 2]
    assert sorted(x.ravel()) == list(range(50))
    assert x.ravel().tolist() != list(range(50))
    np.testing.assert_array_equal(np.concatenate([part[2] for part in parts]), x.ravel())
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), Y[x.ravel().astype(int)])


class Whole(PyDataset):
    """A user's own batches, which count epochs."""

    epochs = 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[25 * index : 25 * index + 25], Y[25 * index : 25 * index + 25]

    def on_epoch_end(self):
        self.epochs += 1


def test_batches_of_a_data_set():
    data = Whole()
    weights = trained(Augmented(data, [MixUp(0.3)], seed=1), shuffle=False)
    assert data.epochs == 3
    assert trained(Augmented((X, Y), [MixUp(0.3)], 25, shuffle=False, seed=1), shuffle=False) == weights


def test_layers_of_the_user_stay_as_they_are():
    layer, flip = MixUp(seed=1), RandomFlip()
    batches = Augmented((X, Y), [flip, layer, flip], 16)
    batches[0]
    assert layer._calls == 0
    assert not flip.built
    assert [copy.key for copy in batches.layers] == [0, 1, 2]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MixUp(0), ValueError, "MixUp: alpha must be above 0, got 0"),
        (lambda: MixUp(-1), ValueError, "MixUp: alpha must be a finite number of at least 0, got -1"),
        (lambda: CutMix(2.0), ValueError, "CutMix: factor must lie between 0 and 1, got 2.0"),
        (lambda: MixUp()({"image": X}), ValueError, "MixUp: x must have the keys 'images' and 'labels', got"),
        (
            lambda: MixUp()({"images": X, "labels": Y.argmax(axis=1)}),
            ValueError,
            r"MixUp: labels must be one-hot, of shape \(50, classes\), got \(50,\): cconv.utils",
        ),
        (lambda: CutMix()({"images": X[0], "labels": Y}), ValueError, "CutMix: images must have 4 axes"),
        (
            lambda: Sequential([CutMix(input_shape=(9, 7, 3)), Flatten()]),
            TypeError,
            r"CutMix: changes labels too and is no layer of a model: train on cconv.utils.Augmented",
        ),
        (
            lambda: MixUp()(Input((9, 7, 3))),
            TypeError,
            r"MixUp: changes labels too and is no layer of a model: train on cconv.utils.Augmented",
        ),
        (
            lambda: Augmented((X, Y), Dense(3)),
            TypeError,
            "Augmented: layers must be made of layers that augment",
        ),
        (
            lambda: Augmented((X, Y[:7]), MixUp()),
            ValueError,
            "Augmented: y must have one row for each of the 50",
        ),
        (lambda: Augmented((X,), MixUp()), ValueError, r"Augmented: data must be \(x, y\) or"),
        (lambda: Augmented(iter([]), MixUp()), TypeError, r"Augmented: data must be \(x, y\), or batches by"),
        (
            lambda: Augmented(Whole(), MixUp(), 8),
            ValueError,
            "Augmented: batch_size must be None for data in",
        ),
        (
            lambda: Augmented((X, Y), MixUp(), 0),
            ValueError,
            "Augmented: batch_size must be a positive int, got 0",
        ),
        (
            lambda: Augmented((X, Y), MixUp(), 8, 1),
            TypeError,
            "Augmented: shuffle must be True or False, got 1",
        ),
        (lambda: Augmented((X[0], Y[:9]), MixUp()), ValueError, "MixUp: input_shape must be"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()
