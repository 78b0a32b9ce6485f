"""State dicts of torch, from files and back: formats, orders, names, and every kind of module."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from cconv.io.torch import load_state_dict, save_state_dict
from cconv.io.torch.checkpoints import opened
from cconv.layers import (
    Add,
    Average,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GroupNormalization,
    Input,
    InputLayer,
    LayerNormalization,
    LayerScale,
    MaxPooling2D,
    Multiply,
    PReLU,
    Reshape,
    SeparableConv2D,
    Softmax,
)
from cconv.models import Model, Sequential

DATA = Path(__file__).parent / "data"
GIVEN = Path(os.environ.get("CCONV_DATA_DIR", DATA / "nowhere")) / "models"
FILES = ("torch_small.pth", "torch_legacy.pth", "torch_small.safetensors")
NAMES = ("conv", "bn", "prelu", "depthwise", "groups", "up", "layer", "fc", "bn1d", "one", "head")


def small(named=True, dtype="float32", data_format=None, **options):
    """The network of tools/peer_torch_files.py."""
    names = iter(NAMES if named else [None] * len(NAMES))
    shared = {"epsilon": 1e-5, "momentum": 0.9}
    axis = 1 if data_format == "channels_first" else -1
    axes = [2, 3] if axis == 1 else [1, 2]
    return Sequential(
        [
            InputLayer((4, 7, 5) if axis == 1 else (7, 5, 4)),
            Conv2D(6, 3, padding=1, groups=2, name=next(names)),
            BatchNormalization(axis=axis, **shared, name=next(names)),
            PReLU(shared_axes=axes, name=next(names)),
            DepthwiseConv2D(3, strides=2, padding=1, depth_multiplier=2, use_bias=False, name=next(names)),
            GroupNormalization(3, axis=axis, epsilon=1e-5, name=next(names)),
            Conv2DTranspose(8, 3, strides=2, padding=1, groups=2, name=next(names)),
            LayerNormalization(epsilon=1e-5, name=next(names)),
            Flatten(),
            Dense(9, name=next(names)),
            BatchNormalization(**shared, name=next(names)),
            PReLU(shared_axes=[1], name=next(names)),
            Dropout(0.5),
            Dense(5, name=next(names)),
        ],
        dtype=dtype,
        data_format=data_format,
        seed=3,
        **options,
    )


def recorded():
    with np.load(DATA / "torch_small.npz") as file:
        return file["x"], file["y"]


def last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def same(model, twin):
    return all(np.array_equal(a, b) for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))


@pytest.mark.parametrize("file", FILES)
def test_every_kind_of_module(file):
    x, y = recorded()
    model = small()
    taken = load_state_dict(model, DATA / file)
    assert taken["bn/moving_variance"] == "bn.running_var"
    np.testing.assert_allclose(model.predict(last(x), verbose=0), y, rtol=0, atol=2e-6)
    first = small(data_format="channels_first")
    load_state_dict(first, DATA / file)
    np.testing.assert_allclose(first.predict(x, verbose=0), y, rtol=0, atol=2e-6)


def test_in_order_where_names_say_nothing():
    x, y = recorded()
    for file in FILES[:2]:
        model = small(named=False)
        load_state_dict(model, DATA / file)
        np.testing.assert_allclose(model.predict(last(x), verbose=0), y, rtol=0, atol=2e-6)
    # Names in a file that is sorted by them tell conv from depthwise by shape alone: they happen to fit.
    with pytest.raises(ValueError, match="does not fit this model"):
        load_state_dict(small(named=False), DATA / FILES[2])


def test_bfloat16_is_the_upper_half_of_float32():
    whole, half = load_file(DATA / "torch_small.safetensors"), small()
    load_state_dict(half, DATA / "torch_bf16.safetensors")
    kernel = half.get_layer("head").params["kernel"].T
    assert not np.any(kernel.view(np.uint32) & 0xFFFF)
    np.testing.assert_allclose(kernel, whole["head.weight"], rtol=2**-8)


@pytest.mark.parametrize("file", ["torch_kinds.pth", "torch_kinds_legacy.pth"])
def test_tensors_as_they_may_lie_in_a_file(file):
    with (DATA / file).open("rb") as handle:
        content = opened(handle)
        rest = {
            name: value for name, value in content.content.items() if name not in ("state_dict", "optimizer")
        }
        assert rest == {
            "epoch": 3,
            "best": -1.5e300,
            "steps": 2**70,
            "name": "é" * 300,
            "none": None,
            "flags": {True, False},
            "bytes": b"abc",
            "size": (1, 2),
        }
        state = content.content["state_dict"]
        found = {name.removeprefix("module."): content.array(tensor) for name, tensor in state.items()}
    row = np.arange(24, dtype=np.float32)
    expected = {
        "whole": row,
        "turned": row.reshape(4, 6).T,
        "part": row[5:11].reshape(2, 3),
        "every_third": row[::3],
        "spread": np.full((2, 3), 2.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "number": np.array(7),
        "parameter": np.ones(2, np.float32),
        "bool": np.array([True, False]),
        "uint8": np.arange(7, dtype=np.uint8),
        "bfloat16": np.arange(-3, 4, dtype=np.float32),
    }
    for name in ("float64", "float16", "int64", "int32", "int16", "int8", "complex64"):
        expected[name] = np.arange(-3, 4).astype(name)
    assert set(found) == set(expected)
    for name, array in found.items():
        assert (array.dtype, array.shape) == (expected[name].dtype, expected[name].shape), name
        assert np.array_equal(array, expected[name])
        assert array.flags.c_contiguous
        assert array.flags.writeable


@pytest.mark.parametrize("ending", ["pth", "pt", "safetensors"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_out_and_in_again_has_the_same_bits(ending, dtype, tmp_path):
    model, twin = small(dtype=dtype), small(dtype=dtype)
    load_state_dict(model, DATA / FILES[0])
    save_state_dict(model, tmp_path / f"a.{ending}")
    load_state_dict(twin, tmp_path / f"a.{ending}")
    assert same(model, twin)
    first = (tmp_path / f"a.{ending}").read_bytes()
    save_state_dict(twin, tmp_path / f"a.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == first


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_what_is_written_has_torchs_names_and_numbers(ending, tmp_path):
    model = small(named=False)
    load_state_dict(model, DATA / FILES[0])
    save_state_dict(model, tmp_path / f"a.{ending}", like=DATA / FILES[0])
    expected = load_file(DATA / "torch_small.safetensors")
    if ending == "pth":
        with (tmp_path / "a.pth").open("rb") as handle:
            content = opened(handle)
            found = {name: content.array(tensor) for name, tensor in content.content.items()}
    else:
        found = load_file(tmp_path / "a.safetensors")
    assert set(found) == set(expected)
    for name, array in found.items():
        assert array.dtype == expected[name].dtype
        assert array.shape == expected[name].shape
        assert np.array_equal(array, expected[name])


# --- files that are given -------------------------------------------------------------------------


@pytest.mark.skipif(not GIVEN.is_dir(), reason="needs CCONV_DATA_DIR")
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_straight_network_of_a_package(ending):
    layers = [InputLayer((28, 28, 1))]
    for filters in (32, 64, 128):
        layers += [Conv2D(filters, 3, padding="same", activation="relu"), MaxPooling2D(2)]
    model = Sequential([*layers, Flatten(), Dense(256, activation="relu"), Dense(10)])
    load_state_dict(model, GIVEN / f"digit_cnn.{ending}")
    with np.load(GIVEN / "digit_cnn.npz") as file:
        np.testing.assert_allclose(model.predict(last(file["x"]), verbose=0), file["out0"], rtol=0, atol=1e-5)


def onet():
    """MTCNN's last network, as facenet-pytorch has it."""
    y = x = Input((48, 48, 3))
    for number, (filters, size, pool) in enumerate(((32, 3, 3), (64, 3, 3), (64, 3, 2), (128, 2, 0)), 1):
        y = Conv2D(filters, size, name=f"conv{number}")(y)
        y = PReLU(shared_axes=[1, 2], name=f"prelu{number}")(y)
        y = MaxPooling2D(pool, 2, ceil_mode=True)(y) if pool else y
    y = PReLU(name="prelu5")(Dense(256, name="dense5")(Flatten()(y)))
    heads = [Dense(4, name="dense6_2")(y), Dense(10, name="dense6_3")(y)]
    return Model(x, [*heads, Softmax()(Dense(2, name="dense6_1")(y))])


