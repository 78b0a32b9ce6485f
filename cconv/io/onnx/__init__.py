"""ONNX files: `save` writes one of a model."""

try:
    import onnx as _onnx  # noqa: F401  asked for once, here
except ImportError as error:
    raise ImportError('cconv.io.onnx needs the package onnx: pip install "cconv[onnx]"') from error

from cconv.io.onnx.exporting import save

__all__ = ["save"]
