"""Small graphs drawn at random for the page of `cconv.report`: 1 to 3 inputs and outputs of every kind."""

from typing import Any, NamedTuple

import numpy as np

from cconv.layers import (
    Add,
    AveragePooling2D,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Maximum,
    MaxPooling2D,
    UpSampling2D,
    ZeroPadding2D,
)
from cconv.models import Model

SAMPLES = 9
IMAGE = 3
TASKS = ("classes", "yes or no", "numbers", "image")


class Graph(NamedTuple):
    """A model with data for it, in the form in which a user gives them.

    `kinds` has the task of each output, `xs` and `ys` the arrays in the model's order.
    """

    model: Model
    x: Any
    y: Any
    kinds: list[str]
    xs: list[np.ndarray]
    ys: list[np.ndarray]


def graph(seed: int) -> Graph:
    """Return the graph with that number."""
    rng = np.random.default_rng(seed)
    shapes = _shapes(rng)
    inputs = [Input(shape, name=f"in{n}") for n, shape in enumerate(shapes)]
    ways = _ways(rng, inputs)
    outputs, kinds = [], []
    for n in range(rng.integers(1, 4)):
        images = [way for way in ways if len(way.shape) == 1 + IMAGE and max(way.shape[1:3]) > 1]
        kind = str(rng.choice(TASKS if images else TASKS[:-1]))
        outputs.append(_head(rng, kind, ways, images, f"out{n}"))
        kinds.append(kind)
    used = Model(inputs, outputs, seed=seed) if _all_read(inputs, outputs) else None
    if used is None:  # an input was left out: one more output reads them all
        outputs.append(Dense(2, activation="softmax", name="out9")(_vector(rng, ways)))
        kinds.append("classes")
    in_dict, out_dict = rng.integers(0, 2, 2)
    ends_in = {f"in{n}": tensor for n, tensor in enumerate(inputs)} if in_dict else _one(inputs)
    names = [f"out{n}" for n in range(len(outputs))]
    ends_out = dict(zip(names, outputs, strict=True)) if out_dict else _one(outputs)
    model = Model(ends_in, ends_out, seed=seed)
    xs = [_samples(rng, shape) for shape in shapes]
    ys = [_targets(rng, kind, tensor.shape[1:]) for kind, tensor in zip(kinds, outputs, strict=True)]
    x = dict(zip(model.input_names, xs, strict=True)) if in_dict or rng.integers(0, 2) else _one(xs)
    y = dict(zip(model.output_names, ys, strict=True)) if out_dict or rng.integers(0, 2) else _one(ys)
    return Graph(model, x, y, kinds, xs, ys)


def _one(ends):
    return ends[0] if len(ends) == 1 else list(ends)


def _shapes(rng):
    """Shapes of the inputs; often two images of the same shape, for layers that they share."""
    image = (*(int(side) for side in rng.integers(7, 12, 2)), int(rng.choice([1, 2, 3])))
    other = (int(rng.integers(5, 9)), 8, 1)
    kinds = [image, image, other, (int(rng.integers(3, 9)),), (10, 2)]
    return [kinds[n] for n in rng.integers(0, len(kinds), rng.integers(1, 4))]


def _ways(rng, inputs):
    """One or two layers behind each input; images of the same shape may share them, or a model of them."""
    made: dict[tuple, Any] = {}
    ways = []
    for tensor in inputs:
        shape = tensor.shape[1:]
        if shape not in made or rng.integers(0, 3) == 0:
            made[shape] = _trunk(rng, shape, f"inner{len(ways)}")
        ways.append(made[shape](tensor))
    same = [way for way in ways if way.shape == ways[0].shape]
    if len(same) > 1 and rng.integers(0, 2):
        ways.append(rng.choice([Add, Maximum, Concatenate])()(same[:2]))
    return ways


def _trunk(rng, shape, name):
    """Something to call on a tensor of this shape: layers in a row, or a model of them."""
    if len(shape) == 1:
        layers = [Dense(4, activation=str(rng.choice(["relu", "tanh"])))]
    elif len(shape) == 2:
        layers = [Conv1D(3, 3, activation="relu"), Flatten()]
    else:
        layers = [_image_layer(rng) for _ in range(rng.integers(1, 3))]

    def call(tensor):
        for layer in layers:
            tensor = layer(tensor)
        return tensor

    if rng.integers(0, 2):
        return call
    inside = Input(shape)
    return Model(inside, call(inside), name=name)


def _image_layer(rng):
    return rng.choice(
        [
            lambda: Conv2D(4, 3, padding="same", activation="relu", bias_initializer="random_normal"),
            lambda: Conv2D(2, (2, 3), strides=int(rng.integers(1, 3))),
            lambda: DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="tanh"),
            lambda: MaxPooling2D(2),
            lambda: AveragePooling2D(2, strides=1, padding="same"),
            lambda: UpSampling2D(2),
            lambda: ZeroPadding2D(1),
            lambda: Conv2DTranspose(2, 2, strides=2),
        ]
    )()


def _vector(rng, ways):
    flat = []
    for way in ways:
        if len(way.shape) == 1 + IMAGE:
            way = (Flatten() if rng.integers(0, 2) else GlobalAveragePooling2D())(way)
        flat.append(way)
    return Concatenate()(flat) if len(flat) > 1 else flat[0]


def _head(rng, kind, ways, images, name):
    if kind == "image":
        return Conv2D(int(rng.choice([1, 3])), 1, activation="sigmoid", name=name)(
            images[rng.integers(len(images))]
        )
    kept = [way for way in ways if rng.integers(0, 3)] or ways
    units, activation = {
        "classes": (int(rng.choice([2, 3, 12])), "softmax"),
        "yes or no": (1, "sigmoid"),
        "numbers": (int(rng.integers(1, 4)), None),
    }[kind]
    x = _vector(rng, kept)
    if rng.integers(0, 2):
        x = Dense(5, activation="relu")(x)
    return Dense(units, activation=activation, name=name)(x)


def _all_read(inputs, outputs):
    try:
        Model(inputs, outputs)
    except ValueError:
        return False
    return True


def _samples(rng, shape):
    if len(shape) == IMAGE and rng.integers(0, 2):
        return rng.integers(0, 256, (SAMPLES, *shape), np.uint8)
    return rng.standard_normal((SAMPLES, *shape)).astype(np.float32)


def _targets(rng, kind, shape):
    if kind == "classes":
        labels = rng.integers(0, shape[-1], SAMPLES)
        return np.eye(shape[-1])[labels] if rng.integers(0, 2) else labels
    if kind == "yes or no":
        return rng.integers(0, 2, (SAMPLES, 1))
    return rng.random((SAMPLES, *shape))
