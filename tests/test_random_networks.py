"""Random networks learn the same fused, layer by layer as a plan, and layer by layer as lone layers.

From the very first step, through batches that grow and shrink, and again when they come back: in bits; and
every layer's part within rounding of its NumPy twin. ``CCONV_TEST_NETWORKS=5000 pytest
tests/test_random_networks.py`` tries so many networks.
"""

import os

import layer_twins
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_networks import Network, batch_sizes, networks

from cconv import applications
from cconv.layers import Activation, BatchNormalization, Conv2D, GlobalAveragePooling2D, ReLU
from cconv.models import load_model
from cconv.models.training import NonFiniteLossError

NETWORKS = int(os.environ.get("CCONV_TEST_NETWORKS", "200"))
# To shrink a network takes minutes, and its error names the layer.
many_networks = settings(
    max_examples=NETWORKS,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Largest error of an element, relative to the largest scale beside it: Winograd mixes the elements of a tile.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def samples(rng, network, n):
    """A batch as the model takes it, with targets and weights."""
    shape = network.input_shape
    if network.data_format == "channels_first":
        shape = (shape[2], *shape[:2])
    x = rng.normal(size=(n, *shape)).astype(network.dtype)
    loss = network.head[1]
    if loss == "sparse_categorical_crossentropy":
        y = rng.integers(0, network.classes, n)
    elif loss == "categorical_crossentropy":
        y = np.eye(network.classes, dtype=network.dtype)[rng.integers(0, network.classes, n)]
    elif loss == "binary_crossentropy":
        y = rng.integers(0, 2, (n, network.classes)).astype(network.dtype)
    else:
        y = rng.normal(size=(n, network.classes)).astype(network.dtype)
    weight = rng.uniform(0.5, 2, n) if rng.random() < 0.3 else None
    return x, y, weight


class Chain:
    """The same layers one after the other, each by itself: what the plans of a model must give."""

    def __init__(self, network, model):
        self.network = network
        self.loss = model.loss
        splits = self.loss.from_logits_of(network.head[0] or "")
        self.from_logits = splits
        self.layers = network.new_layers(bare=splits)
        for number, (layer, own) in enumerate(zip(self.layers, model.layers, strict=False)):
            layer.key = number
            layer._meet_format(network.data_format)  # as the model tells those that have no argument for it
            layer.build(own.input_shape, dtype=own.dtype, seed=own.build_seed)
        self.steps = 0

    def take_weights(self, model):
        for layer, own in zip(self.layers, model.layers, strict=False):
            layer.set_weights(own.get_weights())

    def _inner(self, x):
        return np.moveaxis(x, 1, 3) if self.network.data_format == "channels_first" else x

    def predict(self, x):
        """The output, each layer's within rounding of its twin's; the same layers' `training` is False."""
        x = np.ascontiguousarray(self._inner(x))
        for layer in self.layers:
            y = layer._to_inner(layer.forward(layer._to_outer(x)))
            self._near(layer, "y", y, layer_twins.forward(layer, x, False))
            x = y
        if self.from_logits:
            x = Activation(self.network.head[0]).forward(x)
        return x

    def train(self, x, y_true, weight):
        """The loss; sets the gradients of every layer, each within rounding of its twin's."""
        xs = [np.ascontiguousarray(self._inner(x))]
        for layer in self.layers:
            wanted = layer_twins.forward(layer, xs[-1], True, self.steps)
            y = layer._to_inner(layer.forward(layer._to_outer(xs[-1]), training=True))
            self._near(layer, "y", y, wanted)
            xs.append(y)
        loss, dy = self.loss(y_true, xs[-1], weight, None, self.from_logits)
        for layer, before, after in reversed(list(zip(self.layers, xs[:-1], xs[1:], strict=True))):
            wanted = layer_twins.backward(layer, dy, before, after, self.steps)
            dx = layer._to_inner(layer.backward(layer._to_outer(dy)))
            self._near(layer, "dx", dx, wanted.dx)
            for name, twin in wanted.grads.items():
                self._near(layer, f"d{name}", layer.grads[name], twin)
            dy = dx
        self.steps += 1
        return loss

    def _near(self, layer, name, actual, twin):
        assert actual.shape == twin.value.shape, (layer, name)
        bound = TOLERANCE[self.network.dtype] * max(float(np.max(twin.scale, initial=0)), 1e-30)
        error = float(np.max(np.abs(actual - twin.value), initial=0))
        assert error <= bound, f"{layer!r} {layer.get_config()}: {name} is off by {error / bound:.3g} bounds"


def assert_same_bits(what, one, other):
    assert one.keys() == other.keys(), what
    different = [name for name in one if one[name].tobytes() != other[name].tobytes()]
    assert not different, f"{what}: {different} differ"


def arrays_of(layers):
    return {
        f"{number} {type(layer).__name__} {kind} {name}": array
        for number, layer in enumerate(layers)
        for kind, store in (("weight", layer.params), ("state", layer.state))
        for name, array in store.items()
    }


def gradients_of(layers):
    learning = [(number, layer) for number, layer in enumerate(layers) if layer.trainable and layer.params]
    return {
        f"{number} {type(layer).__name__} {name}": layer.grads[name]
        for number, layer in learning
        for name in layer.params
    }


def step_of(model, x, y, weight):
    """The loss of a training step; None where it is not finite."""
    try:
        return model.train_on_batch(x, y, weight)
    except NonFiniteLossError:
        return None


def check_training(network, sizes, seed):
    rng = np.random.default_rng(seed)
    fused, plain = network.model(fuse=True), network.model(fuse=False)
    chain = Chain(network, plain)
    for step, n in enumerate(sizes):
        where = f"step {step}, batch of {n}"
        x, y, weight = samples(rng, network, n)
        chain.take_weights(plain)
        losses = [step_of(model, x, y, weight) for model in (fused, plain)]
        assert losses[0] == losses[1], where
        if losses[0] is None:
            return
        assert losses[0] == pytest.approx(chain.train(x, y, weight), rel=1e-6, abs=1e-12), where
        assert_same_bits(f"{where}: gradients, fused", gradients_of(fused.layers), gradients_of(plain.layers))
        count = len(chain.layers)
        assert_same_bits(
            f"{where}: gradients, alone", gradients_of(plain.layers[:count]), gradients_of(chain.layers)
        )
        assert_same_bits(f"{where}: weights", arrays_of(fused.layers), arrays_of(plain.layers))
        states = [
            {k: v for k, v in arrays_of(e).items() if "state" in k} for e in (plain.layers, chain.layers)
        ]
        assert_same_bits(f"{where}: states", *states)


@many_networks
@given(networks(), batch_sizes(), st.integers(0, 2**32 - 1))
def test_training_from_the_first_step(network, sizes, seed):
    check_training(network, sizes, seed)


@many_networks
@given(networks(), batch_sizes(), st.integers(0, 2**32 - 1))
def test_prediction(network, sizes, seed):
    rng = np.random.default_rng(seed)
    fused, plain = network.model(fuse=True), network.model(fuse=False)
    for model in (fused, plain):
        generator = np.random.default_rng(seed)
        for layer in model.layers:
            for store in (layer.params, layer.state):
                for name, array in store.items():
                    store[name] = array + generator.uniform(-0.1, 0.2, array.shape)
    chain = Chain(network, plain)
    chain.take_weights(plain)
    normalizes = any(isinstance(layer, BatchNormalization) for layer in plain.layers)
    for n in sizes:
        x, _, _ = samples(rng, network, n)
        one, other, alone = fused.predict(x, verbose=0), plain.predict(x, verbose=0), chain.predict(x)
        assert other.tobytes() == alone.tobytes(), f"batch of {n}: alone"
        if normalizes:  # folded into the weights: within rounding
            scale = max(1.0, float(np.abs(other).max()))
            tolerance = {"float32": 1e-3, "float64": 1e-11}[network.dtype]
            assert float(np.abs(one - other).max()) <= tolerance * scale, f"batch of {n}: fused"
        else:
            assert one.tobytes() == other.tobytes(), f"batch of {n}: fused"


@many_networks
@given(networks(), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_fit(network, batch_size, seed):
    """Through `fit`: the front of a model is computed as batches are gathered, the last is smaller."""
    x, y, weight = samples(np.random.default_rng(seed), network, 20)
    fused, plain = network.model(fuse=True), network.model(fuse=False)
    for model in (fused, plain):
        model.fit(x, y, batch_size, epochs=2, verbose=0, sample_weight=weight, validation_split=0.2)
    one, other = fused.history.history, plain.history.history
    assert one["loss"] == other["loss"]
    # Where the model predicts, a normalisation is folded into the weights: the same within rounding.
    assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-3, abs=1e-5)
    assert_same_bits("weights", arrays_of(fused.layers), arrays_of(plain.layers))


def blocks(*filters, dtype="float32"):
    """A network of convolution, normalisation and ReLU, of which every second output is computed again."""
    layers = []
    for count in filters:
        layers.append((Conv2D, {"filters": count, "kernel_size": 3, "padding": "same"}))
        layers += [(BatchNormalization, {}), (ReLU, {})]
    layers += [(Conv2D, {"filters": 8, "kernel_size": 3}), (GlobalAveragePooling2D, {})]
    return Network((8, 8, 3), layers, dtype=dtype)


@pytest.mark.parametrize("filters", [(16, 16, 32), (8, 8, 32, 32), (16, 32, 16, 64), (8, 16, 8, 64, 4, 32)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_computed_again_share_memory_that_does_not_move(filters, dtype):
    """The first step of a plan, and the first of a larger batch."""
    check_training(blocks(*filters, dtype=dtype), [4, 4, 9, 3, 17, 9], 0)


def test_a_training_that_is_resumed_goes_on_with_the_same_bits(tmp_path):
    """Every run begins with the first step of a plan."""
    network = blocks(16, 16, 32)
    x, y, _ = samples(np.random.default_rng(0), network, 20)
    whole, begun = network.model(True, "adam"), network.model(True, "adam")
    whole.fit(x, y, 7, epochs=2, verbose=0)
    begun.fit(x, y, 7, epochs=1, verbose=0)
    begun.save(tmp_path / "begun.safetensors")
    resumed = load_model(tmp_path / "begun.safetensors")
    resumed.fit(x, y, 7, epochs=2, initial_epoch=1, verbose=0)
    assert_same_bits("weights", arrays_of(whole.layers), arrays_of(resumed.layers))


def test_mobilenet_from_the_first_step():
    models = [applications.MobileNetV1((32, 32, 3), alpha=0.25, classes=5, seed=1) for _ in range(2)]
    models[1].fuse = False
    rng = np.random.default_rng(2)
    for model in models:
        model.compile("sgd", "sparse_categorical_crossentropy")
    for n in (2, 5, 3):
        x, y = rng.normal(size=(n, 32, 32, 3)).astype("float32"), rng.integers(0, 5, n)
        losses = [model.train_on_batch(x, y) for model in models]
        assert losses[0] == losses[1]
        assert_same_bits(f"batch of {n}", *(gradients_of(model.layers) for model in models))
