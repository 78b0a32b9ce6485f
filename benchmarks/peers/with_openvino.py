"""OpenVINO, reading the file that onnxruntime reads; it predicts only."""

import openvino

from benchmarks.peers.onnx_graphs import model_of

_threads = 1


def prepare(setting, threads, dtype):
    global _threads
    _threads = threads
    return {"openvino": openvino.__version__.split("-")[0]}


def network(task):
    model, x = model_of(task)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": _threads,
        # Where the processor has bfloat16, that is what it would compute in.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    request = compiled.create_infer_request()
    images = openvino.Tensor(x, shared_memory=True)

    def predict():
        # Set every time, and so kept alive: the request itself does not hold the array.
        request.set_input_tensor(images)
        request.infer()
        return request.get_output_tensor().data

    return {"predict": predict}
