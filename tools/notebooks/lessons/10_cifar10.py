# %% [markdown]
# # 10 · CIFAR-10
#
# Colour photographs of 32×32 pixels in ten classes.
#
# **The data.** `cifar10.load_data()` looks for the binary files (`data_batch_1.bin` … `test_batch.bin`) in the folders `cifar-10-batches-bin` and `cifar10-subset` of the
# folder that the environment variable `CCONV_DATA_DIR` names, and in the cache; else it downloads them once (170 MB; needs `pip install 'cconv[data]'`). With neither, the next cell
# stops with a `FileNotFoundError` that says where to put them. The outputs below are from a subset: 4,660 training and 846 test images.

# %%
import numpy as np

import cconv
from cconv import plotting
from cconv.datasets import cifar10
from cconv.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from cconv.models import Sequential
from cconv.utils import set_random_seed, to_categorical

set_random_seed(0)
(X_all, y_all), (X_rest, y_rest) = cifar10.load_data()
X_all, y_all = X_all[:4660], y_all[:4660]
X_rest, y_rest = X_rest[:846], y_rest[:846]
print(X_all.shape, X_rest.shape, dict(enumerate(cifar10.CLASSES)))

# %%
plotting.predictions(X_all[:10], None, y_all[:10], classes=cifar10.CLASSES)

# %% [markdown]
# ## The first 300 images
#
# The first 300 to learn from and the first 100 for the test, one epoch; Keras-shaped code.

# %%
X_train, X_test = X_all[:300], X_rest[:100]
y_train = to_categorical(y_all)[:300]
y_test = to_categorical(y_rest)[:100]


def build():
    """The network: twice two convolutions and a pooling, two dense layers."""
    model = Sequential()
    model.add(Conv2D(32, (3, 3), padding="same", input_shape=(32, 32, 3)))
    model.add(Activation("relu"))
    model.add(Conv2D(32, (3, 3)))
    model.add(Activation("relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Dropout(0.25))

    model.add(Conv2D(64, (3, 3), padding="same"))
    model.add(Activation("relu"))
    model.add(Conv2D(64, (3, 3)))
    model.add(Activation("relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Dropout(0.25))

    model.add(Flatten())
    model.add(Dense(512))
    model.add(Activation("relu"))
    model.add(Dropout(0.5))
    model.add(Dense(10))
    model.add(Activation("softmax"))
    return model


model = build()
model.summary()

# %%
opt = cconv.optimizers.RMSprop(lr=0.0001, decay=1e-6)
model.compile(loss="categorical_crossentropy", optimizer=opt, metrics=["accuracy"])
model.fit(X_train, y_train, batch_size=32, epochs=1)

scores = model.evaluate(X_test, y_test, verbose=1)
print("Test loss:", scores[0])
print("Test accuracy:", scores[1])

# %%
pred = np.argmax(model.predict(X_test[0:10]), axis=1)
print(pred)
plotting.images(X_test[:10], columns=5, size=1.3, title="10 images of test data")

# %% [markdown]
# As with MNIST, ten steps on raw pixels teach it next to nothing: guessing gives 0.1.
#
# ## All images at hand
#
# Pixels from 0 to 1, Adam, 12 epochs. The images stay bytes in memory: a first `Rescaling` layer converts them batch by batch.

# %%
model = Sequential([cconv.layers.Rescaling(1 / 255, input_shape=(32, 32, 3)), *build().layers], seed=0)
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(X_all, y_all, batch_size=64, epochs=12, verbose=2, validation_data=(X_rest, y_rest))

# %%
plotting.history(history)

# %% [markdown]
# Soon the training images get ahead and validation follows ever more slowly: with 466 images a class the network begins to learn them by heart. The whole of CIFAR-10, or changed copies of the images
# (`RandomFlip`, `RandomTranslation`), would help.

# %%
p = model.predict(X_rest)
plotting.confusion_matrix(y_rest, p, classes=cifar10.CLASSES)

# %%
plotting.predictions(X_rest, y_rest, p, classes=cifar10.CLASSES)

# %% [markdown]
# ## What it has learned
#
# The filters of the first convolution in their colours, and the feature maps of one image:

# %%
plotting.filters(model.layers[1])

# %%
plotting.feature_maps(model, X_rest[0])

# %% [markdown]
# Next: [11 · Residual connections](11_residual_connections.ipynb).
