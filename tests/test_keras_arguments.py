"""Arguments of Keras that cconv has not are refused by name, unless their value asks for nothing."""

import inspect
import pickle
import sys
import types

import numpy as np
import pytest
from keras_tables import API, module_of, section_in, takes

import cconv
from cconv import layers, losses
from cconv.arguments.keras_names import METHODS, PAGE, section_of
from cconv.arguments.keras_names.arguments import ARGUMENTS
from cconv.models import Sequential, load_model
from cconv.utils import set_random_seed


class Word:
    """A value that no argument may be."""


def _ends():
    """The input and the output of a small graph."""
    x = cconv.Input((3,))
    return x, cconv.layers.Dense(2)(x)


SAMPLES = {
    "Activation": ("relu",),
    "AlphaDropout": (0.5,),
    "Conv2D": (2, 3),
    "CenterCrop": (2, 3),
    **dict.fromkeys(("Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose"), (2, 3)),
    **dict.fromkeys(("Convolution1D", "Convolution1DTranspose"), (2, 3)),
    **dict.fromkeys(("Convolution2D", "Convolution2DTranspose"), (2, 3)),
    "Dense": (3,),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), (3,)),
    "Dropout": (0.5,),
    "GaussianDropout": (0.5,),
    "GaussianNoise": (0.5,),
    "Input": ((3,),),
    "InputLayer": ((3,),),
    **dict.fromkeys(("RandomBrightness", "RandomContrast", "RandomRotation", "RandomZoom"), (0.1,)),
    "RandomCrop": (3, 3),
    "Permute": ((2, 1),),
    "RandomRotation": (0.1,),
    "RandomTranslation": (0.1, 0.1),
    "RepeatVector": (3,),
    "Rescaling": (0.5,),
    "Reshape": ((3,),),
    "SpatialDropout1D": (0.5,),
    "SpatialDropout2D": (0.5,),
    "Resizing": (2, 3),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), (2, 3)),
    **dict.fromkeys(("SeparableConvolution1D", "SeparableConvolution2D"), (2, 3)),
    "ZeroPadding2D": (1,),
    "Optimizer": (0.1, 0.0, None),
    "Dot": (-1,),
    "Model": _ends(),
    "MeanMetricWrapper": (cconv.metrics.accuracy,),
    **dict.fromkeys(("MeanIoU", "OneHotMeanIoU"), (3,)),
    **dict.fromkeys(("IoU", "OneHotIoU"), (3, [0, 1])),
    "ExponentialDecay": (0.1, 10, 0.9),
    "InverseTimeDecay": (0.1, 10, 0.9),
    "PiecewiseConstantDecay": ([1], [0.1, 0.2]),
    "PolynomialDecay": (0.1, 10),
    "CosineDecayRestarts": (0.1, 10),
    "CosineDecay": (0.1, 10),
    "CSVLogger": ("log.csv",),
    "BackupAndRestore": ("backup",),
    "ModelCheckpoint": ("model.st",),
    "LearningRateScheduler": (float,),
}
PLACES = (
    "models",
    "layers",
    "optimizers",
    "optimizers.schedules",
    "losses",
    "metrics",
    "callbacks",
    "regularizers",
    "constraints",
    "initializers",
)


def classes():
    for place in PLACES:
        for name, known in API[place].items():
            kind = getattr(module_of(place), name, None)
            if isinstance(kind, type) and known is not None and takes(kind) is not None:
                yield place, name, kind, known


def keys_of(place, kind):
    place = place.split(".")[-1]
    return [*(f"{place}.{base.__name__}" for base in kind.__mro__), f"{place}.*"]


def entry_of(keys, argument):
    return next((ARGUMENTS[key][argument] for key in keys if argument in ARGUMENTS.get(key, {})), None)


def default_of(kind, default):
    return tuple(default) if isinstance(default, list) else default


@pytest.fixture(autouse=True)
def writer(monkeypatch):
    """What TensorBoard needs to be installed."""
    module = types.ModuleType("tensorboardX")
    module.SummaryWriter = object
    monkeypatch.setitem(sys.modules, "tensorboardX", module)


