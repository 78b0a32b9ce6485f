"""The layers that networks of other frameworks need: their values, in plans, and what they refuse."""

import numpy as np
import pytest

from cconv import layers as L
from cconv import set_num_threads
from cconv.models import Sequential


def images(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def response(x, size, alpha, beta, bias):
    sums = np.zeros_like(x)
    for c in range(x.shape[-1]):
        near = x[..., max(c - (size - 1) // 2, 0) : c + size // 2 + 1]
        sums[..., c] = (near**2).sum(axis=-1)
    return x / (bias + alpha / size * sums) ** beta


X = images(2, 4, 6, 4)
AROUND, FAR = [(1, 3), (2, 0), (0, 1)], [(9, 8), (0, 0), (0, 0)]
VALUES = {
    "ArgMax": (L.ArgMax(), X.argmax(-1)),
    "ArgMax, rows": (L.ArgMax(1, keepdims=True), X.argmax(1, keepdims=True)),
    "ArgMax, last": (L.ArgMax(2, select_last_index=True), 5 - X[:, :, ::-1].argmax(2)),
    "Clip": (L.Clip(-0.5, 1), X.clip(-0.5, 1)),
    "Clip, below": (L.Clip(0.25), np.maximum(X, 0.25)),
    "Slice": (L.Slice([1, None, -2], [3, None, None], [1, -2, 1]), X[:, 1:3, ::-2, -2:]),
    "Tile": (L.Tile([2, 1, 3]), np.tile(X, (1, 2, 1, 3))),
    "Resampling": (L.Resampling(7, 11, coordinates="align_corners"), None),
    **{
        f"Pad, {mode}": (
            L.Pad([(1, 3), (2, 0), (0, 1)], mode),
            np.pad(X, ((0, 0), (1, 3), (2, 0), (0, 1)), mode),
        )
        for mode in ("constant", "edge", "reflect", "wrap")
    },
    "Pad, far": (
        L.Pad([(9, 8), (0, 0), (0, 0)], "reflect"),
        np.pad(X, ((0, 0), (9, 8), (0, 0), (0, 0)), "reflect"),
    ),
    **{
        f"response, {beta}": (L.LocalResponseNormalization(3, 0.5, beta, 2.0), response(X, 3, 0.5, beta, 2.0))
        for beta in (0.25, 0.5, 0.75, 1.0, 0.3, 2.0, -1.5)
    },
    "response, wide": (L.LocalResponseNormalization(12), response(X, 12, 1e-4, 0.75, 1.0)),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    layer, expected = VALUES[name]
    if expected is None:  # between corners that lie upon each other a plane is a plane
        rows, columns = np.linspace(0, 3, 7), np.linspace(0, 5, 11)
        x = np.add.outer(np.arange(4.0), 2 * np.arange(6.0)).reshape(1, 4, 6, 1)
        y = layer.clone().forward(x)[0, :, :, 0]
        np.testing.assert_allclose(y, np.add.outer(rows, 2 * columns), rtol=1e-14)
        return
    y = layer.clone().forward(X)
    np.testing.assert_allclose(y, expected.reshape(y.shape), rtol=1e-14, atol=1e-15)
    assert y.shape[0] == 2


def test_blocks_go_there_and_back():
    x = images(2, 4, 6, 8)
    deep = L.SpaceToDepth(2).forward(x)
    assert np.array_equal(L.DepthToSpace(2).forward(deep), x)
    assert np.array_equal(deep[:, 0, 0], x[:, :2, :2].reshape(2, -1))
    # PixelShuffle: channel c, row i, column j of a block is channel (c · 2 + i) · 2 + j before.
    y = L.DepthToSpace(2, "CRD").forward(x)
    assert np.array_equal(y[:, 1::2, 0::2, 1], x[..., (1 * 2 + 1) * 2 + 0])


def test_infinities_and_nan():
    x = np.array([[-np.inf, np.inf, np.nan, 0.5]])
    assert np.array_equal(L.Clip(-1, 1).forward(x), [[-1, 1, np.nan, 0.5]], equal_nan=True)
    layer = L.Clip(-1, 1)
    layer.forward(x, training=True)
    assert np.array_equal(layer.backward(np.full((1, 4), np.inf)), [[0, 0, np.inf, np.inf]])
    assert L.ArgMax().forward(x)[0, 0] == 2


STACK = {
    "clip": [L.Clip(-0.5, 0.5)],
    "affine": [L.ElementwiseAffine(shared_axes=[1, 2]), L.ElementwiseAffine(scale=False)],
    "response": [L.LocalResponseNormalization(3, 0.5), L.LocalResponseNormalization(4, 0.5, 0.6)],
    "pad": [L.Pad([(1, 0), (0, 1), (1, 1)], "reflect"), L.Pad([(1, 0), (0, 1), (0, 0)], "constant", 0.5)],
    "resampling": [
        L.Resampling(7, 9, "bilinear", "asymmetric"),
        L.Resampling(5, 3, "nearest", rounding="ceil"),
    ],
    "slice": [L.Slice([1, None, -1], [None, -1, None], [1, 2, -1])],
    "blocks": [L.SpaceToDepth(2), L.DepthToSpace(2, "CRD"), L.Tile([1, 2, 1])],
}


@pytest.mark.parametrize("name", STACK)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_a_plan(name, dtype):
    """Replayed, fused or not, on any number of threads, in batches that grow and shrink: the same bits."""
    x = images(11, 8, 6, 2, dtype=dtype, seed=1)
    y = images(11, 3, dtype=dtype, seed=2)

    def trained(fuse, threads):
        chain = [L.Conv2D(4, 3, padding="same", activation="tanh"), *(layer.clone() for layer in STACK[name])]
        model = Sequential([*chain, L.Flatten(), L.Dense(3)], seed=3, dtype=dtype)
        model.build((8, 6, 2))
        model.fuse = fuse
        model.compile("sgd", "mse")
        set_num_threads(threads)
        try:
            model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
            sizes = [model.predict(x[:n], verbose=0) for n in (3, 11, 2, 3, 3, 3)]
        finally:
            set_num_threads(None)
        alone = x[:3]
        for layer in model.layers:
            alone = layer.forward(alone)
        return [array.tobytes() for array in (*model.get_weights(), *sizes)], alone, sizes[0]

    first, alone, predicted = trained(True, 1)
    np.testing.assert_allclose(alone, predicted, rtol=1e-5)
    for fuse, threads in ((False, 1), (True, 2), (True, 3), (False, 8)):
        assert trained(fuse, threads)[0] == first


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: L.ArgMax(0), ValueError, "ArgMax: axis must not be 0"),
        (lambda: L.ArgMax(5).build((3,)), ValueError, "ArgMax: axis must be one of the axes 1 to 1"),
        (lambda: L.ArgMax(1.0), TypeError, "ArgMax: axis must be an int, got 1.0"),
        (lambda: L.Clip(2, 1), ValueError, "Clip: min_value must be at most max_value, got 2.0 and 1.0"),
        (lambda: L.Clip("a"), TypeError, "Clip: min_value must be a finite number"),
        (lambda: L.ElementwiseAffine(shared_axes="12"), TypeError, "ElementwiseAffine: shared_axes must be"),
        (
            lambda: L.ElementwiseAffine(shared_axes=3).build((4,)),
            ValueError,
            "shared_axes must be from 1 to 1",
        ),
        (lambda: L.LocalResponseNormalization(bias=0), ValueError, "bias must be above 0, got 0"),
        (lambda: L.LocalResponseNormalization(alpha=-1.0), ValueError, "alpha must be"),
        (lambda: L.Pad([(1, -1)]), ValueError, "pad_width must be a list of pairs of ints of at least 0"),
        (lambda: L.Pad([1, 2]), TypeError, "pad_width must be a list of pairs"),
        (
            lambda: L.Pad([(1, 1)], "mirror"),
            ValueError,
            "Pad: mode must be one of 'constant', 'edge', 'reflect'",
        ),
        (lambda: L.Pad([(1, 1)], "reflect").build((1,)), ValueError, "cannot reflect an axis of 1"),
        (lambda: L.Pad([(1, 1)]).build((2, 3)), ValueError, "must name the 2 axes"),
        (lambda: L.Pad([(10**6, 1)], "edge").build((2,)), ValueError, "at most 16384 in all for mode 'edge'"),
        (lambda: L.Resampling(3, 3, coordinates="tf"), ValueError, "coordinates must be one of 'half_pixel'"),
        (lambda: L.Resampling(3, 3, rounding="even"), ValueError, "rounding must be one of"),
        (lambda: L.Resampling(3, 3, scales=2.0), ValueError, "scales must be None or a pair"),
        (lambda: L.Slice([1], [2, 3]), ValueError, "begin, end and step must be as long as"),
        (lambda: L.Slice([1], [2], [0]), ValueError, "step must hold ints other than 0"),
        (lambda: L.Slice(1, 2), TypeError, "begin must be a list of ints or None, got 1"),
        (lambda: L.Slice([2], [2]).build((3,)), ValueError, "must leave something of input_shape"),
        (lambda: L.SpaceToDepth(2).build((3, 4, 1)), ValueError, "block_size must divide height and width"),
        (lambda: L.DepthToSpace(2).build((3, 4, 6)), ValueError, "must divide the channels, got 2 for 6"),
        (lambda: L.DepthToSpace(2, "RCD"), ValueError, "mode must be one of 'DCR', 'CRD', got 'RCD'"),
        (lambda: L.Tile([0]), ValueError, "Tile: repeats entry must be a positive int"),
        (lambda: L.Tile(3), TypeError, "Tile: repeats must be a list of positive ints, got 3"),
        (lambda: L.Tile([1, 2]).build((3,)), ValueError, "repeats must name the 1 axes"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error) as raised:
        make()
    assert words in str(raised.value)
