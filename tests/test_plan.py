"""The plan: memory that is kept, gradients that are not computed, logits."""

import numpy as np
import pytest

from cconv.engine import parts
from cconv.engine.fusing import steps_of
from cconv.engine.memory import Arena, PlanRun
from cconv.engine.plan import Plan
from cconv.engine.steps import PooledConvolution
from cconv.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Reshape,
)
from cconv.losses import CategoricalCrossentropy, MeanSquaredError
from cconv.models import Sequential
from cconv.ops.run import is_replayable

RNG = np.random.default_rng(5)


def cut(steps, x):
    """In how many steps and of how many samples the batch is cut, where each value is read once."""
    readers = [0] * (max(step.value for step in steps) + 1)
    for value in (*(value for step in steps for value in step.sources), steps[-1].value):
        readers[value] += 1
    return parts.cut_batch(steps, x, readers)


def chain(*layers, shape=(8, 8, 2), seed=3, dtype="float32"):
    for number, layer in enumerate(layers):
        layer.key = number
        layer.build(shape, dtype=dtype, seed=seed)
        shape = layer.output_shape
    return list(layers)


def network(**options):
    return chain(
        Conv2D(3, 3, activation="tanh"),
        MaxPooling2D(2),
        Dropout(0.2),
        Conv2D(4, 2, activation="relu"),
        Flatten(),
        Dense(5, activation="softmax"),
        **options,
    )


def images(n):
    return RNG.normal(size=(n, 8, 8, 2)).astype(np.float32)


def one_hot(n):
    return np.eye(5, dtype=np.float32)[RNG.integers(0, 5, n)]


def train(plan, x, y, step=0):
    logits = plan.forward(x, step)
    loss, dy = plan.loss_of(y, logits, None)
    plan.backward(dy)
    return loss


# --- memory ------------------------------------------------------------------------------------


def test_arena_gives_the_same_memory_until_more_is_asked_for():
    arena = Arena()
    first = arena.array("a", (4, 8), np.float32)
    assert first.ctypes.data % 64 == 0
    assert first.flags.c_contiguous
    assert arena.array("a", (4, 8), np.float32) is first
    assert arena.array("a", (2, 8), np.float64).ctypes.data == first.ctypes.data
    assert arena.array("b", (4, 8), np.float32).ctypes.data != first.ctypes.data
    before = arena.nbytes
    larger = arena.array("a", (5, 8), np.float32)
    assert larger.shape == (5, 8)
    assert arena.nbytes == before + 32
    with pytest.raises(MemoryError):
        arena.array("c", (2**40, 2**20), np.float32)
    assert arena.array("c", (2,), np.float32).shape == (2,)


def test_reserved_memory_never_moves_under_an_array():
    arena = Arena()
    arena.reserve("y", 64)
    growths = arena.growths
    first, second = arena.array("y", (8,), np.float64), arena.array("y", (4,), np.float32)
    assert np.shares_memory(first, second)
    assert arena.growths == growths
    with pytest.raises(RuntimeError, match="'y' must be reserved with 72 bytes before it is used"):
        arena.array("y", (9,), np.float64)
    arena.reserve("y", 72)
    assert arena.growths == growths + 1
    assert arena.array("y", (9,), np.float64).shape == (9,)
    assert not np.shares_memory(arena.array("y", (8,), np.float64), first)


def test_one_name_asked_for_twice_in_a_pass_is_two_arrays():
    run = PlanRun(Arena(), training=True, seed=0)
    run.enter("here", 0, "")
    first, second = run.empty("y", (3,), np.float32), run.empty("y", (3,), np.float32)
    assert not np.shares_memory(first, second)
    run.enter("here", 0, "")
    assert run.empty("y", (3,), np.float32) is first


def test_what_is_kept_is_for_one_call_of_one_pass_in_inference():
    run = PlanRun(Arena(), training=False, seed=0)
    found = []
    for _ in range(2):
        for place in ("a", "b"):
            run.enter(place, 0, "*")
            found += [run.kept(what, 8, np.dtype("float32")) for what in ("k", "k", "l")]
    first, second = found[:6], found[6:]
    assert all(memory[0] == 0 for memory in first)
    assert len({memory.ctypes.data for memory in first}) == 6
    assert [memory.ctypes.data for memory in second] == [memory.ctypes.data for memory in first]
    first[0][0] = 1
    run.enter("a", 1, "*")
    assert run.kept("k", 8, np.dtype("float32"))[0] == 1
    assert PlanRun(Arena(), training=True, seed=0).kept("k", 8, np.dtype("float32")) is None


