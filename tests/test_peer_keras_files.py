"""Real Keras reads what cconv writes, and cconv what Keras does: left out where Keras is not installed."""

import inspect
import itertools
import os

import numpy as np
import pytest
from random_graphs import image_layer, nested_ends, random_graph

from cconv import layers
from cconv.arguments.text import key_of
from cconv.io.keras.graph_in import TRAINING_UNLESS_SAID
from cconv.io.keras.operators import TABLE
from cconv.models import Sequential, load_model
from cconv.optimizers import RMSprop

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

IMAGE, SEQUENCE, VECTOR = (8, 9, 4), (10, 4), (6,)
LAYERS = [
    (IMAGE, layers.Conv2D(6, 3, strides=2, padding="same", activation="relu6")),
    (IMAGE, layers.Conv2D(8, (2, 3), dilation_rate=2, groups=2, use_bias=False)),
    (IMAGE, layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="leaky_relu")),
    (IMAGE, layers.DepthwiseConv2D(3, depth_multiplier=2)),
    (IMAGE, layers.SeparableConv2D(5, 3)),
    (SEQUENCE, layers.Conv1D(5, 3, padding="causal")),
    (SEQUENCE, layers.Conv1DTranspose(5, 3)),
    (SEQUENCE, layers.SeparableConv1D(5, 3)),
    (VECTOR, layers.Dense(3, activation="softmax", kernel_regularizer="l1_l2", bias_constraint="non_neg")),
    (IMAGE, layers.BatchNormalization(scale=False)),
    (IMAGE, layers.LayerNormalization(axis=[1, 2])),
    (IMAGE, layers.GroupNormalization(2)),
    (IMAGE, layers.RMSNormalization()),
    (IMAGE, layers.UnitNormalization()),
    (IMAGE, layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 3.0, 4.0])),
    (IMAGE, layers.PReLU(shared_axes=[1, 2])),
    (IMAGE, layers.Softmax(axis=[1, 2])),
    (IMAGE, layers.SpatialDropout2D(0.2)),
    (IMAGE, layers.RandomContrast(0.2)),
    (IMAGE, layers.UpSampling2D(2, interpolation="bilinear")),
    (IMAGE, layers.Rescaling([1.0, 2.0, 3.0, 4.0], 0.5)),
    (IMAGE, layers.AveragePooling2D(3, 2, padding="same")),
    (IMAGE, layers.Conv2D(6, 3, strides=2, padding=1, activation="relu")),
    (IMAGE, layers.DepthwiseConv2D(3, 2, padding=((0, 2), (1, 0)))),
    (IMAGE, layers.AveragePooling2D(3, 1, padding="same", count_include_pad=True)),
    (IMAGE, layers.AveragePooling2D((2, 3), ceil_mode=True)),
    (SEQUENCE, layers.Conv1D(5, 3, padding=(2, 1))),
    (IMAGE, layers.Permute((3, 1, 2))),
    (IMAGE, layers.Reshape((-1, 4))),
]


def difference(found, wanted):
    return np.abs(np.asarray(found) - wanted).max() / max(np.abs(wanted).max(), 1e-30)


def listed(found):
    return found if isinstance(found, list) else [found]


def check(model, folder, rng):
    """See that a model is the same in Keras, and after Keras has saved it."""
    x = rng.normal(size=(3, *model.input_shape[1:])).astype("float32")
    wanted = model.predict(x, verbose=0)
    for ending in ("keras", "h5"):
        model.save(folder / f"m.{ending}")
        theirs = keras.models.load_model(folder / f"m.{ending}")
        assert difference(theirs.predict(x, verbose=0), wanted) < 1e-5
        theirs.save(folder / f"k.{ending}")
        assert difference(load_model(folder / f"k.{ending}").predict(x, verbose=0), wanted) < 1e-5
    model.save_weights(folder / "m.weights.h5")
    theirs.load_weights(folder / "m.weights.h5")
    model.save_weights(folder / "m.hdf5")
    theirs.load_weights(folder / "m.hdf5")
    theirs.save_weights(folder / "k.weights.h5")
    model.load_weights(folder / "k.weights.h5")
    assert difference(theirs.predict(x, verbose=0), wanted) < 1e-5
    assert difference(model.predict(x, verbose=0), wanted) < 1e-5