@pytest.mark.parametrize(("place", "name", "kind", "known"), list(classes()))
def test_constructors_take_what_asks_for_nothing_and_refuse_the_rest(place, name, kind, known):
    sample, own = SAMPLES.get(name, ()), takes(kind)

    def make(**more):
        set_random_seed(0)
        return kind(*sample, **more)

    plain = make()
    for argument, default in known.items():
        if argument in own or default == "…":
            continue
        entry = entry_of(keys_of(place, kind), argument)
        assert entry is not None, f"add {argument} of {name} to cconv/arguments/keras_names/arguments.py"
        made = make(**{argument: default})
        assert type(made) is kind
        if hasattr(plain, "get_config"):
            assert made.get_config() == plain.get_config()
        if not entry.same:
            with pytest.raises(TypeError) as caught:
                make(**{argument: Word()})
            assert str(caught.value).startswith(f"{kind.__name__}: {argument} is not supported: see {PAGE}#")
            assert section_in(caught.value) == section_of(place)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'no_such_argument'"):
        make(no_such_argument=1)


@pytest.mark.parametrize("method", [name for name in API["Sequential"] if hasattr(Sequential, name)])
def test_methods_of_keras_are_settled(method):
    own = takes(getattr(Sequential, method))
    for argument, default in API["Sequential"][method].items():
        if argument in own:
            continue
        entry = ARGUMENTS[f"Sequential.{method}"][argument]
        assert entry.same in own or entry.accepts(default, "Sequential")


# Whose positions are not Keras', where what Keras means there is refused for its type.
OTHER_POSITIONS = {
    *(
        "Sequential",
        "load_model",
        "Optimizer",
        "save",
        "save_weights",
        "load_weights",
    ),
    "compile",  # its third is metrics, as it was in Keras 2
}


def positions():
    """Yield what Keras has too, with the names of its arguments by position here and there."""
    found = [(name, kind, known) for _, name, kind, known in classes()]
    found += [(name, getattr(Sequential, name, None), known) for name, known in API["Sequential"].items()]
    # keras.Model takes *args: these are those of keras.src.models.Functional, which it makes of them.
    graph = ["inputs", "outputs", "name"]
    found = [(name, kind, graph if name == "Model" else known) for name, kind, known in found]
    for name, function, known in found:
        if function is not None and name not in OTHER_POSITIONS:
            parameters = inspect.signature(function).parameters.values()
            own = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
            yield pytest.param(own, list(known), id=name)


@pytest.mark.parametrize(("own", "known"), list(positions()))
def test_an_argument_by_position_is_the_one_that_stands_there_in_keras(own, known):
    assert own == known[: len(own)]


def model():
    made = Sequential([layers.Dense(2, input_shape=(3,), activation="softmax")], seed=0)
    made.compile("sgd", "categorical_crossentropy")
    return made


X, Y = np.ones((4, 3), np.float32), np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
CALLS = {
    "compile": lambda m, **more: m.compile("sgd", "mse", **more),
    "fit": lambda m, **more: m.fit(X, Y, verbose=0, **more),
    "evaluate": lambda m, **more: m.evaluate(X, Y, verbose=0, **more),
    "predict": lambda m, **more: m.predict(X, verbose=0, **more),
    "add": lambda m, **more: m.add(layers.Dense(2), **more),
    "pop": lambda m, **more: m.pop(**more),
}


@pytest.mark.parametrize("method", CALLS)
def test_methods_take_what_asks_for_nothing_and_refuse_the_rest(method):
    call = CALLS[method]
    for argument, entry in ARGUMENTS[f"Sequential.{method}"].items():
        if entry.same:
            continue
        for value in entry.accepted:
            call(model(), **{argument: value})
        for value in (Word(), 7, "seven", np.ones(3)):
            with pytest.raises(TypeError) as caught:
                call(model(), **{argument: value})
            assert str(caught.value).startswith(
                f"Sequential.{method}: {argument} is not supported: see {PAGE}#"
            )
            assert section_in(caught.value) == "models"
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'no_such_argument'"):
        call(model(), no_such_argument=1)


def test_nothing_is_changed_by_what_is_refused():
    made = model()
    before = made.get_weights()
    with pytest.raises(TypeError, match=r"^Sequential.fit: workers is not supported: see docs/coming-"):
        made.fit(X, Y, workers=2)
    assert all(np.array_equal(a, b) for a, b in zip(before, made.get_weights(), strict=True))
    made.fit(X, Y, verbose=0, workers=1, max_queue_size=10)


