"""Record what Keras' and torchvision's networks compute: tests/data/applications.json.

    python tools/peer_applications.py [name ...]

needs Keras 3 with TensorFlow and torchvision, in float64. Every network gets the weights and images of
tests/application_cases.py; kept are the order of its weights, its predictions, the loss of one step of
gradient descent with learning rate 1, and a product with each array's change. Without names: all of
Keras'; with KERAS_BACKEND=torch those of torchvision, which is not loaded beside TensorFlow.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data" / "applications.json"
sys.path.insert(0, str(ROOT / "tests"))

import application_cases as cases  # noqa: E402

keras.backend.set_floatx("float64")


def digits(values):
    """Round to what float64 computations agree on, so that the file stays small."""
    return [float(f"{value:.13g}") for value in np.ravel(values)]


def filled(model, gain=1.0):
    """Give a model of Keras the weights of the formula; return names and shapes."""
    names, values = [], []
    for number, weight in enumerate(model.weights):
        names.append(weight.path)
        new = cases.drawn(number, weight.path, tuple(weight.shape), gain)
        values.append(np.asarray(weight) if cases.kind_of(weight.path) in cases.KEPT else new)
    model.set_weights(values)
    return names, [tuple(weight.shape) for weight in model.weights]


def step_of_keras(name, model, shape):
    """Return predictions and one step's loss and changes."""
    names, shapes = filled(model, cases.GAINS.get(name, 1.0))
    x, y = cases.images(name, shape), cases.labels()
    predictions = np.asarray(model(x, training=False))
    print(name, "predictions vary by", predictions.std(axis=0).max(), flush=True)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy", run_eagerly=True)
    loss = float(np.asarray(model.train_on_batch(x, y)))
    changes = [new - old for new, old in zip(model.get_weights(), before, strict=True)]
    return {
        "order": cases.order(names, shapes),
        "predictions": digits(predictions),
        "loss": digits(loss)[0],
        "changes": digits([cases.seen(change, key) for key, change in enumerate(changes)]),
    }


def of_keras(name):
    """Return the figures of one of Keras' networks."""
    options = dict(cases.KERAS[name])
    function = getattr(keras.applications, name)
    made = {"weights": None, "classes": cases.CLASSES, **options}
    if name == "EfficientNetB0":
        from keras.src.applications import efficientnet

        model = efficientnet.EfficientNet(1.0, 1.0, 224, name="efficientnetb0", **made)
    else:
        model = function(**made)
    figures = step_of_keras(name, model, options["input_shape"])
    whole = function(weights=None)
    return {"parameters": whole.count_params(), "names": [layer.name for layer in whole.layers], **figures}


# --- networks that Keras has not ------------------------------------------------------------------


