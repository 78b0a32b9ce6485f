"""Small networks as exporters write them, for comparison with onnxruntime; each with what it is to become."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx_files import integers, model, network, tensor

node = helper.make_node


def number(name, value):
    return numpy_helper.from_array(np.array(value, np.float32), name)


def straight(rng):
    nodes = [
        node("Conv", ["x", "k", "b"], ["c"], "/features/0/Conv", pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["d"]),
        node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Dropout", ["e"], ["f"]),
        node("Flatten", ["f"], ["g"]),
        node("Gemm", ["g", "w", "v"], ["h"], "/classifier/Gemm", transB=1),
        node("Softmax", ["h"], ["y"]),
    ]
    weights = tensor(rng, "k", 4, 2, 3, 3), tensor(rng, "b", 4), tensor(rng, "w", 3, 48), tensor(rng, "v", 3)
    return model(nodes, [("x", ["n", 2, 8, 6])], ["y"], weights)


def squeeze(rng):
    """A mobile block: depthwise, squeeze and excite, hard swish written out."""
    nodes = [
        node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1], group=4),
        node("Add", ["c", "three"], ["a"]),
        node("Clip", ["a", "zero", "six"], ["b"]),
        node("Mul", ["c", "b"], ["m"]),
        node("Div", ["m", "six"], ["h"]),
        node("GlobalAveragePool", ["h"], ["p"]),
        node("Conv", ["p", "w"], ["s"]),
        node("HardSigmoid", ["s"], ["g"], alpha=1 / 6),
        node("Mul", ["h", "g"], ["o"]),
        node("Add", ["o", "x"], ["y"]),
    ]
    constants = [number("three", 3), number("zero", 0), number("six", 6)]
    constants += [tensor(rng, "k", 4, 1, 3, 3), tensor(rng, "w", 4, 4, 1, 1)]
    return model(nodes, [("x", ["n", 4, 5, 6])], ["y"], constants)


def gelus(rng):
    nodes = [
        node("Div", ["x", "root"], ["a"]),
        node("Erf", ["a"], ["b"]),
        node("Add", ["b", "one"], ["c"]),
        node("Mul", ["x", "c"], ["d"]),
        node("Mul", ["d", "half"], ["e"]),
        node("Pow", ["e", "cube"], ["f"]),
        node("Mul", ["f", "small"], ["g"]),
        node("Add", ["e", "g"], ["h"]),
        node("Mul", ["h", "scale"], ["i"]),
        node("Tanh", ["i"], ["j"]),
        node("Add", ["j", "one"], ["l"]),
        node("Mul", ["half", "e"], ["m"]),
        node("Mul", ["m", "l"], ["y"]),
    ]
    values = {
        "root": 2**0.5,
        "one": 1,
        "half": 0.5,
        "cube": 3,
        "small": 0.044715,
        "scale": (2 / np.pi) ** 0.5,
    }
    return model(nodes, [("x", ["n", 5])], ["y"], [number(name, value) for name, value in values.items()])


def layer_norm(rng):
    """Written out over the channels of an image whose axes were turned, as ConvNeXt before opset 17."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        node("ReduceMean", ["t"], ["m"], axes=[-1]),
        node("Sub", ["t", "m"], ["d"]),
        node("Pow", ["d", "two"], ["q"]),
        node("ReduceMean", ["q"], ["v"], axes=[-1]),
        node("Add", ["v", "epsilon"], ["w"]),
        node("Sqrt", ["w"], ["s"]),
        node("Div", ["d", "s"], ["e"]),
        node("Mul", ["e", "gamma"], ["f"]),
        node("Add", ["f", "beta"], ["g"]),
        node("MatMul", ["g", "k"], ["h"]),
        node("Add", ["b", "h"], ["i"]),
        node("Transpose", ["i"], ["y"], perm=[0, 3, 1, 2]),
    ]
    constants = [number("two", 2), number("epsilon", 1e-6), tensor(rng, "gamma", 4), tensor(rng, "beta", 4)]
    constants += [tensor(rng, "k", 4, 6), tensor(rng, "b", 6)]
    return model(nodes, [("x", ["n", 4, 3, 2])], ["y"], constants)


def group_norm(rng):
    """As PyTorch writes it, and the channels shuffled as ShuffleNet does."""
    nodes = [
        node("Reshape", ["x", "groups"], ["r"]),
        node("InstanceNormalization", ["r", "ones", "zeros"], ["i"]),
        node("Shape", ["x"], ["s"]),
        node("Reshape", ["i", "s"], ["o"]),
        node("Mul", ["o", "gamma"], ["p"]),
        node("Add", ["p", "beta"], ["q"]),
        node("Reshape", ["q", "apart"], ["t"]),
        node("Transpose", ["t"], ["u"], perm=[0, 2, 1, 3, 4]),
        node("Reshape", ["u", "together"], ["y"]),
    ]
    constants = [
        integers("groups", 0, 2, -1),
        integers("apart", 0, 2, 3, 4, 5),
        integers("together", 0, -1, 4, 5),
    ]
    constants += [numpy_helper.from_array(np.ones(2, np.float32), "ones"), number("zeros", [0, 0])]
    constants += [tensor(rng, "gamma", 6, 1, 1), tensor(rng, "beta", 6, 1, 1)]
    return model(nodes, [("x", ["n", 6, 4, 5])], ["y"], constants)


