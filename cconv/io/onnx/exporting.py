"""A model as an ONNX file, which onnxruntime, OpenVINO and many others run."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.arguments.paths import as_path
from cconv.files.atomic import replacing
from cconv.io.onnx.writing.layers import unwritten, write
from cconv.io.onnx.writing.sheet import IMAGE, Sheet, Value

MOST_BYTES = 2**31 - 2**16  # limit of a protobuf message


@controlled
def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    data_format: str | None = None,
    dtype: DTypeLike | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a model for inference: dropout, noise and augmentation are left out.

    The exported model takes any number of samples; every other size is the model's. Training is not exported:
    ``model.save("….safetensors")`` writes the whole model.

    Parameters
    ----------
    model : Sequential or Model
        Built. All its layers must be the library's: your own layers are Python code.
    path : path
        Path of the file, ``"….onnx"``.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the exported model's images; by default the model's. Inside the graph the channels are in
        front, as in ONNX; transpositions occur only at the ends and where samples are flattened.
    dtype : dtype, optional
        float32 or float64, of weights and inputs; by default the model's. onnxruntime only has float32
        convolutions.
    metadata : dict of str to str, optional
        Additional entries of the file, beside the graph.

    Raises
    ------
    OSError
        When the file cannot be written; an existing one is unchanged.
    TypeError, ValueError
        For a layer that ONNX cannot express, a model that is not built, or one of more than 2 GB.

    Examples
    --------
    >>> import tempfile
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> model = Sequential([Dense(3, activation="softmax", input_shape=(4,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, f"{folder}/m.onnx")
    ...     [node.op_type for node in onnx.load(f"{folder}/m.onnx").graph.node]
    ['Gemm', 'Softmax']
    """
    where = f"{model.where}.export"
    as_path(where, "path", path)
    kind = np.dtype(model.dtype if dtype is None else dtype)
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"{where}: dtype must be float32 or float64, got {dtype!r}")
    turned = data_format_of(where, model, data_format) == "channels_first"
    proto = graph_of(model, where, kind, turned)
    for key, value in (metadata or {}).items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    if proto.ByteSize() > MOST_BYTES:
        raise ValueError(f"{where}: the model must have less than 2 GB, got {proto.ByteSize() / 1e9:.1f} GB")
    try:
        onnx.checker.check_model(proto, full_check=True)
    except onnx.shape_inference.InferenceError as error:
        # As of a pooling in ceil_mode, which counts windows that begin in the padding.
        raise ValueError(f"{where}: ONNX has no network of these shapes: {error}") from error
    with replacing(path) as file:
        file.write(proto.SerializeToString(deterministic=True))


def data_format_of(where: str, model: Any, data_format: Any) -> str:
    """Return the requested data format, or the model's."""
    return model.data_format if data_format is None else arguments.data_format(where, data_format)


def graph_of(model: Any, where: str, dtype: np.dtype, channels_first: bool) -> onnx.ModelProto:
    """Return the model as an ONNX message.

    Raises
    ------
    ValueError
        When the model is not built, or has layers that cannot be written; the message names all of them.
    """
    if not model.built:
        raise ValueError(f"{where}: the model must be built, got one that has not seen an input_shape")
    flow = model._flow()
    missing = list(unwritten(flow.uses))
    if missing:
        raise ValueError(
            f"{where}: ONNX has no operators for {', '.join(missing)}: what a layer of your own computes is "
            "Python"
        )
    sheet = Sheet(dtype)
    inputs = [
        Value(sheet.named(name), _inner(model, shape), channels_first and len(shape) == IMAGE)
        for name, shape in zip(model._ins.names, model._input_shapes, strict=True)
    ]
    names = [sheet.named(name) for name in model._outs.names]
    labels = {id(layer): name for name, layer in model._named}
    values = list(inputs)
    for use in flow.uses:
        sheet.label = labels.get(id(use.layer), use.layer.name)
        sheet.layer = type(use.layer).__name__
        values.append(write(sheet, use.layer, [values[value] for value in use.inputs]))
    outputs = []
    for name, number in zip(names, flow.outputs, strict=True):
        value, turned = values[number], channels_first and len(values[number].shape) == IMAGE
        outputs.append(sheet.end(name, sheet.first(value) if turned else sheet.last(value)))
        values = [outputs[-1] if each.name == value.name else each for each in values]
    return sheet.model(model.name, inputs, outputs)


def _inner(model: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return an input's shape with the channels last."""
    turned = model.data_format == "channels_first" and len(shape) == IMAGE
    return (*shape[1:], shape[0]) if turned else tuple(shape)
