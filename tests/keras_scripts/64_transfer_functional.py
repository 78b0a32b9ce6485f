"""Later: transfer learning as the guide has it, a frozen base called with training=False."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(105)
x, y = rng.uniform(size=(16, 8, 8, 3)).astype("float32"), rng.integers(0, 2, size=(16, 1))
base_model = keras.Sequential(
    [
        keras.Input(shape=(8, 8, 3)),
        layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
    ]
)
base_model.set_weights([rng.uniform(0.1, 0.5, w.shape) for w in base_model.get_weights()])
base_model.trainable = False

inputs = keras.Input(shape=(8, 8, 3))
features = base_model(layers.Rescaling(2.0, offset=-1)(inputs), training=False)
features = layers.GlobalAveragePooling2D()(features)
model = keras.Model(inputs, layers.Dense(1)(features))
model.layers[-1].set_weights([rng.normal(0, 0.5, (4, 1)), np.zeros(1)])
loss = keras.losses.BinaryCrossentropy(from_logits=True)
model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss, metrics=[keras.metrics.BinaryAccuracy()])
history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)

RESULT = {"history": history.history, "moving": base_model.get_weights()[2]}
