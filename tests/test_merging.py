"""Layers of several inputs: Keras' results, both data formats, gradients, and what they refuse."""

import copy
import json
import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import central_differences, many, normal, on_all_threads, seeds

from cconv import layers
from cconv.engine.memory import Arena, PlanRun
from cconv.layers.merging import Divide, Merge

TABLE = json.loads((Path(__file__).parent / "data" / "merging.json").read_text())
KINDS = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Divide", "Concatenate", "Dot")
OF_TWO = ("Subtract", "Divide", "Dot")
FOLDED = ("Add", "Multiply", "Average", "Maximum", "Minimum")


def make(kind, **options):
    return build(kind, {"axes": -1} if kind == "Dot" else {}, **options)


def build(kind, options, **more):
    return (Divide if kind == "Divide" else getattr(layers, kind))(**options, **more)


def arrays(seed, dtype, shapes, n=3):
    """Inputs of those shapes, away from zero, where Divide would have gradients of any size."""
    return [
        np.where(x < 0, x - 0.5, x + 0.5).astype(dtype)
        for x in normal(seed, dtype, *((n, *s) for s in shapes))
    ]


def named(case):
    return f"{case['name']} {case['options']} {case['shapes']}".replace("'", "")


@pytest.mark.parametrize("case", TABLE["cases"], ids=named)
def test_keras(case):
    xs = [np.array(x).reshape(shape) for x, shape in zip(case["x"], case["shapes"], strict=True)]
    layer = getattr(layers, case["name"])(**case["options"])
    assert layer.compute_output_shape([x.shape[1:] for x in xs]) == tuple(case["shape"][1:])
    for _ in range(2):
        y = layer.forward(xs, training=True)
        assert y.shape == tuple(case["shape"])
        np.testing.assert_allclose(y.ravel(), case["y"], rtol=2e-9, atol=2e-9)
        gradients = layer.backward(np.array(case["dy"]).reshape(y.shape))
        for x, dx, wanted in zip(xs, gradients, case["dx"], strict=True):
            assert dx.shape == x.shape
            np.testing.assert_allclose(dx.ravel(), wanted, rtol=2e-9, atol=2e-9)
    narrow = type(layer)(**layer.get_config())([x.astype("float32") for x in xs])
    assert narrow.dtype == "float32"
    np.testing.assert_allclose(narrow.ravel(), case["y"], rtol=2e-6, atol=2e-6)


@st.composite
def mergings(draw):
    """A layer's name and options, and the shapes of its inputs, which fit."""
    name = draw(st.sampled_from(KINDS))
    number = 2 if name in OF_TWO else draw(st.integers(1, 4))
    rank = draw(st.integers(1, 4))
    whole = draw(st.lists(st.integers(1, 5), min_size=rank, max_size=rank).map(tuple))
    if name == "Concatenate":
        axis = draw(st.integers(1, rank))
        shapes = [(*whole[: axis - 1], draw(st.integers(1, 20)), *whole[axis:]) for _ in range(number)]
        return name, {"axis": draw(st.sampled_from([axis, axis - rank - 1]))}, shapes
    if name == "Dot":
        other = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
        axes = draw(st.integers(1, rank)), draw(st.integers(1, len(other)))
        other = (*other[: axes[1] - 1], whole[axes[0] - 1], *other[axes[1] :])
        return name, {"axes": axes, "normalize": draw(st.booleans())}, [whole, other]
    shapes = []
    for _ in range(number):
        kept = draw(st.lists(st.booleans(), min_size=rank, max_size=rank))
        shape = tuple(extent if keep else 1 for extent, keep in zip(whole, kept, strict=True))
        shapes.append(shape[draw(st.integers(0, rank - 1)) :])
    return name, {}, shapes


@given(mergings(), seeds)
@many
def test_gradients_are_central_differences(merging, seed):
    name, options, shapes = merging
    xs = arrays(seed, float, shapes, n=2)
    # Apart by more than a difference quotient's step, each input on a grid of its own: maxima have kinks.
    xs = [np.round(x, 3) + 1e-4 * (1 + number) for number, x in enumerate(xs)]
    layer = build(name, options)

    def passes():
        y = layer.forward(xs, training=True)
        dy = np.cos(np.arange(y.size)).reshape(y.shape)
        return y, dy, layer.backward(dy)

    y, dy, gradients = on_all_threads(passes)
    assert y.shape == (2, *layer.compute_output_shape(shapes))
    if sum(x.size for x in xs) > 300:
        return
    for number, dx in enumerate(gradients):

        def loss(x, number=number):
            return np.sum(dy * layer.forward([*xs[:number], x, *xs[number + 1 :]]))

        wanted = central_differences(loss, xs[number])
        np.testing.assert_allclose(dx, wanted, rtol=0, atol=2e-6 * max(1.0, float(np.abs(wanted).max())))