def channels_last(rng):
    """As tf2onnx writes networks of Keras: turned around, and back, with a bias in another order."""
    nodes = [
        node("Sub", ["x", "mean"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=[0, 3, 1, 2]),
        node("Conv", ["b", "k"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Transpose", ["c"], ["d"], perm=[0, 2, 3, 1]),
        node("Add", ["d", "bias"], ["e"]),
        node("Min", ["relu", "six"], ["f"]),
        node("Relu", ["e"], ["relu"]),
        node("Transpose", ["f"], ["g"], perm=[0, 3, 1, 2]),
        node("ReduceMean", ["g"], ["h"], axes=[2, 3], keepdims=0),
        node("MatMul", ["h", "w"], ["y"]),
    ]
    constants = [
        tensor(rng, "mean", 3),
        tensor(rng, "k", 4, 3, 3, 3),
        tensor(rng, "bias", 4),
        number("six", 6),
    ]
    return model(nodes, [("x", ["n", 7, 6, 3])], ["y"], [*constants, tensor(rng, "w", 4, 2)])


def sequences(rng):
    nodes = [
        node("Conv", ["x", "k", "b"], ["c"], pads=[2, 1], dilations=[2]),
        node("LeakyRelu", ["c"], ["d"], alpha=0.2),
        node("AveragePool", ["d"], ["e"], kernel_shape=[3], strides=[2], pads=[1, 1]),
        node("ConvTranspose", ["e", "t"], ["f"], strides=[2], group=2, output_padding=[1]),
        node("PRelu", ["f", "slope"], ["g"]),
        node("GlobalMaxPool", ["g"], ["h"]),
        node("Squeeze", ["h", "axis"], ["y"]),
    ]
    constants = [tensor(rng, "k", 4, 2, 3), tensor(rng, "b", 4), tensor(rng, "t", 4, 3, 3)]
    constants += [tensor(rng, "slope", 6, 1), integers("axis", 2)]
    return model(nodes, [("x", ["n", 2, 9])], ["y"], constants)


def pieces(rng):
    """Two inputs and two outputs; parts, borders, blocks, other sizes."""
    nodes = [
        node("Split", ["x"], ["a", "b"], axis=1),
        node("Pad", ["a", "pads"], ["c"], mode="reflect"),
        node("Slice", ["c", "begin", "end", "along"], ["d"]),
        node("Concat", ["d", "b", "z"], ["e"], axis=1),
        node("DepthToSpace", ["e"], ["f"], blocksize=2, mode="CRD"),
        node(
            "Resize", ["f", "", "scales"], ["g"], mode="linear", coordinate_transformation_mode="half_pixel"
        ),
        node("Resize", ["f", "", "scales"], ["h"], mode="nearest", nearest_mode="ceil"),
        node("Max", ["g", "h"], ["i"]),
        node("LogSoftmax", ["i"], ["y"], axis=1),
        node("ArgMax", ["i"], ["o"], axis=1),
    ]
    constants = [integers("pads", 0, 0, 1, 1, 0, 0, 1, 1), integers("begin", 1, 1), integers("end", -1, -1)]
    constants += [integers("along", 2, 3), number("scales", [1, 1, 2, 2])]
    shapes = [("x", ["n", 8, 3, 4]), ("z", ["n", 4, 3, 4])]
    whole = model(nodes, shapes, ["y", "o"], constants)
    whole.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    return whole


def detector(rng):
    """The head of a detector: boxes on a grid, of one level, and how sure they are."""
    nodes = [
        node("Conv", ["x", "k", "b"], ["c"]),
        node("Reshape", ["c", "apart"], ["d"]),
        node("Transpose", ["d"], ["e"], perm=[0, 1, 3, 4, 2]),
        node("Sigmoid", ["e"], ["f"]),
        node("Split", ["f", "sizes"], ["place", "size", "sure"], axis=4),
        node("Mul", ["place", "two"], ["g"]),
        node("Add", ["g", "grid"], ["h"]),
        node("Mul", ["h", "stride"], ["i"]),
        node("Mul", ["size", "two"], ["j"]),
        node("Pow", ["j", "two"], ["l"]),
        node("Mul", ["l", "anchors"], ["m"]),
        node("Concat", ["i", "m", "sure"], ["o"], axis=4),
        node("Reshape", ["o", "listed"], ["y"]),
    ]
    constants = [integers("apart", -1, 2, 7, 3, 4), integers("sizes", 2, 2, 3), integers("listed", 0, -1, 7)]
    constants += [tensor(rng, "k", 14, 3, 1, 1), tensor(rng, "b", 14), number("two", 2), number("stride", 8)]
    constants += [tensor(rng, "grid", 1, 2, 3, 4, 2), tensor(rng, "anchors", 1, 2, 1, 1, 2)]
    return model(nodes, [("x", ["n", 3, 3, 4])], ["y"], constants)


def axes_of_images(rng):
    """Normalisations of images over other axes than the channels, in the ways of several exporters."""
    nodes = [
        node("LayerNormalization", ["x", "g", "b"], ["a"], axis=1),
        node("Mul", ["a", "a"], ["c"]),
        node("ReduceMean", ["c"], ["d"], axes=[1, 3]),
        node("Add", ["d", "epsilon"], ["e"]),
        node("Sqrt", ["e"], ["f"]),
        node("Reciprocal", ["f"], ["h"]),
        node("Mul", ["h", "a"], ["i"]),
        node("Mul", ["s", "i"], ["j"]),
        node("ReduceL2", ["j"], ["l"], axes=[1]),
        node("Clip", ["l", "least"], ["m"]),
        node("Shape", ["j"], ["o"]),
        node("Expand", ["m", "o"], ["p"]),
        node("Div", ["j", "p"], ["q"]),
        node("LayerNormalization", ["q", "u", "v"], ["r"], axis=2),
        node("LpNormalization", ["r"], ["y"], axis=3),
    ]
    constants = [tensor(rng, "g", 4, 6, 7), tensor(rng, "b", 4, 6, 7), number("epsilon", 1e-4)]
    constants += [tensor(rng, "s", 1, 4, 1, 7), number("least", 1e-12)]
    constants += [tensor(rng, "u", 6, 7), tensor(rng, "v", 6, 7)]
    return model(nodes, [("x", ["n", 4, 6, 7])], ["y"], constants)


def together(rng):
    """Products of vectors, a softmax over all pixels, ReLUs with a threshold or an end, and a mean."""
    nodes = [
        node("ThresholdedRelu", ["x"], ["a"], alpha=0.25),
        node("LeakyRelu", ["x"], ["b"], alpha=0.2),
        node("Min", ["b", "one"], ["c"]),
        node("Mean", ["a", "c", "x"], ["d"]),
        node("ReduceMax", ["d"], ["e"], axes=[2, 3]),
        node("Sub", ["d", "e"], ["f"]),
        node("Exp", ["f"], ["g"]),
        node("ReduceSum", ["g", "pixels"], ["h"]),
        node("Div", ["g", "h"], ["i"]),
        node("Log", ["h"], ["j"]),
        node("Sub", ["f", "j"], ["l"]),
        node("Reshape", ["i", "rows"], ["p"]),
        node("Reshape", ["l", "rows"], ["q"]),
        node("Einsum", ["p", "q"], ["r"], equation="nck, ndk -> ncd"),
        node("Einsum", ["x", "r"], ["y"], equation="nchw,nce->nhwe"),
    ]
    constants = [number("one", 1), integers("pixels", 2, 3), integers("rows", 0, 3, 20)]
    return model(nodes, [("x", ["n", 3, 5, 4])], ["y"], constants)


def strided(rng):
    """Samples put into one row, and taken apart by places that are counted: PyTorch's ``as_strided``."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "first"], ["n"]),
        node("Range", ["first", "n", "step"], ["a"]),
        node("Mul", ["a", "size"], ["b"]),
        node("Unsqueeze", ["b", "axes"], ["c"]),
        node("Add", ["c", "places"], ["d"]),
        node("Reshape", ["x", "flat"], ["e"]),
        node("Gather", ["e", "d"], ["f"]),
        node("Softmax", ["f"], ["y"], axis=-1),
    ]
    scalars = [
        numpy_helper.from_array(np.array(n, np.int64), name) for name, n in (("first", 0), ("step", 1))
    ]
    constants = [integers("size", 12), integers("axes", 1, 2), integers("flat", -1)]
    places = numpy_helper.from_array(np.arange(12).reshape(1, 3, 4), "places")
    return model(nodes, [("x", ["n", 12, 1, 1])], ["y"], [*scalars, *constants, places])


NETWORKS = {
    "network": lambda rng: network(),
    "fixed": lambda rng: network(batch=3),
    **{
        function.__name__: function
        for function in (
            straight,
            squeeze,
            gelus,
            layer_norm,
            group_norm,
            channels_last,
            sequences,
            pieces,
            detector,
            axes_of_images,
            together,
            strided,
        )
    },
}