@pytest.mark.parametrize(("shape", "layer"), LAYERS, ids=lambda value: type(value).__name__)
def test_layers(shape, layer, tmp_path):
    model = Sequential([layers.Input(shape), layer.clone()], seed=1)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, array.shape) for array in model.get_weights()])
    check(model, tmp_path, rng)


@pytest.mark.parametrize("seed", range(8))
def test_graphs(seed, tmp_path):
    rng = np.random.default_rng(seed)
    check(random_graph(rng, dtype="float32"), tmp_path, rng)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("seed", range(6))
def test_outputs_of_nested_models(seed, ending, tmp_path):
    rng = np.random.default_rng(seed)
    model, x = nested_ends(rng), rng.normal(size=(2, 3)).astype("float32")
    model.save(tmp_path / f"m.{ending}")
    theirs = keras.models.load_model(tmp_path / f"m.{ending}", compile=False)
    theirs.save(tmp_path / f"k.{ending}")
    twin = load_model(tmp_path / f"k.{ending}")
    wanted, *found = (listed(one.predict(x, verbose=0)) for one in (model, theirs, twin))
    for each in found:
        assert len(each) == len(wanted)
        assert max(map(difference, each, wanted)) < 1e-5


def test_keras_calls_these_layers_in_training_by_itself():
    ours = [name for name, kind in layers._CLASSES.items() if hasattr(keras.layers, name)]
    calls = {name: inspect.signature(getattr(keras.layers, name).call).parameters for name in ours}
    found = [
        name for name, given in calls.items() if "training" in given and given["training"].default is True
    ]
    assert sorted(found) == sorted(TRAINING_UNLESS_SAID)


# What RandomCrop does at inference differs, as its documentation says.
@pytest.mark.parametrize("name", sorted({*TRAINING_UNLESS_SAID} - {"CutMix", "MixUp", "RandomCrop"}))
def test_graphs_with_layers_for_images(name, tmp_path):
    x = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype("float32")
    given = keras.Input((8, 8, 3))
    theirs = keras.Model(given, image_layer(name, keras.layers)(given))
    theirs.save(tmp_path / "k.keras")
    model = load_model(tmp_path / "k.keras")
    wanted = theirs.predict(x, verbose=0)
    assert difference(model.predict(x, verbose=0), wanted) < 1e-5
    model.save(tmp_path / "m.keras")
    keras.models.load_model(tmp_path / "m.keras").save(tmp_path / "k.keras")
    assert difference(load_model(tmp_path / "k.keras").predict(x, verbose=0), wanted) < 1e-5
    assert model.layers[-1].name == theirs.layers[-1].name


@pytest.mark.parametrize("name", ["CutMix", "MixUp"])
def test_layers_that_change_labels_are_no_layers_of_a_model(name, tmp_path):
    given = keras.Input((8, 8, 3))
    keras.Model(given, image_layer(name, keras.layers)(given)).save(tmp_path / "k.keras")
    with pytest.raises(ValueError, match=f"{name}: changes labels too and is no layer of a model"):
        load_model(tmp_path / "k.keras")


# Values of the operators' parameters. One that is not here is a KeyError.
PARAMETERS = {
    "alpha": [0.5, 1.5],
    "approximate": [False, True],
    "axis": [-1, 1, 2, (1, 2), (2, 1), (-2, 3), 0, None],
    "axes": [(0, 2, 1, 3), None],
    "initial": [None, 0.5],
    "keepdims": [False, True],
    "max_value": [None, 1.0, 6.0],
    "negative_slope": [0.0, 0.25],
    "newshape": [(-1, 60), (-1, 4, 15)],
    "threshold": [0.0, 0.25],
    "x_max": [1.0, 2.0],
    "x_min": [0.0, 0.5],
}
OPERANDS = {"concatenate": 2, **dict.fromkeys(["add", "subtract", "multiply", "divide", "truedivide"], 2)}
OPERANDS |= {"maximum": 2, "minimum": 2}
HOLDERS = (keras.src.ops.nn, keras.src.ops.numpy, keras.src.activations.activations)
OPERATORS = [
    kind
    for holder in HOLDERS
    for name, kind in vars(holder).items()
    if key_of(name) in TABLE and inspect.isclass(kind)
]


