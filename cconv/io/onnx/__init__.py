"""ONNX files: `load` makes a model of one, `save` writes one of a model.

ONNX (https://onnx.ai) is the format that PyTorch, TensorFlow and others write. It needs the package onnx,
``pip install "cconv[onnx]"``, which parses the file; nothing in a file is run.
"""

try:
    import onnx as _onnx  # noqa: F401  asked for once, here
except ImportError as error:
    raise ImportError('cconv.io.onnx needs the package onnx: pip install "cconv[onnx]"') from error

from cconv.io.onnx.exporting import save
from cconv.io.onnx.reading.loading import load

__all__ = ["load", "save"]
