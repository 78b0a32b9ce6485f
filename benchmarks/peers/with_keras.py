"""Keras on TensorFlow, with and without XLA, and on JAX; `pool.py` has set KERAS_BACKEND."""

import math

import keras

from benchmarks import networks
from benchmarks.peers import keras_graphs
from benchmarks.peers.data import batch_of

_dtype, _xla = "float32", False


def prepare(setting, threads, dtype):
    global _dtype, _xla
    _dtype, _xla = dtype, setting != "tensorflow"
    keras.config.set_floatx(dtype)
    versions = {"keras": keras.__version__}
    if keras.backend.backend() == "tensorflow":
        import tensorflow as backend

        backend.config.threading.set_intra_op_parallelism_threads(threads)
        backend.config.threading.set_inter_op_parallelism_threads(1)
        versions["tensorflow"] = backend.__version__
    else:
        import jax as backend

        versions["jax"] = backend.__version__
    return versions


def _options(layer):
    options = {"strides": layer.stride, "padding": layer.padding}
    return options | {"activation": layer.activation, "use_bias": layer.bias}


def _layers(network):
    for layer in network.layers:
        match layer:
            case networks.Conv(depthwise=True):
                yield keras.layers.DepthwiseConv2D(layer.size, **_options(layer))
            case networks.Conv():
                yield keras.layers.Conv2D(layer.filters, layer.size, **_options(layer))
            case networks.Norm():
                yield keras.layers.BatchNormalization()
                yield keras.layers.Activation(layer.activation)
            case networks.Pool(kind="max"):
                yield keras.layers.MaxPooling2D(layer.size, layer.stride)
            case networks.Pool():
                yield keras.layers.AveragePooling2D(layer.size, layer.stride)
            case networks.GlobalAverage():
                yield keras.layers.GlobalAveragePooling2D()
            case networks.Flatten():
                yield keras.layers.Flatten()
            case networks.Dropout():
                yield keras.layers.Dropout(layer.rate)
            case networks.Dense():
                yield keras.layers.Dense(layer.units, activation=layer.activation)


def network(task):
    keras.utils.clear_session()
    described = networks.NETWORKS[task["network"]]
    input_shape = task.get("input_shape", described.input_shape)
    pixels = False
    if isinstance(described, networks.Graph):
        model, pixels = keras_graphs.model(task["network"]), described.pixels
    else:
        model = keras.Sequential([keras.Input(tuple(input_shape)), *_layers(described)])
    model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", jit_compile=_xla)
    assert sum(math.prod(w.shape) for w in model.trainable_weights) == task["parameters"]
    arrays = batch_of(task, input_shape, described.classes, _dtype, pixels=pixels)
    x, y = map(keras.ops.convert_to_tensor, arrays)
    return {"train": lambda: model.train_on_batch(x, y), "predict": lambda: model.predict_on_batch(x)}
