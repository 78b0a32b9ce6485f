"""Batches whose kernel calls are repeated: the same bits as without, whatever changes in between."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import cconv
from cconv import _kernels
from cconv import layers as L
from cconv.engine.plan import Plan
from cconv.engine.program import Program
from cconv.engine.replaying import MOST_PROGRAMS
from cconv.models import Sequential
from cconv.ops.run import Run, is_replayable, replayable

RNG = np.random.default_rng(31)

# One network for each kind of layer, and what it is given.
NETWORKS = {
    "winograd": [L.Conv2D(16, 3, padding="same", activation="relu"), L.Conv2D(32, 3, activation="tanh")],
    "direct": [L.Conv2D(5, 3, activation="relu6"), L.Conv2D(40, 2, strides=2, activation="leaky_relu")],
    "pointwise": [L.Conv2D(40, 1, activation="sigmoid"), L.Conv2D(3, 1)],
    "grouped": [L.Conv2D(6, 3, groups=3), L.DepthwiseConv2D(3, depth_multiplier=2)],
    "pooled": [L.Conv2D(9, 3, activation="relu"), L.MaxPooling2D(2), L.AveragePooling2D(2, 1)],
    "pooling": [L.MaxPooling2D(3, 2, padding="same"), L.GlobalAveragePooling2D(keepdims=True)],
    "normalized": [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(3.0, 0.1), L.Conv2D(4, 2, use_bias=False)],
    "normalization": [L.BatchNormalization(), L.Conv2D(4, 3, activation="relu"), L.BatchNormalization()],
    "reshaped": [L.Flatten(), L.Reshape((12, 5, 3)), L.ZeroPadding2D(2), L.Rescaling(0.5, 2.0)],
    "random": [L.RandomFlip(), L.Dropout(0.5), L.Conv2D(4, 3), L.Dropout(0.5), L.Activation("log_softmax")],
    "dense": [L.Flatten(), L.Dense(20, "tanh"), L.Dropout(0.2), L.Dense(7, "softmax")],
    "nothing": [L.Dropout(0.5), L.Flatten()],
}
SHAPE = (10, 6, 3)


def model_of(layers, dtype="float32", shape=SHAPE):
    model = Sequential([layer.clone() for layer in layers], seed=4, dtype=dtype).build(shape)
    model.compile("sgd", "categorical_crossentropy" if shape == SHAPE else "mse")
    change(model)
    return model


def change(model):
    """Give every weight and state other values, in place."""
    for layer in model.layers:
        for array in (*layer.params.values(), *layer.state.values()):
            array[...] = RNG.uniform(0.1, 0.6, array.shape)


def images(n, dtype=np.float32, shape=SHAPE):
    return RNG.normal(size=(n, *shape)).astype(dtype)


def fresh_plan(model):
    return Plan(model.layers, training=False, seed=model.seed, loss=model.loss, fuse=model.fuse)


def programs(model):
    return [program for program in model._plans.inference._programs.values() if program]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_repeated_calls_give_what_a_fresh_plan_gives(name, fuse, dtype):
    model = model_of(NETWORKS[name], dtype)
    model.fuse = fuse
    for turn in range(5):
        for n in (3, 1, 3):
            x = images(n, dtype)
            before = x.copy()
            assert np.array_equal(model.predict_on_batch(x), fresh_plan(model).predict(x))
            assert np.array_equal(x, before)
        if turn == 2:
            change(model)
    assert len(programs(model)) == (0 if name == "nothing" else 2)


def recorded(name="pooled", n=3):
    """A model that replays batches of n."""
    model = model_of(NETWORKS[name])
    for _ in range(2):
        model.predict_on_batch(images(n))
    assert len(programs(model)) == 1
    return model


def check(model, n=3):
    x = images(n)
    assert np.array_equal(model.predict_on_batch(x), fresh_plan(model).predict(x))


def test_a_batch_that_is_repeated_runs_no_layer(monkeypatch):
    model, x = recorded(), images(3)
    wanted = fresh_plan(model).predict(x)
    monkeypatch.delattr(Plan, "predict")
    assert np.array_equal(model.predict_on_batch(x), wanted)
    with pytest.raises(AttributeError, match="predict"):
        model.predict_on_batch(images(2))


def test_a_single_weight_that_changes_is_noticed():
    """Also where a kernel was kept transformed, which is for inference alone."""
    model = recorded("winograd")
    assert kernels_kept(model._plans.inference) == 1
    for layer in model.layers:
        for place in (0, -1):
            layer.params["kernel"].reshape(-1)[place] += 0.25
            check(model)
            check(model)
    classes = model.output_shape[-1]
    model.train_on_batch(images(3), np.full((3, *model.output_shape[1:]), 1 / classes))
    check(model)
    assert kernels_kept(model._plans.training) == 0


def kernels_kept(plan):
    """How many kernels a plan keeps transformed."""
    return sum(name[1] == "kept" for name in plan.arena._memory if isinstance(name, tuple))


def test_a_layer_that_is_built_again_is_noticed():
    model = recorded()
    kept = programs(model)
    model.layers[0].build(SHAPE, dtype="float32", seed=99)
    for _ in range(4):
        check(model)
    assert len(programs(model)) == 1
    assert programs(model) != kept


def test_training_is_noticed():
    model = recorded("dense")
    for _ in range(3):
        model.train_on_batch(images(4), np.eye(7)[:4])
        check(model)
        assert len(programs(model)) == 1


def test_memory_that_grows_is_noticed_and_small_batches_come_back():
    model = recorded()
    plan = model._plans.inference
    kept = programs(model)[0]
    check(model, 50)
    grown = plan.arena.growths
    for n in (3, 50, 3, 50, 7, 3, 50):
        check(model, n)
    assert kept not in programs(model)
    assert plan.arena.growths == grown
    assert len(programs(model)) == 2


def test_only_so_many_shapes_are_kept():
    model = recorded(n=40)
    for _ in range(2):
        for n in range(1, 30):
            check(model, n)
            assert len(model._plans.inference._programs) <= MOST_PROGRAMS
    assert programs(model) == []
    for _ in range(3):
        check(model, 40)
    assert len(programs(model)) == 1


def test_the_number_of_threads_is_noticed():
    try:
        cconv.set_num_threads(1)
        model = recorded("winograd")
        for threads in (1, 2, 3, 1, 2, 3):
            cconv.set_num_threads(threads)
            for _ in range(3):
                check(model)
            assert programs(model)
        assert len(programs(model)) == 3
    finally:
        cconv.set_num_threads(None)


def test_results_belong_to_the_caller_and_the_input_is_not_kept():
    model = recorded()
    x = images(3)
    y = model.predict_on_batch(x)
    assert len(programs(model)) == 1
    kept, gone = y.copy(), weakref.ref(x)
    model.predict_on_batch(images(3))
    assert np.array_equal(y, kept)
    assert y.flags.owndata
    del x
    gc.collect()
    assert gone() is None


def test_an_input_in_the_memory_of_the_weights():
    model = Sequential([L.Dense(4, use_bias=False)], seed=1).build((4,))
    kernel = model.layers[0].params["kernel"]
    wanted = kernel @ kernel
    for _ in range(4):
        np.testing.assert_allclose(model.predict_on_batch(kernel), wanted, rtol=1e-5)
    assert len(programs(model)) == 1
    x = np.eye(4, dtype=np.float32)
    assert np.array_equal(model.predict_on_batch(x), kernel)


@pytest.mark.parametrize(
    "given",
    [
        images(3).astype(np.float64),
        images(3).astype(">f4"),
        images(6)[::2],
        np.asfortranarray(images(3)),
        images(3).tolist(),
        RNG.integers(0, 255, (3, *SHAPE), dtype=np.uint8),
        np.frombuffer(b"\0" + images(3).tobytes(), np.uint8)[1:].view(np.float32).reshape(3, *SHAPE),
    ],
)
def test_inputs_that_must_be_converted_first(given):
    model = recorded()
    wanted = fresh_plan(model).predict(np.array(given, np.float32, order="C"))
    assert np.array_equal(model.predict_on_batch(given), wanted)
    assert len(model._plans.inference._programs) == len(programs(model)) == 1  # the one that was there


@pytest.mark.parametrize("wrong", [images(0)[..., :2], images(3)[..., :2], images(3)[0], images(3) + 1j])
def test_wrong_inputs_are_refused_as_ever(wrong):
    model = recorded()
    with pytest.raises((TypeError, ValueError), match=r"Sequential\.predict(_on_batch)?: "):
        model.predict_on_batch(wrong)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3", True])
def test_wrong_batch_sizes_are_refused_as_ever(wrong):
    model = recorded()
    with pytest.raises((TypeError, ValueError), match="batch_size"):
        model.predict(images(1), wrong)


class Doubled(L.Dense):
    """A layer of a user's, which works outside of the kernels."""

    def _affine(self, x, relu, run):
        return 2 * super()._affine(x, relu, run)


