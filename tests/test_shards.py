"""Batches cut into shards: gradients of weights are sums over shards, added in a fixed binary tree."""

import functools
import itertools

import numpy as np
import pytest
import resuming

from cconv import layers as L
from cconv import set_num_threads
from cconv.callbacks import BackupAndRestore, Callback
from cconv.engine.plan import Plan
from cconv.models import Sequential
from cconv.ops import batch_normalization, normalization
from cconv.ops.run import Run
from cconv.ops.shards import Cut, summed
from cconv.optimizers import Adam

RNG = np.random.default_rng(8)
IMAGE, LINE = (8, 8, 4), (9, 4)

# Rows of layers, of which the last with weights is meant; what is fused is computed as one step.
ROWS = {
    "Dense": ([L.Flatten(), L.Dense(5, activation="tanh")], IMAGE),
    "Dense piece by piece": ([L.Flatten(), L.Dense(300)], (8, 8, 16)),
    "Dense of pixels": ([L.Dense(5)], IMAGE),
    "Conv2D": ([L.Conv2D(6, 3, activation="relu")], IMAGE),
    "Conv2D winograd": ([L.Conv2D(16, 3, padding="same")], (8, 8, 16)),
    "Conv2D pointwise": ([L.Conv2D(6, 1, use_bias=False)], IMAGE),
    "Conv2D groups": ([L.Conv2D(6, 3, groups=2, strides=2)], IMAGE),
    "Conv2D few taps": ([L.Conv2D(6, 5)], (8, 8, 1)),
    "Conv2D pooled": ([L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(2)], IMAGE),
    "Conv2D winograd pooled": (
        [L.Conv2D(16, 3, padding="same", activation="relu"), L.MaxPooling2D(2)],
        (8, 8, 16),
    ),
    "Conv2D behind another": ([L.Conv2D(6, 3), L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(2)], IMAGE),
    "Conv2DTranspose": ([L.Conv2DTranspose(6, 3, strides=2, padding="same")], IMAGE),
    "DepthwiseConv2D": ([L.DepthwiseConv2D(3, depth_multiplier=2)], IMAGE),
    "SeparableConv2D": ([L.SeparableConv2D(6, 3)], IMAGE),
    "Conv1D": ([L.Conv1D(6, 3)], LINE),
    "Conv1DTranspose": ([L.Conv1DTranspose(6, 3)], LINE),
    "DepthwiseConv1D": ([L.DepthwiseConv1D(3)], LINE),
    "SeparableConv1D": ([L.SeparableConv1D(6, 3)], LINE),
    "LayerNormalization": ([L.LayerNormalization()], IMAGE),
    "LayerNormalization of images": ([L.LayerNormalization(axis=[1, 3])], IMAGE),
    "RMSNormalization": ([L.RMSNormalization()], IMAGE),
    "GroupNormalization": ([L.GroupNormalization(2)], IMAGE),
    "PReLU": ([L.PReLU()], IMAGE),
    "PReLU of channels": ([L.PReLU(shared_axes=[2])], IMAGE),
    "LayerScale": ([L.LayerScale(0.3)], IMAGE),
    "ElementwiseAffine": ([L.ElementwiseAffine(shared_axes=[1, 2])], IMAGE),
}


