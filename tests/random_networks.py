"""Networks that Hypothesis draws: every layer, activation, padding, stride, data format and dtype."""

import math
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

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
    LeakyReLU,
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
    ReLU,
    Rescaling,
    Reshape,
    Resizing,
    SeparableConv2D,
    SpatialDropout2D,
    UpSampling2D,
    ZeroPadding2D,
)
from cconv.models import Sequential
from cconv.optimizers import SGD

ACTIVATIONS = (
    *(None, "relu", "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax"),
    *("silu", "gelu", "elu", "selu", "mish", "softplus", "softsign", "hard_silu"),
)
# What a network ends in: the last activation, and the loss that its targets are for.
HEADS = (
    ("softmax", "sparse_categorical_crossentropy"),
    ("softmax", "categorical_crossentropy"),
    ("sigmoid", "binary_crossentropy"),
    (None, "mse"),
    ("tanh", "mae"),
    ("relu", "mse"),
)
MOST_NUMBERS = 6_000  # in the output of one image
BATCHES = (1, 2, 3, 5, 8, 16, 17, 33)


@dataclass
class Network:
    """What a model is made of, as plain data: each call of `model` makes the same one."""

    input_shape: tuple  # channels last
    layers: list = field(default_factory=list)  # of (class, arguments)
    head: tuple = HEADS[0]
    classes: int = 3
    apart: bool = False  # the last activation is a layer of its own
    dtype: str = "float32"
    data_format: str = "channels_last"
    seed: int = 0

    def new_layers(self, bare=False):
        """New layers; with `bare`, without the last activation."""
        activation = self.head[0]
        made = [kind(**arguments) for kind, arguments in self.layers]
        made.append(Dense(self.classes, activation=None if self.apart or bare else activation))
        if self.apart and not bare:
            made.append(Activation(activation))
        return made

    def model(self, fuse, optimizer=None):
        shape = self.input_shape
        if self.data_format == "channels_first" and len(shape) == 3:
            shape = (shape[2], *shape[:2])
        model = Sequential(self.new_layers(), seed=self.seed, dtype=self.dtype, data_format=self.data_format)
        model.build(shape)
        model.fuse = fuse
        model.compile(optimizer or SGD(1e-4), self.head[1])  # few of them diverge
        return model


def _often(draw, true_of_ten):
    return draw(st.integers(1, 10)) > 10 - true_of_ten


def _activation(draw):
    return draw(st.sampled_from(ACTIVATIONS))


def _geometry(draw, largest_kernel):
    pad = st.integers(0, 2)
    return {
        "kernel_size": draw(st.one_of(st.just(3), st.tuples(*[st.integers(1, largest_kernel)] * 2))),
        "strides": draw(st.sampled_from([1, 1, 1, 2, (1, 2), 3])),
        "padding": draw(
            st.one_of(
                st.sampled_from(["same", "same", "valid"]),
                pad,
                st.tuples(pad, pad),
                st.tuples(st.tuples(pad, pad), st.tuples(pad, pad)),
            )
        ),
        "dilation_rate": draw(st.sampled_from([1, 1, 1, 2, (2, 1)])),
    }


def _affine(draw):
    return {"activation": _activation(draw), "use_bias": _often(draw, 7)}


def _convolution(draw, shape):
    groups = draw(st.sampled_from([1, 1, 1, *(g for g in (2, 3) if shape[2] % g == 0)]))
    filters = (
        groups * draw(st.one_of(st.integers(1, 9), st.sampled_from([16, 17, 24, 32]))) // groups * groups
    )
    arguments = _geometry(draw, 5) | _affine(draw)
    arguments["algorithm"] = draw(st.sampled_from(["auto", "auto", "auto", "direct"]))
    return [(Conv2D, arguments | {"filters": max(filters, groups), "groups": groups})]


def _depthwise(draw, shape):
    arguments = _geometry(draw, 4) | _affine(draw)
    return [(DepthwiseConv2D, arguments | {"depth_multiplier": draw(st.sampled_from([1, 1, 2, 3]))})]


def _transposed(draw, shape):
    groups = draw(st.sampled_from([1, 1, *(g for g in (2, 3) if shape[2] % g == 0)]))
    strides = draw(st.sampled_from([(1, 1), (2, 2), (2, 2), (1, 2), (3, 2)]))
    arguments = {
        "filters": groups * draw(st.sampled_from([1, 2, 5, 16])),
        "kernel_size": draw(st.sampled_from([(2, 2), (3, 3), (4, 4), (1, 3)])),
        "strides": strides,
        "padding": draw(st.sampled_from(["same", "same", "valid", 1])),
        "output_padding": draw(st.one_of(st.none(), st.tuples(*(st.integers(0, s - 1) for s in strides)))),
        "dilation_rate": draw(st.sampled_from([1, 1, 2])),
        "groups": groups,
    }
    return [(Conv2DTranspose, arguments | _affine(draw))]