class Shifted(L.Flatten):
    """Another."""

    def _forward(self, x, run):
        return super()._forward(x, run) + 1


@pytest.mark.parametrize("own", [Doubled(3), Shifted()])
def test_layers_that_are_no_kernel_calls_are_not_replayed(own):
    model = Sequential([L.Dense(5), own, L.Dense(2)], seed=4).build((6,))
    for _ in range(4):
        x = images(3, shape=(6,))
        assert np.array_equal(model.predict_on_batch(x), fresh_plan(model).predict(x))
    assert programs(model) == []


def test_python_threads_predict_at_once():
    model = recorded("winograd")
    batches = [images(1 + i % 3) for i in range(24)]
    wanted = [fresh_plan(model).predict(x).copy() for x in batches]

    def predicted(x):
        return model.predict_on_batch(x), len(programs(model))

    counts = []
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for (found, count), expected in zip(pool.map(predicted, batches), wanted, strict=True):
                assert np.array_equal(found, expected)
                counts.append(count)
    assert max(counts) > 0


def test_channels_first():
    last = Sequential([L.Conv2D(4, 3), L.MaxPooling2D(2)], seed=1).build((8, 8, 2))
    first = {"data_format": "channels_first"}
    model = Sequential([L.Conv2D(4, 3, **first), L.MaxPooling2D(2, **first)], seed=1).build((2, 8, 8))
    for _ in range(4):
        x = images(2, shape=(8, 8, 2))
        y = model.predict_on_batch(np.ascontiguousarray(np.moveaxis(x, 3, 1)))
        assert np.array_equal(np.moveaxis(y, 1, 3), last.predict_on_batch(x))
    assert len(programs(model)) == len(programs(last)) == 1