def combinations(kind, values):
    """Every combination of the parameters of a class."""
    given = inspect.signature(kind.__init__).parameters
    names = [name for name in given if name not in ("self", "name", "kwargs")]
    for chosen in itertools.product(*(values[name] for name in names)):
        yield dict(zip(names, chosen, strict=True))


def read_or_refused(path):
    """The model of a file, or the words that refuse it."""
    try:
        return load_model(path)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_operators_do_as_they_are_told_or_are_refused(kind, ending, tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 4, 5, 3)).astype("float32")
    read = 0
    for options in combinations(kind, PARAMETERS):
        given = keras.Input((4, 5, 3))
        tensors = [given, keras.layers.Rescaling(-2.0)(given)][: OPERANDS.get(key_of(kind.__name__), 1)]
        try:
            together = kind.__name__ == "Concatenate"
            operator = kind(**options)
            theirs = keras.Model(given, operator(tensors) if together else operator(*tensors))
            wanted = theirs.predict(x, verbose=0)
        except (RuntimeError, TypeError, ValueError):  # Keras itself cannot do it
            continue
        theirs.save(tmp_path / f"k.{ending}")
        model = read_or_refused(tmp_path / f"k.{ending}")
        if isinstance(model, str):
            assert f"the operator {kind.__name__} as it is used" in model
            continue
        found = model.predict(x, verbose=0)
        assert found.shape == wanted.shape
        assert difference(found, wanted) < 1e-5
        read += 1
    assert read


KERAS_LAYERS = {
    "Activation": {"activation": ["tanh", "softmax"]},
    "ELU": PARAMETERS,
    "LeakyReLU": PARAMETERS,
    "ReLU": PARAMETERS,
    "Softmax": {"axis": [-1, 1, -2, [1, 2]]},
}


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", KERAS_LAYERS)
def test_layers_as_activations(name, ending, tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 5, 4, 3)).astype("float32")
    kind, path = getattr(keras.layers, name), tmp_path / f"k.{ending}"
    for options in combinations(kind, KERAS_LAYERS[name]):
        row = [keras.Input((5, 4, 3)), keras.layers.Conv2D(4, 2, activation=kind(**options))]
        theirs = keras.Sequential(row)
        theirs.save(path)
        model = load_model(path)
        wanted = theirs.predict(x, verbose=0)
        assert difference(model.predict(x, verbose=0), wanted) < 1e-5
        model.save(path)
        assert difference(keras.models.load_model(path).predict(x, verbose=0), wanted) < 1e-5


NAMES = ["sgd", "adam", "nadam", "rmsprop", "adadelta", "adagrad", "adamax", "lion", "adamw", "adafactor"]


@pytest.mark.parametrize("optimizer", [*NAMES, "ftrl", "lamb", RMSprop(momentum=0.9, centered=True)], ids=str)
def test_keras_goes_on_training(optimizer, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 6, 6, 2)).astype("float32"), rng.integers(0, 3, 8)
    row = [layers.Conv2D(3, 3, activation="relu", input_shape=(6, 6, 2)), layers.BatchNormalization()]
    model = Sequential([*row, layers.Flatten(), layers.Dense(3, activation="softmax")], seed=1)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    for _ in range(5):
        wanted, found = theirs.train_on_batch(x, y), model.train_on_batch(x, y)
        assert difference(float(np.atleast_1d(found)[0]), float(np.asarray(wanted[0]))) < 1e-4
