"""Parameters of the estimators' parts: `optimizer__learning_rate`, `layers__0__filters`, and clones."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from cconv import CNNClassifier, CNNRegressor, Scratch2dCNNClassifier
from cconv.estimators import nested
from cconv.layers import Conv2D, Dense, Flatten, RandomTranslation
from cconv.optimizers import SGD, Adam, Momentum, Optimizer
from cconv.regularizers import L2
from cconv.schedules import ExponentialDecay, PiecewiseConstantDecay, Schedule

N = 48
Y = np.arange(N) % 2
X = np.random.default_rng(0).random((N, 16)) + Y[:, None]


def small(**options):
    return CNNClassifier(
        **{"layers": [Dense(8, "relu")], "max_epochs": 2, "batch_size": 16, "tol": None, "random_state": 0}
        | options
    )


# --- optimizers, schedules and layers by themselves -----------------------------------------------


def made():
    decay = ExponentialDecay(0.1, 10, 0.5, staircase=True)
    return [
        SGD(0.1, momentum=0.9, nesterov=True),
        Momentum(0.2, 0.8, decay=0.1),
        Adam(decay, beta_1=0.8),
        decay,
        PiecewiseConstantDecay([1, 5], [0.3, 0.2, 0.1]),
        Conv2D(
            4, 3, activation="relu", kernel_regularizer=L2(0.5), name="seen", data_format="channels_first"
        ),
        Dense(3, input_shape=(4,)),
        RandomTranslation(0.1, (-0.2, 0.3)),
    ]


@pytest.mark.parametrize("number", range(len(made())))
def test_a_clone_is_made_of_the_same_arguments(number):
    one = made()[number]
    params = one.get_params(deep=False)
    assert params.keys() <= one.get_params().keys()
    twin = clone(one)
    assert type(twin) is type(one)
    assert twin is not one
    assert twin.get_config() == one.get_config()
    # What is given back to the object changes nothing.
    assert one.set_params(**params) is one
    assert one.set_params(**one.get_params()).get_config() == twin.get_config()


def test_set_params_is_the_constructor_s():
    schedule = ExponentialDecay(0.1, 10, 0.5)
    adam = Adam(schedule)
    adam.set_params(beta_1=0.5, learning_rate__decay_rate=0.25)
    assert (adam.beta_1, adam.get_params()["learning_rate"].decay_rate, schedule.decay_rate) == (
        0.5,
        0.25,
        0.5,
    )
    assert adam.set_params(lr=0.5).learning_rate == 0.5
    valid = r"valid parameters are \['amsgrad', 'beta_1', 'beta_2', .*'weight_decay'\]"
    for wrong in ({"momentum": 0.9}, {"momentum__x": 1}):
        with pytest.raises(ValueError, match=f"Adam: invalid parameter 'momentum'; {valid}"):
            adam.set_params(beta_2=0.5, **wrong)
    with pytest.raises(ValueError, match=r"Adam: beta_1 must be in \[0, 1\), got 2"):
        adam.set_params(beta_2=0.5, beta_1=2)
    with pytest.raises(ValueError, match="Adam: epsilon__x cannot be set: epsilon has no parameters"):
        adam.set_params(epsilon__x=3)
    assert adam.beta_2 == 0.999  # nothing, where one is wrong


def test_an_optimizer_keeps_its_steps_and_a_clone_has_none():
    w, g = np.ones(3), np.full(3, 0.5)
    one, two = SGD(0.1, 0.9), SGD(0.1, 0.9)
    for optimizer in (one, two):
        optimizer.apply([g], [w.copy()])
    assert clone(one).get_state() == {"iterations": 0}
    one.set_params(learning_rate=0.2)
    two.learning_rate = 0.2
    a, b = w.copy(), w.copy()
    one.apply([g], [a])
    two.apply([g], [b])
    assert np.array_equal(a, b)
    assert one.iterations == 2


def test_a_built_layer_keeps_its_arguments():
    layer = Conv2D(4, 3, kernel_regularizer=L2(0.5))
    assert (
        layer.set_params(filters=8, kernel_regularizer__l2=0.25).build((6, 6, 1)).params["kernel"].shape[3]
        == 8
    )
    assert layer.regularizers["kernel"].l2 == 0.25
    with pytest.raises(RuntimeError, match="set_params: 'conv2d' is built"):
        layer.set_params(filters=4)
    assert clone(layer).set_params(filters=2).filters == 2


# --- of estimators --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", nested.OPTIMIZERS)
def test_every_name_of_an_optimizer_is_that_optimizer(name):
    cnn = small(optimizer=name, learning_rate=0.01, max_epochs=1).fit(X, Y)
    assert type(cnn.model_.optimizer).__name__.lower() == name
    assert cnn.model_.optimizer.learning_rate == 0.01


def test_an_optimizer_by_name_has_parameters_too():
    cnn = CNNClassifier(learning_rate=0.01)
    inner = {name: value for name, value in cnn.get_params().items() if name.startswith("optimizer__")}
    assert inner == {f"optimizer__{name}": value for name, value in Adam(0.01).get_params().items()}
    assert not any("__" in name for name in cnn.get_params(deep=False))
    cnn.set_params(optimizer__learning_rate=1e-4)
    assert (cnn.optimizer, cnn.learning_rate) == ("adam", 1e-4)
    cnn.set_params(**cnn.get_params())
    assert cnn.optimizer == "adam"
    cnn.set_params(optimizer__beta_1=0.5, optimizer__lr=1e-2)
    assert cnn.optimizer == Adam(1e-2, beta_1=0.5)
    # Whatever the order: the name first, then its settings.
    cnn.set_params(optimizer__momentum=0.9, optimizer="sgd", learning_rate=0.5)
    assert cnn.optimizer == SGD(0.5, momentum=0.9)
    cnn = CNNClassifier(learning_rate=ExponentialDecay(0.1, 10, 0.5))
    assert cnn.get_params()["optimizer__learning_rate__decay_rate"] == 0.5
    assert cnn.set_params(optimizer__learning_rate__decay_rate=0.25).learning_rate.decay_rate == 0.25


def test_settings_by_name_train_as_the_object_does():
    named = small(optimizer="momentum").set_params(optimizer__momentum=0.5, optimizer__learning_rate=0.1)
    given = small(optimizer=Momentum(0.1, 0.5))
    assert np.array_equal(named.fit(X, Y).predict_proba(X), given.fit(X, Y).predict_proba(X))
    assert not np.array_equal(small().fit(X, Y).predict_proba(X), given.predict_proba(X))


@pytest.mark.parametrize("optimizer", ["adam", Adam(1e-3), SGD(ExponentialDecay(0.1, 10, 0.5))])
@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_parts_of_clones_are_their_own(kind, optimizer):
    one = kind([Dense(4, "relu")], optimizer=optimizer, max_epochs=1, tol=None, augment=None)
    two = clone(one.fit(X, Y))
    assert two.get_params()["optimizer__learning_rate"] == one.get_params()["optimizer__learning_rate"]
    before = pickle.dumps(one.get_params())
    two.set_params(
        optimizer__learning_rate=0.5, optimizer__decay=0.1, layers__0__units=9, layers=[*two.layers]
    )
    assert pickle.dumps(one.get_params()) == before
    assert one.model_.optimizer is not two.fit(X, Y).model_.optimizer
    assert two.model_.optimizer.get_config() == type(one.model_.optimizer)(0.5, decay=0.1).get_config()
    assert not isinstance(optimizer, Optimizer) or optimizer.iterations == 0
    # Set on an estimator, a part that another one has too stays as it was.
    other = kind(optimizer=two.optimizer)
    two.set_params(optimizer__decay=0.2)
    assert (two.optimizer.decay, other.optimizer.decay) == (0.2, 0.1)


def test_layers_of_a_list():
    layers = [Conv2D(4, (1, 3), kernel_regularizer=L2(0.5)), Flatten()]
    cnn = small(layers=layers, augment=RandomTranslation(0.1, 0.1))
    params = cnn.get_params()
    assert params["layers__0"] is layers[0]
    assert params["layers__0__kernel_regularizer__l2"] == 0.5
    assert params["augment__height_factor"] == cnn.augment.height_factor
    cnn.set_params(layers__0__filters=6, layers__1=Dense(5), layers__0__kernel_regularizer__l2=0.1)
    assert [cnn.layers[0].filters, cnn.layers[1].units, layers[0].filters] == [6, 5, 4]
    assert (cnn.layers[0].kernel_regularizer.l2, layers[0].kernel_regularizer.l2) == (0.1, 0.5)
    cnn.set_params(augment__width_factor=0.5)
    assert cnn.augment.width_factor != params["augment"].width_factor
    with pytest.raises(ValueError, match=r"invalid parameter 'layers__2'.*\['layers__0', 'layers__1'\]"):
        cnn.set_params(layers__2__units=3)
    with pytest.raises(ValueError, match="layers__filters cannot be set: layers has no parameters"):
        CNNClassifier().set_params(layers__filters=3)


def test_grid_search_over_parts():
    pipe = make_pipeline(MinMaxScaler(), small())
    grid = {
        "cnnclassifier__optimizer": ["adam", "rmsprop", SGD()],
        "cnnclassifier__optimizer__learning_rate": [1e-4, 0.1],
        "cnnclassifier__layers__0__units": [4, 8],
    }
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, Y)
    best = search.best_estimator_[-1]
    rates = {p["cnnclassifier__optimizer__learning_rate"] for p in search.cv_results_["params"]}
    assert rates == {1e-4, 0.1}
    assert (
        best.model_.optimizer.learning_rate == search.best_params_["cnnclassifier__optimizer__learning_rate"]
    )
    assert best.layers[0].units == search.best_params_["cnnclassifier__layers__0__units"]
    assert search.best_score_ > 0.8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"optimizer__momentum": 0.9}, "Adam: invalid parameter 'momentum'; valid"),
        ({"optimizer__beta_1": 3}, r"Adam: beta_1 must be in"),
        ({"optimiser__lr": 3}, "CNNClassifier: invalid parameter 'optimiser'; valid.*'optimizer'"),
        ({"optimiser": 3}, "CNNClassifier: invalid parameter 'optimiser'; valid.*'optimizer'"),
        ({"optimizer": "newton", "optimizer__lr": 3}, "CNNClassifier: optimizer must be one of sgd"),
        ({"tol__x": 3}, "CNNClassifier: tol__x cannot be set"),
        ({"optimizer": SGD(), "optimizer__x": 3}, "SGD: invalid parameter 'x'"),
    ],
)
def test_wrong_names_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        CNNClassifier().set_params(**wrong)


def test_a_rate_that_nobody_would_see_is_refused():
    cnn = CNNClassifier(optimizer=Adam(0.1))
    with pytest.raises(
        ValueError, match="CNNClassifier: learning_rate is for an optimizer given by its name"
    ):
        cnn.set_params(learning_rate=0.5)
    cnn.set_params(**cnn.get_params())
    assert cnn.set_params(optimizer="sgd", learning_rate=0.5).learning_rate == 0.5


class Halves(Schedule):
    """A schedule of a user's."""

    def __init__(self, start):
        self.start = start

    def __call__(self, step):
        return self.start / (step + 1)


