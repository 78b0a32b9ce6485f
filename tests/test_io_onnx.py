"""`cconv.io.onnx.load`: networks from elsewhere predict what onnxruntime says, and are trained on."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_nodes
import onnxruntime
import pytest
from onnx import external_data_helper, helper
from onnx_files import model, network, tensor
from onnx_networks import NETWORKS, number, straight

from cconv import io, layers, load_model
from cconv.models import Model, Sequential, clone_model

DATA = Path(__file__).parent / "data"
LONG = os.environ.get("CCONV_DATA_DIR")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.onnx"


def written(path, whole):
    path.write_bytes(whole.SerializeToString())
    return path


def truth(path, arrays):
    """Return what onnxruntime gives for the inputs in their order."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))


def given(whole, rng, samples=3):
    shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in whole.graph.input]
    return [rng.standard_normal([samples, *shape[1:]]).astype(np.float32) for shape in shapes]


def predicted(loaded, arrays):
    y = loaded.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0)
    return y if isinstance(y, list) else [y]


def assert_equal(ours, theirs, tolerance=1e-5):
    assert [y.shape for y in ours] == [y.shape for y in theirs]
    for y, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_predicts_what_onnxruntime_does(name, path):
    rng = np.random.default_rng(1)
    whole = NETWORKS[name](rng)
    arrays = given(whole, rng)
    loaded = io.onnx.load(written(path, whole))
    assert_equal(predicted(loaded, arrays), truth(path, arrays))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("straight", "Conv2D ReLU MaxPooling2D Flatten Dense Softmax"),
        ("squeeze", "DepthwiseConv2D Activation GlobalAveragePooling2D Conv2D Activation Multiply Add"),
        ("gelus", "Activation Activation"),
        ("layer_norm", "LayerNormalization Dense"),
        ("group_norm", "GroupNormalization Flatten Reshape Permute Reshape Permute"),
        ("channels_last", "ElementwiseAffine Conv2D ReLU GlobalAveragePooling2D Dense"),
        (
            "axes_of_images",
            "LayerNormalization RMSNormalization UnitNormalization LayerNormalization UnitNormalization",
        ),
    ],
)
def test_layers_are_those_that_one_would_write(name, kinds, path):
    loaded = io.onnx.load(written(path, NETWORKS[name](np.random.default_rng(0))))
    found = [type(layer).__name__ for layer in loaded.layers if not isinstance(layer, layers.InputLayer)]
    assert found == kinds.split()


def test_a_row_is_a_sequential_with_the_names_of_the_file(path):
    loaded = io.onnx.load(written(path, straight(np.random.default_rng(0))))
    assert type(loaded) is Sequential
    assert loaded.data_format == "channels_first"
    assert loaded.input_shape == (None, 2, 8, 6)
    assert [layer.name for layer in loaded.layers if layer.params] == ["features.0.Conv", "classifier.Gemm"]
    assert loaded.layers[-1].name == "y"


def test_images_in_the_other_format(path):
    rng = np.random.default_rng(0)
    whole = NETWORKS["pieces"](rng)
    x, z = given(whole, rng)
    expected = truth(written(path, whole), [x, z])
    loaded = io.onnx.load(path, data_format="channels_last")
    y, o = loaded.predict({"x": x.transpose(0, 2, 3, 1), "z": z.transpose(0, 2, 3, 1)}, verbose=0)
    assert_equal([y.transpose(0, 3, 1, 2), o.transpose(0, 3, 1, 2)], expected)


@pytest.mark.parametrize(
    "name",
    [
        "straight",
        "network",
        "squeeze",
        "group_norm",
        "layer_norm",
        "pieces",
        "sequences",
        "channels_last",
        "detector",
    ],
)
def test_is_saved_cloned_and_trained(name, path, tmp_path):
    rng = np.random.default_rng(2)
    whole = NETWORKS[name](rng)
    loaded, arrays = io.onnx.load(written(path, whole)), given(whole, rng, 6)
    before = predicted(loaded, arrays)
    loaded.save(tmp_path / "m.safetensors")
    twin = load_model(tmp_path / "m.safetensors")
    for ours, others in zip(before, predicted(twin, arrays), strict=True):
        assert np.array_equal(ours, others)
    fresh = clone_model(loaded)
    assert [a.shape for a in fresh.get_weights()] == [a.shape for a in loaded.get_weights()]
    targets = [np.zeros_like(y) for y in before]
    loaded.compile("adam", "mse")
    x = arrays if len(arrays) > 1 else arrays[0]
    history = loaded.fit(x, targets if len(targets) > 1 else targets[0], epochs=5, batch_size=6, verbose=0)
    if loaded.trainable_weights:
        assert history.history["loss"][-1] < history.history["loss"][0]


