"""Random graphs of layers, and a model computed use by use through the public passes of its layers."""

import copy

from cconv import layers
from cconv.layers import (
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Maximum,
    MaxPooling2D,
    Multiply,
    ReLU,
    Subtract,
)
from cconv.models import Model, Sequential


def random_graph(rng, *, dtype="float64", data_format=None, dropout=True, size=9):
    """A model of one image that branches, joins, shares layers, holds models, with one output of three."""
    side, channels = int(rng.integers(5, size)), int(rng.integers(1, 4))
    shape = (channels, side, side) if data_format == "channels_first" else (side, side, channels)
    x = Input(shape)
    axis = 1 if data_format == "channels_first" else -1
    first = Conv2D(int(rng.integers(2, 6)), 3, padding="same", data_format=data_format)(x)
    known = [first] if rng.random() < 0.7 else [first, x]
    shared = []
    for _ in range(int(rng.integers(3, 9))):
        known.append(_grown(rng, known, shared, axis, data_format, dropout))
    ends = [GlobalAveragePooling2D(data_format=data_format)(known[-1])]
    ends += [Flatten()(other) for other in known[-3:-1] if rng.random() < 0.3]
    flat = ends[0] if len(ends) == 1 else Concatenate()(ends)
    return Model(x, Dense(3, activation="softmax")(flat), seed=int(rng.integers(99)), dtype=dtype)


def nested_ends(rng):
    """A model whose outputs are some of a nested model with two outputs, in any order and of any use."""
    given = [Input((3,)), Input((3,))]
    inner = Model(given, [Dense(3)(Add()(given)), Dense(3)(given[1])], name="inner")
    x = Input((3,))
    values = [x]
    for _ in range(int(rng.integers(1, 4))):
        values += inner([values[int(number)] for number in rng.integers(len(values), size=2)])
    ends = [values[int(n) + 1] for n in rng.permutation(len(values) - 1)[: int(rng.integers(1, len(values)))]]
    return Model(x, ends, seed=int(rng.integers(99)))


def image_layer(name, of=layers):
    """A layer for images with the arguments that it needs, from a module of layers."""
    sizes = {"CenterCrop": (5, 4), "RandomCrop": (5, 4), "Resizing": (5, 4), "RandomTranslation": (0.5, 0.5)}
    without = ("CutMix", "MixUp", "RandomErasing", "RandomFlip")
    return getattr(of, name)(*sizes.get(name, () if name in without else (0.5,)))


def _grown(rng, known, shared, axis, data_format, dropout):
    """One more tensor, made of those that are known."""
    x = known[int(rng.integers(len(known)))] if rng.random() < 0.5 else known[-1]
    channels = x.shape[axis]
    same = [other for other in known if other.shape == x.shape]
    kind = int(rng.integers(11))
    if kind <= 2 and len(same) > 1:
        several = [same[int(number)] for number in rng.integers(len(same), size=2 + (kind == 0))]
        y = (Add, Subtract, Multiply)[kind]()(several)
        return ReLU()(y) if rng.random() < 0.6 else y
    if kind == 3 and len(same) > 1:
        return Maximum()([x, same[0]])
    if kind == 4:
        alike = [other for other in known if other.ndim == 4 and _size(other, axis) == _size(x, axis)]
        return Concatenate(axis=axis)([x, *alike[:2]])
    if kind == 5:
        fitting = [layer for layer in shared if layer[1] == x.shape]
        if fitting:
            return fitting[0][0](x)
        layer = Conv2D(channels, 3, padding="same", activation="relu", data_format=data_format)
        shared.append((layer, x.shape))
        return layer(x)
    if kind == 6:
        y = BatchNormalization(axis=axis)(x, training=False if rng.random() < 0.3 else None)
        return ReLU()(y) if rng.random() < 0.7 else y
    if kind == 7 and min(_size(x, axis)) >= 4:
        pool = MaxPooling2D if rng.random() < 0.5 else AveragePooling2D
        return pool(2, data_format=data_format)(x)
    if kind == 8:
        inner = Sequential(
            [Conv2D(3, 1, activation="tanh", data_format=data_format), BatchNormalization(axis=axis)]
        )
        return inner(x)
    if kind == 9 and dropout:
        return Dropout(0.3)(x)
    y = Conv2D(int(rng.integers(2, 6)), int(rng.integers(1, 4)), padding="same", data_format=data_format)(x)
    return ReLU()(y) if rng.random() < 0.7 else y


def _size(tensor, axis):
    return tensor.shape[2:4] if axis == 1 else tensor.shape[1:3]


class ByHand:
    """A model computed use by use, each through `forward` and `backward` of a layer."""

    def __init__(self, model):
        self.model, self.flow = model, model._flow()
        seen, self.layers = set(), []
        for use in self.flow.uses:
            layer = use.layer
            if id(layer) in seen or use.at_inference:
                layer = copy.copy(layer)
                layer.grads, layer._as_at_inference = {}, use.at_inference
            seen.add(id(use.layer))
            self.layers.append(layer)

    def forward(self, x, training=True):
        """The outputs for one batch, channels last."""
        values = [x]
        for use, layer in zip(self.flow.uses, self.layers, strict=True):
            given = [layer._to_outer(values[value]) for value in use.inputs]
            y = layer.forward(given if layer._merges else given[0], training=training)
            values.append(layer._to_inner(y))
        return values[self.flow.outputs[0]]

    def backward(self, dy):
        """The gradients of all weights, by name, in the order of the model's own."""
        gradients = {self.flow.outputs[0]: dy}
        for number in range(len(self.layers) - 1, -1, -1):
            layer, dout = self.layers[number], gradients.get(self.flow.value_of(number))
            if dout is None:
                continue
            found = layer.backward(layer._to_outer(dout))
            for value, dx in zip(
                self.flow.uses[number].inputs, found if layer._merges else [found], strict=True
            ):
                inner = layer._to_inner(dx)
                gradients[value] = gradients[value] + inner if value in gradients else inner
        total = {}
        for name, layer in self.model._named:
            for use, own in zip(self.flow.uses, self.layers, strict=True):
                for key, gradient in own.grads.items() if use.layer is layer else ():
                    entry = f"{name}/{key}"
                    total[entry] = total[entry] + gradient if entry in total else gradient.copy()
        return total
