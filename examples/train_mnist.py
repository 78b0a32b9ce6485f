"""Train LeNet-5 on MNIST, written out layer by layer; save it, load it, use it.

python examples/train_mnist.py              # 6,000 images that come with cconv
python examples/train_mnist.py --all        # all 70,000, from CCONV_DATA_DIR, the cache or the network
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from cconv.datasets import mnist, mnist_small
from cconv.layers import Conv2D, Dense, Flatten, MaxPooling2D, Rescaling
from cconv.models import Sequential, load_model

parser = argparse.ArgumentParser(description="Train LeNet-5 on MNIST.")
parser.add_argument("--all", action="store_true", help="all of MNIST instead of 6,000 images of it")
parser.add_argument("--epochs", type=int, default=3)
arguments = parser.parse_args()

(x_train, y_train), (x_test, y_test) = (mnist if arguments.all else mnist_small).load_data()
x_train, x_test = x_train[..., np.newaxis], x_test[..., np.newaxis]  # one channel

model = Sequential(
    [
        Rescaling(1 / 255, input_shape=(28, 28, 1)),  # the data stay bytes
        Conv2D(6, 5, padding=2, activation="tanh"),
        MaxPooling2D(2),
        Conv2D(16, 5, activation="tanh"),
        MaxPooling2D(2),
        Flatten(),
        Dense(120, activation="tanh"),
        Dense(84, activation="tanh"),
        Dense(10, activation="softmax"),
    ],
    seed=0,  # the same weights at the end, on any number of threads
)
model.summary()
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=arguments.epochs)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "lenet5.safetensors")
    model.save(path)
    again = load_model(path)
p = again.predict(x_test[:5], verbose=0)
for label, probabilities in zip(y_test, p, strict=False):
    best = probabilities.argmax()
    print(f"a {label}: taken for a {best}, probability {probabilities[best]:.3f}")
