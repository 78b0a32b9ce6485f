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
    CenterCrop,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    GroupNormalization,
    LayerNormalization,
    LayerScale,
    MaxPooling2D,
    Permute,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomErasing,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    Rescaling,
    Reshape,
    Resizing,
    SeparableConv2D,
    SpatialDropout2D,
    UpSampling2D,
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
    if isinstance(layer, Conv2DTranspose):
        options |= {"groups": layer.groups, "output_padding": layer.output_padding}
        return (
            lambda x, kernel, bias: reference.conv2d_transpose(x, kernel, bias, **options),
            lambda dz, x, kernel: reference.conv2d_transpose_backward(dz, x, kernel, **options),
        )
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


# --- separable convolutions: two of the affine ones


def _halves(layer):
    options = {"strides": layer.strides, "padding": layer.padding, "dilation": layer.dilation_rate}
    weights = _wide(layer)
    depthwise = weights["depthwise_kernel"]
    grouped = depthwise.reshape(*depthwise.shape[:2], 1, -1)
    return grouped, weights["pointwise_kernel"], weights.get("bias"), options | {"groups": depthwise.shape[2]}


def _separable_forward(layer, x, run):
    depthwise, pointwise, bias, options = _halves(layer)
    z = reference.conv2d(reference.conv2d(x, depthwise, **options), pointwise, bias)
    rough = reference.conv2d(np.abs(x), np.abs(depthwise), **options)
    scale = reference.conv2d(rough, np.abs(pointwise), None if bias is None else np.abs(bias))
    y = _activate(layer.activation, z)
    if layer.activation.key in ("softmax", "log_softmax"):
        scale = np.broadcast_to(scale.max(axis=-1, keepdims=True), y.shape)
    return Twin(y, scale + np.abs(y))


def _separable_backward(layer, dy, x, y, run):
    depthwise, pointwise, bias, options = _halves(layer)

    def back(dz, x, depthwise, pointwise):
        between = reference.conv2d(x, depthwise, **options)
        dbetween, dpointwise, dbias = reference.conv2d_backward(dz, between, pointwise)
        dx, ddepthwise, _ = reference.conv2d_backward(dbetween, x, depthwise, **options)
        return dx, ddepthwise.reshape(layer.params["depthwise_kernel"].shape), dpointwise, dbias

    rough = np.abs(dy)
    if layer.activation.key not in ("linear", "relu"):
        rough = rough + np.abs(dy).sum(axis=-1, keepdims=True) * np.abs(y)
    z = reference.conv2d(reference.conv2d(x, depthwise, **options), pointwise, bias)
    dz = _activate_back(layer.activation, dy, z, y)
    values = back(dz, x, depthwise, pointwise)
    scales = back(rough, *map(np.abs, (x, depthwise, pointwise)))
    dx, ddepthwise, dpointwise, dbias = map(Twin, values, scales)
    grads = {"depthwise_kernel": ddepthwise, "pointwise_kernel": dpointwise, "bias": dbias}
    if not layer.use_bias:
        del grads["bias"]
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


# --- normalisation of rows, which are pixels here, and of groups