def test_training_allocates_once_for_any_number_of_steps_and_batch_sizes():
    plan = Plan(network(), training=True, seed=3, loss=CategoricalCrossentropy())
    train(plan, images(32), one_hot(32))
    reserved = plan.arena.nbytes
    places = {name: memory.ctypes.data for name, memory in plan.arena._memory.items()}
    for step, n in enumerate((32, 7, 32, 1), start=1):
        train(plan, images(n), one_hot(n), step)
        assert plan.arena.nbytes == reserved
        assert {name: memory.ctypes.data for name, memory in plan.arena._memory.items()} == places


def test_inference_takes_turns_in_two_places():
    """Ten layers need little more than the two largest outputs, and give what the layers give."""
    layers = chain(*(Conv2D(4, 3, padding="same", activation="relu") for _ in range(10)), shape=(16, 16, 4))
    x = RNG.normal(size=(8, 16, 16, 4)).astype(np.float32)
    plan = Plan(layers, training=False, seed=3)
    y = plan.forward(x)
    assert plan.arena.nbytes < 3 * y.nbytes
    for layer in layers:
        x = layer.forward(x)
    assert np.array_equal(x, y)


def test_layers_that_pass_their_input_on_do_not_spoil_the_turns():
    layers = chain(
        Conv2D(2, 3, padding="same", activation="tanh"),
        Dropout(0.5),
        Conv2D(2, 3, padding="same"),
        Dropout(0.5),
        Activation("linear"),
        Flatten(),
        Dense(6),
        Dropout(0.5),
        Dense(6, activation="sigmoid"),
    )
    x = images(4)
    plan = Plan(layers, training=False, seed=3)
    y = plan.forward(x)
    for layer in layers:
        x = layer.forward(x)
    assert np.array_equal(x, y)


# --- a batch in parts ----------------------------------------------------------------------------

