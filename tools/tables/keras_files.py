"""Write tests/data/keras_files.npz: small models as Keras saves them, what they predict and how they go on.

    KERAS_BACKEND=jax python tools/tables/keras_files.py

It needs keras, jax and h5py. The table was made with keras 3.15.1 on jax 0.10.2. For each model NAME there
are its files as bytes (``NAME.keras``, ``NAME.h5``, ``NAME.weights.h5``), ``NAME/x``, ``NAME/y0`` …, and for
those that were trained ``NAME/targets`` and ``NAME/losses``: of five more steps, which the file has not seen.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

PATH = Path(__file__).parents[2] / "tests" / "data" / "keras_files.npz"
STEPS = 5
rng = np.random.default_rng(0)


def convnet(optimizer):
    """Return a row of layers, to be trained."""
    model = keras.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Rescaling(0.5, 0.1),
            layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", bias_constraint="max_norm"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def graph():
    """Make branches, operators, a shared layer, two models as layers, two outputs."""
    x = layers.Input((6, 6, 3), name="image")
    shared = layers.Conv2D(3, 3, padding="same", activation="silu", name="shared")
    y = shared(shared(x)) + x
    y = layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0) - 0.5 * x
    inner = keras.Sequential(
        [layers.Input((6, 6, 3)), layers.Conv2D(4, 1), layers.BatchNormalization(), layers.LeakyReLU(0.1)]
    )
    z = inner(y)
    a, b = layers.Input((6, 6, 4)), layers.Input((6, 6, 3))
    joined = layers.Concatenate()([a, layers.SeparableConv2D(2, 3, padding="same")(b)])
    two = keras.Model([a, b], [joined, layers.GlobalAveragePooling2D()(b)], name="two")
    u, v = two([z, y])
    u = layers.Dropout(0.5, noise_shape=(None, 1, 1, 6))(u)
    u = layers.Conv2DTranspose(2, 3, strides=2, padding="same")(u)
    squeezed = keras.ops.mean(u, axis=[1, 2], keepdims=True)
    u = layers.Multiply()([u, keras.ops.sigmoid(squeezed)])
    flat = layers.Concatenate()([layers.GlobalMaxPooling2D()(u), v])
    return keras.Model(x, {"class": layers.Dense(3, name="scores")(flat), "map": u})


def mixed():
    """Make layers whose arrays are many or unusual."""
    x = layers.Input((8, 8, 4))
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    y = layers.GroupNormalization(2)(y)
    y = layers.PReLU(shared_axes=[1, 2])(y)
    y = layers.LayerNormalization()(y)
    normalization = layers.Normalization()
    y = normalization(y)
    y = layers.UpSampling2D(2, interpolation="bilinear")(y)
    y = layers.ZeroPadding2D(((1, 0), (0, 2)))(y)
    y = layers.BatchNormalization(scale=False, center=False)(y)
    y = layers.Conv2D(8, 3, groups=2, dilation_rate=2, use_bias=False, activation=layers.LeakyReLU(0.2))(y)
    y = layers.AveragePooling2D(2, padding="same")(y)
    y = layers.Reshape((-1, 8))(y)
    y = layers.Conv1D(3, 3, padding="causal", activation="tanh")(y)
    y = layers.GlobalAveragePooling1D()(y)
    for _ in range(11):  # vars/10 and dense_10
        y = layers.Dense(3, activation="elu")(y)
    return keras.Model(x, y)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)),
    "adamw": lambda: keras.optimizers.AdamW(0.01, use_ema=True, gradient_accumulation_steps=2),
    "adadelta": lambda: keras.optimizers.Adadelta(0.5),
    "adagrad": lambda: keras.optimizers.Adagrad(0.05),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "lion": lambda: keras.optimizers.Lion(0.001),
    "rmsprop_whole": lambda: keras.optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "ftrl": lambda: keras.optimizers.Ftrl(0.1),
    "lamb": lambda: keras.optimizers.Lamb(0.01),
}


def filled(model):
    """Give a model random weights, so that none is what it began with."""
    arrays = [
        rng.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else rng.normal(0, 0.3, w.shape)
        for w in model.get_weights()
    ]
    model.set_weights([new.astype(old.dtype) for new, old in zip(arrays, model.get_weights(), strict=True)])
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    return model


def saved(model, folder, table, name):
    """Keep the files of a model, and what it predicts."""
    for ending in ("keras", "h5"):
        model.save(f"{folder}/m.{ending}")
    model.save_weights(f"{folder}/m.weights.h5")
    for ending in ("keras", "h5", "weights.h5"):
        table[f"{name}.{ending}"] = np.frombuffer(Path(folder, f"m.{ending}").read_bytes(), np.uint8)
    x = rng.normal(size=(4, *model.input_shape[1:])).astype("float32")
    found = model.predict(x, verbose=0)
    found = list(found.values()) if isinstance(found, dict) else [found]
    table |= {f"{name}/x": x, **{f"{name}/y{number}": y for number, y in enumerate(found)}}
    return x


def main():
    """Write the table."""
    table: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in {"graph": graph, "mixed": mixed}.items():
            keras.utils.clear_session()
            saved(filled(make()), folder, table, name)
        for name, optimizer in OPTIMIZERS.items():
            keras.utils.clear_session()
            model = filled(convnet(optimizer()))
            x, targets = rng.normal(size=(4, 6, 6, 2)).astype("float32"), np.array([0, 1, 2, 1])
            for _ in range(3):
                model.train_on_batch(x, targets)
            x = saved(model, folder, table, name)
            if name != "sgd":
                del table[f"{name}.weights.h5"]
            losses = [float(np.asarray(model.train_on_batch(x, targets)[0])) for _ in range(STEPS)]
            table |= {f"{name}/targets": targets, f"{name}/losses": np.array(losses)}
    np.savez_compressed(PATH, **table)
    print(PATH, PATH.stat().st_size)


if __name__ == "__main__":
    main()
