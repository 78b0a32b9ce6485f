"""cconv: whole networks through its models, layers through the memory that a plan would give them."""

import inspect
from typing import Any

import numpy as np

import cconv
from benchmarks import networks
from benchmarks.peers.data import aligned, batch_of, conv_arrays, geometry_of
from cconv import _kernels, layers, ops
from cconv.engine.memory import Arena, PlanRun
from cconv.geometry.shapes import resolve_window
from cconv.models import Sequential
from cconv.ops import optimizers
from cconv.optimizers import Adam

_dtype = "float32"


def prepare(setting, threads, dtype):
    global _dtype
    _dtype = dtype
    if setting == _kernels.available_isas()[0]:
        raise ImportError(f"cconv by itself runs {setting} here")
    cconv.set_num_threads(threads)
    return {"cconv": cconv.__version__}


def _options(layer):
    options = {"strides": layer.stride, "padding": layer.padding}
    return options | {"activation": layer.activation, "use_bias": layer.bias}


def _layers(network):
    for layer in network.layers:
        match layer:
            case networks.Conv(depthwise=True):
                yield layers.DepthwiseConv2D(layer.size, **_options(layer))
            case networks.Conv():
                yield layers.Conv2D(layer.filters, layer.size, **_options(layer))
            case networks.Norm():
                yield layers.BatchNormalization()
                yield layers.Activation(layer.activation)
            case networks.Pool(kind="max"):
                yield layers.MaxPooling2D(layer.size, layer.stride)
            case networks.Pool():
                yield layers.AveragePooling2D(layer.size, layer.stride)
            case networks.GlobalAverage():
                yield layers.GlobalAveragePooling2D()
            case networks.Flatten():
                yield layers.Flatten()
            case networks.Dropout():
                yield layers.Dropout(layer.rate)
            case networks.Dense():
                yield layers.Dense(layer.units, activation=layer.activation)


def _graph(described):
    # Not at the top: benchmarks/history measures versions that had no graphs.
    from cconv import applications
    from cconv.models import summary

    model = getattr(applications, described.function)(seed=0, dtype=_dtype, **described.options)
    first = next(filter(None, map(summary.mult_adds, model.layers)))
    assert (first, summary.total_mult_adds(model)) == (described.first, described.products)
    return model


def model_of(task):
    """Return the compiled model of a task, and its batch."""
    described = networks.NETWORKS[task["network"]]
    input_shape, pixels = task.get("input_shape", described.input_shape), False
    if isinstance(described, networks.Graph):
        model, pixels = _graph(described), described.pixels
    else:
        model = Sequential(_layers(described), seed=0, dtype=_dtype)
        model.build(input_shape)
    model.compile(optimizer=Adam(0.001), loss="sparse_categorical_crossentropy")
    assert sum(w.size for layer in model.layers for w in layer.params.values()) == task["parameters"]
    x, y = batch_of(task, input_shape, described.classes, _dtype, pixels=pixels)
    return model, x, y


def network(task):
    model, x, y = model_of(task)
    return {"train": lambda: model.train_on_batch(x, y), "predict": _prediction(model, x)}


def _prediction(model, x):
    # As other frameworks' files are run: the weights as they are at the first call, for good.
    frozen = []

    def predict():
        if not frozen:
            frozen.append(model.freeze() if hasattr(model, "freeze") else model.predict_on_batch)
        return frozen[0](x)

    return predict


def algorithms():
    """Return the values of Conv2D's `algorithm` that are worth telling apart."""
    return (
        ["auto", "direct", "winograd"]
        if "algorithm" in inspect.signature(layers.Conv2D).parameters
        else ["auto"]
    )


def _convolution(task, run):
    x, kernel, dy = conv_arrays(task, _dtype)
    choice = {} if task["algorithm"] == "auto" else {"algorithm": task["algorithm"]}
    if task["algorithm"] not in algorithms():
        raise NotImplementedError(f"this cconv has no algorithm {task['algorithm']!r}")
    size, strides, dilation, pads, _ = zip(*geometry_of(task), strict=True)
    window = {"strides": strides, "padding": pads, "dilation_rate": dilation}
    if task["groups"] == task["c"] == task["filters"] > 1:
        layer: Any = layers.DepthwiseConv2D(size, **window)
        kernel = kernel.reshape(*size, task["c"], 1)
    else:
        layer = layers.Conv2D(task["filters"], size, groups=task["groups"], **window, **choice)
    layer.build(x.shape[1:], dtype=np.dtype(_dtype))
    layer.params["kernel"] = kernel

    def entered(step):
        def once():
            run.enter("layer", 0, "")
            return step()

        return once

    steps = {
        "forward": entered(lambda: layer._affine(x, False, run)),
        "input_gradient": entered(lambda: layer._input_gradient(dy, run)),
        "weight_gradient": entered(lambda: layer._weight_gradient(dy, x, run)[0]),
    }
    return steps | {"backward": lambda: [steps[name]() for name in ("weight_gradient", "input_gradient")]}


def conv(task):
    return _convolution(task, PlanRun(Arena(), training=True, seed=0))


def results(task):
    """Return the three results as (n, oh, ow, f), (n, h, w, c) and (kh, kw, c // groups, f)."""
    (height, *_), (width, *_) = geometry_of(task)
    made = {name: np.array(step()) for name, step in conv(task).items() if name != "backward"}
    kernel = height, width, task["c"] // task["groups"], task["filters"]
    made["weight_gradient"] = made["weight_gradient"].reshape(kernel)
    return made


def rows(task):
    """Pooling, activations, dropout and optimizers over (n, h, w, c)."""
    rng = np.random.default_rng(0)
    shape = tuple(task["shape"])
    x, dy = (aligned(rng.standard_normal(shape, np.float32), _dtype) for _ in range(2))
    run = PlanRun(Arena(), training=True, seed=0)
    window = resolve_window("benchmark", shape[1:3], 2, None)
    run.enter("kept", 0, "")
    pooled, argmax = ops.max_pool2d(x, window, run)
    relu, bits = ops.relu(x, run), ops.dropout(x, 0.5, 0, run)[1]
    slots = [aligned(np.zeros(shape), _dtype) for _ in range(2)]
    groups = [optimizers.Group([(x, dy, *slots[:states])]) for states in range(3)]

    steps = {
        "max_pool": lambda: ops.max_pool2d(x, window, run),
        "max_pool_backward": lambda: ops.max_pool2d_backward(pooled, argmax, window, run),
        "average_pool": lambda: ops.average_pool2d(x, window, False, run),
        "average_pool_backward": lambda: ops.average_pool2d_backward(pooled, window, False, run),
        "relu": lambda: ops.relu(x, run),
        "relu_backward": lambda: ops.relu_backward(dy, relu, run),
        "sigmoid": lambda: ops.sigmoid(x, run),
        "tanh": lambda: ops.tanh(x, run),
        "softmax": lambda: ops.softmax(x, run),
        "dropout": lambda: ops.dropout(x, 0.5, 0, run),
        "dropout_backward": lambda: ops.dropout_backward(dy, bits, 0.5, run),
        "sgd": lambda: optimizers.sgd_update(groups[0], 1e-6),
        "momentum": lambda: optimizers.momentum_update(groups[1], 1e-6, 0.9),
        "adam": lambda: optimizers.adam_update(groups[2], 1e-6, 0.9, 0.999, 1e-7, 1),
    }

    def entered(step):
        def once():
            run.enter("step", 0, "")
            step()

        return once

    return {name: entered(step) for name, step in steps.items()}
