"""Compiled optimizer steps, dropout, activation derivatives and column sums against their twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    CLOCKS,
    RULES,
    WIDER,
    assert_gradient,
    assert_near,
    dtypes,
    many,
    normal,
    on_all_threads,
    seeds,
    widened,
    widths,
)

from cconv import ops, reference
from cconv.ops import optimizers
from cconv.ops.run import Run

leading = st.lists(st.integers(1, 4), min_size=0, max_size=2).map(tuple)

# Which of the states of a rule are means or sums of squares.
STATES = {
    "sgd": [],
    "momentum": [False],
    "nesterov": [False],
    "adagrad": [True],
    "rmsprop": [True],
    "adadelta": [True, True],
    "adam": [False, True],
    "amsgrad": [False, True, True],
    "nadam": [False, True],
    "adamax": [False, True],
    "lion": [False],
    "rmsprop_momentum": [True, False],
    "rmsprop_centered": [True, False],
    "rmsprop_centered_momentum": [True, False, False],
    "ftrl": [True, False],
}


def stepped(name, arrays, lr, numbers, l2):
    """Copies of (param, states…) after a step of the kernel."""
    param, grad, *states = [array.copy() for array in arrays]
    before = grad.copy()
    group = optimizers.Group([(param, grad, *states)], [l2])
    getattr(optimizers, f"{name}_update")(group, lr=lr, **numbers)
    np.testing.assert_array_equal(grad, before)
    return (param, *states)


@given(
    st.sampled_from(sorted(RULES)),
    leading,
    widths,
    dtypes,
    st.sampled_from([0.001, 0.5]),
    st.sampled_from([0.0, 0.01]),
    st.integers(1, 10_000),
    seeds,
)
@many
def test_optimizers(name, lead, width, dtype, lr, l2, t, seed):
    squares, numbers = STATES[name], RULES[name]
    shape = (*lead, width)
    param, grad, *states = normal(seed, dtype, *[shape] * (2 + len(squares)))
    states = [state**2 if square else state for state, square in zip(states, squares, strict=True)]
    if "centered" in name:  # what is no mean of squares has no variance
        states[0] = states[0] + states[-1] ** 2
    clock = CLOCKS[name](t) if name in CLOCKS else {}
    results = on_all_threads(lambda: stepped(name, (param, grad, *states), lr, {**numbers, **clock}, l2))

    (p, g, *s), (p_size, g_size, *s_size) = widened(dtype, param, grad, *states)
    g, g_size = g + l2 * p, g_size + l2 * p_size
    wanted = getattr(reference, name)(p, g, *s, learning_rate=lr, **numbers, **clock)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    # The gradient itself is a sum when l2 is added to it; what cancels in it errs like its terms.
    amplified = 1 + g_size / np.abs(g)
    if "centered" in name:  # so does a variance
        amplified = amplified * (1 + wanted[1] / (wanted[1] - wanted[-1] ** 2 + numbers["epsilon"]))
    if name == "ftrl":  # and a difference of powers, over the learning rate
        s_size = [s_size[0], s_size[1] + np.sqrt(wanted[1]) / lr * p_size * amplified]
    if name == "lion":  # no bits of its sum's sign are wrong where it is not a rounding from zero
        sure = np.abs(0.9 * s[0] + 0.1 * g) > 1e-5 * (s_size[0] + g_size)
        assert_near(results[0][sure], wanted[0][sure], p_size[sure] + lr, dtype)
        results, wanted, s_size = (0, *results[1:]), (0, *wanted[1:]), s_size
    moved = (
        p_size + np.abs(wanted[0] - p) * amplified + lr * g_size + sum(s_size[:1]) * (not any(squares[:1]))
    )
    if name != "lion":
        assert_near(results[0], wanted[0], moved, dtype)
    for result, truth, size in zip(results[1:], wanted[1:], s_size, strict=True):
        assert_near(result, truth, size + np.abs(truth) * amplified + g_size, dtype)


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=4), dtypes, seeds)
@many
def test_norms_and_what_is_done_around_rules(sizes, dtype, seed):
    arrays = normal(seed, dtype, *[(n,) for n in sizes for _ in range(3)])
    entries = list(zip(arrays[::3], arrays[1::3], arrays[2::3], strict=True))
    group = optimizers.Group(entries)
    sums = on_all_threads(lambda: optimizers.square_sums(group))
    np.testing.assert_allclose(
        sums, [(x.astype(np.longdouble) ** 2).sum() for _, x, _ in entries], rtol=1e-13
    )
    alone = [optimizers.square_sums(optimizers.Group([entry]))[0] for entry in entries]
    assert sums.tolist() == alone, "an array's sum does not depend on the others"

    def after(step, *numbers, l2=0.0):
        made = [(out.copy(), x, w) for out, x, w in entries]
        getattr(optimizers, step)(optimizers.Group(made, [l2] * len(made)), *numbers)
        return [out for out, _, _ in made]

    steps = {
        "accumulate": ((), lambda out, x, w: out + x),
        "penalize": ((), lambda out, x, w: x + 0.25 * w),
        "scale": ((np.arange(len(sizes)) + 0.5,), None),
        "clip": ((0.5,), lambda out, x, w: reference.clip_value(x, 0.5)),
        "average": ((0.75,), lambda out, x, w: reference.moving_average(out, x, 0.75)),
    }
    for step, (numbers, twin) in steps.items():
        found = on_all_threads(lambda step=step, numbers=numbers: after(step, *numbers, l2=0.25))
        for i, (result, entry) in enumerate(zip(found, entries, strict=True)):
            wide, sizes_of = widened(dtype, *entry)
            wanted = twin(*wide) if twin else (i + 0.5) * wide[1]
            assert_near(result, wanted, sum(sizes_of) * (i + 1), dtype)


def test_nan_and_infinities_around_rules():
    x = np.array([np.nan, np.inf, -np.inf, 0.25, -0.0], np.float32)
    out = np.zeros_like(x)
    group = optimizers.Group([(out, x)])
    optimizers.clip(group, 0.5)
    np.testing.assert_array_equal(out, [np.nan, 0.5, -0.5, 0.25, 0.0])
    assert np.isnan(optimizers.square_sums(group)[0])
    big = np.full(100, 3e38, np.float32)  # whose squares no float32 holds
    (found,) = optimizers.square_sums(optimizers.Group([(big, big)]))
    assert found == pytest.approx(9e78, rel=1e-6)
    states = [np.array([np.nan, 1.0], np.float32) for _ in range(2)]
    param, grad = np.ones(2, np.float32), np.array([1.0, np.nan], np.float32)
    optimizers.adamax_update(optimizers.Group([(param, grad, *states)]), 0.1, 0.9, 0.999, 1e-7, 1)
    assert np.isnan(states[1]).all()
    param, m = np.ones(3, np.float32), np.zeros(3, np.float32)
    optimizers.lion_update(
        optimizers.Group([(param, np.array([0, np.nan, -2], np.float32), m)]), 0.5, 0.9, 0.99
    )
    np.testing.assert_array_equal(param, np.float32([1.0, np.nan, 1.5]))


@given(
    st.integers(1, 4),
    leading,
    widths,
    dtypes,
    st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    seeds,
    st.integers(0, 2**40),
)
@many
def test_dropout(samples, rest, width, dtype, rate, seed, key):
    x, dy = normal(seed, dtype, (samples, *rest, width), (samples, *rest, width))
    run = Run(training=True, seed=key, step=key % 7, first_sample=key % 5)
    y, bits = on_all_threads(lambda: ops.dropout(x, rate, 3, run))
    mask = reference.dropout_mask(x.shape, rate, key, key % 7, key % 5, layer=3)
    flat = np.unpackbits(bits, axis=1, bitorder="little")[:, : x[0].size]
    np.testing.assert_array_equal(flat.reshape(x.shape), mask)
    wide, sizes = widened(dtype, x, dy)
    assert_near(y, np.where(mask, wide[0] / (1 - rate), 0), sizes[0] / (1 - rate), dtype)
    dx = on_all_threads(lambda: ops.dropout_backward(dy, bits, rate))
    assert_near(dx, np.where(mask, wide[1] / (1 - rate), 0), sizes[1] / (1 - rate), dtype)


DERIVATIVES = ["relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax"]


def derivative_scale(name, dy, y):
    """What the terms of each derivative add up to in absolute value; y, |dy| in a wide dtype."""
    if name == "softmax":
        return np.abs(y) * (dy + (dy * np.abs(y)).sum(axis=-1, keepdims=True))
    if name == "log_softmax":
        return dy + np.exp(y) * (1 + np.abs(y)) * dy.sum(axis=-1, keepdims=True)
    return dy * (1 + y**2)


@given(st.sampled_from(DERIVATIVES), leading, widths, dtypes, seeds)
@many
def test_derivatives(name, lead, width, dtype, seed):
    more = (0.3,) if name == "leaky_relu" else ()
    x, dy = normal(seed, dtype, (*lead, width), (*lead, width))
    forward, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    y = on_all_threads(lambda: forward(x, *more))
    dx = on_all_threads(lambda: backward(dy, y, *more))
    wide, sizes = widened(dtype, dy, y)
    wanted = getattr(reference, f"{name}_backward")(*wide, *more)
    assert_near(dx, wanted, derivative_scale(name, sizes[0], wide[1]), dtype)
    if name == "leaky_relu":
        assert_near(y, reference.leaky_relu(x.astype(WIDER[np.dtype(dtype)]), *more), np.abs(x), dtype)


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_are_central_differences(name):
    more = (0.3,) if name == "leaky_relu" else ()
    x, dy = normal(2, float, (3, 7), (3, 7))
    dx = getattr(ops, f"{name}_backward")(dy, getattr(ops, name)(x, *more), *more)
    assert_gradient(dx, lambda v: np.sum(dy * getattr(ops, name)(v, *more)), x)


@given(st.integers(1, 3000), widths, dtypes, seeds)
@many
def test_column_sums(m, n, dtype, seed):
    (x,) = normal(seed, dtype, (m, n))
    (wide,), (sizes,) = widened(dtype, x)
    assert_near(on_all_threads(lambda: ops.column_sums(x)), wide.sum(axis=0), sizes.sum(axis=0), dtype)