def _separable(draw, shape):
    arguments = _geometry(draw, 3) | _affine(draw) | {"filters": draw(st.sampled_from([1, 3, 8, 17]))}
    return [(SeparableConv2D, arguments | {"depth_multiplier": draw(st.sampled_from([1, 1, 2]))})]


def _resized(draw, shape):
    size, side = st.integers(1, 3), st.integers(2, 12)
    how = draw(st.sampled_from(["bilinear", "nearest"]))
    kept = draw(st.sampled_from([{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}]))
    return draw(
        st.sampled_from(
            [
                [(UpSampling2D, {"size": (draw(size), draw(size)), "interpolation": how})],
                [(Resizing, {"height": draw(side), "width": draw(side), "interpolation": how} | kept)],
                [(CenterCrop, {"height": draw(side), "width": draw(side)})],
                [(Cropping2D, {"cropping": ((draw(size), 0), (0, draw(size)))})],
                [(Permute, {"dims": draw(st.permutations((1, 2, 3)))})],
            ]
        )
    )


def _normalization(draw, shape):
    flags = {name: _often(draw, 8) for name in ("center", "scale")}
    return (BatchNormalization, flags | {"momentum": draw(st.sampled_from([0.5, 0.9]))})


def _own_normalization(draw, shape):
    flags = {name: _often(draw, 8) for name in ("center", "scale")}
    if _often(draw, 5):
        return (LayerNormalization, flags)
    groups = [g for g in (1, 2, 3, -1) if shape[-1] % g == 0]
    return (GroupNormalization, flags | {"groups": draw(st.sampled_from(groups))})


def _relu(draw):
    return draw(
        st.sampled_from(
            [
                (ReLU, {}),
                (Activation, {"activation": "relu"}),
                (ReLU, {"max_value": 1.5}),
                (ReLU, {"max_value": 6.0, "negative_slope": 0.25}),
                (LeakyReLU, {"negative_slope": 0.1}),
            ]
        )
    )


def _block(draw, shape):
    """A convolution, its normalisation, a ReLU: a network of these is what people train most."""
    filters = draw(st.sampled_from([4, 8, 16, 16, 32]))
    plain = {"filters": filters, "kernel_size": draw(st.sampled_from([1, 3, 3])), "padding": "same"}
    block = [(Conv2D, plain | {"use_bias": _often(draw, 5)}), _normalization(draw, shape), (ReLU, {})]
    if _often(draw, 3):
        depthwise = {"kernel_size": 3, "padding": "same", "use_bias": False}
        block = [(DepthwiseConv2D, depthwise), _normalization(draw, shape), (ReLU, {}), *block]
    return block


def _pooling(draw, shape):
    size = st.integers(1, 3)
    arguments = {
        "pool_size": draw(st.one_of(st.just(2), st.tuples(size, size))),
        "strides": draw(st.one_of(st.none(), st.sampled_from([1, 2, (2, 1)]))),
        "padding": draw(st.sampled_from(["valid", "valid", "same", 1])),
        "ceil_mode": _often(draw, 3),
    }
    if _often(draw, 5):
        return [(MaxPooling2D, arguments | {"dilation_rate": draw(st.sampled_from([1, 1, 2]))})]
    return [(AveragePooling2D, arguments | {"count_include_pad": _often(draw, 3)})]


def _of_images(draw, shape):
    pad = st.integers(0, 2)
    return draw(
        st.sampled_from(
            [
                [(ZeroPadding2D, {"padding": ((draw(pad), draw(pad)), (draw(pad), draw(pad)))})],
                [(RandomFlip, {})],
                [(RandomTranslation, {"height_factor": 0.2, "width_factor": 0.2})],
                [(RandomZoom, {"height_factor": 0.3})],
                [(RandomBrightness, {"factor": 0.1, "value_range": (-9, 9)})],
                [(RandomContrast, {"factor": 0.5, "value_range": (-9, 9)})],
                [(RandomErasing, {"value_range": (-1, 1)})],
                [(RandomCrop, {"height": max(shape[0] - 1, 1), "width": max(shape[1] - 2, 1)})],
                [
                    (
                        RandomRotation,
                        {"factor": 0.1, "interpolation": draw(st.sampled_from(["nearest", "bilinear"]))},
                    )
                ],
                [(Reshape, {"target_shape": (shape[1], shape[0], shape[2])})],
                [(SpatialDropout2D, {"rate": 0.3})],
                [(Dropout, {"rate": 0.3, "noise_shape": (None, 1, 1, 1)})],
            ]
        )
    )