def test_a_program_needs_parts_of_the_input_in_a_row():
    x, y = np.zeros((2, 4)), np.zeros((2, 2))
    assert Program.of([(np.copyto, (y, x[:, :2]))], [x], y) is None
    assert Program.of([(np.copyto, (y, x.view(np.int64)[1].reshape(2, 2)))], [x], y) is None
    assert Program.of([(np.copyto, (y, x))], [x[:1]], y) is None
    assert Program.of([(np.copyto, (y, x[:1]))], [x[1:]], y) is not None
    assert Program.of([(np.copyto, (y, x.reshape(8)[2:6]))], [x[1:]], y) is None
    assert Program.of([(np.copyto, (y, x))], [x], x) is None
    assert Program.of([(np.copyto, (y.reshape(4), x.T[:2].reshape(4)))], [x], y) is not None


def test_a_program_takes_its_part_of_another_input():
    x, y = np.zeros((3, 4)), np.zeros((2, 4))
    program = Program.of([(np.copyto, (y, x[1:])), (np.add, (y, x.reshape(12)[2:6], y))], [x], y)
    x = images(3, np.float64, (4,))
    assert np.array_equal(program(x), x[1:] + x.ravel()[2:6])


def test_a_mark_is_not_inherited_by_what_overrides():
    class Plain:
        @replayable
        def act(self, run: Run) -> None:
            pass

    class Other(Plain):
        def act(self, run: Run) -> None:
            pass

    assert is_replayable(Plain().act)
    assert not is_replayable(Other().act)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_views_are_what_kernels_take(dtype):
    for shape in ((3,), (3, 4), (3, 1, 5), (2, 3, 4, 5)):
        array = np.ones(shape, dtype)
        seen = np.asarray(_kernels.view(array))
        assert (seen.dtype, seen.shape) == (array.dtype, shape)
        assert np.shares_memory(seen, array)
    for wrong in (
        np.ones((4, 4), dtype)[:, :2],
        np.ones((1, 1, 1, 1, 1), dtype),
        np.ones(3, dtype).astype(int),
    ):
        with pytest.raises(ValueError, match=r"contiguous|dimensions|mismatch"):
            _kernels.view(wrong)
