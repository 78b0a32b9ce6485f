"""Small ONNX files for tests: networks of one's own, and damaged ones."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def tensor(rng, name, *shape, dtype=np.float32):
    return numpy_helper.from_array(rng.standard_normal(shape).astype(dtype), name)


def integers(name, *numbers):
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def model(nodes, inputs, outputs, constants=(), opset=17):
    """Return a model; inputs as (name, shape), outputs as names."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "g", values, ends, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def network(seed=0, batch="n"):
    """Return a network with a branch, a shape that is computed, and weights of several types."""
    rng = np.random.default_rng(seed)
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "k", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "gamma", "beta", "mean", "variance"], ["d"], "bn"),
        node("Relu", ["d"], ["e"], "relu"),
        node("MaxPool", ["e"], ["f"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Cast", ["half"], ["full"], "cast", to=TensorProto.FLOAT),
        node("Mul", ["f", "full"], ["g"], "scaled"),
        node("Add", ["g", "f"], ["h"], "sum"),
        node("Shape", ["h"], ["s"], "shape"),
        node("Gather", ["s", "zero"], ["first"], "first", axis=0),
        node("Unsqueeze", ["first", "axes"], ["front"], "front"),
        node("Concat", ["front", "rest"], ["target"], "target", axis=0),
        node("Reshape", ["h", "target"], ["flat"], "flat"),
        node("Gemm", ["flat", "w", "v"], ["y"], "dense", transB=1),
    ]
    constants = [
        tensor(rng, "k", 4, 2, 3, 3),
        tensor(rng, "b", 4),
        *(tensor(rng, name, 4) for name in ("gamma", "beta", "mean")),
        numpy_helper.from_array(rng.random(4, np.float32) + 0.5, "variance"),
        numpy_helper.from_array(rng.standard_normal((4, 1, 1)).astype(np.float16), "half"),
        numpy_helper.from_array(np.array(0, np.int64), "zero"),
        integers("axes", 0),
        integers("rest", -1),
        tensor(rng, "w", 3, 36),
        tensor(rng, "v", 3),
    ]
    return model(nodes, [("x", [batch, 2, 6, 6])], ["y"], constants)


# --- damage -----------------------------------------------------------------------------------


def damaged_bytes(data, rng):
    """Return the bytes with some of them flipped, lost, doubled or others."""
    data = bytearray(data)
    kind = rng.integers(6)
    at = int(rng.integers(len(data)))
    if kind == 0:
        for place in rng.integers(len(data), size=rng.integers(1, 6)):
            data[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        del data[at : at + int(rng.integers(1, 9))]
    elif kind == 3:
        data[at:at] = rng.bytes(int(rng.integers(1, 9)))
    elif kind == 4:
        data[at : at + 4] = b"\xff\xff\xff\x7f"
    else:
        data[at:at] = data[at : at + int(rng.integers(1, 200))]
    return bytes(data)


ODD = [-1, -(2**63), 0, 1, 2, 3, 7, 10**6, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1]
NAMES = ["", "x", "y", "k", "../k", "a/b", "\x00", "ä" * 300, "h"]
OPERATORS = [
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "Gemm", "MatMul", "Add", "Concat", "Split", "Slice"),
    *("Pad", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Resize", "Tile", "Expand", "Gather"),
    *("Range", "ConstantOfShape", "Softmax", "LRN", "ArgMax", "ReduceMean", "If", "Loop", "Nothing", "Shape"),
    *("DepthToSpace", "SpaceToDepth", "PRelu", "Clip", "Div", "Cast", "Constant", "GroupNormalization"),
    *(
        "InstanceNormalization",
        "LayerNormalization",
        "Upsample",
        "Split",
        "Mod",
        "Where",
        "BatchNormalization",
    ),
]


def damaged_model(rng):
    """Return a network in which one thing is another than it should be."""
    whole = network(int(rng.integers(4)), ["n", 1, 3][rng.integers(3)])
    for _ in range(rng.integers(1, 4)):
        _damage(whole, rng)
    return whole


def _damage(whole, rng):
    graph = whole.graph

    def some(listed):
        return listed[int(rng.integers(len(listed)))]

    tensor, node = some(graph.initializer), some(graph.node)
    kind = int(rng.integers(14))
    if kind == 0 and tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = some(ODD)
    elif kind == 1:
        tensor.dims.append(some(ODD))
    elif kind == 2:
        tensor.data_type = int(rng.integers(0, 30))
    elif kind == 3:
        tensor.raw_data = rng.bytes(int(rng.integers(0, 40)))
    elif kind == 4 and node.input:
        node.input[int(rng.integers(len(node.input)))] = some(
            [some(node.output), *NAMES, some(graph.node).output[0]]
        )
    elif kind == 5:
        node.output[0] = some(NAMES)
    elif kind == 6:
        node.op_type = some(OPERATORS)
    elif kind == 7 and node.attribute:
        _damage_attribute(some(node.attribute), some, rng)
    elif kind == 8:
        name = some(
            [
                "axis",
                "axes",
                "pads",
                "group",
                "strides",
                "dilations",
                "kernel_shape",
                "perm",
                "alpha",
                "to",
                "mode",
                "size",
            ]
        )
        node.attribute.append(helper.make_attribute(name, some([some(ODD[1:]), [some(ODD)] * 2, 1.5, "abc"])))
    elif kind == 9:
        whole.opset_import[0].version = int(rng.integers(-2, 40))
    elif kind == 10:
        dim = some(graph.input[0].type.tensor_type.shape.dim)
        dim.dim_value = some(ODD)
    elif kind == 11:
        tensor.raw_data = b"0"
        onnx.external_data_helper.set_external_data(tensor, "placeholder")
        tensor.ClearField("raw_data")
        tensor.external_data[0].value = some(
            ["../../etc/passwd", "/etc/passwd", "no", "", "..", "C:\\a", "a\x00b", "."]
        )
        more = tensor.external_data.add()
        more.key, more.value = some(["offset", "length"]), some(["-1", "9" * 30, "0", "x"])
    elif kind == 12:
        tensor.name = some(NAMES)
    elif kind == 13:
        array = np.array([some(ODD) for _ in range(rng.integers(1, 5))], np.int64)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _damage_attribute(attribute, some, rng):
    if attribute.ints:
        attribute.ints[int(rng.integers(len(attribute.ints)))] = some(ODD)
    else:
        attribute.i = some(ODD)
        attribute.type = int(rng.integers(0, 12))
