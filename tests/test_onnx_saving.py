"""`export`: what is written is what the model predicts, by ONNX' own evaluator and by onnxruntime."""

import os

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import cconv.io.onnx
from cconv import applications, layers
from cconv.layers import Dense, Input, Layer
from cconv.models import Model, Sequential
from tests.onnx_cases import CHAINS, IMAGE, MERGES, model_of
from tests.random_graphs import random_graph

NAMES = [*CHAINS, *MERGES]
# Layers of a model's start, and those that mix the samples of a batch, in training alone.
OF_ATTRIBUTES = 1e-7  # an epsilon, or the slope of an activation, is a float32 in every file of ONNX
# ONNX' evaluator has no grouped ConvTranspose of several samples, none of sequences, and LRN of as many
# channels as there are samples: onnxruntime has all.
NO_EVALUATION = {"transposed, farther", "sequence, transposed", "responses"}
NO_CASE = {"InputLayer", "Layer", "CutMix", "MixUp"}


def given(model, n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, *shape)).astype(model.dtype) for shape in model._input_shapes]


def of_state(model, seed=1):
    """Moving averages that are not those of a new layer."""
    rng = np.random.default_rng(seed)
    for layer in model._layers:
        for name in layer.state:
            if name.startswith("moving"):
                layer.state[name] = rng.uniform(0.5, 2, layer.state[name].shape)
    return model


def evaluated(path, inputs):
    """By the definitions in NumPy that come with the package onnx."""
    session = ReferenceEvaluator(str(path))
    return session.run(None, dict(zip(session.input_names, inputs, strict=True)))


def by_onnxruntime(path, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    names = [each.name for each in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def close(found, expected, tolerance):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * max(np.abs(expected).max(), 1)


def test_every_layer_has_a_case():
    used = {type(layer) for chain, _ in CHAINS.values() for layer in chain}
    used |= {type(layer) for name in MERGES for layer in model_of(name)._layers}
    assert {kind.__name__ for kind in layers._CLASSES.values() if kind not in used} <= NO_CASE


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_EVALUATION])
def test_layers_in_float64(name, data_format, tmp_path):
    model = of_state(model_of(name))
    model.export(tmp_path / "m.onnx", data_format=data_format)
    for n in (1, 3):
        (x,) = given(model, n)
        turned = data_format == "channels_first" and x.ndim == 4
        (y,) = evaluated(tmp_path / "m.onnx", [x.transpose(0, 3, 1, 2) if turned else x])
        turned = data_format == "channels_first" and y.ndim == 4
        close(y.transpose(0, 2, 3, 1) if turned else y, model.predict(x, verbose=0), OF_ATTRIBUTES)


@pytest.mark.parametrize("name", NAMES)
def test_layers_by_onnxruntime(name, tmp_path):
    model = of_state(model_of(name, dtype="float32"))
    model.export(tmp_path / "m.onnx")
    (x,) = given(model, 2)
    close(by_onnxruntime(tmp_path / "m.onnx", [x])[0], model.predict(x, verbose=0), 1e-5)


@pytest.mark.parametrize(
    "name", [name for name in CHAINS if len(CHAINS[name][1]) == 3 and name not in NO_EVALUATION]
)
def test_models_with_the_channels_first(name, tmp_path):
    model = of_state(model_of(name, "channels_first"))
    for data_format in (None, "channels_last"):
        model.export(tmp_path / "m.onnx", data_format=data_format)
        (x,) = given(model, 2)
        (y,) = evaluated(tmp_path / "m.onnx", [x.transpose(0, 2, 3, 1) if data_format else x])
        turned = data_format and y.ndim == 4
        close(y.transpose(0, 3, 1, 2) if turned else y, model.predict(x, verbose=0), OF_ATTRIBUTES)


