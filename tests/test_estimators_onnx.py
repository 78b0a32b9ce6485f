"""`export_onnx`: what onnxruntime computes is what the estimator predicts."""

import json

import numpy as np
import onnxruntime
import pytest
from sklearn.exceptions import NotFittedError

from cconv import CNNClassifier, CNNRegressor
from cconv.layers import Conv2D, Flatten, GlobalAveragePooling2D

LAYERS = [Conv2D(4, 3, activation="relu"), GlobalAveragePooling2D()]


def images(n=40, shape=(7, 6, 2), seed=0):
    return np.random.default_rng(seed).uniform(size=(n, *shape))


def run(path, x):
    session = onnxruntime.InferenceSession(str(path))
    (given,) = session.get_inputs()
    return session.run(None, {given.name: x.astype(np.float32)})[0], session.get_modelmeta()


@pytest.mark.parametrize("labels", [["cat", "dog", "猫"], [3, 5, 9], [0.0, 1.0, 2.0]])
def test_classifiers_with_their_labels(labels, tmp_path):
    x = images()
    y = np.array(labels)[np.random.default_rng(1).permutation(np.arange(len(x)) % 3)]
    cnn = CNNClassifier(LAYERS, max_epochs=2, tol=None, random_state=0).fit(x, y)
    cnn.export_onnx(tmp_path / "m.onnx")
    found, about = run(tmp_path / "m.onnx", x)
    np.testing.assert_allclose(found, cnn.predict_proba(x), rtol=1e-5, atol=1e-6)
    classes = json.loads(about.custom_metadata_map["classes"])
    assert classes == labels
    assert (np.array(classes)[found.argmax(axis=1)] == cnn.predict(x)).all()


@pytest.mark.parametrize("outputs", [None, 1, 3])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_regressors_on_the_scale_of_their_targets(outputs, data_format, tmp_path):
    x = images(shape=(2, 7, 6) if data_format == "channels_first" else (7, 6, 2))
    y = 1000 + 50 * np.random.default_rng(1).normal(size=(len(x), outputs or 1))
    y = y[:, 0] if outputs is None else y
    cnn = CNNRegressor(
        [Conv2D(3, 3), Flatten()], max_epochs=2, tol=None, random_state=0, data_format=data_format
    )
    cnn.fit(x, y)
    before = cnn.predict(x)
    cnn.export_onnx(tmp_path / "m.onnx")
    found, _ = run(tmp_path / "m.onnx", x)
    np.testing.assert_allclose(found.reshape(before.shape), before, rtol=1e-5)
    assert (cnn.predict(x) == before).all()
    cnn.partial_fit(x, y)  # the network is nobody's but the estimator's
    assert (cnn.predict(x) != before).any()


def test_a_graph_and_an_estimator_without_a_network(tmp_path):
    with pytest.raises(NotFittedError):
        CNNClassifier().export_onnx(tmp_path / "m.onnx")
    x, y = images(20, (16, 16, 1)), np.arange(20) % 2
    cnn = CNNClassifier("resnet20", max_epochs=1, tol=None, random_state=0).fit(x, y)
    cnn.export_onnx(tmp_path / "m.onnx")
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x)[0], cnn.predict_proba(x), rtol=1e-4, atol=1e-6)