def _own_statistics(layer, x):
    """1 / deviation of what is normalised together, at each element; gamma; beta."""
    weights, channels = _wide(layer), x.shape[-1]
    groups = layer._counted if isinstance(layer, GroupNormalization) else 1
    pixels = (len(x), -1) if isinstance(layer, GroupNormalization) else (-1, 1)
    grouped = x.reshape(*pixels, groups, channels // groups)
    inverse = 1 / np.sqrt(grouped.var(axis=(1, 3), keepdims=True) + layer.epsilon)
    inverse = np.broadcast_to(inverse, grouped.shape).reshape(x.shape)
    return inverse, weights.get("gamma", np.ones(channels)), weights.get("beta", np.zeros(channels))


def _own_normalized(layer, x):
    inverse, gamma, beta = _own_statistics(layer, x)
    if isinstance(layer, GroupNormalization):
        y = reference.group_normalization(x, layer._counted, gamma, beta, layer.epsilon)
    else:
        y = reference.layer_normalization(x, gamma, beta, layer.epsilon)
    return y, np.abs(gamma) * 2 * np.abs(x).max() * inverse + np.abs(beta)


def _own_forward(layer, x, run):
    return Twin(*_own_normalized(layer, x))


def _own_backward(layer, dy, x, y, run):
    inverse, gamma, _ = _own_statistics(layer, x)
    if isinstance(layer, GroupNormalization):
        found = reference.group_normalization_backward(dy, x, layer._counted, gamma, layer.epsilon)
    else:
        found = reference.layer_normalization_backward(dy, x, gamma, layer.epsilon)
    axes, xhat = tuple(range(x.ndim - 1)), 2 * np.abs(x).max() * inverse
    rough = np.abs(dy).max() * np.abs(gamma).max()
    scales = rough * inverse * (1 + xhat) ** 2, (np.abs(dy) * xhat).sum(axes), np.abs(dy).sum(axes)
    dx, dgamma, dbeta = map(Twin, found, scales)
    grads = {"gamma": dgamma, "beta": dbeta} if layer.trainable else {}
    return Gradients(dx, {name: twin for name, twin in grads.items() if name in layer.params})


def _scale_forward(layer, x, run):
    y = x * _wide(layer)["gamma"]
    return Twin(y, np.abs(y))


def _scale_backward(layer, dy, x, y, run):
    dx, products = dy * _wide(layer)["gamma"], (dy * x).reshape(-1, x.shape[-1])
    dgamma = Twin(products.sum(axis=0), np.abs(products).sum(axis=0))
    return Gradients(Twin(dx, np.abs(dx)), {"gamma": dgamma} if layer.trainable else {})


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


def _global_max_forward(layer, x, run):
    y, _ = reference.max_pool2d(x, x.shape[1:3])
    y = y if layer.keepdims else y[:, 0, 0]
    return Twin(y, np.abs(y))


def _global_max_backward(layer, dy, x, y, run):
    _, argmax = reference.max_pool2d(x, x.shape[1:3])
    dy = dy.reshape(argmax.shape)
    dx, scale = (reference.max_pool2d_backward(d, argmax, x.shape, x.shape[1:3]) for d in (dy, np.abs(dy)))
    return Gradients(Twin(dx, scale), {})


# --- other sizes: along each axis a matrix, and what lies around


def _matrices(layer, x):
    """Rows and columns of the output, of those of x, and what is added to them."""
    size, target = x.shape[1:3], layer._resolve(x.shape[1:])[:2]
    if isinstance(layer, UpSampling2D):
        return [
            reference.resizing.matrix(n, m, layer.interpolation) for n, m in zip(size, target, strict=True)
        ]
    places = layer._axes(x.shape[1:])
    matrices = []
    for axis, n in zip(places, size, strict=True):
        matrix = np.zeros((len(axis.at), axis.size))
        every = np.arange(len(axis.at))
        matrix[every, axis.at] += 1 - axis.share
        matrix[every, np.minimum(axis.at + 1, axis.size - 1)] += axis.share
        pad = (axis.size - n) // 2
        matrices.append(matrix[:, pad : pad + n])
    return matrices


def _resized_forward(layer, x, run):
    rows, columns = _matrices(layer, x)
    inside = np.einsum("oh,nhwc,pw->nopc", rows, x, columns)
    seen = np.einsum("oh,nhwc,pw->nopc", rows, np.ones_like(x), columns)
    y = inside + getattr(layer, "fill_value", 0.0) * (1 - seen)
    scale = np.einsum("oh,nhwc,pw->nopc", rows, np.abs(x), columns)
    return Twin(y, scale + np.abs(y) + abs(getattr(layer, "fill_value", 0.0)))


def _resized_backward(layer, dy, x, y, run):
    rows, columns = _matrices(layer, x)
    dx, scale = (np.einsum("oh,nopc,pw->nhwc", rows, d, columns) for d in (dy, np.abs(dy)))
    return Gradients(Twin(dx, scale), {})


def _cropping_forward(layer, x, run):
    (top, bottom), (left, right) = layer.cropping
    y = x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
    return Twin(y, np.abs(y))


def _cropping_backward(layer, dy, x, y, run):
    dx = np.pad(dy, ((0, 0), *layer.cropping, (0, 0)))
    return Gradients(Twin(dx, np.abs(dx)), {})


def _shown(layer, x):
    """An array as the user sees it."""
    return np.moveaxis(x, 3, 1) if layer.data_format == "channels_first" and x.ndim == 4 else x


def _hidden(layer, x):
    """An array that the user sees, with its channels last."""
    return np.moveaxis(x, 1, 3) if layer.data_format == "channels_first" and x.ndim == 4 else x


def _permute_forward(layer, x, run):
    y = _hidden(layer, _shown(layer, x).transpose(0, *layer.dims))
    return Twin(y, np.abs(y))


def _permute_backward(layer, dy, x, y, run):
    dx = _hidden(layer, _shown(layer, dy).transpose(0, *(np.argsort(layer.dims) + 1)))
    return Gradients(Twin(dx, np.abs(dx)), {})


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
    shape = (len(x), *layer._drawn)
    mask = reference.dropout_mask(shape, layer.rate, seed, run.step, run.first_sample, layer.key)
    return mask / (1 - layer.rate)


def _dropout_forward(layer, x, run):
    y = x * _dropout_factor(layer, x, run)
    return Twin(y, np.abs(y))


def _dropout_backward(layer, dy, x, y, run):
    dx = dy * _dropout_factor(layer, x, run)
    return Gradients(Twin(dx, np.abs(dx)), {})


def _normal(layer, x, run):
    seed = run.seed if layer.seed is None else layer.seed
    return reference.normal_noise(x.shape, seed, run.step, run.first_sample, layer.key, layer.dtype)


def _noise_forward(layer, x, run):
    y = x + layer.stddev * _normal(layer, x, run) if run.training else x
    return Twin(y, np.abs(x) + 1)


def _noise_backward(layer, dy, x, y, run):
    return Gradients(Twin(dy, np.abs(dy)), {})


def _factors(layer, x, run):
    stddev = (layer.rate / (1 - layer.rate)) ** 0.5
    return 1 + stddev * _normal(layer, x, run) if run.training else np.ones(())


def _gaussian_forward(layer, x, run):
    return Twin(x * _factors(layer, x, run), 10 * np.abs(x))


def _gaussian_backward(layer, dy, x, y, run):
    return Gradients(Twin(dy * _factors(layer, x, run), 10 * np.abs(dy)), {})


def _shape_forward(layer, x, run):
    y = x.reshape(len(x), -1)
    if isinstance(layer, Reshape):
        y = _hidden(layer, _shown(layer, x).reshape(len(x), *layer.target_shape))
    return Twin(y, np.abs(y))


def _shape_backward(layer, dy, x, y, run):
    dx = dy.reshape(x.shape)
    if isinstance(layer, Reshape):
        dx = _hidden(layer, _shown(layer, dy).reshape(_shown(layer, x).shape))
    return Gradients(Twin(dx, np.abs(dx)), {})


def _augmentation(layer, x, run):
    """The twins of an augmentation's two passes; of the second also the result of the first."""
    drawn = layer._drawn(layer._draws(run, len(x)), x.shape)
    if isinstance(layer, RandomFlip):
        return lambda a: reference.flip(a, drawn), lambda a, y: reference.flip(a, drawn)
    if isinstance(layer, RandomBrightness):
        low, high = layer.value_range
        return (
            lambda a: reference.brighten(a, drawn, low, high),
            lambda a, y: reference.brighten_backward(a, y, low, high),
        )
    if isinstance(layer, RandomContrast):
        low, high = layer.value_range
        return (
            lambda a: reference.contrast(a, drawn, low, high),
            lambda a, y: reference.contrast(reference.brighten_backward(a, y, low, high), drawn),
        )
    if isinstance(layer, RandomErasing):
        return _erasing(layer, drawn, run)
    if isinstance(layer, RandomCrop):
        return _crop(layer, len(x), *drawn)
    at, (middle, fill_mode, interpolation, fill_value) = drawn
    return (
        lambda a: reference.sample(a, at, middle, fill_mode, interpolation, fill_value),
        lambda a, y: reference.sample_backward(a, at, middle, fill_mode, interpolation),
    )


def _noise_of(layer, run, sample, count):
    seed = run.seed if layer.seed is None else layer.seed
    place = run.first_sample + sample
    noise = reference.normal_noise((1, count), seed, run.step, place, layer.key, layer.dtype)[0]
    return noise * layer.value_range[1]


def _erasing(layer, boxes, run):
    def filled(a):
        other = np.zeros(a.shape)
        if layer.fill_value is not None:
            return other + np.clip(layer.fill_value, *layer.value_range)
        for i, (top, bottom, left, right) in enumerate(boxes):
            part = other[i, top:bottom, left:right]
            part[...] = np.clip(_noise_of(layer, run, i, part.size), *layer.value_range).reshape(part.shape)
        return other

    each = np.arange(len(boxes))
    return (
        lambda a: reference.paste(a, filled(a).astype(a.dtype), each, boxes),
        lambda a, y: reference.paste(a, np.zeros_like(a), each, boxes),
    )


def _crop(layer, n, size, corner):
    part = layer.height, layer.width
    window, middle = layer._middle(size)
    if corner is None and window != part:
        rows, columns = (
            np.pad(reference.resizing.matrix(kept, new, "bilinear"), ((0, 0), (first, extent - first - kept)))
            for kept, new, first, extent in zip(window, part, middle, size, strict=True)
        )
        return (
            lambda a: np.einsum("oh,nhwc,pw->nopc", rows, a, columns),
            lambda a, y: np.einsum("oh,nopc,pw->nhwc", rows, a, columns),
        )
    corner = np.tile(middle, (n, 1)) if corner is None else corner
    return lambda a: reference.crop(a, corner, part), lambda a, y: reference.crop_backward(a, corner, size)


def _augmentation_forward(layer, x, run):
    if isinstance(layer, RandomCrop) and not run.training:
        forward, _ = _crop(layer, len(x), x.shape[1:3], None)
    elif not run.training:
        return Twin(x, np.abs(x))
    else:
        forward, _ = _augmentation(layer, x, run)
    return Twin(forward(x), np.abs(forward(np.abs(x))) + np.abs(x).max())


def _augmentation_backward(layer, dy, x, y, run):
    _, backward = _augmentation(layer, x, run)
    return Gradients(Twin(backward(dy, y), np.abs(backward(np.abs(dy), y)) + np.abs(dy).max()), {})


AUGMENTATIONS = (
    *(RandomFlip, RandomTranslation, RandomRotation, RandomZoom),
    *(RandomBrightness, RandomContrast, RandomCrop, RandomErasing),
)
KINDS = (
    ((Dense, Conv2D, Conv2DTranspose, DepthwiseConv2D), _affine_forward, _affine_backward),
    (SeparableConv2D, _separable_forward, _separable_backward),
    (BatchNormalization, _normalization_forward, _normalization_backward),
    ((LayerNormalization, GroupNormalization), _own_forward, _own_backward),
    (LayerScale, _scale_forward, _scale_backward),
    (MaxPooling2D, _max_forward, _max_backward),
    ((AveragePooling2D, GlobalAveragePooling2D), _average_forward, _average_backward),
    (GlobalMaxPooling2D, _global_max_forward, _global_max_backward),
    ((UpSampling2D, Resizing, CenterCrop), _resized_forward, _resized_backward),
    (Cropping2D, _cropping_forward, _cropping_backward),
    (Permute, _permute_forward, _permute_backward),
    (Activation, _activation_forward, _activation_backward),
    (Rescaling, _rescaling_forward, _rescaling_backward),
    (ZeroPadding2D, _padding_forward, _padding_backward),
    ((Dropout, SpatialDropout2D), _dropout_forward, _dropout_backward),
    (GaussianNoise, _noise_forward, _noise_backward),
    (GaussianDropout, _gaussian_forward, _gaussian_backward),
    ((Flatten, Reshape), _shape_forward, _shape_backward),
    (AUGMENTATIONS, _augmentation_forward, _augmentation_backward),
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