@pytest.mark.skipif(not GIVEN.is_dir(), reason="needs CCONV_DATA_DIR")
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_a_network_that_flattens_in_another_order(ending):
    model = onet()
    load_state_dict(model, GIVEN / f"mtcnn_onet.{ending}", flatten_order="whc")
    with np.load(GIVEN / "mtcnn_onet.npz") as file:
        for number, made in enumerate(model.predict(last(file["x"]), verbose=0)):
            np.testing.assert_allclose(made, file[f"out{number}"], rtol=0, atol=1e-6)


# --- orders ---------------------------------------------------------------------------------------


def test_flattened_rows_are_put_in_order():
    """Two images, flattened, joined, normalised and put together by a dense layer, as torch does it."""
    rng = np.random.default_rng(0)
    a, b = Input((2, 3, 4)), Input((3, 2))
    row = Concatenate()([Flatten()(a), Flatten()(b)])
    row = PReLU(name="slopes")(LayerNormalization(epsilon=1e-5, name="norm")(row))
    model = Model([a, b], Dense(5, name="fc")(row), dtype="float64")
    state = {
        "fc.weight": rng.normal(size=(5, 30)),
        "fc.bias": rng.normal(size=5),
        "slopes.weight": rng.normal(size=30),
        "norm.weight": rng.normal(size=30),
        "norm.bias": rng.normal(size=30),
    }
    load_state_dict(model, state)
    x, z = rng.normal(size=(6, 4, 2, 3)), rng.normal(size=(6, 2, 3))  # channels first
    y = np.concatenate([x.reshape(6, -1), z.reshape(6, -1)], axis=1)
    y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5)
    y = y * state["norm.weight"] + state["norm.bias"]
    y = np.where(y > 0, y, y * state["slopes.weight"]) @ state["fc.weight"].T + state["fc.bias"]
    made = model.predict([x.transpose(0, 2, 3, 1), z.transpose(0, 2, 1)], verbose=0)
    np.testing.assert_allclose(made, y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("flatten", [None, "channels_first", "channels_last"])
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_flattened_sequences_of_both_formats_are_put_in_order(data_format, flatten):
    """A row that becomes a sequence, a convolution of it, flattened: wherever the channels are here."""
    rng = np.random.default_rng(2)
    is_first = data_format == "channels_first"
    layers = [
        Dense(12, input_shape=(5,), name="start"),
        Reshape((3, 4) if is_first else (4, 3)),
        Conv1D(2, 2, data_format=data_format, name="taps"),
        Flatten(flatten),
        Dense(5, name="end"),
    ]
    model = Sequential(layers, dtype="float64")
    shapes = {"start": (12, 5), "taps": (2, 3, 2), "end": (5, 6)}
    state = {f"{name}.weight": rng.normal(size=shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": rng.normal(size=shape[0]) for name, shape in shapes.items()}
    load_state_dict(model, state)
    x = rng.normal(size=(6, 5))
    y = (x @ state["start.weight"].T + state["start.bias"]).reshape(6, 3, 4)
    windows = np.lib.stride_tricks.sliding_window_view(y, 2, axis=2)
    y = np.einsum("nctk,fck->nft", windows, state["taps.weight"]) + state["taps.bias"][:, None]
    y = y.reshape(6, -1) @ state["end.weight"].T + state["end.bias"]
    np.testing.assert_allclose(model.predict(x, verbose=0), y, rtol=1e-12, atol=1e-12)


def test_a_row_that_becomes_an_image_is_put_in_order():
    """A generator: torch's view(n, 4, 2, 3) of a dense layer's output has the channels first."""
    rng = np.random.default_rng(1)
    layers = [
        Dense(24, input_shape=(5,), name="fc"),
        BatchNormalization(epsilon=1e-5, name="bn"),
        Reshape((2, 3, 4)),
    ]
    model = Sequential(layers, dtype="float64")
    state = {
        "fc.weight": rng.normal(size=(24, 5)),
        "fc.bias": rng.normal(size=24),
        **{f"bn.{name}": rng.random(24) for name in ("weight", "bias", "running_mean", "running_var")},
    }
    load_state_dict(model, state)
    x = rng.normal(size=(6, 5))
    y = x @ state["fc.weight"].T + state["fc.bias"] - state["bn.running_mean"]
    y = y / np.sqrt(state["bn.running_var"] + 1e-5) * state["bn.weight"] + state["bn.bias"]
    np.testing.assert_allclose(
        model.predict(x, verbose=0), last(y.reshape(6, 4, 2, 3)), rtol=1e-12, atol=1e-12
    )


def test_other_layers_have_their_names():
    model = Sequential(
        [SeparableConv2D(3, 2, name="both", input_shape=(4, 4, 2)), LayerScale(0.1, name="block.gamma")],
        dtype="float64",
    )
    state = {
        "both.depthwise.weight": np.arange(8.0).reshape(2, 1, 2, 2),
        "both.pointwise.weight": np.arange(6.0).reshape(3, 2, 1, 1),
        "both.pointwise.bias": np.ones(3),
        "block.gamma": np.arange(3.0).reshape(3, 1, 1),
    }
    load_state_dict(model, state)
    assert model.get_layer("both").params["depthwise_kernel"][1, 0, 1, 0] == 6
    assert model.get_layer("both").params["pointwise_kernel"][0, 0, 1, 2] == 5
    assert model.get_layer("block.gamma").params["gamma"].tolist() == [0, 1, 2]
    sequence = Sequential([Conv1D(3, 2, name="c", input_shape=(5, 2))], dtype="float64")
    weight = np.arange(12.0).reshape(3, 2, 2)
    load_state_dict(sequence, {"c.weight": weight, "c.bias": np.zeros(3)})
    assert np.array_equal(sequence.get_layer("c").params["kernel"], weight.transpose(2, 1, 0))


def test_a_normalisation_without_gamma_takes_ones():
    model = Sequential([BatchNormalization(scale=False, name="bn", input_shape=(2,))])
    state = {f"bn.{name}": np.ones(2) for name in ("weight", "bias", "running_mean", "running_var")}
    assert "bn/gamma" not in load_state_dict(model, state)
    with pytest.raises(ValueError, match=r"bn\.weight must be 1 everywhere"):
        load_state_dict(model, state | {"bn.weight": np.array([1.0, 2.0])})


# --- names ----------------------------------------------------------------------------------------


def dense_state(*names, prefix=""):
    return {
        f"{prefix}{name}.{what}": np.full(shape, number, float)
        for number, name in enumerate(names)
        for what, shape in (("weight", (2, 2)), ("bias", (2,)))
    }


def two(*names):
    return Sequential([Dense(2, name=names[0], input_shape=(2,)), Dense(2, name=names[1])])


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "_orig_mod.module."])
def test_what_wrappers_put_in_front_is_left_out(prefix):
    model = two("b", "a")
    taken = load_state_dict(model, dense_state("a", "b", prefix=prefix))
    assert taken["b/kernel"] == f"{prefix}b.weight"
    assert model.get_layer("b").params["bias"][0] == 1


def test_names_are_stronger_than_order():
    model = two("second", "first")
    load_state_dict(model, dense_state("first", "second"))
    assert model.get_layer("second").params["bias"][0] == 1
    with pytest.raises(ValueError, match="does not fit"):  # in order it would fit, against a name
        load_state_dict(two("b", "other"), dense_state("a", "b"))


def test_names_as_the_user_says():
    model = two("x", "y")
    load_state_dict(model, dense_state("a", "b"), names={"x": "b", "y": "a"})
    assert model.get_layer("x").params["bias"][0] == 1
    load_state_dict(model, dense_state("a", "b"), names={"x": "b"})
    assert [model.get_layer(name).params["bias"][0] for name in "xy"] == [1, 0]
    with pytest.raises(ValueError, match=r"names must be of layers with weights, x, y, got \['z'\]"):
        load_state_dict(model, dense_state("a", "b"), names={"z": "b"})


def test_a_file_sorted_by_names_is_not_guessed_at(tmp_path):
    save_state_dict(two("zebra", "ape"), tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"not to be told apart.*ape, zebra; say which is which with names="):
        load_state_dict(two("x", "y"), tmp_path / "a.safetensors")
    save_state_dict(two("net.2", "net.10"), tmp_path / "a.safetensors")
    taken = load_state_dict(two("x", "y"), tmp_path / "a.safetensors")
    assert taken["x/kernel"] == "net.2.weight"


def test_every_mismatch_is_listed_at_once():
    model = small()
    before = model.get_weights()
    state = load_file(DATA / "torch_small.safetensors")
    state["conv.weight"] = np.zeros((6, 2, 5, 5), np.float32)
    state["head.bias"] = np.zeros(7, np.float32)
    state["fc.bias"] = np.zeros(9, np.int8)
    del state["bn.running_var"]
    state["more.weight"] = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="does not fit this model") as raised:
        load_state_dict(model, state)
    assert str(raised.value).splitlines() == [
        "the dict does not fit this model (matched by names):",
        "  conv kernel: expected conv.weight to be (6, 2, 3, 3), got (6, 2, 5, 5)",
        "  missing: bn.running_var (6,), for bn moving_variance",
        "  fc bias: fc.bias must hold floats, got int8",
        "  head bias: expected head.bias to be (5,), got (7,)",
        "  unexpected: more.weight (3,)",
    ]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_what_there_is_no_layer_for_may_be_left_out():
    state = dense_state("a", "b") | {"head.weight": np.ones((3, 2))}
    with pytest.raises(ValueError, match=r"unexpected: head\.weight"):
        load_state_dict(two("a", "b"), state)
    load_state_dict(two("a", "b"), state, strict=False)
    with pytest.raises(ValueError, match=r"missing: b\.weight"):
        load_state_dict(two("a", "b"), dense_state("a"), strict=False)


