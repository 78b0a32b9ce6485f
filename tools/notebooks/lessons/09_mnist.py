# %% [markdown]
# # 9 · MNIST
#
# Handwritten digits, 28×28 pixels in grey, 60,000 to learn from and 10,000 for the test. The code is what one would write for Keras, with `cconv` in the place of `keras`.

# %%
import numpy as np

from cconv import plotting
from cconv.datasets import mnist, mnist_small
from cconv.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from cconv.models import Sequential
from cconv.utils import set_random_seed, to_categorical

set_random_seed(0)
try:
    (X_all, y_all), (X_rest, y_rest) = mnist.load_data()
except FileNotFoundError:  # no data folder and no network: 5,000 + 1,000 of them come with cconv
    (X_all, y_all), (X_rest, y_rest) = mnist_small.load_data()
print(X_all.shape, X_all.dtype, y_all[:10])

# %% [markdown]
# `mnist.load_data()` looks into the folder that `CCONV_DATA_DIR` names and into the cache, then downloads. Where none of these helps, this lesson goes on with the
# small MNIST inside the package; only the last figures differ then.
#
# ## The first 300 images
#
# We begin with few: the first 300 to learn from, the first 100 for the test. A convolution takes images $(n, h, w, c)$, so the channel gets an axis of its
# own; the labels become one-hot vectors.

# %%
X_train = X_all[:300].reshape(-1, 28, 28, 1)
X_test = X_rest[:100].reshape(-1, 28, 28, 1)
y_train = to_categorical(y_all)[:300]
y_test = to_categorical(y_rest)[:100]


def build():
    """The network: two convolutions, a pooling, two dense layers."""
    model = Sequential()
    model.add(Conv2D(filters=32, kernel_size=(3, 3), input_shape=(28, 28, 1)))
    model.add(Activation("relu"))
    model.add(Conv2D(filters=64, kernel_size=(3, 3)))
    model.add(Activation("relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Dropout(0.25))
    model.add(Flatten())
    model.add(Dense(128))
    model.add(Activation("relu"))
    model.add(Dropout(0.5))
    model.add(Dense(10))
    model.add(Activation("softmax"))
    return model


model = build()
model.summary()

# %%
model.compile(loss="categorical_crossentropy", optimizer="adadelta", metrics=["accuracy"])
model.fit(X_train, y_train, batch_size=128, epochs=1, verbose=1, validation_data=(X_test, y_test))

scores = model.evaluate(X_test, y_test, verbose=1)
print("Test loss:", scores[0])
print("Test accuracy:", scores[1])

# %%
pred = np.argmax(model.predict(X_test[0:10]), axis=1)
print(pred)
plotting.images(X_test[:10], columns=5, size=1.3, cmap="gray", title="10 images of test data")

# %% [markdown]
# One epoch of 300 images is three steps: hardly better than guessing. It runs, and that is all it should show. (Adadelta with its present standard learning rate of 0.001 takes very small
# steps besides; the paper's is 1.)
#
# ## The same 300, better treated
#
# Pixels from 0 to 1 instead of 0 to 255, Adam, and 20 epochs.

# %%
model = build()
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(
    X_train / 255, y_train, batch_size=32, epochs=20, verbose=0, validation_data=(X_test / 255, y_test)
)
print("Test loss, accuracy:", model.evaluate(X_test / 255, y_test, verbose=0))
plotting.history(history)

# %% [markdown]
# The training images are learned almost by heart; on others the network stops getting better. More images help more than more epochs.
#
# ## All images

# %%
x_train, x_test = (x.reshape(-1, 28, 28, 1).astype("float32") / 255 for x in (X_all, X_rest))
epochs = 1 if len(x_train) == 60_000 else 8

model = build()
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(
    x_train, y_all, batch_size=128, epochs=epochs, verbose=2, validation_data=(x_test, y_rest)
)

# %% [markdown]
# (`sparse_categorical_crossentropy` takes the labels as numbers, so that no one-hot vectors are needed.)

# %%
p = model.predict(x_test)
wrong = np.flatnonzero(p.argmax(axis=1) != y_rest)
print(f"{len(wrong)} of {len(p):,} wrong")
plotting.confusion_matrix(y_rest, p)

# %% [markdown]
# Some of the mistakes:

# %%
plotting.predictions(x_test[wrong], y_rest[wrong], p[wrong])

# %% [markdown]
# ## What it has learned
#
# The 32 filters of the first convolution, and what the layers make of a digit:

# %%
plotting.filters(model.layers[0])

# %%
plotting.feature_maps(model, x_test[0])

# %% [markdown]
# ## Keep it
#
# One file holds weights, layers and the state of the optimizer; `fit` would go on where it stopped.

# %%
import tempfile

from cconv.models import load_model

with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/mnist.safetensors")
    again = load_model(f"{folder}/mnist.safetensors")
print("same predictions:", np.array_equal(again.predict(x_test[:100]), p[:100]))

# %% [markdown]
# Next: [10 · CIFAR-10](10_cifar10.ipynb).
