"""ONNX files: `load` reads a file as a model, `save` writes a model as a file.

ONNX (https://onnx.ai) is the format that PyTorch, TensorFlow and others write. The package onnx parses the
file: ``pip install "cconv[onnx]"``. Code in a file is never run.
"""

try:
    import onnx as _onnx  # noqa: F401  imported here, so that it is reported if it is missing
except ImportError as error:
    raise ImportError('cconv.io.onnx needs the package onnx: pip install "cconv[onnx]"') from error

from cconv.io.onnx.exporting import save
from cconv.io.onnx.reading.loading import load

__all__ = ["load", "save"]