@pytest.mark.parametrize("seed", range(int(os.environ.get("CCONV_TEST_NETWORKS", 30)) // 2))
@pytest.mark.parametrize("data_format", [None, "channels_first"])
def test_random_graphs(seed, data_format, tmp_path):
    model = of_state(random_graph(np.random.default_rng(seed), data_format=data_format))
    model.export(tmp_path / "m.onnx")
    x = given(model, 2, seed)
    close(evaluated(tmp_path / "m.onnx", x)[0], model.predict(x[0], verbose=0), 1e-9)


@pytest.mark.parametrize("name", ["LeNet5", "ResNet20", "SqueezeNet", "MobileNetV3Small"])
def test_named_networks(name, tmp_path):
    model = of_state(getattr(applications, name)())
    model.export(tmp_path / "m.onnx")
    (x,) = given(model, 2)
    close(by_onnxruntime(tmp_path / "m.onnx", [x])[0], model.predict(x, verbose=0), 1e-5)


def test_nothing_is_turned_around_between_convolutions(tmp_path):
    model = applications.ResNet20()
    for data_format, count in (("channels_first", 0), ("channels_last", 1)):
        model.export(tmp_path / "m.onnx", data_format=data_format)
        nodes = onnx.load(tmp_path / "m.onnx").graph.node
        assert [node.op_type for node in nodes].count("Transpose") == count


def test_several_inputs_and_outputs_by_name(tmp_path):
    a, b = Input((6, 5, 3), name="left"), Input((6, 5, 3), name="right")
    shared = layers.Conv2D(4, 3, name="shared")
    ya, yb = shared(a), shared(b)
    model = Model({"left": a, "right": b}, {"sum": ya + yb, "right": b, "one": ya, "again": ya}, seed=0)
    model.export(tmp_path / "m.onnx", metadata={"classes": '["a"]'})
    proto = onnx.load(tmp_path / "m.onnx")
    assert [each.name for each in proto.graph.input] == ["left", "right"]
    assert [(each.key, each.value) for each in proto.metadata_props] == [("classes", '["a"]')]
    assert len(proto.graph.initializer) == 2  # the shared kernel and its bias, once
    inputs = given(model, 2)
    found = by_onnxruntime(tmp_path / "m.onnx", inputs)
    expected = model.predict(dict(zip(["left", "right"], inputs, strict=True)), verbose=0)
    for value, name in zip(found, ["sum", "right", "one", "again"], strict=True):
        close(value, expected[name], 1e-6)


def test_models_in_models_and_dtypes(tmp_path):
    inner = Sequential([layers.Conv2D(3, 3, activation="relu"), layers.BatchNormalization()])
    model = Sequential([Input((8, 8, 2)), inner, layers.Flatten(), Dense(2)], seed=0, dtype="float64")
    model.export(tmp_path / "m.onnx", dtype="float32")
    (x,) = given(model, 3)
    close(by_onnxruntime(tmp_path / "m.onnx", [x.astype(np.float32)])[0], model.predict(x, verbose=0), 1e-5)


class Own(Layer):
    def forward(self, x):
        return x

    def backward(self, dy):
        return dy


class OwnDense(Dense):
    pass


def test_all_that_cannot_be_written_is_named(tmp_path):
    model = Sequential([Own(name="mine"), Dense(2), OwnDense(3, name="other")], seed=0)
    model.build((4,))
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match=r"mine \(Own\), other \(OwnDense\)"):
        model.export(path)
    assert path.read_bytes() == b"before"


def test_errors(tmp_path):
    model = Sequential([Dense(2)])
    with pytest.raises(ValueError, match="must be built"):
        model.export(tmp_path / "m.onnx")
    model.build((3,))
    with pytest.raises(ValueError, match=r"filepath must end in \.onnx, got 'm.pb'"):
        model.export("m.pb")
    with pytest.raises(ValueError, match="format must be one of 'onnx'"):
        model.export("m.onnx", format="tf_saved_model")
    with pytest.raises(ValueError, match="input_signature must be None"):
        model.export("m.onnx", input_signature=[1])
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        model.export(tmp_path / "m.onnx", dtype="int8")
    with pytest.raises(ValueError, match="data_format must be"):
        model.export(tmp_path / "m.onnx", data_format="NCHW")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.export(tmp_path / "none" / "m.onnx")


def test_the_same_model_gives_the_same_bytes(tmp_path, capsys):
    model = model_of("flat")
    for name in ("a.onnx", "b.onnx"):
        model.export(tmp_path / name, verbose=True)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert capsys.readouterr().out.count("Saved the model as ONNX in") == 2
    assert model.input_shape[-3:] == IMAGE
    assert cconv.io.onnx.save.__module__.startswith("cconv.io.onnx")


@pytest.mark.parametrize("kind", [layers.MaxPooling2D, layers.AveragePooling2D])
def test_windows_that_begin_in_the_padding_are_refused(kind, tmp_path):
    model = Sequential([layers.Input((4, 4, 1)), kind(3, 3, padding=((2, 1), (0, 0)), ceil_mode=True)])
    with pytest.raises(ValueError, match=r"export: ONNX has no network of these shapes"):
        model.export(tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_products_with_more_axes_than_eight(tmp_path):
    x = layers.Input((2, 2, 2))
    y = layers.Dot(1)([x, x])
    for _ in range(2):
        y = layers.Dot(1)([y, y])
    model = Model(x, y)
    assert len(model.output_shape) == 11
    model.export(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(size=(2, 2, 2, 2)).astype(np.float32)
    (found,) = session.run(None, {session.get_inputs()[0].name: image})
    np.testing.assert_allclose(found, model.predict(image, verbose=0), rtol=1e-4, atol=1e-5)
