"""The networks that are graphs: their arguments, both data formats, what Keras' functions do around them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import application_bits
import numpy as np
import pytest

from cconv import _kernels, applications
from cconv.applications import imagenet_utils
from cconv.applications.frame import without_weights
from cconv.layers import Input, Rescaling
from cconv.models import Model

TESTS = Path(__file__).parent
# The smallest image that each takes.
LEAST = {
    **dict.fromkeys(
        ["ResNet18", "ResNet34", "ResNet50", "ResNet50V2", "MobileNetV2", "MobileNetV3Small"], 32
    ),
    **dict.fromkeys(["DenseNet121", "EfficientNetB0", "ConvNeXtTiny", "SqueezeNet"], 32),
    **dict.fromkeys(["VGG11", "VGG16", "VGG19", "MobileNetV1"], 32),
    **{"ResNet20": 8, "Xception": 71, "InceptionV3": 75, "LeNet5": 16, "AlexNet": 67},
}
CHANNELS = {
    **{"ResNet18": 512, "ResNet34": 512, "ResNet50": 2048, "ResNet50V2": 2048, "ResNet20": 64},
    **{"MobileNetV2": 1280, "MobileNetV3Small": 576, "DenseNet121": 1024, "EfficientNetB0": 1280},
    **{"ConvNeXtTiny": 768, "SqueezeNet": 512, "Xception": 2048, "InceptionV3": 2048},
    **{"VGG11": 512, "VGG16": 512, "VGG19": 512, "MobileNetV1": 1024, "LeNet5": 16, "AlexNet": 256},
}
SMALL = [
    "ResNet20",
    "MobileNetV1",
    "MobileNetV2",
    "MobileNetV3Small",
    "EfficientNetB0",
    "SqueezeNet",
    "LeNet5",
]


def make(name, **more):
    with without_weights():
        return getattr(applications, name)(**more)


@pytest.mark.parametrize("name", LEAST)
def test_without_top(name):
    shape = (LEAST[name], LEAST[name], 3)
    whole = make(name, input_shape=shape, include_top=False)
    assert len(whole.output_shape) == 4
    assert whole.output_shape[-1] == CHANNELS[name]
    for pooling in ("avg", "max"):
        pooled = make(name, input_shape=shape, include_top=False, pooling=pooling)
        assert pooled.output_shape == (None, CHANNELS[name])
    assert make(name, input_shape=shape, classes=7).output_shape == (None, 7)


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"weights": "imagenet"},
            ValueError,
            "weights must be None or the path of a file, got 'imagenet': cconv has no trained weights",
        ),
        ({"weights": 3}, TypeError, "weights must be None or the path of a file, got 3"),
        (
            {"input_shape": (32, 32)},
            ValueError,
            "input_shape must be (height, width, channels), got (32, 32)",
        ),
        ({"input_shape": 32}, TypeError, "input_shape must be (height, width, channels), got 32"),
        ({"input_shape": (32, 99.5, 3)}, TypeError, "input_shape must be (height, width, channels)"),
        ({"input_shape": (99, 5, 3)}, ValueError, "input_shape must have at least"),
        ({"input_tensor": np.zeros(3)}, TypeError, "input_tensor must be a KerasTensor"),
        ({"classes": 0}, ValueError, "classes must be"),
        ({"classes": 2.5}, TypeError, "classes must be"),
        ({"include_top": 1}, TypeError, "include_top must be"),
        ({"include_top": False, "pooling": "mean"}, ValueError, "pooling must be None, 'avg' or 'max', got"),
    ],
)
def test_arguments_that_cannot_be(name, arguments, error, message):
    with pytest.raises(error) as caught:
        make(name, **arguments)
    assert str(caught.value).startswith(f"{name}: {message}")


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("MobileNetV2", {"alpha": 0.0}, "alpha"),
        ("EfficientNetB0", {"dropout_rate": 1.5}, "dropout_rate"),
        ("UNet", {"input_shape": (30, 32, 1)}, "sides that can be halved 4 times, got (30, 32)"),
        ("UNet", {"depth": 0}, "depth"),
        ("ConvolutionalAutoencoder", {"filters": ()}, "filters must be a sequence of ints"),
        ("ConvolutionalAutoencoder", {"input_shape": (30, 28, 1)}, "halved 2 times, got (30, 28)"),
    ],
)
def test_own_arguments_that_cannot_be(function, arguments, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        make(function, **arguments)
    assert str(caught.value).startswith(f"{function}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["LeNet5", "ResNet20", "MobileNetV2"])
@pytest.mark.parametrize("whole", [True, False])
def test_weights_of_a_file(name, whole, tmp_path):
    function, shape = getattr(applications, name), (32, 32, 3)
    kept = function(input_shape=shape, classes=5, seed=1)
    (kept.save if whole else kept.save_weights)(tmp_path / "kept.safetensors")
    path = tmp_path / "kept.safetensors"
    for weights in (path, str(path)):
        made = function(input_shape=shape, classes=5, seed=2, weights=weights)
        assert all(np.array_equal(a, b) for a, b in zip(made.get_weights(), kept.get_weights(), strict=True))
    behind = function(input_tensor=Rescaling(2.0)(Input(shape)), classes=5, weights=path, seed=3)
    assert isinstance(behind, Model)
    with pytest.raises(ValueError, match=r"kept\.safetensors"):
        function(input_shape=shape, classes=6, weights=path)


@pytest.mark.parametrize("name", SMALL)
def test_channels_first_is_the_same_network(name):
    side = 32
    last = getattr(applications, name)(input_shape=(side, side, 3), classes=5, seed=1)
    first = getattr(applications, name)(
        input_shape=(3, side, side), classes=5, seed=2, data_format="channels_first"
    )
    assert first.input_shape == (None, 3, side, side)
    first.set_weights(last.get_weights())
    x = np.random.default_rng(0).random((2, side, side, 3), np.float32)
    expected = last.predict(x, verbose=0)
    np.testing.assert_array_equal(first.predict(x.transpose(0, 3, 1, 2), verbose=0), expected)


def test_a_unet_and_an_autoencoder_of_channels_first():
    for function, arguments in ((applications.UNet, {"depth": 2, "filters": 4}),):
        last = function((16, 16, 2), seed=1, **arguments)
        first = function((2, 16, 16), seed=1, data_format="channels_first", **arguments)
        first.set_weights(last.get_weights())
        x = np.random.default_rng(0).random((2, 16, 16, 2), np.float32)
        np.testing.assert_array_equal(
            first.predict(x.transpose(0, 3, 1, 2), verbose=0),
            last.predict(x, verbose=0).transpose(0, 3, 1, 2),
        )
    coder = applications.ConvolutionalAutoencoder((1, 28, 28), data_format="channels_first", seed=0)
    assert coder.output_shape == (None, 1, 28, 28)


def test_input_tensor():
    image = Input((16, 16, 3))
    behind = applications.ResNet20(input_tensor=Rescaling(1 / 255)(image), classes=4, seed=3)
    plain = applications.ResNet20(input_shape=(16, 16, 3), classes=4, seed=4)
    assert len(behind.layers) == len(plain.layers) + 1
    plain.set_weights(behind.get_weights())
    x = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        behind.predict(x, verbose=0), plain.predict(x / np.float32(255), verbose=0), rtol=1e-4
    )
    with pytest.raises(ValueError, match="ResNet20: input_shape must be that of input_tensor"):
        applications.ResNet20(input_tensor=image, input_shape=(32, 32, 3))


@pytest.mark.parametrize("name", SMALL)
def test_the_activation_of_the_classes(name):
    shape = (32, 32, 3)
    scores, shares = (
        getattr(applications, name)(input_shape=shape, classes=5, seed=1, classifier_activation=kind)
        for kind in (None, "softmax")
    )
    shares.set_weights(scores.get_weights())
    x = np.random.default_rng(0).random((2, *shape), np.float32)
    z = np.exp(scores.predict(x, verbose=0))
    np.testing.assert_allclose(
        shares.predict(x, verbose=0), z / z.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6
    )


def test_a_step_moves_every_weight():
    for model, y in (
        (
            applications.UNet((16, 16, 1), depth=2, filters=4, normalized=True, seed=1),
            np.ones((3, 16, 16), int),
        ),
        (applications.UNet((16, 16, 1), classes=1, depth=1, filters=4, seed=1), np.ones((3, 16, 16, 1))),
        (applications.ConvolutionalAutoencoder((16, 16, 1), filters=(4, 6), code=5, seed=1), None),
    ):
        x = np.random.default_rng(0).random((3, 16, 16, 1))
        loss = "sparse_categorical_crossentropy" if model.output_shape[-1] > 1 else "binary_crossentropy"
        model.compile("sgd", loss)
        before = model.get_weights()
        assert 0 < model.train_on_batch(x, x if y is None else y) < 5
        assert all(np.any(new != old) for new, old in zip(model.get_weights(), before, strict=True))


def test_codes_of_an_autoencoder():
    coder = applications.ConvolutionalAutoencoder(seed=0)
    encoder = Model(coder.input, coder.get_layer("code").output)
    assert encoder.predict(np.zeros((2, 28, 28, 1)), verbose=0).shape == (2, 32)


# --- preprocessing --------------------------------------------------------------------------------


def test_preprocessing():
    x = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    given = x.copy()
    wide = x.astype(np.float64)
    means, deviations = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = {
        "tf": wide / 127.5 - 1,
        "torch": (wide / 255 - means) / deviations,
        "caffe": wide[..., ::-1] - np.array([103.939, 116.779, 123.68]),
    }
    for mode, right in expected.items():
        made = imagenet_utils.preprocess_input(x, mode=mode)
        assert made.dtype == np.float32
        assert made.flags.c_contiguous
        np.testing.assert_allclose(made, right, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(imagenet_utils.preprocess_input(wide, mode=mode), right, rtol=1e-13)
        first = imagenet_utils.preprocess_input(x.transpose(0, 3, 1, 2), "channels_first", mode)
        np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), made)
        np.testing.assert_array_equal(imagenet_utils.preprocess_input(x[0], mode=mode), made[0])
    np.testing.assert_array_equal(x, given)


@pytest.mark.parametrize(
    ("module", "mode"),
    [
        *[("resnet", "caffe"), ("resnet50", "caffe"), ("vgg16", "caffe"), ("vgg19", "caffe")],
        *[("resnet_v2", "tf"), ("mobilenet", "tf"), ("mobilenet_v2", "tf"), ("xception", "tf")],
        *[("inception_v3", "tf"), ("densenet", "torch"), ("mobilenet_v3", None), ("convnext", None)],
        ("efficientnet", None),
    ],
)
def test_how_each_module_preprocesses(module, mode):
    x = np.random.default_rng(0).random((2, 3, 4, 3), np.float32) * 255
    made = getattr(applications, module).preprocess_input(x)
    np.testing.assert_array_equal(made, imagenet_utils.preprocess_input(x, mode=mode) if mode else x)
    with pytest.raises(AttributeError, match=r"no decode_predictions: see docs/coming-from-keras.md#applic"):
        _ = getattr(applications, module).decode_predictions


def test_what_is_no_image_is_refused():
    for x, more, message in (
        (np.zeros((2, 4, 4, 1)), {}, "x must be images with three colours, channels_last, got shape"),
        (np.zeros((4, 3)), {"mode": "tf"}, "x must be images"),
        (np.zeros((4, 4, 3)), {"mode": "keras"}, "mode must be one of"),
        (np.zeros((4, 4, 3)), {"data_format": "NHWC"}, "data_format must be"),
    ):
        with pytest.raises(ValueError, match=r"^preprocess_input: ") as caught:
            imagenet_utils.preprocess_input(x, **more)
        assert message in str(caught.value)


# --- bits -----------------------------------------------------------------------------------------


def test_the_same_bits_on_any_number_of_threads_and_from_files_and_instruction_set():
    found = {}
    # Generic code on x86-64 has no FMA and must only agree with itself.
    for isa in [isa for isa in _kernels.available_isas() if isa != "generic"] or ["generic"]:
        threads = [2] if found else [1, 2, 3, 8]
        environment = {
            **os.environ,
            "CCONV_ISA": isa,
            "OMP_WAIT_POLICY": "passive",
            "PYTHONPATH": os.pathsep.join([str(Path(_kernels.__file__).parents[1]), str(TESTS)]),
        }
        command = [sys.executable, str(TESTS / "application_bits.py"), *map(str, threads)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        runs = json.loads(done.stdout)
        assert len(runs) == len(threads) + (len(threads) > 1)
        assert len({json.dumps(digests) for digests in runs.values()}) == 1, runs
        found[isa] = runs["2"]
    assert all(set(digests) == set(application_bits.CASES) for digests in found.values())
    assert len({json.dumps(digests) for digests in found.values()}) == 1
