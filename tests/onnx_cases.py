"""Layers in small models, for what writes and reads ONNX: of every class of the library at least one."""

from cconv import layers as L
from cconv.layers import Input
from cconv.models import Model, Sequential

IMAGE, STEPS = (7, 6, 4), (9, 4)
ACTIVATIONS = [
    "elu",
    "selu",
    "softplus",
    "hard_sigmoid",
    "hard_silu",
    "exponential",
    "relu6",
    "sigmoid",
    "softmax",
    "linear",
]
CHAINS = {
    "convolution": ([L.Conv2D(6, 3, strides=2, padding="same", activation="relu")], IMAGE),
    "dilated": ([L.Conv2D(6, (2, 3), dilation_rate=2, use_bias=False)], IMAGE),
    "grouped": ([L.Conv2D(6, 3, groups=2, padding=((1, 0), (2, 1)))], IMAGE),
    "depthwise": ([L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="silu")], IMAGE),
    "separable": ([L.SeparableConv2D(5, 3, depth_multiplier=2, activation="gelu")], IMAGE),
    "transposed": ([L.Conv2DTranspose(5, 3, strides=2, padding="same")], IMAGE),
    "transposed, farther": ([L.Conv2DTranspose(4, 2, strides=3, groups=2)], IMAGE),
    "transposed, padded": ([L.Conv2DTranspose(5, 4, strides=3, padding="same", output_padding=2)], IMAGE),
    "pooling": ([L.MaxPooling2D(3, 2, padding="same")], IMAGE),
    "pooling, ceiling": ([L.MaxPooling2D(2, 2, ceil_mode=True)], IMAGE),
    "mean": ([L.AveragePooling2D(3, 2, padding="same")], IMAGE),
    "mean, padded": ([L.AveragePooling2D(3, 2, padding=1, count_include_pad=True)], IMAGE),
    "one window, more room": ([L.Conv2D(5, (5, 4), strides=4)], IMAGE),
    "one window of each channel": ([L.DepthwiseConv2D(4, strides=4)], IMAGE),
    "one window pooled": ([L.MaxPooling2D((4, 2)), L.MaxPooling2D((1, 2))], (7, 5, 4)),
    "one window, ceiling": ([L.MaxPooling2D((7, 3), (2, 6), ceil_mode=True)], IMAGE),
    "one window's mean": ([L.AveragePooling2D((4, 5))], IMAGE),
    "one window of steps": ([L.Conv1D(3, 5, strides=5), L.Flatten()], STEPS),
    "steps, first": ([L.Conv1D(3, 2, data_format="channels_first"), L.Flatten("channels_first")], STEPS),
    "one pixel transposed": ([L.AveragePooling2D((4, 5)), L.Conv2DTranspose(3, 2, strides=4)], IMAGE),
    "global": ([L.GlobalAveragePooling2D(), L.Dense(3, activation="log_softmax")], IMAGE),
    "global, kept": ([L.GlobalMaxPooling2D(keepdims=True), L.Conv2D(3, 1)], IMAGE),
    "flat": ([L.Conv2D(3, 2), L.Flatten(), L.Dense(5, activation="tanh"), L.Dense(3, use_bias=False)], IMAGE),
    "softmax, pixels": ([L.Softmax(axis=[1, 2]), L.Softmax()], IMAGE),
    "normalised": ([L.BatchNormalization(), L.ReLU(max_value=6)], IMAGE),
    "normalised, no weights": ([L.BatchNormalization(center=False, scale=False)], (5,)),
    "groups": ([L.GroupNormalization(2)], IMAGE),
    "groups of rows": ([L.GroupNormalization(2, scale=False)], (8,)),
    "rows": ([L.LayerNormalization(), L.ELU(0.75)], IMAGE),
    "rows, all": ([L.LayerNormalization(axis=[1, 2, 3])], IMAGE),
    "rows, others": ([L.LayerNormalization(axis=1, center=False)], IMAGE),
    "rows, scaled": ([L.LayerNormalization(rms_scaling=True)], IMAGE),
    "mean squares": ([L.RMSNormalization()], IMAGE),
    "units": ([L.UnitNormalization(axis=[1, 3])], IMAGE),
    "data": ([L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 0.25])], IMAGE),
    "data, inverted": ([L.Normalization(axis=None, mean=2.0, variance=3.0, invert=True)], IMAGE),
    "prelu": ([L.PReLU(alpha_initializer="random_normal", shared_axes=[1, 2])], IMAGE),
    "prelu, all": ([L.PReLU(alpha_initializer="random_normal")], IMAGE),
    "scales": ([L.LayerScale(0.3), L.Rescaling(0.5, [1.0, 2.0, 3.0, 4.0]), L.Rescaling(2.0)], IMAGE),
    "leaky": ([L.LeakyReLU(0.2), L.ReLU(4.0, 0.1, 0.5), L.Activation("mish")], IMAGE),
    "dropped": ([L.Dropout(0.5), L.SpatialDropout2D(0.5), L.AlphaDropout(0.5)], IMAGE),
    "noisy": ([L.GaussianNoise(1.0), L.GaussianDropout(0.3)], IMAGE),
    "turned": ([L.RandomFlip(), L.RandomZoom(0.3), L.RandomRotation(0.1)], IMAGE),
    "augmented": ([L.RandomBrightness(0.2), L.RandomContrast(0.2), L.RandomErasing(0.5)], IMAGE),
    "mixed": ([L.RandomTranslation(0.1, 0.1), L.RandomCrop(4, 3)], IMAGE),
    "cropped from little": ([L.RandomCrop(9, 5)], IMAGE),
    "padded": ([L.ZeroPadding2D(((1, 2), (0, 3))), L.Cropping2D(((0, 2), (1, 1)))], IMAGE),
    "larger": ([L.UpSampling2D((2, 3)), L.UpSampling2D(2, interpolation="bilinear")], IMAGE),
    "resized": ([L.Resizing(5, 9), L.Resizing(4, 4, interpolation="nearest")], IMAGE),
    "resized, cropped": ([L.Resizing(5, 9, crop_to_aspect_ratio=True)], IMAGE),
    "resized, padded": ([L.Resizing(5, 9, pad_to_aspect_ratio=True, fill_value=0.5)], IMAGE),
    "centre": ([L.CenterCrop(4, 3)], IMAGE),
    "centre of little": ([L.CenterCrop(9, 5)], IMAGE),
    "reshaped": ([L.Reshape((6, 28)), L.Permute((2, 1)), L.Flatten()], IMAGE),
    "permuted": ([L.Conv2D(3, 2), L.Permute((3, 1, 2))], IMAGE),
    "repeated": ([L.Dense(4, activation="softsign"), L.RepeatVector(3), L.Dense(2)], (5,)),
    "sequence": ([L.Conv1D(6, 3, padding="causal", activation="selu"), L.MaxPooling1D(2)], STEPS),
    "sequence, separable": ([L.SeparableConv1D(5, 3), L.AveragePooling1D(2, padding="same")], STEPS),
    "sequence, depthwise": ([L.DepthwiseConv1D(3, depth_multiplier=2), L.GlobalAveragePooling1D()], STEPS),
    "sequence, transposed": ([L.Conv1DTranspose(3, 3, strides=2), L.GlobalMaxPooling1D()], STEPS),
    "sequence, padded": ([L.ZeroPadding1D(2), L.Cropping1D((1, 2)), L.UpSampling1D(2)], STEPS),
    "sequence, dropped": ([L.SpatialDropout1D(0.5), L.Conv1D(3, 2)], STEPS),
    "places": ([L.Conv2D(5, 3), L.ArgMax()], IMAGE),
    "places of rows": ([L.Dense(6), L.ArgMax(select_last_index=True, keepdims=True)], (5,)),
    "bounds": ([L.Clip(-0.5, 1.0), L.Clip(max_value=0.75)], IMAGE),
    "parts": ([L.Conv2D(5, 1), L.Slice([1, None, None], [-1, None, 0], [1, -1, -2])], IMAGE),
    "parts of rows": ([L.Slice([None], [None], [-2])], (5,)),
    "borders": ([L.Conv2D(5, 1), L.Pad([(1, 2), (0, 1), (2, 0)], constant_values=0.5)], IMAGE),
    "mirrors": ([L.Pad([(1, 2), (3, 1), (0, 0)], "reflect"), L.Pad([(0, 0), (0, 2), (1, 0)], "edge")], IMAGE),
    "ends": ([L.Pad([(1, 2), (0, 1), (0, 0)], "wrap")], IMAGE),
    "tiles": ([L.Conv2D(3, 1), L.Tile([1, 2, 3])], IMAGE),
    "affine": ([L.Conv2D(3, 1), L.ElementwiseAffine(True, True, [1, 2], "random_normal", "ones")], IMAGE),
    "affine, all": ([L.Conv2D(3, 1), L.ElementwiseAffine(beta_initializer="random_normal")], IMAGE),
    "responses": ([L.LocalResponseNormalization(3, alpha=0.5, bias=2.0)], IMAGE),
    "blocks": ([L.DepthToSpace(2), L.SpaceToDepth(2), L.DepthToSpace(2, "CRD")], IMAGE),
    "corners": ([L.Resampling(5, 9, coordinates="align_corners")], IMAGE),
    "corners of pixels": ([L.Resampling(14, 3, "nearest", "asymmetric", "floor")], IMAGE),
    **{name: ([L.Dense(6), L.Activation(name)], (5,)) for name in ACTIVATIONS},
}
# Merging layers: what is merged of an image and a smaller one that is spread over it.
MERGES = {
    "added": lambda a, b: L.Add()([a, b, a]),
    "subtracted": lambda a, b: L.Subtract()([b, a]),
    "multiplied": lambda a, b: L.Multiply()([a, b]),
    "divided": lambda a, b: a / (b * b + 1.0),
    "averaged": lambda a, b: L.Average()([a, b]),
    "largest": lambda a, b: L.Maximum()([a, b]),
    "smallest": lambda a, b: L.Minimum()([a, b]),
    "joined": lambda a, b: L.Concatenate()([L.Conv2D(3, 1)(a), a]),
    "products": lambda a, b: L.Dot((2, 1), True)([L.Reshape((6, 28))(a), L.Reshape((28, 6))(a)]),
    "of rows": lambda a, b: L.Dot(axes=1)([L.Flatten()(a), L.Flatten()(a)]),
    "spread": lambda a, b: L.Add()([a, L.GlobalAveragePooling2D()(b)]),
}


def model_of(name, data_format=None, dtype="float64"):
    """The model of a case, built, with weights that are not those of a new one."""
    if name in CHAINS:
        chain, shape = CHAINS[name]
        if data_format == "channels_first" and len(shape) == 3:
            shape = (shape[2], *shape[:2])
        model = Sequential([layer.clone() for layer in chain], seed=1, dtype=dtype, data_format=data_format)
        model.build(shape)
        return model
    x = Input(IMAGE)
    first = L.Conv2D(4, 3, padding="same")(x)
    small = L.GlobalMaxPooling2D(keepdims=True)(L.Conv2D(4, 1)(x))
    return Model(x, MERGES[name](first, small), seed=1, dtype=dtype)