def resnet20():
    """He et al. 2015, section 4.2, with projections."""

    def conv(x, filters, stride):
        x = layers.ZeroPadding2D(1)(x)
        return layers.Conv2D(filters, 3, strides=stride, use_bias=False)(x)

    def norm(x):
        return layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x)

    image = layers.Input((32, 32, 3))
    x = layers.ReLU()(norm(conv(image, 16, 1)))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(3):
            stride = 2 if stage and not block else 1
            y = norm(conv(layers.ReLU()(norm(conv(x, filters, stride))), filters, 1))
            if stride > 1:
                x = norm(layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x))
            x = layers.ReLU()(layers.Add()([y, x]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(cases.CLASSES, activation="softmax")(x))


def unet():
    """Ronneberger et al. 2015 with padding "same", two levels, four filters."""

    def double(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    image = layers.Input((16, 16, 1))
    x, skips = image, []
    for level in range(2):
        x = double(x, 4 * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = double(x, 16)
    for level in (1, 0):
        x = layers.Conv2DTranspose(4 * 2**level, 2, strides=2)(x)
        x = double(layers.Concatenate()([skips[level], x]), 4 * 2**level)
    return keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(x))


def training(name, model, shape, targets):
    """Return the losses of steps with momentum, and how the weights have changed."""
    names, shapes = filled(model)
    before = model.get_weights()
    descent = keras.optimizers.SGD(cases.RATES[name], momentum=cases.MOMENTUM)
    model.compile(descent, "sparse_categorical_crossentropy", run_eagerly=True)
    losses = []
    for step in range(cases.STEPS):
        model.reset_metrics()
        x = np.random.default_rng([5, step]).random((8, *shape))
        losses.append(float(np.asarray(model.train_on_batch(x, targets(step)))))
    changes = [new - old for new, old in zip(model.get_weights(), before, strict=True)]
    return {
        "order": cases.order(names, shapes),
        "losses": digits(losses),
        "changes": digits([cases.seen(change, key) for key, change in enumerate(changes)]),
    }


TRAININGS = {
    "ResNet20": lambda: training("ResNet20", resnet20(), (32, 32, 3), cases.classes_of_step),
    "UNet": lambda: training("UNet", unet(), (16, 16, 1), cases.maps_of_step),
    "MobileNetV2": lambda: training(
        "MobileNetV2",
        keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=cases.CLASSES),
        (32, 32, 3),
        cases.classes_of_step,
    ),
}


# --- torchvision ----------------------------------------------------------------------------------

KINDS = {
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
    "bias": "bias",
}


def of_torch(name):
    """Return the figures of one of torchvision's networks, its arrays by their names here."""
    import torch
    import torchvision

    model = getattr(torchvision.models, {"SqueezeNet": "squeezenet1_0"}.get(name, name.lower()))(
        num_classes=cases.CLASSES
    ).double()
    state, mine = {}, {}
    for key, value in model.state_dict().items():
        layer, kind = key.rsplit(".", 1)
        if kind == "num_batches_tracked":
            continue
        normalised = f"{layer}.running_mean" in model.state_dict()
        kind = KINDS.get(kind) or ("gamma" if normalised else "kernel")
        kind = "beta" if normalised and kind == "bias" else kind
        shape = tuple(value.shape)
        ours = {4: (2, 3, 1, 0), 2: (1, 0)}.get(len(shape))
        array = cases.drawn(f"{layer}/{kind}", kind, shape if ours is None else [shape[i] for i in ours])
        back = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(shape))
        state[key] = torch.tensor(array if back is None else array.transpose(back))
        mine[f"{layer}/{kind}"] = (key, ours)
    model.load_state_dict(state, strict=False)
    x = torch.tensor(cases.images(name, cases.TORCH[name]).transpose(0, 3, 1, 2).copy())
    model.eval()
    predictions = torch.softmax(model(x), 1).detach().numpy()
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    loss = torch.nn.functional.cross_entropy(model(x), torch.tensor(cases.labels()))
    loss.backward()
    gradients = dict(model.named_parameters())
    changes = {}
    for number, (full, (key, ours)) in enumerate(sorted(mine.items())):
        if key in gradients:
            gradient = gradients[key].grad.numpy()
            changes[full] = digits(
                -cases.seen(gradient if ours is None else gradient.transpose(ours), number)
            )[0]
    whole = getattr(torchvision.models, {"SqueezeNet": "squeezenet1_0"}.get(name, name.lower()))()
    return {
        "parameters": sum(parameter.numel() for parameter in whole.parameters()),
        "predictions": digits(predictions),
        "loss": digits(loss.item())[0],
        "changes": changes,
    }


def main():
    """Record the networks whose names are given, or all."""
    if os.environ["KERAS_BACKEND"] == "torch":
        jobs = {f"torch {name}": lambda name=name: of_torch(name) for name in cases.TORCH}
    else:
        jobs = {f"keras {name}": lambda name=name: of_keras(name) for name in cases.KERAS}
        jobs |= {f"training {name}": job for name, job in TRAININGS.items()}
    for name, job in jobs.items():
        if not sys.argv[1:] or name.split()[1] in sys.argv[1:]:
            keras.utils.clear_session()
            made = job()
            print(name, flush=True)
            kept = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}
            kept[name] = made
            lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(kept.items())]
            DATA.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
