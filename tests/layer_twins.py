"""What one layer gives, forward and back, by the NumPy twins alone: in float64, whatever the layer's dtype.

Beside every value stands a scale: the sum of the absolute values behind it, of which rounding is a share.
Channels are last everywhere. The places of the maxima and the signs that an activation's gradient asks for
are read off the layer's own input and output, so that no rounding turns one of them over.
"""

from typing import NamedTuple

import numpy as np

from cconv import reference
from cconv.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    Rescaling,
    Reshape,
    ZeroPadding2D,
)
from cconv.ops.run import Run


class Twin(NamedTuple):
    """A value, and the scale of its rounding error."""

    value: np.ndarray
    scale: np.ndarray


class Gradients(NamedTuple):
    """Of the input, and of the weights by name."""

    dx: Twin
    grads: dict[str, Twin]


def _smooth(function):
    """The name of the twin, and what else it is given."""
    more = (function.alpha,) if function.key == "elu" else ()
    return "gelu_tanh" if getattr(function, "approximate", False) else function.key, more


def _activate(function, z):
    key = function.key
    if key == "linear":
        return z
    if key in ("leaky_relu", "relu6"):
        y = reference.leaky_relu(z, function.negative_slope)
        return np.minimum(y, function.max_value) if key == "relu6" else y
    name, more = _smooth(function)
    return getattr(reference, name)(z, *more)


def _activate_back(function, dy, z, y):
    key = function.key
    if key == "linear":
        return dy
    if function.keeps == "input":
        name, more = _smooth(function)
        return getattr(reference, f"{name}_backward")(dy, z, *more)
    if key in ("leaky_relu", "relu6"):
        dx = reference.leaky_relu_backward(dy, y, function.negative_slope)
        return np.where(y < function.max_value, dx, 0) if key == "relu6" else dx
    return getattr(reference, f"{key}_backward")(dy, y)


def _wide(layer):
    """The weights and states in float64, by name."""
    return {name: np.asarray(a, np.float64) for name, a in {**layer.params, **layer.state}.items()}


# --- the affine layers: forward is (x, kernel, bias) -> z, backward (dz, x, kernel) -> dx, dkernel, dbias


def _affine(layer):
    if isinstance(layer, Dense):
        return reference.dense, reference.dense_backward
    options = {"strides": layer.strides, "padding": layer.padding, "dilation": layer.dilation_rate}
    if isinstance(layer, Conv2D):
        options["groups"] = layer.groups
        return (
            lambda x, kernel, bias: reference.conv2d(x, kernel, bias, **options),
            lambda dz, x, kernel: reference.conv2d_backward(dz, x, kernel, **options),
        )
    # Depthwise: every channel is a group, whose filters stand side by side.

    def grouped(kernel):
        return kernel.reshape(*kernel.shape[:2], 1, -1)

    def backward(dz, x, kernel):
        flat = grouped(kernel)
        dx, dkernel, dbias = reference.conv2d_backward(dz, x, flat, groups=x.shape[3], **options)
        return dx, dkernel.reshape(kernel.shape), dbias

    return (
        lambda x, kernel, bias: reference.conv2d(x, grouped(kernel), bias, groups=x.shape[3], **options),
        backward,
    )


def _affine_forward(layer, x, run):
    weights, (forward, _) = _wide(layer), _affine(layer)
    kernel, bias = weights["kernel"], weights.get("bias")
    z = forward(x, kernel, bias)
    scale = forward(np.abs(x), np.abs(kernel), None if bias is None else np.abs(bias))
    y = _activate(layer.activation, z)
    if layer.activation.key in ("softmax", "log_softmax"):  # every output sees all of the row
        scale = np.broadcast_to(scale.max(axis=-1, keepdims=True), y.shape)
    return Twin(y, scale + np.abs(y))


def _affine_backward(layer, dy, x, y, run):
    weights, (forward, backward) = _wide(layer), _affine(layer)
    kernel = weights["kernel"]
    dz = _activate_back(layer.activation, dy, forward(x, kernel, weights.get("bias")), y)
    values = backward(dz, x, kernel)
    rough = np.abs(dz)
    if layer.activation.key not in ("linear", "relu"):
        rough = rough + np.abs(dy) + np.abs(dy).sum(axis=-1, keepdims=True) * np.abs(y)
    scales = backward(rough, np.abs(x), np.abs(kernel))
    dx, dkernel, dbias = map(Twin, values, scales)
    grads = {"kernel": dkernel, "bias": dbias} if layer.use_bias else {"kernel": dkernel}
    return Gradients(dx, grads if layer.trainable else {})