def tree(parts):
    """The sum of arrays, half by half; None stands for an empty shard."""
    if len(parts) == 1:
        return parts[0]
    half = -(-len(parts) // 2)
    sums = [each for each in (tree(parts[:half]), tree(parts[half:])) if each is not None]
    return None if not sums else sums[0] if len(sums) == 1 else sums[0] + sums[1]


def built(layers, shape, dtype):
    row = [layer.clone() for layer in layers]
    for number, layer in enumerate(row):
        layer.key = number
        layer.build(shape, dtype=dtype, seed=3)
        shape = layer.output_shape
        for array in layer.params.values():  # else gamma is 1 and beta 0
            array += (0.1 * RNG.normal(size=array.shape)).astype(dtype)
    return row


def alone(row, x, dy):
    """The gradients of a batch by the layers themselves, one by one."""
    for layer in row:
        x = layer.forward(x, training=True)
    for layer in reversed(row):
        dy = layer.backward(dy)
    return {(n, name): g.copy() for n, layer in enumerate(row) for name, g in layer.grads.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROWS)
def test_gradients_are_a_tree_of_those_of_the_shards(name, dtype):
    row = built(*ROWS[name], dtype)
    plan = Plan(row, training=True, seed=1)
    sizes = itertools.cycle(RNG.permutation(17) + 1)
    for shards in (2, 3, 8):
        for n in (*itertools.islice(sizes, 2), 17):
            x = RNG.normal(size=(n, *row[0].input_shape)).astype(dtype)
            dy = RNG.normal(size=(n, *row[-1].output_shape)).astype(dtype)
            plan.run.cut = Cut.of(n, shards)
            plan.forward(x)
            plan.backward(dy)
            found = {(k, key): g.copy() for k, layer in enumerate(row) for key, g in layer.grads.items()}
            bounds = [i * n // shards for i in range(shards + 1)]
            parts = [alone(row, x[a:b], dy[a:b]) if a < b else None for a, b in itertools.pairwise(bounds)]
            assert found
            for key, gradient in found.items():
                expected = tree([None if part is None else part[key] for part in parts])
                assert gradient.tobytes() == expected.tobytes(), (key, n, shards)


def test_every_layer_with_weights_is_looked_at():
    kinds = {getattr(L, name) for name in dir(L) if isinstance(getattr(L, name), type)}
    summing = {kind.__name__ for kind in kinds if issubclass(kind, L.Layer) and kind._by_shard}
    looked = {type(layer).__name__ for layers, _ in ROWS.values() for layer in layers if layer._by_shard}
    assert summing - looked == {"BatchNormalization", "UnitNormalization"}  # below; has no weights


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "shards"), [(1, 3), (5, 2), (7, 8), (17, 3)])
def test_batch_normalisation_adds_the_sums_of_the_shards_in_their_order(n, shards, dtype):
    x, dy = (RNG.normal(3.0, 2.0, (n * 6, 5)).astype(dtype) for _ in range(2))
    gamma, beta, moving, other = (np.abs(RNG.normal(size=5)).astype(dtype) for _ in range(4))
    run, whole = Run(training=True, cut=Cut.of(n, shards)), Run(training=True)
    pieces = [slice(6 * (i * n // shards), 6 * ((i + 1) * n // shards)) for i in range(shards)]

    first = x[0].astype(np.float64)
    total = np.zeros((2, 5))
    for part in (x[piece] for piece in pieces if piece.start < piece.stop):
        sums, squares = np.add.accumulate(normalization.sums(part, Run()))[-1]
        apart = part[0].astype(np.float64) - first
        total[0] += sums + len(part) * apart
        total[1] += squares + apart * (2 * sums + len(part) * apart)
    found = batch_normalization.sums_by_shard(x, run)
    assert np.add.accumulate(found[0])[-1].tobytes() == total.tobytes()
    assert found[2] == len(x)

    def scales(run):
        states = moving.copy(), other.copy()
        return [*batch_normalization.of_batch(x, gamma, beta, states, 0.9, 1e-3, run), *states]

    close = 1e-5 if dtype == "float32" else 1e-12
    for ours, theirs in zip(scales(run), scales(whole), strict=True):
        assert np.allclose(ours, theirs, rtol=close, atol=close)

    what = normalization.Normalized(*scales(whole)[:3])
    products, m = batch_normalization.gradient_sums(dy, x, what, run)
    for piece, sums in zip(pieces, products, strict=True):
        part = np.zeros((2, 5))
        if piece.start < piece.stop:
            part = np.add.accumulate(normalization.gradient_sums(dy[piece], x[piece], what, Run()))[-1]
        assert sums.tobytes() == part.tobytes()
    assert m == len(x)


def test_statistics_of_large_values_and_of_infinities():
    x = np.full((8, 3), 1e6, np.float32) + RNG.normal(size=(8, 3)).astype(np.float32)
    x[5, 1] = np.inf
    partial, first, m = batch_normalization.sums_by_shard(x, Run(cut=Cut.of(8, 4)))
    total, squares = partial.sum(axis=0)
    assert not np.isfinite(squares[1])
    assert np.array_equal(first, x[0])
    finite = [0, 2]
    variance = squares[finite] / m - (total[finite] / m) ** 2
    assert np.allclose(variance, x[:, finite].astype(np.float64).var(axis=0))


def test_one_shard_is_one_sum():
    calls = []

    def gradients(x, run):
        calls.append(x)
        return (x.sum(axis=0),)

    x = RNG.normal(size=(4, 2))
    assert np.array_equal(summed(gradients, (x,), Run())[0], x.sum(axis=0))
    assert calls[0] is x


# --- trainings --------------------------------------------------------------------------------


def network(*front):
    """Everything that draws, or that a batch has statistics of, with steps that are computed as one."""
    model = Sequential(
        [
            *front,
            L.Conv2D(6, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Conv2D(6, 1),
            L.BatchNormalization(),
            L.ReLU(),
            L.Dropout(0.3),
            L.SpatialDropout2D(0.1),
            L.GaussianNoise(0.1),
            L.SeparableConv2D(4, 2),
            L.PReLU(),
            L.Flatten(),
            L.Dense(4, activation="softmax", kernel_regularizer="l2"),
        ],
        seed=3,
    )
    how = {"use_ema": True, "gradient_accumulation_steps": 3, "global_clipnorm": 0.5}
    model.compile(Adam(0.01, **how), "sparse_categorical_crossentropy", ["accuracy"])
    return model


X, Y = resuming.X[:45], resuming.Y[:45]


@functools.cache
def whole():
    """What comes of a training with 8 shards, on one thread, that is left alone."""
    return train()


def train(model=None, **options):
    model = model or network(L.RandomFlip("horizontal"), L.RandomTranslation(0.1, 0.1))
    options = {"batch_size": 11, "epochs": 3, "shards": 8, "verbose": 0} | options
    history = model.fit(X, Y, **options)
    return [array.tobytes() for array in model.get_weights()], history.history


def test_shards_are_part_of_the_result_and_one_is_the_default():
    default = train(shards=1)
    model = network(L.RandomFlip("horizontal"), L.RandomTranslation(0.1, 0.1))
    model.fit(X, Y, batch_size=11, epochs=3, verbose=0)
    assert [array.tobytes() for array in model.get_weights()] == default[0]
    others = [train(shards=2), train(shards=3), whole()]
    assert len({tuple(bits) for bits, _ in [default, *others]}) == 4
    for _, history in others:
        assert np.allclose(history["loss"], default[1]["loss"], rtol=1e-4)


def test_bits_do_not_depend_on_threads():
    try:
        for threads in (2, 3):
            set_num_threads(threads)
            assert train() == whole()
    finally:
        set_num_threads(None)


def test_bits_do_not_depend_on_what_is_repeated_or_fused():
    models = [network().build((8, 8, 2)) for _ in range(3)]
    models[1]._training_plan().replays = False
    models[2].fuse = False
    expected, *others = [train(model) for model in models]
    assert others == [expected] * 2
    repeated = [sum(map(bool, model._plans.training._programs.values())) for model in models]
    assert repeated == [2, 0, 2]


class Dies(Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.steps_done == 7:
            raise KeyboardInterrupt


def test_a_training_is_taken_up_with_the_same_shards_only(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(callbacks=[Dies(), BackupAndRestore(tmp_path, save_freq=2)])
    with pytest.raises(ValueError, match=r"shards must be those of the checkpoint, 8, got 4"):
        train(resume_from=tmp_path, shards=4)
    assert train(resume_from=tmp_path) == whole()


class Own(L.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(name="gamma", shape=shape[-1:], initializer="ones")

    def forward(self, x):
        self.x = x
        return x * self.gamma

    def backward(self, dy):
        self.grads["gamma"] = (dy * self.x).sum(axis=0)
        return dy * self.gamma


@pytest.mark.parametrize(
    ("shards", "error", "words"),
    [
        (0, ValueError, "Sequential.fit: shards must be a positive int, got 0"),
        (2.0, TypeError, "shards must be a positive int, got 2.0"),
        (2, ValueError, r"shards must be 1 for a model with the layer 'mine' \(Own\), whose backward sums"),
    ],
)
def test_what_is_refused(shards, error, words):
    model = Sequential([L.Flatten(input_shape=(8, 8, 2)), Own(name="mine"), L.Dense(4)])
    model.compile("sgd", "mse")
    with pytest.raises(error, match=words):
        model.fit(X, np.zeros((len(X), 4)), shards=shards, verbose=0)


def test_what_waits_for_its_sum_is_an_array_a_level():
    (layer,) = built([L.Dense(50)], (400,), "float32")
    plan = Plan([layer], training=True, seed=1)
    plan.run.cut = Cut.of(64, 32)
    x = np.ones((64, 400), np.float32)
    plan.backward(plan.forward(x).copy())
    names = [name for name in plan.arena._memory if "dkernel" in name]
    assert len(names) == 6  # of 32 shards