def test_an_optimizer_with_a_schedule_of_the_user_s_own():
    cnn = clone(small(optimizer=SGD(Halves(0.1)))).set_params(optimizer__learning_rate__start=0.2).fit(X, Y)
    assert cnn.model_.optimizer.get_params()["learning_rate"].start == 0.2


def test_entries_of_the_scratch_classifier_s_dicts():
    cnn = Scratch2dCNNClassifier()
    kept = dict(cnn.optimizer_param)
    cnn.set_params(optimizer_param__lr=0.1, conv_param__n_filters=4)
    assert (cnn.optimizer_param, cnn.conv_param["n_filters"]) == ({"lr": 0.1}, 4)
    assert Scratch2dCNNClassifier().optimizer_param == kept
    assert clone(cnn).get_params() == cnn.get_params()


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_names_of_scikit_learns_networks_say_what_they_are_here(kind):
    expected = f"{kind.__name__}: there is no parameter 'max_iter', it is 'max_epochs' here"
    with pytest.raises(TypeError, match=expected):
        kind(max_iter=3)
    with pytest.raises(TypeError, match=expected):
        kind().set_params(max_iter=3)
    with pytest.raises(TypeError, match="'solver', it is 'optimizer'"):
        kind(solver="adam", max_epochs=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'no_such'"):
        kind(no_such=3)


def test_a_name_without_a_counterpart_is_an_invalid_parameter():
    with pytest.raises(ValueError, match="Scratch2dCNNClassifier: invalid parameter 'max_iter'"):
        Scratch2dCNNClassifier().set_params(max_iter=3)
