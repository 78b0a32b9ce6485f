"""Reading an ONNX file: the file, its graph in plain Python, simplification, and the layers."""
