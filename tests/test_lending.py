"""Memory that is lent: nothing lies there that somebody will still read, and little of it is needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import random_graph

import cconv
from cconv import layers as L
from cconv.engine import keeping
from cconv.engine.keeping import JOINING, MOVING
from cconv.engine.lending import Lender
from cconv.engine.memory import Arena
from cconv.engine.plan import Plan
from cconv.models import Model, Sequential

RNG = np.random.default_rng(11)


# --- the lender ---------------------------------------------------------------------------------


def numbers(lender, count):
    array = lender.array((count,), np.float32)
    array[...] = RNG.random(count)
    return array


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_nothing_that_is_kept_is_overwritten(seed):
    rng = np.random.default_rng(seed)
    arena = Arena()
    lender = Lender(arena)
    for _ in range(3):
        lender.begin()
        kept = []
        for number in range(30):
            kind = rng.integers(4)
            if kind == 0:
                lender.adopt(arena.array(("other", number), (int(rng.integers(900)),), np.uint8))
                lender.keep_only([array for array, _ in kept])
            elif kind == 1 and kept:
                del kept[int(rng.integers(len(kept)))]
                lender.keep_only([array for array, _ in kept])
            else:
                array = numbers(lender, int(rng.integers(1, 99)))
                kept.append((array, array.copy()))
                assert array.ctypes.data % 64 == 0
                assert lender.lends(array)
            assert all(np.array_equal(array, copy) for array, copy in kept)


def test_gaps_are_filled_and_joined():
    arena = Arena()
    lender = Lender(arena)
    a, b, c, d = (numbers(lender, 16) for _ in range(4))
    lender.keep_only([a])
    assert not lender.lends(b)
    lender.begin()
    assert arena.nbytes == 4 * 64
    # A larger one takes the place of one that nobody has.
    lender.array((48,), np.float32)
    assert arena.nbytes == 3 * 64 + 192
    lender.begin()
    a, b, c, d = (numbers(lender, 16) for _ in range(4))
    lender.keep_only([c, a, d])
    assert np.shares_memory(lender.array((1,), np.float32), b)
    lender.begin()
    a = lender.array((48,), np.float32)
    lender.begin()
    first, second, third = (numbers(lender, 16) for _ in range(3))
    del first
    lender.keep_only([second, third])
    lender.keep_only([third])
    both = lender.array((32,), np.float32)
    lender.keep_only([])
    assert np.shares_memory(lender.array((48,), np.float32), both)
    assert arena.nbytes == 3 * 64 + 192


def test_memory_of_others_is_lent_first_and_only_until_the_next_batch():
    arena = Arena()
    lender = Lender(arena)
    own = lender.array((16,), np.float32)
    lender.keep_only([])
    other = arena.array("other", (40,), np.float32)
    lender.adopt(other.view(np.uint8))
    assert lender.lends(other)
    lender.keep_only([other[3:5]])
    assert np.shares_memory(lender.array((16,), np.float32), own)
    lender.keep_only([])
    # Also where its own would do exactly.
    assert np.shares_memory(lender.array((16,), np.float32), other)
    assert np.shares_memory(lender.array((16,), np.float32), other)
    assert np.shares_memory(lender.array((16,), np.float32), own)
    lender.begin()
    assert not np.shares_memory(lender.array((16,), np.float32), other)
    assert not np.shares_memory(lender.array((16,), np.float32), other)


def test_memory_of_others_is_not_made_larger():
    arena = Arena()
    lender = Lender(arena)
    places = []
    for _ in range(2):
        lender.begin()
        lender.adopt(arena.array("other", (64,), np.uint8))
        lender.keep_only([])
        places.append(lender.array((48,), np.float32).ctypes.data)
        assert arena.nbytes == 64 + 192
    assert places[0] == places[1]


# --- what a training reads again ----------------------------------------------------------------


def spoiled(monkeypatch):
    """Write NaN wherever nobody is to read any more."""
    take_back = Lender._take_back

    def spoil(self, span):
        self._pieces[span.piece][span.begin : span.end] = 255
        take_back(self, span)

    monkeypatch.setattr(Lender, "_take_back", spoil)


ARGUMENTS = {
    L.Cropping1D: (1,),
    L.Cropping2D: (1,),
    L.Resizing: (5, 7),
}


def of_kind(kind, x):
    """What a layer of one or more inputs gives for x, behind a linear layer and in front of a pooling."""
    before = L.Dense(3)(x)
    if kind in JOINING:
        return kind()([before, L.Dense(3)(x), L.ReLU()(before)][: 2 if kind is L.Subtract else 3])
    y = kind(*ARGUMENTS.get(kind, ()))(before)
    return L.Dense(2)(y)


def network_of(kind):
    """A network in which a layer stands between others that keep little."""
    x = L.Input((9, 3) if kind.__name__.endswith("1D") else (6, 8, 3))
    y = of_kind(kind, x)
    y = L.Dense(3)(L.Activation("tanh")(L.BatchNormalization()(y)))
    return Model(x, L.Dense(3, activation="softmax")(L.Flatten()(y)), seed=3)


def weights_after(model, *, fuse=True, threads=2, batches=(4, 4, 3, 4), recorded=True):
    """The weights after some steps, each of so many samples."""
    model.fuse = fuse
    model.compile(cconv.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(5)
    with cconv.threads.limit(threads):
        for n in batches:
            x = rng.normal(size=(n, *model.input_shape[1:])).astype(model.dtype)
            if not recorded:
                model._plans.training = None
            model.train_on_batch(x, rng.integers(3, size=n))
    return [array.tobytes() for array in model.get_weights()]


def check_spoiled(make, monkeypatch):
    with monkeypatch.context() as patched:
        # All outputs are kept: what is written over others would be the same in both.
        patched.setattr(keeping, "kept_of", lambda step: keeping.ALL)
        wanted = weights_after(make(), threads=1)
    with monkeypatch.context() as patched:
        spoiled(patched)
        for fuse, threads, recorded in ((True, 1, True), (False, 3, True), (True, 2, False)):
            assert weights_after(make(), fuse=fuse, threads=threads, recorded=recorded) == wanted


@pytest.mark.parametrize("kind", [*JOINING, *MOVING], ids=lambda kind: kind.__name__)
def test_no_layer_reads_what_it_has_not_kept(kind, monkeypatch):
    check_spoiled(lambda: network_of(kind), monkeypatch)


ACTIVATIONS = ("relu", "relu6", "tanh", "silu", "linear", "gelu")


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_activation_reads_what_it_has_not_kept(name, frozen, monkeypatch):
    def make():
        x = L.Input((6, 6, 3))
        first = L.Conv2D(4, 3, activation=name)(x)
        both = L.Add()([first, L.BatchNormalization(trainable=not frozen)(L.Conv2D(4, 1)(first))])
        y = L.Activation(name)(L.BatchNormalization(trainable=not frozen)(L.Activation(name)(both)))
        # What reads it keeps it; a linear activation gives the array that it is given, as does a sum of one.
        y = L.Conv2D(4, 1)(L.Activation(name)(L.BatchNormalization(trainable=not frozen)(y)))
        y = L.Conv2D(4, 1)(L.Add()([L.BatchNormalization(trainable=not frozen)(y)]))
        y = L.MaxPooling2D(2)(L.Conv2D(3, 3, padding="same", activation=name)(L.MaxPooling2D(2)(y)))
        return Model(x, L.Dense(3, activation="softmax")(L.Flatten()(y)), seed=1)

    check_spoiled(make, monkeypatch)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_no_random_graph_reads_what_it_has_not_kept(seed):
    config = random_graph(np.random.default_rng(seed), dtype="float32").get_config()
    with pytest.MonkeyPatch.context() as patched:
        check_spoiled(lambda: Model.from_config(config), patched)


def test_what_is_frozen_between_steps_is_kept_anew(monkeypatch):
    def make():
        blocks = [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(2)]
        return Sequential([*blocks, L.Flatten(), L.Dense(3, activation="softmax")], seed=2).build((8, 8, 2))

    found = []
    for spoil in (False, True):
        with monkeypatch.context() as patched:
            if spoil:
                spoiled(patched)
            model = make()
            for trainable in (True, False, True):
                model.layers[1].trainable = trainable
                found.append(weights_after(model, batches=(4, 4, 4)))
    assert found[:3] == found[3:]


# --- what is the user's -------------------------------------------------------------------------


class Remembering(L.Layer):
    """Keeps what it has seen, and gives the same array as a gradient every time."""

    def forward(self, x):
        self.seen, self.copied = x, x.copy()
        return x * 2

    def backward(self, dy):
        self.dx = np.full_like(dy, 0.25)
        return self.dx


def test_what_a_layer_of_the_users_has_seen_or_given_is_not_overwritten():
    x = L.Input((5, 5, 2))
    own = Remembering()
    h = L.Conv2D(3, 1)(x)
    y = L.Add()([L.Conv2D(3, 1)(h), L.BatchNormalization()(h), own(h)])
    model = Model(x, L.Dense(3, activation="softmax")(L.Flatten()(y)), seed=1)
    weights_after(model)
    assert np.array_equal(own.seen, own.copied)
    assert (own.dx == 0.25).all()


def test_the_output_and_the_gradient_that_was_given_are_left_alone():
    block = [L.Conv2D(3, 1), L.BatchNormalization(), L.ReLU(), L.Reshape((-1,))]
    model = Sequential(block, seed=1).build((4, 4, 3))
    plan = Plan(model.layers, training=True, seed=1)
    y = plan.forward(RNG.normal(size=(2, 4, 4, 3)).astype(np.float32))
    dy = RNG.normal(size=y.shape).astype(np.float32)
    before = y.copy(), dy.copy()
    plan.backward(dy)
    assert np.array_equal(y, before[0])
    assert np.array_equal(dy, before[1])


# --- how much it is -----------------------------------------------------------------------------


def outputs_of(plan, y):
    """How many outputs as large as y the arena holds, and how many of these are lent."""
    memory = plan.arena._memory
    lent = sum(memory[name].nbytes for name in memory if isinstance(name, tuple) and name[0] == "lent")
    named = sum(memory[name].nbytes for name in memory if isinstance(name, tuple) and name[1] == "y")
    return named / y.nbytes, lent / y.nbytes


def test_a_u_net_holds_what_it_reads_again_and_one_gradient():
    """In units of the first convolution's output."""
    model = cconv.applications.UNet((64, 64, 1), filters=8, depth=2, dropout_rate=0, seed=0)
    loss = cconv.losses.SparseCategoricalCrossentropy()
    plan = Plan(model._flow(), training=True, seed=1, loss=loss)
    y = plan.forward(RNG.normal(size=(2, 64, 64, 1)).astype(np.float32))
    plan.backward(np.ones_like(y))
    one = np.empty((2, 64, 64, 8), np.float32)
    named, lent = outputs_of(plan, one)
    level = 2 + 1 / 4 + 2 + 2  # two convolutions and a pooling down, a concatenation and two convolutions up
    assert named == level + level / 2 + 2 / 4 + 1 / 4  # the convolutions at the bottom, the logits
    assert lent == 2  # the gradient of the large concatenation


def test_a_residual_block_holds_no_sum_that_nobody_reads_again():
    x = h = L.Input((16, 16, 8))
    for _ in range(6):
        r = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 1)(h)))
        h = L.ReLU()(L.Add()([L.BatchNormalization()(L.Conv2D(8, 1)(r)), h]))
    plan = Plan(Model(x, h, seed=1)._flow(), training=True, seed=1)
    y = plan.forward(RNG.normal(size=(4, 16, 16, 8)).astype(np.float32))
    plan.backward(np.ones_like(y))
    named, lent = outputs_of(plan, y)
    # Of each block two convolutions' and the last one; two that are computed again take turns.
    assert named == 6 * 3 + 2
    assert lent <= 2
