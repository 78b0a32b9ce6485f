"""onnxruntime; it predicts only."""

import onnxruntime

from benchmarks.peers.onnx_graphs import model_of

_threads = 1


def prepare(setting, threads, dtype):
    global _threads
    _threads = threads
    return {"onnxruntime": onnxruntime.__version__}


def network(task):
    model, x = model_of(task)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = _threads, 1
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    return {"predict": lambda: session.run(None, {"x": x})}