# --- batch normalisation


def _statistics(layer, x, of_batch):
    weights, channels = _wide(layer), x.shape[-1]
    rows = x.reshape(-1, channels)
    mean = rows.mean(axis=0) if of_batch else weights["moving_mean"]
    variance = rows.var(axis=0) if of_batch else weights["moving_variance"]
    inverse = 1 / np.sqrt(variance + layer.epsilon)
    gamma, beta = weights.get("gamma", np.ones(channels)), weights.get("beta", np.zeros(channels))
    return mean, inverse, gamma, beta


def _normalization_forward(layer, x, run):
    mean, inverse, gamma, beta = _statistics(layer, x, run.training and layer.trainable)
    y = gamma * (x - mean) * inverse + beta
    return Twin(y, np.abs(gamma) * (np.abs(x) + np.abs(mean)) * inverse + np.abs(beta))


def _normalization_backward(layer, dy, x, y, run):
    mean, inverse, gamma, _ = _statistics(layer, x, layer.trainable)
    if not layer.trainable:
        return Gradients(Twin(dy * gamma * inverse, np.abs(dy * gamma * inverse)), {})
    dx, dgamma, dbeta = reference.batch_normalization_backward(dy, x, gamma, layer.epsilon)
    axes = tuple(range(x.ndim - 1))
    # What cancels in x - mean is lost for good.
    xhat, rough = (np.abs(x) + np.abs(mean)) * inverse, np.abs(dy)
    products = rough * xhat
    dx_scale = np.abs(gamma) * inverse * (rough + rough.mean(axes) + xhat * products.mean(axes) * (1 + xhat))
    grads = {"gamma": Twin(dgamma, products.sum(axes)), "beta": Twin(dbeta, rough.sum(axes))}
    return Gradients(Twin(dx, dx_scale), {name: grads[name] for name in layer.params})


# --- pooling


def _pooling(layer):
    return {"strides": layer.strides, "padding": layer.padding, "ceil_mode": layer.ceil_mode}


def _max_forward(layer, x, run):
    y, _ = reference.max_pool2d(x, layer.pool_size, dilation=layer.dilation_rate, **_pooling(layer))
    return Twin(y, np.abs(y))


def _max_backward(layer, dy, x, y, run):
    options = _pooling(layer) | {"dilation": layer.dilation_rate}
    _, argmax = reference.max_pool2d(x, layer.pool_size, **options)
    dx, scale = (
        reference.max_pool2d_backward(d, argmax, x.shape, layer.pool_size, **options)
        for d in (dy, np.abs(dy))
    )
    return Gradients(Twin(dx, scale), {})


def _average(layer, x):
    if isinstance(layer, GlobalAveragePooling2D):
        return x.shape[1:3], {}
    return layer.pool_size, _pooling(layer) | {"count_include_pad": layer.count_include_pad}


def _average_forward(layer, x, run):
    size, options = _average(layer, x)
    y, scale = (reference.average_pool2d(a, size, **options) for a in (x, np.abs(x)))
    flat = isinstance(layer, GlobalAveragePooling2D) and not layer.keepdims
    return Twin(y[:, 0, 0], scale[:, 0, 0]) if flat else Twin(y, scale)


def _average_backward(layer, dy, x, y, run):
    size, options = _average(layer, x)
    if dy.ndim == 2:
        dy = dy[:, np.newaxis, np.newaxis]
    dx, scale = (reference.average_pool2d_backward(d, x.shape, size, **options) for d in (dy, np.abs(dy)))
    return Gradients(Twin(dx, scale), {})


# --- everything else


def _activation_forward(layer, x, run):
    y = _activate(layer.activation, x)
    scale = np.abs(y)
    if layer.activation.key in ("softmax", "log_softmax"):
        scale = scale + np.abs(x).max(axis=-1, keepdims=True)
    return Twin(y, scale)