def _anywhere(draw, shape):
    return draw(
        st.sampled_from(
            [
                [_normalization(draw, shape)],
                [_normalization(draw, shape), _relu(draw)],
                [_relu(draw)],
                [(Activation, {"activation": _activation(draw) or "linear"})],
                [(Dropout, {"rate": draw(st.sampled_from([0.0, 0.3]))})],
                [_own_normalization(draw, shape)],
                [(LayerScale, {"init_values": draw(st.sampled_from([0.5, 1e-6]))})],
                [(GaussianNoise, {"stddev": 0.1})],
                [(GaussianDropout, {"rate": 0.1})],
                [(Rescaling, {"scale": 0.5, "offset": 0.1})],
                [(Dense, {"units": draw(st.integers(1, 9)), **_affine(draw)})],
            ]
        )
    )


OF_IMAGES = (
    *(_block, _block, _block, _convolution, _convolution, _depthwise, _pooling, _of_images, _anywhere),
    *(_transposed, _separable, _resized),
)


def _resolved(layers, shape):
    """The shape behind these layers; None where one cannot take what comes before it, or it is large."""
    for kind, arguments in layers:
        try:
            resolved = kind(**arguments)._resolve(shape)
        except ValueError:
            return None
        if not _sees_pixels(kind, arguments, shape):
            return None
        shape = resolved
        if math.prod(shape) > MOST_NUMBERS:
            return None
    return shape


def _sees_pixels(kind, arguments, shape):
    """Whether every window of a max pooling has a pixel in it, and not only padding, which is -inf."""
    return kind is not MaxPooling2D or bool(
        np.isfinite(kind(**arguments).forward(np.zeros((1, *shape)))).all()
    )


@st.composite
def networks(draw):
    """A network of up to eight pieces, some of them frozen."""
    side = st.integers(3, 14)
    shape = (draw(side), draw(side), draw(st.sampled_from([1, 2, 3, 4, 6, 16])))
    network = Network(shape)
    for _ in range(draw(st.integers(1, 8))):
        kinds = OF_IMAGES if len(shape) == 3 else (_anywhere,)
        added = draw(st.sampled_from(kinds))(draw, shape)
        resolved = _resolved(added, shape)
        if resolved is not None:
            network.layers += added
            shape = resolved
        if len(shape) == 3 and _often(draw, 1):
            network.layers.append((Flatten, {}))
            shape = (math.prod(shape),)
    if len(shape) == 3:
        network.layers.append(
            draw(st.sampled_from([(Flatten, {}), (GlobalAveragePooling2D, {}), (GlobalMaxPooling2D, {})]))
        )
    network.head = draw(st.sampled_from(HEADS))
    network.apart = _often(draw, 3) and network.head[0] is not None
    network.dtype = draw(st.sampled_from(["float32", "float64"]))
    network.seed = draw(st.integers(0, 2**32 - 1))
    if _often(draw, 2):
        network.data_format = "channels_first"
    network.layers = [
        (kind, arguments | {"trainable": not _often(draw, 1)})
        for kind, arguments in _formatted(network.layers, network.data_format)
    ]
    return network


WITH_FORMAT = (
    CenterCrop,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    DepthwiseConv2D,
    MaxPooling2D,
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Resizing,
    SeparableConv2D,
    UpSampling2D,
    Flatten,
    SpatialDropout2D,
    ZeroPadding2D,
    RandomFlip,
    RandomTranslation,
    RandomRotation,
    RandomZoom,
    RandomBrightness,
    RandomContrast,
    RandomErasing,
    RandomCrop,
)


def _formatted(layers, data_format):
    """The layers with the arguments of a network of that data format."""
    images = True
    for kind, arguments in layers:
        if kind in WITH_FORMAT:
            yield kind, arguments | {"data_format": data_format}
        elif kind is BatchNormalization and images and data_format == "channels_first":
            yield kind, arguments | {"axis": 1}
        elif kind is Permute and images and data_format == "channels_first":
            # Drawn for (h, w, c), whose axes 1, 2, 3 are 2, 3, 1 of (c, h, w).
            dims = arguments["dims"]
            yield kind, arguments | {"dims": [(2, 3, 1)[dims[place] - 1] for place in (2, 0, 1)]}
        elif kind is Reshape and images and data_format == "channels_first":
            *rest, channels = arguments["target_shape"]
            yield kind, arguments | {"target_shape": (channels, *rest)}
        else:
            yield kind, arguments
        images = images and kind not in (Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D)


@st.composite
def batch_sizes(draw):
    """Batches that grow and shrink; some come again, which a plan records and then repeats."""
    sizes = draw(st.lists(st.sampled_from(BATCHES), min_size=2, max_size=4))
    return [size for size in sizes for _ in range(draw(st.sampled_from([1, 1, 3])))]
