"""The node tests of the ONNX backend suite, for the operators that `cconv.io.onnx.load` reads.

Every case is a model of one node. What a network has as weights, sizes and axes are inputs there, so each
case is tried with all inputs but the first as constants, and, where they are alike, with none.
"""

import importlib
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

OPERATORS = [
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean"),
    *("ReduceMax", "ReduceSum", "BatchNormalization", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Max"),
    *("Min", "Sum", "Neg", "Concat", "Split", "Slice", "Pad", "Reshape", "Flatten", "Squeeze", "Unsqueeze"),
    *("Transpose", "Resize", "Upsample", "SpaceToDepth", "DepthToSpace", "Tile", "Expand", "Gather", "Relu"),
    *("Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus"),
    *("Softsign", "Mish", "Erf", "Gelu", "Swish", "Softmax", "LogSoftmax", "LRN", "LayerNormalization"),
    *("GroupNormalization", "InstanceNormalization", "ArgMax", "Identity", "Cast", "Dropout"),
]
BETWEEN = ("Add", "Sub", "Mul", "Div", "Concat", "Max", "Min", "Sum")


def cases():
    """Return the cases of the operators, each with its operator, by name."""
    package = "onnx.backend.test.case.node"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(importlib.import_module(package).__file__).parent
        modules = {path.stem.replace("_", ""): path.stem for path in folder.glob("*.py")}
        for op in OPERATORS:
            importlib.import_module(f"{package}.{modules[op.lower()]}")
        found = importlib.import_module(package)._NodeTestCases
    by_name = {}
    for case in found:
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in OPERATORS and not nodes[0].domain:
            by_name[case.name] = (nodes[0].op_type, case)
    return by_name


def variants(op, case):
    """Yield models with their inputs and outputs: what is data, and what is a constant."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for entry in model.opset_import:
        entry.version = min(entry.version, 24)
    inputs, outputs = case.data_sets[0]
    inputs, outputs = ([_array(one) for one in side] for side in (inputs, outputs))
    del model.graph.output[1:]
    names = [value.name for value in model.graph.input]
    yield _with_constants(model, names[:1], dict(zip(names, inputs, strict=True))), inputs[:1], outputs
    alike = {(array.ndim, array.shape[:1]) for array in inputs}
    if op in BETWEEN and len(inputs) > 1 and len(alike) == 1:
        yield model, inputs, outputs


def _array(value):
    array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _with_constants(model, data, arrays):
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    kept = [value for value in whole.graph.input if value.name in data]
    for name, array in arrays.items():
        if name not in data and isinstance(array, np.ndarray) and array.dtype.kind in "biuf":
            whole.graph.initializer.append(numpy_helper.from_array(array, name))
    if len(whole.graph.initializer) == len(arrays) - len(data):
        del whole.graph.input[:]
        whole.graph.input.extend(kept)
    return whole


def outcome(load, path, op, variant):
    """Return "equal", "refused", or what is wrong."""
    model, inputs, outputs = variant
    path.write_bytes(model.SerializeToString())
    try:
        loaded = load(path)
    except ValueError as error:
        named = any(word in str(error) for word in (op, "input", "output"))
        return "refused" if named else f"an error that does not say what: {error}"
    given = loaded.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    got = given if isinstance(given, list) else [given]
    for ours, theirs in zip(got, outputs, strict=False):
        if ours.shape != (theirs.shape if theirs.ndim > 1 else (len(theirs), 1)):
            return f"shape {ours.shape}, expected {theirs.shape}"
        tolerance = 1e-2 if op == "Cast" else 1e-3  # a model has one dtype: nothing is rounded between
        if not np.allclose(ours, theirs.reshape(ours.shape), rtol=tolerance, atol=1e-6, equal_nan=True):
            return f"values are off by {np.abs(ours - theirs.reshape(ours.shape)).max()}"
    return "equal"


def table(load, path):
    """Return for each operator how many cases are equal and refused, and what is wrong with others."""
    counts, wrong = {op: Counter() for op in OPERATORS}, {}
    for name, (op, case) in cases().items():
        found = []
        for variant in variants(op, case):
            found.append(outcome(load, path, op, variant))
        bad = [one for one in found if one not in ("equal", "refused")]
        if bad:
            wrong[name] = bad[0]
        counts[op]["equal" if "equal" in found and not bad else "wrong" if bad else "refused"] += 1
    return counts, wrong
