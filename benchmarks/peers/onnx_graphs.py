"""The same networks as ONNX graphs with weights of no meaning, for those that only predict.

Layers in a row are written down here. Graphs are PyTorch's modules, exported by another process, so that
PyTorch's threads and memory are not with those that are measured.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks import networks
from benchmarks.peers.data import batch_of

OPSET = 17
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softmax": "Softmax"}


class _Row:
    """Nodes in a row, each fed by the one before."""

    def __init__(self):
        self.nodes, self.weights, self.last = [], [], "x"
        self.rng = np.random.default_rng(0)

    def weight(self, *shape):
        values = self.rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(np.prod(shape[1:]) + 1))
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.abs(values) if len(shape) == 1 else values, name))
        return name

    def add(self, operator, *inputs, **attributes):
        name = f"y{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.last, *inputs], [name], **attributes))
        self.last = name

    def layer(self, layer, shape):
        match layer:
            case networks.Conv():
                groups = shape[2] if layer.depthwise else 1
                filters = networks.output_shape(layer, shape)[2]
                weights = [self.weight(filters, shape[2] // groups, layer.size, layer.size)]
                weights += [self.weight(filters)] if layer.bias else []
                pad = "SAME_UPPER" if layer.padding == "same" else "VALID"
                self.add("Conv", *weights, strides=[layer.stride] * 2, group=groups, auto_pad=pad)
            case networks.Norm():
                self.add("BatchNormalization", *(self.weight(shape[2]) for _ in range(4)))
            case networks.Pool():
                operator = "MaxPool" if layer.kind == "max" else "AveragePool"
                strides = [layer.stride or layer.size] * 2
                self.add(operator, kernel_shape=[layer.size] * 2, strides=strides)
            case networks.GlobalAverage():
                self.add("GlobalAveragePool")
                self.add("Flatten")
            case networks.Flatten():
                self.add("Flatten")
            case networks.Dense():
                self.add("Gemm", self.weight(shape[0], layer.units), self.weight(layer.units))
        if getattr(layer, "activation", None):
            self.add(ACTIVATIONS[layer.activation])


def _model(network, x):
    graph, shape = _Row(), network.input_shape
    for layer in network.layers:
        graph.layer(layer, shape)
        shape = networks.output_shape(layer, shape)
    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)
    made = helper.make_tensor_value_info(graph.last, onnx.TensorProto.FLOAT, (len(x), *shape))
    body = helper.make_graph(graph.nodes, "network", [given], [made], graph.weights)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def _exported(task):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        command = [sys.executable, "-m", "benchmarks.peers.torch_onnx", task["network"], str(task["batch"])]
        done = subprocess.run([*command, str(path)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("the export by PyTorch failed: " + done.stderr.strip().splitlines()[-1])
        return path.read_bytes()


def model_of(task):
    """Return the network as the bytes of an .onnx file, and the images that are its input "x"."""
    described = networks.NETWORKS[task["network"]]
    x, _ = batch_of(task, described.input_shape, described.classes, "float32", "nchw")
    if isinstance(described, networks.Graph):
        return _exported(task), x
    model = _model(described, x)
    onnx.checker.check_model(model)
    return model.SerializeToString(), x