def test_second_names(tmp_path):
    made = model()
    made.save(filepath=tmp_path / "m.st", overwrite=True)
    twin = load_model(filepath=tmp_path / "m.st", custom_objects=None, safe_mode=True)
    made.save_weights(filepath=tmp_path / "w.st")
    twin.load_weights(filepath=tmp_path / "w.st", skip_mismatch=False)
    assert np.array_equal(made.predict(X), twin.predict(X))
    assert losses.get(identifier="mse") == losses.MeanSquaredError()
    assert layers.LeakyReLU(alpha=0.25).negative_slope == 0.25
    assert len(made.fit(X, Y, nb_epoch=3, verbose=0).epoch) == 3
    with pytest.raises(TypeError, match="nb_epoch is not supported"):
        made.fit(X, Y, epochs=2, nb_epoch=3, verbose=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'filepth'"):
        load_model(filepth="x")


FUNCTIONS = [
    ("utils", "plot_model", lambda **more: cconv.utils.plot_model(model(), None, **more)),
]


@pytest.mark.parametrize(("place", "name", "call"), FUNCTIONS)
def test_functions_take_what_asks_for_nothing_and_refuse_the_rest(place, name, call):
    function = getattr(module_of(place), name)
    for argument, default in API[place][name].items():
        if argument in takes(function) or argument == "model":
            continue
        entry = entry_of([f"{place}.{name}", f"{place}.*"], argument)
        assert entry is not None, f"add {argument} of {name} to cconv/arguments/keras_names/arguments.py"
        assert entry.accepts(default, name)
        with pytest.raises(TypeError, match=rf"^{name}: {argument} is not supported: see ") as caught:
            call(**{argument: Word()})
        assert section_in(caught.value) == place
    assert call(rankdir="TB", dpi=200)
    assert function.__module__ == f"cconv.{place}"
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.parametrize("name", [name for name in API["applications"] if hasattr(cconv.applications, name)])
def test_networks_take_the_arguments_of_keras(name):
    """In its order and with its defaults, but for weights to download."""
    known = API["applications"][name]
    if known is None:
        return
    taken = inspect.signature(getattr(cconv.applications, name)).parameters.values()
    ours = {each.name: each.default for each in taken if each.kind is each.POSITIONAL_OR_KEYWORD}
    assert list(ours)[: len(known)] == list(known)
    assert {**known, "weights": None} == {argument: ours[argument] for argument in known}


def test_classes_and_layers_of_a_users_own():
    class Mine(layers.Dense):
        def __init__(self, units, **more):
            super().__init__(units, **more)

    assert Mine(3, lora_rank=None, dtype=None).units == 3
    with pytest.raises(TypeError, match=r"^Mine: lora_rank is not supported"):
        Mine(3, lora_rank=2)

    class Model(Sequential):
        def fit(self, x, y, **more):
            return super().fit(x, y, verbose=0, **more)

    mine = Model(model().layers, trainable=True)
    mine.compile("sgd", "mse", run_eagerly=False)
    mine.fit(X, Y, workers=None)
    with pytest.raises(TypeError, match=r"^Sequential.fit: workers is not supported"):
        mine.fit(X, Y, workers=2)

    class Plain(losses.Loss):
        key = "plain"

    assert Plain(reduction="sum", dtype=None).get_config() == {"name": "plain", "reduction": "sum"}
    with pytest.raises(TypeError, match=r"^Plain: dtype is not supported"):
        Plain(dtype="float64")


def test_signatures_are_the_true_ones():
    """What completion, `help` and type checkers show is what was written."""
    assert list(inspect.signature(Sequential.fit).parameters)[:4] == ["self", "x", "y", "batch_size"]
    assert list(inspect.signature(layers.Dense).parameters)[:2] == ["units", "activation"]
    assert list(inspect.signature(losses.Huber).parameters) == ["delta", "reduction", "name"]
    assert Sequential.fit.__doc__.startswith("Train the model.")
    assert Sequential.fit.__qualname__ == "Trainer.fit"
    for method in METHODS:
        assert inspect.unwrap(getattr(Sequential, method)) is not getattr(Sequential, method)