FIRST = {"data_format": "channels_first"}
# Each with how many of its steps take a batch of 7 in parts.
IN_PARTS = {
    "pooled": (
        [Conv2D(3, 3, activation="relu"), MaxPooling2D(2), Conv2D(4, 2), AveragePooling2D(2), Conv2D(2, 1)],
        3,
    ),
    "activation last": ([Conv2D(3, 3), Conv2D(5, 3, activation="tanh"), Conv2D(2, 1, activation="tanh")], 3),
    "normalized": ([Conv2D(3, 1), BatchNormalization(), DepthwiseConv2D(3), BatchNormalization(),
                    Activation("relu"), Conv2D(4, 1), GlobalAveragePooling2D()], 4),
    "passing on": ([Conv2D(3, 3), Dropout(0.5), Conv2D(3, 3), Conv2D(2, 1), Flatten(), Reshape((32,))], 4),
    "dense": ([Conv2D(3, 3), Conv2D(3, 3), MaxPooling2D(2), Flatten(), Dense(5, "softmax"), Dense(3)], 5),
    "channels first": ([Conv2D(3, (1, 3), **FIRST), Conv2D(4, 2, **FIRST), MaxPooling2D(3, 2, **FIRST),
                        AveragePooling2D(2, 1, **FIRST)], 3),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", IN_PARTS)
def test_a_batch_in_parts_gives_what_it_gives_whole(monkeypatch, name, dtype):
    layers, front = IN_PARTS[name]
    shape = (2, 8, 8) if name == "channels first" else (8, 8, 2)
    model = Sequential([layer.clone() for layer in layers], seed=4, dtype=dtype).build(shape)
    for layer in model.layers:
        for array in (*layer.params.values(), *layer.state.values()):
            array[...] = RNG.uniform(0.1, 0.6, array.shape)
    whole = Plan(model.layers, training=False, seed=4)
    x = images(7).astype(dtype)
    y = whole.predict(x).copy()
    given, y = (np.moveaxis(a, 3, 1).copy() if shape[0] == 2 and a.ndim == 4 else a for a in (x, y))
    monkeypatch.setattr(parts, "LEAST_BYTES", 1)
    sizes = set()
    for part_bytes in (1, 2000, 4000):
        monkeypatch.setattr(parts, "PART_BYTES", part_bytes)
        count, samples = cut(steps_of(model.layers, training=False), x)
        assert count == front
        sizes.add(samples)
        before = given.copy()
        model._forget_plans()
        for _ in range(3):  # as it is, recorded, and repeated
            assert np.array_equal(model.predict_on_batch(given), y)
        assert np.array_equal(given, before)
        assert [bool(program) for program in model._plans.inference._programs.values()] == [True]
    assert 1 in sizes
    assert len(sizes) > 1


def test_batches_of_little_and_networks_of_few_steps_stay_whole(monkeypatch):
    monkeypatch.setattr(parts, "PART_BYTES", 1)
    layers = chain(Conv2D(9, 3), Conv2D(9, 3), Conv2D(9, 1))
    x = images(64)
    bytes_of_a_step = (6 * 6 * 9 + 4 * 4 * 9) * 4  # the second's; the others have less
    steps = steps_of(layers, training=False)
    monkeypatch.setattr(parts, "LEAST_BYTES", 64 * bytes_of_a_step)
    assert cut(steps, x) == (0, 0)
    monkeypatch.setattr(parts, "LEAST_BYTES", 1)
    assert cut(steps, x) == (3, 1)
    assert cut(steps, x[:1]) == (0, 0)
    assert cut(steps[:2], x) == (0, 0)
    passing = chain(Conv2D(9, 3), Dropout(0.5), Conv2D(9, 3))  # two of them write
    assert cut(steps_of(passing, training=False), x) == (0, 0)
    monkeypatch.setattr(parts, "WEIGHT_BYTES", layers[1].params["kernel"].nbytes)
    assert cut(steps, x) == (0, 0)


def test_parts_leave_images_for_the_lanes(monkeypatch):
    monkeypatch.setattr(parts, "LEAST_BYTES", 1)
    monkeypatch.setattr(parts, "PART_BYTES", 1)
    steps = steps_of(chain(Conv2D(9, 3), Conv2D(8, 3), Conv2D(9, 1)), training=False)  # 8: half a vector
    x = images(47)
    assert cut(steps, x) == (3, 24)
    assert cut(steps, x[:31]) == (0, 0)
    assert cut(steps, x[:15]) == (3, 1)  # too few for the lanes anyway
    assert cut(steps[:1] * 3, x) == (3, 1)


def test_a_layer_of_the_users_own_sees_the_whole_batch(monkeypatch):
    class Centred(Activation):
        def _forward(self, x, run):
            return x - x.mean(axis=0)

    monkeypatch.setattr(parts, "LEAST_BYTES", 1)
    monkeypatch.setattr(parts, "PART_BYTES", 1)
    layers = chain(Conv2D(3, 3), Conv2D(3, 1), Conv2D(2, 1), Centred("linear"), Conv2D(2, 1))
    assert not is_replayable(layers[3]._forward)
    x = images(6)
    assert cut(steps_of(layers, training=False), x) == (3, 1)
    y = Plan(layers, training=False, seed=3).forward(x)
    for layer in layers:
        x = layer.forward(x)
    assert np.array_equal(x, y)


def test_parts_need_little_memory(monkeypatch):
    layers = chain(*(Conv2D(9, 3, padding="same") for _ in range(4)), MaxPooling2D(4), shape=(64, 64, 9))
    x = RNG.normal(size=(48, 64, 64, 9)).astype(np.float32)
    with monkeypatch.context() as whole:
        whole.setattr(parts, "LEAST_BYTES", 1 << 60)
        y = Plan(layers, training=False, seed=3).forward(x)
    monkeypatch.setattr(parts, "PART_BYTES", 2 * x[0].nbytes)
    plan = Plan(layers, training=False, seed=3)
    assert np.array_equal(plan.forward(x), y)
    assert plan.arena.nbytes < x.nbytes / 4


# --- gradients ---------------------------------------------------------------------------------


def by_hand(layers, x, dy, monkeypatch=None):
    """Forward and backward with fresh memory everywhere; the gradients of every layer."""
    for layer in layers:
        x = layer.forward(x, training=True)
    for layer in reversed(layers):
        dy = layer.backward(dy)
    return [{name: g.copy() for name, g in layer.grads.items()} for layer in layers]


def test_gradients_equal_those_with_fresh_memory():
    x, dy = images(6), RNG.normal(size=(6, 5)).astype(np.float32)
    expected = by_hand(network(), x, dy)
    layers = network()
    plan = Plan(layers, training=True, seed=3, loss=MeanSquaredError())
    for _ in range(2):
        plan.forward(x, step=0)
        plan.backward(dy)
    for layer, grads in zip(layers, expected, strict=True):
        assert set(layer.grads) == set(grads)
        for name, g in grads.items():
            assert np.array_equal(layer.grads[name], g)


def test_the_input_gradient_of_the_first_weights_is_not_computed(monkeypatch):
    asked = []
    layers = chain(Activation("tanh"), MaxPooling2D(2), Conv2D(2, 2), Flatten(), Dense(3))
    for layer in layers:

        def spy(dy, run, need_dx=True, layer=layer, plain=layer._backward):
            asked.append((layer.name, need_dx))
            return plain(dy, run, need_dx=need_dx)

        monkeypatch.setattr(layer, "_backward", spy)
    plan = Plan(layers, training=True, seed=3, loss=MeanSquaredError())
    dy = np.ones_like(plan.forward(images(2)))
    plan.backward(dy)
    assert asked == [("dense", True), ("flatten", True), ("conv2d", False)]
    asked.clear()
    layers[2].trainable = False
    plan.backward(dy)
    assert asked == [("dense", False)]
    asked.clear()
    layers[4].trainable = False
    plan.backward(dy)
    assert asked == []


# --- logits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "loss", "split"),
    [
        (Dense(5, activation="softmax"), CategoricalCrossentropy(), True),
        (Activation("softmax"), CategoricalCrossentropy(), True),
        (Dense(5, activation="softmax"), CategoricalCrossentropy(from_logits=True), False),
        (Dense(5, activation="softmax"), MeanSquaredError(), False),
        (Dense(5, activation="sigmoid"), CategoricalCrossentropy(), False),
        (Dense(5, activation="softmax"), None, False),
        (Dropout(0.5), CategoricalCrossentropy(), False),
    ],
)
def test_the_last_activation_is_left_to_the_loss(last, loss, split):
    layers = chain(Flatten(), Dense(5), last)
    plan = Plan(layers, training=False, seed=3, loss=loss)
    assert (plan.activation is not None) == split
    x = images(4)
    logits = plan.forward(x).copy()
    y = plan.finish(plan.forward(x)).copy()
    for layer in layers:
        x = layer.forward(x)
    assert np.array_equal(y, x)
    assert np.array_equal(logits, y) != split


