"""R2Score, as Keras and scikit-learn have it."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from cconv.layers import Dense
from cconv.metrics import R2Score
from cconv.models import Sequential, load_model

RNG = np.random.default_rng(2)
WAYS = {
    None: "raw_values",
    "uniform_average": "uniform_average",
    "variance_weighted_average": "variance_weighted",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batch", [1, 3, 20])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_that_of_scikit_learn(way, batch, weighted):
    true = RNG.normal(1e6, 1.0, size=(20, 3))
    pred = true + RNG.normal(size=(20, 3))
    weight = RNG.random(20) if weighted else None
    score = R2Score(way)
    for _ in range(2):
        score.reset_state()
        for start in range(0, 20, batch):
            rows = slice(start, start + batch)
            score.update_state(true[rows], pred[rows], None if weight is None else weight[rows])
        wanted = r2_score(true, pred, sample_weight=weight, multioutput=WAYS[way])
        np.testing.assert_allclose(score.result(), wanted, rtol=1e-9)


def test_figures_of_keras():
    true, pred = [[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]
    assert R2Score()(true, pred) == pytest.approx(4 / 7, rel=1e-12)
    assert R2Score()(np.ravel(true), np.ravel(pred)) == pytest.approx(4 / 7, rel=1e-12)
    # 1 - (3 / 7)(3 - 1) / (3 - 1 - 1)
    assert R2Score(num_regressors=1)(true, pred) == pytest.approx(1 / 7, rel=1e-12)
    with pytest.warns(UserWarning, match="this is the plain one"):
        assert R2Score(num_regressors=2)(true, pred) == pytest.approx(4 / 7, rel=1e-12)


def test_targets_that_do_not_vary():
    assert R2Score()([[2.0], [2.0]], [[1.0], [2.0]]) == 0.0
    assert np.isnan(R2Score()([[2.0], [2.0]], [[2.0], [2.0]]))
    assert R2Score().result() == 0.0


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: R2Score("mean"), ValueError, "class_aggregation must be one of None, 'uniform_average'"),
        (lambda: R2Score(num_regressors=-1), ValueError, "num_regressors must be an int of at least 0"),
        (lambda: R2Score(num_regressors=1.0), TypeError, "num_regressors must be an int of at least 0"),
        (lambda: R2Score()(np.ones((2, 3, 1)), np.ones((2, 3, 4))), ValueError, "y_true must have the shape"),
        (lambda: R2Score()(np.ones((2, 3, 4)), np.ones((2, 3, 4))), ValueError, "y_pred must have shape"),
    ],
)
def test_what_it_refuses(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_in_a_model(tmp_path):
    x = RNG.normal(size=(30, 2))
    y = x @ [[1.0], [2.0]]
    model = Sequential([Dense(1, input_shape=(2,))], seed=0, dtype="float64")
    model.compile("sgd", "mse", metrics=["r2_score", R2Score(num_regressors=2, name="adjusted")])
    assert list(model.fit(x, y, batch_size=7, verbose=0).history) == ["loss", "r2_score", "adjusted"]
    figures = model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True)
    assert figures["r2_score"] == pytest.approx(r2_score(y, model.predict(x, verbose=0)), rel=1e-9)
    model.save(tmp_path / "m.st")
    assert load_model(tmp_path / "m.st").evaluate(x, y, batch_size=7, verbose=0, return_dict=True) == figures
    with pytest.raises(ValueError, match="must each give one number"):
        model.compile("sgd", "mse", metrics=[R2Score(None)])