@pytest.mark.parametrize("fuse", [True, False])
def test_steps_that_are_fused_learn_the_same(fuse, path):
    rng = np.random.default_rng(3)
    whole = network()
    loaded = io.onnx.load(written(path, whole))
    loaded.fuse = fuse
    loaded.compile("sgd", "mse")
    x = given(whole, rng, 8)[0]
    loaded.fit(x, np.ones((8, 3), np.float32), epochs=2, batch_size=3, shuffle=False, verbose=0)
    bits = [array.tobytes() for array in loaded.get_weights()]
    reference = io.onnx.load(path)
    reference.compile("sgd", "mse")
    reference.fit(x, np.ones((8, 3), np.float32), epochs=2, batch_size=3, shuffle=False, verbose=0)
    assert bits == [array.tobytes() for array in reference.get_weights()]


# --- sizes, types, weights beside the file ----------------------------------------------------


def test_sizes_that_the_file_leaves_open(path):
    rng = np.random.default_rng(0)
    whole = NETWORKS["squeeze"](rng)
    for dim in whole.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "side"
    written(path, whole)
    with pytest.raises(ValueError, match=r"'x' has the shape \(n, 4, side, side\): give input_shape="):
        io.onnx.load(path)
    x = rng.standard_normal((2, 4, 7, 3)).astype(np.float32)
    for shape in ((4, 7, 3), (None, 4, 7, 3), {"x": (4, 7, 3)}, [(4, 7, 3)]):
        assert_equal(predicted(io.onnx.load(path, shape), [x]), truth(path, [x]))
    for shape in ((3, 7, 3), (4, 7), {"z": (4, 7, 3)}, (4, 0, 3), (4, 7.5, 3)):
        with pytest.raises(ValueError, match="input_shape"):
            io.onnx.load(path, shape)


def test_doubles_make_a_model_of_doubles(path):
    rng = np.random.default_rng(0)
    whole = model([helper.make_node("MatMul", ["x", "k"], ["y"])], [("x", ["n", 4])], ["y"])
    whole.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    whole.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    whole.graph.initializer.append(tensor(rng, "k", 4, 3, dtype=np.float64))
    loaded = io.onnx.load(written(path, whole))
    x = rng.standard_normal((2, 4))
    assert loaded.dtype == np.float64
    assert_equal(predicted(loaded, [x]), truth(path, [x]), 1e-14)


def test_weights_in_the_folder_and_nowhere_else(path):
    rng = np.random.default_rng(0)
    whole = straight(rng)
    x = given(whole, rng)
    expected = truth(written(path, whole), x)
    external_data_helper.convert_model_to_external_data(whole, location="weights.bin", size_threshold=0)
    onnx.save_model(whole, path)
    assert (path.parent / "weights.bin").exists()
    assert_equal(predicted(io.onnx.load(path), x), expected)
    outside = path.parent.parent / "weights.bin"
    outside.write_bytes((path.parent / "weights.bin").read_bytes())
    (path.parent / "link.bin").symlink_to(outside)
    raw = onnx.load(path, load_external_data=False)
    for location in (
        "../weights.bin",
        str(outside),
        "link.bin",
        "a/../../weights.bin",
        "..\\weights.bin",
        "",
    ):
        for tensor_ in raw.graph.initializer:
            tensor_.external_data[0].value = location
        with pytest.raises(ValueError, match="not in the model's folder"):
            io.onnx.load(written(path, raw))


# --- what is refused --------------------------------------------------------------------------


def test_all_that_is_missing_is_said_at_once(path):
    node = helper.make_node
    nodes = [
        node("Det", ["x"], ["a"], "first"),
        node("Relu", ["a"], ["b"], "relu"),
        node("Resize", ["x", "", "s"], ["c"], "cubic", mode="cubic"),
        node("Det", ["b"], ["d"], "second"),
        node("Wonder", ["c"], ["e"], "own", domain="com.example"),
        node("Add", ["d", "e"], ["y"], "sum"),
    ]
    whole = model(nodes, [("x", ["n", 2, 4, 4])], ["y"], [number("s", [1, 1, 2, 2])])
    expected = (
        "cconv has no layers for Det (2 nodes, first 'first'), Resize with 'cubic' (1 node, 'cubic'), "
        "com.example::Wonder (1 node, 'own')"
    )
    with pytest.raises(ValueError, match=rf"^{re.escape(f'{path}: {expected}')}$"):
        io.onnx.load(written(path, whole))


