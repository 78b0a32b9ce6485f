"""A layer of one's own with build and add_weight: call in Keras, forward and backward in cconv."""

import numpy as np

import cconv as keras
from cconv import layers


class Linear(layers.Layer):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="glorot_uniform", trainable=True, name="w"
        )
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True, name="b")

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    if keras.__name__ == "cconv":

        def forward(self, x):
            self.x = x
            return x @ self.w + self.b

        def backward(self, dy):
            self.grads["w"], self.grads["b"] = self.x.T @ dy, dy.sum(axis=0)
            return dy @ self.w.T

    else:

        def call(self, inputs):
            return keras.ops.matmul(inputs, self.w) + self.b


rng = np.random.default_rng(32)
x, y = rng.normal(size=(20, 4, 4, 1)).astype("float32"), rng.integers(0, 3, 20)
model = keras.Sequential(
    [keras.Input((4, 4, 1)), layers.Flatten(), Linear(6), layers.ReLU(), Linear(3), layers.Softmax()]
)
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)

RESULT = {"history": history.history, "params": model.count_params(), "name": model.layers[1].name}