@given(mergings(), st.sampled_from(["float32", "float64"]), seeds)
@many
def test_channels_first_is_channels_last_with_named_axes_moved(merging, dtype, seed):
    """Alone, a layer that the model has told channels_first gives what Keras' rule on (c, h, w) gives."""
    name, options, shapes = merging
    xs = arrays(seed, dtype, shapes)
    plain, told = build(name, options), build(name, options)
    told._meet_format("channels_first")
    assert told._named_format() is None
    wanted = plain.forward(xs, training=True)
    y = told.forward(xs, training=True)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
    assert y.flags.c_contiguous
    assert told.compute_output_shape(shapes) == told.output_shape == plain.output_shape
    dy = normal(seed, dtype, y.shape)[0]
    for dx, other in zip(told.backward(dy), plain.backward(dy), strict=True):
        np.testing.assert_allclose(dx, other, rtol=1e-4, atol=1e-5)


@given(mergings(), seeds)
@many
def test_passes_of_a_plan(merging, seed):
    """The same bits in memory that is used again, gradients that nobody needs left out, inputs untouched."""
    name, options, shapes = merging
    layer = build(name, options).build(shapes, dtype="float32")
    run = PlanRun(Arena(), True, 0)
    inner = tuple(layer._inner(shape) for shape in shapes)
    assert layer._replays(True)
    for n in (3, 2, 5):
        xs = tuple(arrays(seed + n, "float32", inner, n))
        before = [x.tobytes() for x in xs]
        wanted = layer.forward(list(xs), training=True)
        dy = normal(seed, "float32", wanted.shape)[0]
        given_dy = dy.tobytes()
        gradients = layer.backward(dy)
        run.enter(0, 0, "")
        assert layer._forward(xs, run).tobytes() == wanted.tobytes()
        for need in ((True,) * len(xs), *(tuple(i == j for i in range(len(xs))) for j in range(len(xs)))):
            run.enter(0, 0, "")
            found = layer._backward(dy, run, need)
            assert isinstance(found, tuple)
            for asked, dx, truth in zip(need, found, gradients, strict=True):
                assert (dx is not None) == asked
                assert dx is None or (dx.shape == truth.shape and dx.tobytes() == truth.tobytes())
        assert dy.tobytes() == given_dy
        assert [x.tobytes() for x in xs] == before
        inference = PlanRun(Arena(), False, 0)
        inference.enter(0, 0, "")
        assert layer._forward(xs, inference).tobytes() == wanted.tobytes()
        assert [x.tobytes() for x in xs] == before


@pytest.mark.parametrize("name", KINDS)
def test_results_belong_to_the_caller(name):
    xs = arrays(0, "float32", [(4,)] * 2)
    layer = make(name)
    y = layer.forward(xs, training=True)
    dy = np.ones_like(y)
    gradients = layer.backward(dy)
    everything = [*xs, y, dy, *gradients]
    for number, one in enumerate(everything):
        assert one.flags.writeable
        assert not any(np.may_share_memory(one, other) for other in everything[:number])
    assert layer.forward(xs).tobytes() == y.tobytes()
    assert layer(xs).tobytes() == y.tobytes()
    assert layer.forward(tuple(xs)).tobytes() == y.tobytes()


@pytest.mark.parametrize("name", [*FOLDED, "Concatenate"])
def test_one_input_comes_through(name):
    (x,) = arrays(0, "float32", [(2, 3)])
    layer = make(name)
    y = layer.forward([x], training=True)
    assert y.tobytes() == x.tobytes()
    assert not np.may_share_memory(x, y)
    (dx,) = layer.backward(y)
    assert dx.tobytes() == x.tobytes()
    assert not np.may_share_memory(dx, y)