def test_all_of_attention_is_missing(path):
    """Behind what is not read, too, as far as its shape is known."""
    node = helper.make_node
    nodes = [
        node("Concat", ["token", "x"], ["a"], "tokens", axis=1),
        node("MatMul", ["a", "k"], ["b"], "keys"),
        node("Transpose", ["b"], ["c"], perm=[0, 2, 1]),
        node("MatMul", ["a", "c"], ["d"], "scores"),
        node("Softmax", ["d"], ["e"], axis=-1),
        node("MatMul", ["e", "a"], ["f"], "mixed"),
        node("Sin", ["f"], ["g"], "first wave"),
        node("Greater", ["g", "f"], ["h"], "larger"),
        node("Where", ["h", "g", "f"], ["i"], "chosen"),
        node("Sin", ["i"], ["y"], "second wave"),
    ]
    rng = np.random.default_rng(0)
    whole = model(nodes, [("x", ["n", 5, 4])], ["y"], [tensor(rng, "token", 1, 1, 4), tensor(rng, "k", 4, 4)])
    with pytest.raises(ValueError, match="no layers for") as error:
        io.onnx.load(written(path, whole))
    assert str(error.value).partition("no layers for ")[2] == (
        "Concat with a constant (1 node, 'tokens'), MatMul of two values that depend on the input, or of a "
        "constant in front (2 nodes, first 'scores'), Sin (2 nodes, first 'first wave'), Greater (1 node, "
        "'larger'), Where (1 node, 'chosen')"
    )


@pytest.mark.parametrize("opset", [6, 25, 0])
def test_other_opsets_are_refused(opset, path):
    whole = network()
    whole.opset_import[0].version = opset
    with pytest.raises(ValueError, match=rf"opset {opset}; 7 to 24 are read"):
        io.onnx.load(written(path, whole))


def test_what_is_no_file_or_no_model(path):
    with pytest.raises(FileNotFoundError, match=r"m\.onnx"):
        io.onnx.load(path)
    for data in (b"", b"\x00", b"nothing of the kind", b"\x08\x07"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="not an ONNX model that can be read"):
            io.onnx.load(path)
    with pytest.raises(ValueError, match="data_format must be"):
        io.onnx.load(path, data_format="nchw")


def test_without_the_package():
    code = (
        "import sys; import cconv, cconv.io; assert 'onnx' not in sys.modules; sys.modules['onnx'] = None\n"
        "try: cconv.io.onnx\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == 'cconv.io.onnx needs the package onnx: pip install "cconv[onnx]"\n'


# --- the operators, one by one ----------------------------------------------------------------


def test_nodes_of_the_backend_suite(path):
    """Each is equal or refused; `data/onnx_nodes.json` has how many of each operator are equal."""
    counts, wrong = onnx_nodes.table(io.onnx.load, path)
    assert not wrong
    recorded = json.loads((DATA / "onnx_nodes.json").read_text())
    fewer = {op: (counts[op]["equal"], was) for op, (was, _) in recorded.items() if counts[op]["equal"] < was}
    assert not fewer


# --- files of others --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("digit_cnn", Sequential, None),
        ("mtcnn_onet", Model, None),
        ("ppocr_cls", Model, (3, 48, 192)),
    ],
)
@pytest.mark.skipif(not LONG, reason="the files are in CCONV_DATA_DIR")
def test_files_of_others(name, kind, shape):
    folder = Path(LONG or "") / "models"
    reference = np.load(folder / f"{name}.npz")
    loaded = io.onnx.load(folder / f"{name}.onnx", shape)
    assert type(loaded) is kind
    outputs = [reference[key] for key in reference.files if key != "x"]
    assert_equal(predicted(loaded, [reference["x"]]), outputs)


SCALES = [
    (1 / 3, 9),
    (1 / 3, 96),
    (0.1, 20),
    (0.2, 10),
    (0.6, 10),
    (0.7, 10),
    (5 / 3, 3),
    (1.2, 6),
    (2.5, 5),
    (1.7, 9),
]


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(("scale", "size"), SCALES)
def test_scales_are_what_wrote_them_counted_with(path, scale, size, mode):
    """As float32, which hardly any of these is exactly: 10 pixels times 0.7 are 7."""
    scales = np.array([1, 1, scale, scale], np.float32)
    modes = {
        "mode": mode,
        "coordinate_transformation_mode": "asymmetric" if mode == "nearest" else "half_pixel",
    }
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], nearest_mode="floor", **modes)
    whole = model([node], [("x", [1, 2, size, size])], ["y"], [onnx.numpy_helper.from_array(scales, "s")])
    written(path, whole)
    x = [np.random.default_rng(0).standard_normal((1, 2, size, size)).astype(np.float32)]
    assert_equal(predicted(io.onnx.load(path), x), truth(path, x))


