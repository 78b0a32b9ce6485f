"""The first convnet that everybody writes: two convolutions, two poolings, softmax, validation_split."""

import numpy as np

import cconv as keras
from cconv import layers

num_classes = 10
input_shape = (28, 28, 1)
with np.load("mnist.npz") as data:
    x_train, y_train = data["x_train"][:128], data["y_train"][:128]
x_train = np.expand_dims(x_train.astype("float32") / 255, -1)
y_train = keras.utils.to_categorical(y_train, num_classes)

model = keras.Sequential(
    [
        keras.Input(shape=input_shape),
        layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Conv2D(16, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.Dense(num_classes, activation="softmax"),
    ]
)
rng = np.random.default_rng(1)
model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.SGD(0.05), metrics=["accuracy"])
history = model.fit(x_train, y_train, batch_size=32, epochs=2, validation_split=0.1, shuffle=False, verbose=0)

RESULT = {"history": history.history, "prediction": model.predict(x_train[:2], verbose=0)}