@pytest.mark.parametrize("name", KINDS)
def test_configuration_copies_and_pickles(name):
    xs = arrays(0, "float64", [(4,)] * 2)
    layer = make(name, name="mine", trainable=False)
    y = layer.forward(xs)
    assert layer.get_config()["name"] == "mine"
    again = layers.deserialize(layers.serialize(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    for twin in (
        again,
        layer.clone(),
        copy.copy(layer),
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
    ):
        assert twin.forward(xs).tobytes() == y.tobytes()
    assert repr(layer).startswith(f"<mine ({name}) ((4,), (4,)) -> (")
    assert layer.count_params() == 0


def test_functions():
    a, b = arrays(0, "float64", [(4,), (4,)])
    for name in ("add", "subtract", "multiply", "average", "maximum", "minimum"):
        wanted = getattr(layers, name.capitalize())()([a, b])
        assert getattr(layers, name)([a, b], name="it").tobytes() == wanted.tobytes()
    assert layers.concatenate([a, b], axis=1).tobytes() == np.concatenate([a, b], axis=1).tobytes()
    np.testing.assert_allclose(layers.dot([a, b], 1)[:, 0], (a * b).sum(axis=1))
    np.testing.assert_allclose(
        layers.dot([a, b], axes=1, normalize=True)[:, 0],
        (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1)),
    )


def test_kinds_of_inputs():
    layer = layers.Add()
    assert layer([[[1, 2]], [[3, 4]]]).dtype == "float32"
    assert layers.Add()([np.array([[1, 2]], np.uint8), np.array([[0.5, 0.5]])]).tolist() == [[1.5, 2.5]]
    wide = np.arange(24.0).reshape(4, 6)
    strided = layers.Concatenate()([wide[::-1, ::2], np.asfortranarray(wide)])
    assert strided.tolist() == np.concatenate([wide[::-1, ::2], wide], axis=1).tolist()
    assert layers.Add()([wide.astype(">f8"), wide]).tolist() == (2 * wide).tolist()
    assert layers.Add().build([(None, 3), (3,)]).input_shape == ((3,), (3,))


def test_nan_and_infinities_pass_silently():
    a = np.array([[np.nan, np.inf, -np.inf, 0.0, np.inf]])
    b = np.array([[1.0, -np.inf, np.inf, 0.0, 0.0]])
    assert np.isnan(layers.Add()([a, b])[0, :3]).all()
    assert np.isnan(layers.Multiply()([a, b])[0, [0, 4]]).all()
    assert np.isnan(Divide()([a, b])[0, :4]).all()
    layer = layers.Dot(1, normalize=True)
    assert np.isnan(layer.forward([a, b], training=True)).all()
    assert np.isnan(layer.backward(np.ones((1, 1)))[0]).any()


def test_normalised_vectors_of_no_length():
    layer = layers.Dot(1, normalize=True)
    assert layer.forward([np.zeros((1, 3)), np.ones((1, 3))], training=True).tolist() == [[0.0]]
    da, db = layer.backward(np.ones((1, 1)))
    np.testing.assert_allclose(da, 1e7 / math.sqrt(3) * np.ones((1, 3)))
    assert db.tolist() == [[0.0] * 3]


def test_squeeze_and_excitation_scales_channels_on_either_side():
    x, s = arrays(2, "float32", [(5, 6, 7), (7,)])
    wanted = x * s[:, None, None, :]
    for given_ in ([x, s], [s, x], [x, s.reshape(3, 1, 1, 7)]):
        layer = layers.Multiply()
        assert layer.forward(given_, training=True).tobytes() == wanted.tobytes()
        dx = layer.backward(wanted)
        for one, gradient in zip(given_, dx, strict=True):
            truth = wanted * s[:, None, None, :] if one is x else (wanted * x).astype(float).sum(axis=(1, 2))
            np.testing.assert_allclose(gradient, truth.reshape(one.shape), rtol=2e-6, atol=1e-5)


ROW, IMAGE = np.ones((2, 3), "float32"), np.ones((2, 4, 5, 3), "float32")
WIDE = ROW.astype(float)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (
            "must be a list of arrays, one for each input, got an array of shape (2, 3)",
            lambda: layers.Add()(ROW),
        ),
        ("must be a list of arrays, one for each input, got 3", lambda: layers.Add()(3)),
        ("x must hold arrays of one dtype, got float32, float64", lambda: layers.Add()([ROW, WIDE])),
        ("x[1] must hold real numbers", lambda: layers.Add()([ROW, ROW * 1j])),
        ("input_shape must be a list of shapes, one for each input, got 3", lambda: layers.Add().build(3)),
        (
            "input_shape must be a list of shapes, one for each input, got (4, 3)",
            lambda: layers.Add().build((4, 3)),
        ),
        ("Concatenate: axis must be an int, got 1.5", lambda: layers.Concatenate(1.5)),
        ("Dot: axes must be an int or a pair of them, got '1'", lambda: layers.Dot("1")),
        ("Dot: normalize must be True or False, got 1", lambda: layers.Dot(1, 1)),
    ],
)
def test_errors_of_types(message, call):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("Add: x must be a list of at least 1 arrays, got 0", lambda: layers.Add()([])),
        ("Subtract: x must be a list of 2 arrays, got 1", lambda: layers.Subtract()([ROW])),
        ("Subtract: x must be a list of 2 arrays, got 3", lambda: layers.Subtract()([ROW] * 3)),
        ("Dot: x must be a list of 2 arrays, got 1", lambda: layers.Dot(1)([ROW])),
        (
            "Add: x[1] must have a batch axis and at least one more, got shape (2,)",
            lambda: layers.Add()([ROW, ROW[:, 0]]),
        ),
        (
            "Add: input_shape must be shapes that are equal or 1, axis by axis from the last, got (3,), (2,)",
            lambda: layers.Add()([ROW, ROW[:, :2]]),
        ),
        (
            "Add: x must hold arrays of as many samples each, got shapes (2, 3), (1, 3)",
            lambda: layers.Add()([ROW, ROW[:1]]),
        ),
        ("input_shape must be a list of 2 shapes, got 1", lambda: layers.Subtract().build([(3,)])),
        ("input_shape entry must be a positive int, got 0", lambda: layers.Add().build([(3,), (0,)])),
        ("Concatenate: axis must not be 0, which counts the samples", lambda: layers.Concatenate(0)),
        (
            "axis must be one of the axes 1 to 1 of the input, or -1 to -1, got 2",
            lambda: layers.Concatenate(2)([ROW, ROW]),
        ),
        (
            "axis must be one of the axes 1 to 1 of the input, or -1 to -1, got -2",
            lambda: layers.Concatenate(-2)([ROW, ROW]),
        ),
        (
            "input_shape must be shapes that are equal but along axis 1, got (4, 5, 3), (2, 4, 3)",
            lambda: layers.Concatenate(1)([IMAGE, IMAGE[:, :2, :4]]),
        ),
        ("must be shapes that are equal but along axis -1", lambda: layers.Concatenate()([IMAGE, ROW])),
        ("Dot: axes must be an int or a pair of them, got (1, 2, 3)", lambda: layers.Dot((1, 2, 3))),
        ("Dot: axes must not be 0, which counts the samples, got (1, 0)", lambda: layers.Dot((1, 0))),
        ("axes must be one of the axes 1 to 1 of the input", lambda: layers.Dot(2)([ROW, ROW])),
        (
            "input_shape must be two shapes of one length along axes 1, got 3 and 4 in (3,), (4, 5, 3)",
            lambda: layers.Dot(1)([ROW, IMAGE]),
        ),
    ],
)
def test_errors_of_values(message, call):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_errors_of_a_built_layer():
    layer = layers.Add(name="sum")
    with pytest.raises(RuntimeError, match=r"Add 'sum': backward needs forward\(x, training=True\) first"):
        layer.build([(3,), (3,)]).backward(ROW)
    layer.forward([ROW, ROW], training=True)
    with pytest.raises(ValueError, match=r"Add 'sum': x must be a list of 2 arrays, got 3"):
        layer([ROW] * 3)
    with pytest.raises(
        ValueError, match=r"Add 'sum': x\[1\] must have the shape \(3,\) after the batch, got \(2, 2\)"
    ):
        layer([ROW, ROW[:, :2]])
    with pytest.raises(ValueError, match=r"as many samples each, got shapes \(2, 3\), \(1, 3\)"):
        layer([ROW, ROW[:1]])
    with pytest.raises(TypeError, match=r"Add 'sum': x\[0\] must be float32 as the layer is, got float64"):
        layer([ROW.astype(float), ROW])
    with pytest.raises(
        ValueError, match=r"Add 'sum': dy must have the output's shape \(2, 3\), got \(1, 3\)"
    ):
        layer.backward(ROW[:1])
    with pytest.raises(ValueError, match=r"Subtract: input_shape must be a list of 2 shapes"):
        layers.Subtract().compute_output_shape([(3,)])


def test_layers_of_one_input_are_told_apart():
    assert not layers.Dense(3)._merges
    assert all(make(name)._merges and isinstance(make(name), Merge) for name in KINDS)