@pytest.mark.parametrize("op", ["Max", "Min"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_constants_of_any_number(path, op, count):
    rng, names = np.random.default_rng(count), [f"c{number}" for number in range(count)]
    nodes = [helper.make_node("Mul", ["given", "two"], ["c0"]), helper.make_node(op, names[::-1], ["m"])]
    nodes += [helper.make_node("Add", ["x", "m"], ["s"]), helper.make_node("Add", ["s", "c0"], ["y"])]
    constants = [tensor(rng, name, 3) for name in (*names[1:], "given", "two")]
    written(path, model(nodes, [("x", ["n", 3])], ["y"], constants))
    x = [rng.standard_normal((2, 3)).astype(np.float32)]
    assert_equal(predicted(io.onnx.load(path), x), truth(path, x))


@pytest.mark.parametrize(("low", "high"), [(-2, -1), (0.3, 0.1), (0, -1), (-1, 2), (1, 1)])
@pytest.mark.parametrize("relu", [False, True])
def test_bounds_the_wrong_way_round_and_behind_relu(path, low, high, relu):
    nodes = [helper.make_node("Relu", ["x"], ["z"])] if relu else []
    nodes.append(helper.make_node("Clip", ["z" if relu else "x", "a", "b"], ["y"]))
    bounds = [
        onnx.numpy_helper.from_array(np.float32(each), name) for each, name in ((low, "a"), (high, "b"))
    ]
    written(path, model(nodes, [("x", ["n", 3])], ["y"], bounds))
    x = [np.linspace(-3, 3, 12, dtype=np.float32).reshape(4, 3)]
    assert_equal(predicted(io.onnx.load(path), x), truth(path, x))


@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 1), (6,), (4, 5, 6)], ids=str)
@pytest.mark.parametrize("op", ["Sum", "Add", "Sub", "Mul", "Div"])
def test_a_value_and_a_constant(op, shape, path):
    rng = np.random.default_rng(0)
    constant = onnx.numpy_helper.from_array(rng.uniform(1, 2, shape).astype(np.float32), "s")
    whole = model([helper.make_node(op, ["x", "s"], ["y"])], [("x", ["n", 4, 5, 6])], ["y"], [constant])
    arrays = [rng.standard_normal((3, 4, 5, 6)).astype(np.float32)]
    assert_equal(predicted(io.onnx.load(written(path, whole)), arrays), truth(path, arrays))


@pytest.mark.parametrize("scales", [(0.6, 0.6), (0.5, 1.0), (0.3, 0.7), (2.0, 2.0), (1.5, 1.0)], ids=str)
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize_of_opset_10_rounds_up_where_the_image_becomes_smaller(scales, mode, path):
    numbers = onnx.numpy_helper.from_array(np.array([1, 1, *scales], np.float32), "s")
    nodes = [helper.make_node("Resize", ["x", "s"], ["y"], mode=mode)]
    whole = model(nodes, [("x", ["n", 2, 10, 10])], ["y"], [numbers], opset=10)
    arrays = [np.random.default_rng(0).standard_normal((2, 2, 10, 10)).astype(np.float32)]
    assert_equal(predicted(io.onnx.load(written(path, whole)), arrays), truth(path, arrays))


def test_an_instance_normalisation_of_a_cut_value_may_be_the_end(path):
    weights = [onnx.numpy_helper.from_array(np.ones(2, np.float32), name) for name in "sb"]
    at = onnx.numpy_helper.from_array(np.array(1, np.int64), "i")
    nodes = [
        helper.make_node("Gather", ["x", "i"], ["g"], axis=3),
        helper.make_node("InstanceNormalization", ["g", "s", "b"], ["y"]),
    ]
    whole = model(nodes, [("x", ["n", 2, 5, 4])], ["y"], [*weights, at])
    arrays = [np.random.default_rng(0).standard_normal((3, 2, 5, 4)).astype(np.float32)]
    assert_equal(predicted(io.onnx.load(written(path, whole)), arrays), truth(path, arrays))
