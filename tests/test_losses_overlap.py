"""Dice, Tversky, Circle and the generalized cross-entropy, beside their values (test_losses_keras.py)."""

import json

import numpy as np
import pytest
from strategies import assert_gradient

from cconv import losses
from cconv.layers import Conv2D, Dense, Flatten, UnitNormalization
from cconv.losses import CategoricalGeneralizedCrossEntropy, Circle, Dice, Tversky
from cconv.models import Sequential, load_model

RNG = np.random.default_rng(4)
MASKS, CHANCES = (RNG.random((3, 4, 5, 2)) > 0.5).astype(float), RNG.uniform(0.05, 0.95, (3, 4, 5, 2))
LABELS = np.array([0, 1, 0, 2, 1, 0])
UNITS = RNG.normal(size=(6, 5))
UNITS /= np.sqrt((UNITS**2).sum(axis=1, keepdims=True))
SHARES = RNG.uniform(0.1, 0.9, (6, 3))
CASES = [
    (Dice(), MASKS, CHANCES, None),
    (Dice(axis=(1, 2, 3)), MASKS, CHANCES, np.array([0.5, 0.0, 2.0])),
    (Dice(axis=(1, 2), reduction="sum"), MASKS, CHANCES, None),
    (Tversky(0.3, 0.8), MASKS, CHANCES, np.array([0.5, 1.0, 2.0])),
    (Tversky(0.3, 0.8, axis=-1, reduction="mean_with_sample_weight"), MASKS, CHANCES, None),
    (Circle(gamma=3.0), LABELS, UNITS, None),
    (Circle(gamma=3.0, reduction="sum"), LABELS, UNITS, np.arange(6.0)),
    (CategoricalGeneralizedCrossEntropy(0.3), LABELS, SHARES, np.arange(6.0)),
]


@pytest.mark.parametrize(("loss", "true", "pred", "weight"), CASES, ids=lambda v: str(v)[:30])
def test_gradients_are_central_differences(loss, true, pred, weight):
    value, dy = loss(true, pred, weight)
    assert np.isfinite(value)
    assert_gradient(dy, lambda p: loss(true, p, weight)[0], pred)
    config = json.loads(json.dumps({"class_name": type(loss).__name__, "config": loss.get_config()}))
    assert losses.get(config) == loss
    assert losses.get(loss.key) == type(loss)()


def test_circle_with_references():
    values = losses.circle(LABELS, UNITS, gamma=3.0)
    again = losses.circle(LABELS, UNITS, LABELS, UNITS, gamma=3.0)
    np.testing.assert_array_equal(values, again)
    few = losses.circle(LABELS, UNITS, [0, 1], UNITS[:2], gamma=3.0)
    assert few.shape == (6,)
    assert few[0] == 0  # its only pair of its class is itself
    assert few[3] == 0  # of class 2, which none of the references is
    with pytest.raises(ValueError, match=r"ref_embeddings must have the shape \(n, 5\), got \(2, 4\)"):
        losses.circle(LABELS, UNITS, [0, 1], UNITS[:2, :4])


@pytest.mark.parametrize("loss", [Dice(), "dice", Tversky(axis=[1, 2, 3]), losses.dice])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_masks_are_learnt(loss, data_format, tmp_path):
    x = RNG.normal(size=(24, 6, 6, 1)).astype(np.float32)
    y = (x > 0).astype(np.float32)
    if data_format == "channels_first":
        x, y = x.transpose(0, 3, 1, 2), y.transpose(0, 3, 1, 2)
    layers = [Conv2D(4, 1, activation="relu"), Conv2D(1, 1, activation="sigmoid")]
    model = Sequential(layers, seed=1, data_format=data_format)
    model.compile("adam", loss)
    history = model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_embeddings_are_learnt():
    x = np.repeat(np.eye(3), 8, axis=0).reshape(24, 3, 1, 1) + RNG.normal(size=(24, 3, 1, 1)) / 10
    model = Sequential([Flatten(), Dense(4), UnitNormalization()], seed=1)
    model.compile("adam", Circle(gamma=8.0))
    history = model.fit(x, np.repeat(np.arange(3), 8), epochs=5, batch_size=24, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_nothing_and_what_is_not_finite():
    empty = np.zeros((0, 3))
    assert Dice()(empty, empty)[0] == 0
    assert np.isnan(Dice()([[1.0]], np.array([[np.nan]]))[0])
    assert np.isnan(Circle()([0, 0, 1], np.full((3, 2), np.nan))[0])
    alone, dy = Circle()([0, 1], np.eye(2))
    assert alone == 0
    assert not dy.any()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Dice(axis="1"), TypeError, "Dice: axis must be None, an int or a sequence of them, got '1'"),
        (lambda: Dice(axis=4)(MASKS, CHANCES), ValueError, "dice: axis must name different axes of 4"),
        (lambda: Tversky(axis=(1, -3))(MASKS, CHANCES), ValueError, "tversky: axis must name different axes"),
        (lambda: Tversky(np.nan), ValueError, "Tversky: alpha must be a finite number"),
        (lambda: Circle(remove_diagonal=1), TypeError, "Circle: remove_diagonal must be True or False"),
        (lambda: Circle()(MASKS, CHANCES), ValueError, r"circle: y_pred must be embeddings \(n, d\)"),
        (lambda: CategoricalGeneralizedCrossEntropy(1.0), ValueError, r"q must be in \(0, 1\), got 1.0"),
    ],
)
def test_refusals(make, error, text):
    with pytest.raises(error, match=text):
        make()
