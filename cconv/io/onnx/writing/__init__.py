"""From layers to nodes of ONNX."""