def test_numbers_that_do_not_fit_their_type_are_refused():
    state = dense_state("a", "b")
    state["a.weight"][0, 0] = 1e300
    with pytest.raises(ValueError, match=r"a\.weight has numbers too large for float32"):
        load_state_dict(two("a", "b"), state)
    state["a.weight"][0, 0] = np.inf
    load_state_dict(two("a", "b"), state)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda m, f: load_state_dict("model", f), TypeError, "model must be a Sequential or a Model"),
        (lambda m, f: load_state_dict(m, 3), TypeError, "expected the path of a file, or a dict of arrays"),
        (lambda m, f: load_state_dict(m, f / "no.pth"), FileNotFoundError, "there is no file"),
        (lambda m, f: load_state_dict(m, f), IsADirectoryError, "it is a folder"),
        (
            lambda m, f: load_state_dict(m, {}, "nchw"),
            ValueError,
            "flatten_order must have each of c, h and w",
        ),
        (lambda m, f: load_state_dict(m, {}, 3), TypeError, "flatten_order must be three letters"),
        (lambda m, f: load_state_dict(m, {}, strict=2), TypeError, "strict"),
        (lambda m, f: load_state_dict(m, {}, names=[1]), TypeError, "names must be a dict"),
        (lambda m, f: load_state_dict(Sequential([Dense(1)]), {}), ValueError, "the model is not built"),
        (lambda m, f: save_state_dict(m, f / "a.h5"), ValueError, "path must end in .safetensors, .pth, .pt"),
        (lambda m, f: save_state_dict(m, f / "a.pth", names="jax"), ValueError, "one of torchvision, timm"),
        (
            lambda m, f: save_state_dict(m, f / "a.pth", names="timm"),
            ValueError,
            "is for networks of cconv.applications",
        ),
        (lambda m, f: save_state_dict(m, f / "no" / "a.pth"), OSError, "there is no folder"),
    ],
)
def test_errors_name_what_is_wrong(call, kind, text, tmp_path):
    with pytest.raises(kind, match=text):
        call(two("a", "b"), tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("merge", [Add, Multiply, Average])
def test_rows_that_torch_orders_otherwise_are_not_merged(merge):
    """A flattened image and a dense layer's output: their elements of one place are others in torch."""
    image = Input((5, 5, 2))
    flat = Flatten()(Conv2D(3, 3, name="conv")(image))
    model = Model(image, Dense(2)(merge(name="gate")([flat, Dense(27)(flat)])), seed=0)
    with pytest.raises(ValueError, match="gate merges a flattened image with rows that have another order"):
        load_state_dict(model, {})
    pooled = Flatten()(MaxPooling2D(3)(Conv2D(3, 3)(image)))  # one pixel has one order
    same = Model(image, Dense(2)(merge()([pooled, Dense(3)(pooled)])), seed=0)
    both = Model(image, Dense(2)(merge()([flat, flat])), seed=0)
    for whole in (same, both):  # refused for what is missing alone
        with pytest.raises(ValueError, match=r"^(?!.*merges)"):
            load_state_dict(whole, {"0": np.zeros(1)})
