"""ONNX files that are damaged, or were made to do damage: one clear error, and soon."""

import contextlib

import numpy as np
import onnx_files as files
import pytest
from onnx import TensorProto, helper, numpy_helper

from cconv import io

node = helper.make_node


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.onnx"


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"m\.onnx") as error:
        io.onnx.load(path)
    assert len(str(error.value)) < 2000
    return str(error.value)


def test_damaged_files(path):
    """Of 600 most are refused; what is read has become another network."""
    whole, read = files.network().SerializeToString(), 0
    for seed in range(600):
        rng = np.random.default_rng(seed)
        plain = seed % 3 == 0
        data = files.damaged_bytes(whole, rng) if plain else files.damaged_model(rng).SerializeToString()
        path.write_bytes(data)
        with contextlib.suppress(ValueError):  # that it has the path, and is short, is tested below
            io.onnx.load(path)
            read += 1
    assert 10 < read < 200


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested(depth, wrap):
    content = b""
    for _ in range(depth):
        content = wrap(content)
    return content


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: field(7, field(1, b"") * 10_000_000), "more than 10000 nodes"),
        (lambda: field(7, field(1, field(1, b"") * 1_000_000)), "more than 250000 entries"),
        (lambda: field(7, nested(300, lambda c: field(1, field(5, field(6, c))))), "within each other"),
        (lambda: field(7, b"") + b"\x3a" + varint(2**40), "does not fit"),
        (lambda: b"\xff" * 64, "does not end"),
        (lambda: b"\x3b", "no known kind"),
    ],
    ids=["nodes", "entries", "deep", "claim", "varint", "group"],
)
def test_bytes_that_are_too_much(data, words, path):
    assert words in refused(path, data())


def asked(nodes, *constants, shape=("n", 4)):
    return files.model(nodes, [("x", list(shape))], ["y"], constants).SerializeToString()


def claimed(**fields):
    tensor = TensorProto(name="k", data_type=TensorProto.FLOAT)
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return tensor


def scalar(name, value):
    return numpy_helper.from_array(np.array(value), name)


MUCH = "take more memory"
REFUSED = {
    "a tensor of a gigabyte": (
        lambda: asked([node("MatMul", ["x", "k"], ["y"])], claimed(dims=[4, 2**26], raw_data=b"1234")),
        "has 4 bytes",
    ),
    "a negative size": (
        lambda: asked([node("MatMul", ["x", "k"], ["y"])], claimed(dims=[4, -1], raw_data=b"1234")),
        "cannot have the shape",
    ),
    "numbers of another type": (
        lambda: asked([node("Add", ["x", "k"], ["y"])], claimed(dims=[1], data_type=2, int32_data=[300])),
        "that are no uint8",
    ),
    "a type that is none": (
        lambda: asked([node("Add", ["x", "k"], ["y"])], claimed(dims=[1], data_type=99, raw_data=b"1")),
        "of the type 99",
    ),
    "doubled forty times": (
        lambda: asked(
            [
                *(node("Concat", [f"v{i}", f"v{i}"], [f"v{i + 1}"], axis=0) for i in range(40)),
                node("Reshape", ["x", "v40"], ["y"]),
            ],
            files.integers("v0", 1),
        ),
        MUCH,
    ),
    "filled": (
        lambda: asked(
            [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])],
            files.integers("s", 10**6, 10**6),
        ),
        MUCH,
    ),
    "a range": (
        lambda: asked(
            [node("Range", ["a", "b", "c"], ["r"]), node("Reshape", ["x", "r"], ["y"])],
            *(scalar(name, value) for name, value in (("a", 0), ("b", 2**62), ("c", 1))),
        ),
        MUCH,
    ),
    "weights that are spread": (
        lambda: asked(
            [node("LayerNormalization", ["x", "k"], ["y"], axis=1)],
            numpy_helper.from_array(np.ones(1, np.float32), "k"),
            shape=("n", 2**19, 2**19),
        ),
        MUCH,
    ),
    "a circle": (
        lambda: asked(
            [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])]
        ),
        "make up a circle",
    ),
    "a value from nowhere": (lambda: asked([node("Relu", ["z"], ["y"])]), "which nothing gives"),
    "two of a name": (
        lambda: asked([node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])]),
        "have the name",
    ),
    "an image without end": (
        lambda: asked([node("Relu", ["x"], ["y"])], shape=("n", 2**40)),
        "cannot have the shape",
    ),
    "pads without end": (
        lambda: asked([node("Pad", ["x", "p"], ["y"], mode="edge")], files.integers("p", 0, 10**6, 0, 10**6)),
        "more than",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_asks_for_too_much_or_contradicts_itself(name, path):
    make, words = REFUSED[name]
    assert words in refused(path, make())