def test_splitting_leaves_the_layer_as_it_is():
    layers = network()
    plan = Plan(layers, training=True, seed=3, loss=CategoricalCrossentropy())
    train(plan, images(4), one_hot(4))
    assert layers[-1].activation.key == "softmax"
    assert set(layers[-1].grads) == {"kernel", "bias"}
    assert layers[-1].forward(np.ones((1, 16), np.float32)).sum() == pytest.approx(1)


def test_first_not_finite():
    layers = network()
    plan = Plan(layers, training=True, seed=3, loss=CategoricalCrossentropy())
    plan.forward(images(2))
    assert plan.first_not_finite() is None
    layers[3].params["bias"][...] = np.inf
    plan.forward(images(2))
    assert plan.first_not_finite() == 3


FUSED = [
    ("valid", {"pool_size": 2}),
    ("same", {"pool_size": 3, "strides": 1, "padding": "same"}),
    ("same", {"pool_size": 2, "strides": 3, "ceil_mode": True}),
]


def check_fused(chain, x, y, dtype, pooled):
    """Training and prediction have the same bits with and without fusing, which makes so many steps."""

    def trained(fuse):
        model = Sequential([layer.clone() for layer in chain], seed=3, dtype=dtype)
        model.fuse = fuse
        model.build(x.shape[1:])
        model.compile("adam", "sparse_categorical_crossentropy")
        for _ in range(3):
            model.train_on_batch(x, y)
        steps = [type(step) for step in model._plans.training.steps]
        return steps, [*(w.tobytes() for w in model.get_weights()), model.predict(x).tobytes()]

    steps, fused = trained(True)
    assert steps.count(PooledConvolution) == pooled
    steps, plain = trained(False)
    assert PooledConvolution not in steps
    assert fused == plain


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("padding", "pool"), FUSED)
def test_convolution_and_pooling_in_one_step_give_the_bits_of_two(padding, pool, dtype):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((21, 17, 14, 2)).astype(dtype), rng.integers(0, 10, 21)
    chain = [
        Conv2D(30, 5, activation="relu", padding=padding),
        MaxPooling2D(**pool),
        Conv2D(7, (3, 2), padding="same"),
        MaxPooling2D(3, strides=2, padding="same"),
        Flatten(),
        Dense(10, activation="softmax"),
    ]
    check_fused(chain, x, y, dtype, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", None])
@pytest.mark.parametrize("size", [(13, 14), (6, 5), (2, 3)])
def test_winograd_convolution_and_pooling_in_one_step_give_the_bits_of_two(size, activation, dtype):
    """Tiles that pooling sees whole, in part or not at all, read and written without the image between."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((21, *size, 2)).astype(dtype), rng.integers(0, 10, 21)
    chain = [
        Conv2D(18, 3, padding="same"),
        Conv2D(35, 3, padding=((1, 1), (2, 1)), activation=activation, algorithm="winograd"),
        MaxPooling2D(2),
        Flatten(),
        Dense(10, activation="softmax"),
    ]
    check_fused(chain, x, y, dtype, 1)