def _activation_backward(layer, dy, x, y, run):
    dx = _activate_back(layer.activation, dy, x, y)
    return Gradients(Twin(dx, np.abs(dy) + np.abs(dy).sum(axis=-1, keepdims=True) * np.abs(y)), {})


def _rescaling_forward(layer, x, run):
    return Twin(x * layer.scale + layer.offset, np.abs(x * layer.scale) + abs(layer.offset))


def _rescaling_backward(layer, dy, x, y, run):
    return Gradients(Twin(dy * layer.scale, np.abs(dy * layer.scale)), {})


def _pads(layer, x):
    return ((0, 0), *layer.padding, (0, 0))


def _padding_forward(layer, x, run):
    y = np.pad(x, _pads(layer, x))
    return Twin(y, np.abs(y))


def _padding_backward(layer, dy, x, y, run):
    (top, _), (left, _) = layer.padding
    dx = dy[:, top : top + x.shape[1], left : left + x.shape[2]]
    return Gradients(Twin(dx, np.abs(dx)), {})


def _dropout_factor(layer, x, run):
    if not run.training:
        return np.ones(())
    seed = run.seed if layer.seed is None else layer.seed
    mask = reference.dropout_mask(x.shape, layer.rate, seed, run.step, run.first_sample, layer.key)
    return mask / (1 - layer.rate)


def _dropout_forward(layer, x, run):
    y = x * _dropout_factor(layer, x, run)
    return Twin(y, np.abs(y))


def _dropout_backward(layer, dy, x, y, run):
    dx = dy * _dropout_factor(layer, x, run)
    return Gradients(Twin(dx, np.abs(dx)), {})


def _shape_forward(layer, x, run):
    y = x.reshape(len(x), *layer._resolve(x.shape[1:]))
    return Twin(y, np.abs(y))


def _shape_backward(layer, dy, x, y, run):
    dx = dy.reshape(x.shape)
    return Gradients(Twin(dx, np.abs(dx)), {})


def _augmentation(layer, x, run):
    drawn = layer._drawn(layer._draws(run, len(x)), x.shape)
    if isinstance(layer, RandomFlip):
        return lambda a: reference.flip(a, drawn), lambda a: reference.flip(a, drawn)
    at, (middle, fill_mode, interpolation, fill_value) = drawn
    return (
        lambda a: reference.sample(a, at, middle, fill_mode, interpolation, fill_value),
        lambda a: reference.sample_backward(a, at, middle, fill_mode, interpolation),
    )


def _augmentation_forward(layer, x, run):
    if not run.training:
        return Twin(x, np.abs(x))
    forward, _ = _augmentation(layer, x, run)
    return Twin(forward(x), np.abs(forward(np.abs(x))) + np.abs(x).max())


def _augmentation_backward(layer, dy, x, y, run):
    _, backward = _augmentation(layer, x, run)
    return Gradients(Twin(backward(dy), np.abs(backward(np.abs(dy))) + np.abs(dy).max()), {})


KINDS = (
    ((Dense, Conv2D, DepthwiseConv2D), _affine_forward, _affine_backward),
    (BatchNormalization, _normalization_forward, _normalization_backward),
    (MaxPooling2D, _max_forward, _max_backward),
    ((AveragePooling2D, GlobalAveragePooling2D), _average_forward, _average_backward),
    (Activation, _activation_forward, _activation_backward),
    (Rescaling, _rescaling_forward, _rescaling_backward),
    (ZeroPadding2D, _padding_forward, _padding_backward),
    (Dropout, _dropout_forward, _dropout_backward),
    ((Flatten, Reshape), _shape_forward, _shape_backward),
    ((RandomFlip, RandomTranslation, RandomRotation), _augmentation_forward, _augmentation_backward),
)


def _kind(layer):
    return next((forward, back) for kinds, forward, back in KINDS if isinstance(layer, kinds))


def forward(layer, x, training, step=0):
    """Twin of the layer's output for x; `step` is how often it was called in training before."""
    run = Run(training=training, seed=layer.build_seed, step=step)
    return _kind(layer)[0](layer, x.astype(np.float64), run)


def backward(layer, dy, x, y, step=0):
    """Twins of the gradients of a layer that gave y for x in training."""
    run = Run(training=True, seed=layer.build_seed, step=step)
    return _kind(layer)[1](layer, *(a.astype(np.float64) for a in (dy, x, y)), run)
