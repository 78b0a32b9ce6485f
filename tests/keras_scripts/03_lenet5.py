"""LeNet-5: tanh, average pooling, three dense layers, momentum."""

import numpy as np

from cconv.layers import AveragePooling2D, Conv2D, Dense, Flatten
from cconv.models import Sequential
from cconv.optimizers import SGD

with np.load("mnist.npz") as data:
    x, y = data["x_train"][:96].reshape(-1, 28, 28, 1).astype("float32") / 255.0, data["y_train"][:96]

model = Sequential()
model.add(Conv2D(6, (5, 5), padding="same", activation="tanh", input_shape=(28, 28, 1)))
model.add(AveragePooling2D(pool_size=(2, 2)))
model.add(Conv2D(16, (5, 5), activation="tanh"))
model.add(AveragePooling2D(pool_size=(2, 2)))
model.add(Flatten())
model.add(Dense(120, activation="tanh"))
model.add(Dense(84, activation="tanh"))
model.add(Dense(10, activation="softmax"))
rng = np.random.default_rng(2)
model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
model.compile(SGD(learning_rate=0.02, momentum=0.9), "sparse_categorical_crossentropy", metrics=["acc"])
history = model.fit(x, y, 32, 2, shuffle=False, verbose=0)

RESULT = {"history": history.history, "count": model.count_params()}
