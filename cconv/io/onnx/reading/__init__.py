"""From an ONNX file to a model: the file, its graph in plain Python, what is simplified in it, the layers."""
