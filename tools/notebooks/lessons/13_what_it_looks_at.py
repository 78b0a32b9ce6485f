# %% [markdown]
# # 13 · What a network looks at
#
# A network says "4". Which pixels made it say so? Two answers: *Grad-CAM* asks the last maps of the network by way of a gradient (Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization",
# 2017), and *occlusion* covers parts of the image and sees what is lost (Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014).
#
# ## A network

# %%
import numpy as np

from cconv import plotting
from cconv.datasets import mnist_small
from cconv.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
)
from cconv.models import Model, Sequential
from cconv.optimizers import Adam
from cconv.utils import class_activation_map, occlusion_map

(x_train, y_train), (x_test, y_test) = mnist_small.load_data()
x_train, x_test = x_train[..., np.newaxis] / np.float32(255), x_test[..., np.newaxis] / np.float32(255)

model = Sequential([Input((28, 28, 1))], seed=0)
for filters in (8, 16, 32):
    model.add(Conv2D(filters, 3, padding="same", use_bias=False))
    model.add(BatchNormalization(momentum=0.9))
    model.add(Activation("relu"))
    if filters < 32:
        model.add(MaxPooling2D(2))
model.add(GlobalAveragePooling2D())
model.add(Dense(10, activation="softmax"))
model.summary()

# %%
for rate in (0.005, 0.0005):  # the second to come to rest
    model.compile(Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=64, epochs=5, verbose=0)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"accuracy on the test images {accuracy:.3f}")

# %% [markdown]
# ## Grad-CAM
#
# Let $A_k$ be the maps of a layer, here the last ReLU's, 32 maps of $h \times w = 7\times 7$ pixels, and $s_c$ the score of class $c$: the number *in front of* the softmax. How much a map matters for the class is the mean of the gradient over its pixels,
#
# $$\alpha_k = \frac{1}{hw}\sum_{i,j} \frac{\partial s_c}{\partial A_{ijk}}$$
#
# and the class activation map is what the maps give together, as far as it speaks *for* the class:
#
# $$L_{ij} = \max\Big(0,\; \sum_k \alpha_k A_{ijk}\Big)$$
#
# In NumPy, with the gradient by differences. Behind the layer stand only a mean over the pixels and the dense layer:

# %%
image, c = x_test[y_test == 4][:1], 4
last = model.layers[-3]
A = Model(model.input, last.output).predict(image, verbose=0)[0].astype(float)
weights, bias = model.layers[-1].get_weights()


def score(A):
    """s_c of maps A."""
    return A.mean(axis=(0, 1)) @ weights[:, c].astype(float) + bias[c]


gradient = np.zeros_like(A)
for place in np.ndindex(A.shape):
    step = np.zeros_like(A)
    step[place] = 1e-4
    gradient[place] = (score(A + step) - score(A - step)) / 2e-4
alpha = gradient.mean(axis=(0, 1))
L = np.maximum(0, A @ alpha)
print("as cconv:", np.allclose(L, class_activation_map(model, image, class_index=c)[0], rtol=1e-3, atol=1e-6))

# %% [markdown]
# With this head the gradient is known: $\partial s_c/\partial A_{ijk} = w_{kc} / (hw)$, the same for all pixels. So Grad-CAM is here the *class activation map* of Zhou et al. (2016), which needs such a head; Grad-CAM
# takes any layer of any network, and goes back through whatever is behind it as `fit` does.

# %%
print("alpha is w / hw:", np.allclose(alpha, weights[:, c] / 49, rtol=1e-4, atol=1e-8))
plotting.images(
    [np.repeat(image[0], 3, axis=2), A[..., alpha.argmax()], L],
    ["image", "the map that matters most", "L"],
    size=2.4,
)

# %% [markdown]
# Drawn over the images: the reddest pixels say the most for the class that stands above, the one that the network takes the image for (once the wrong one). Not only ink counts: in the 4 the
# gap at its top does, which tells it from a 9.

# %%
first = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
plotting.grad_cam(model, x_test[first[2:]])

# %% [markdown]
# ## Occlusion
#
# A window $W$ of $5\times 5$ pixels of the image's mean slides over the image. What the score loses at each place is spread over the pixels of the window; each pixel has the mean over the windows that cover it:
#
# $$O_{ij} = \frac{1}{|\{W : (i,j) \in W\}|}\sum_{W \ni (i,j)} \big(s_c(x) - s_c(x \text{ without } W)\big)$$
#
# No gradient is needed, but a prediction for every place: here $24 \cdot 24 = 576$.

# %%
logits = Sequential([*model.layers[:-1], Dense(10)], seed=0)
logits.build((28, 28, 1))
logits.layers[-1].set_weights([weights, bias])

total, times = np.zeros((28, 28)), np.zeros((28, 28))
whole = logits.predict(image, verbose=0)[0, c]
for i in range(24):
    for j in range(24):
        covered = image.copy()
        covered[0, i : i + 5, j : j + 5] = image.mean()
        total[i : i + 5, j : j + 5] += whole - logits.predict(covered, verbose=0)[0, c]
        times[i : i + 5, j : j + 5] += 1
print("as cconv:", np.allclose(total / times, occlusion_map(model, image, c)[0], rtol=1e-3, atol=1e-4))

# %%
plotting.occlusion(model, x_test[first[2:]])

# %% [markdown]
# Red pixels are missed when they are covered; where it is blue, the class would be surer without them. Covering a gap does little here, since the mean of such an image is nearly
# the black that is there; another `fill=` asks another question.
#
# ## Why not another class?
#
# The same image asked about several classes:

# %%
plotting.occlusion(model, image[0], class_index=[4, 9, 1])

# %% [markdown]
# And the network's mistakes: what speaks for the wrong class, and what for the right one.

# %%
p = model.predict(x_test, verbose=0).argmax(axis=1)
wrong = np.flatnonzero(p != y_test)[:3].repeat(2)
asked = [int(number) for index in wrong[::2] for number in (p[index], y_test[index])]
names = [f"{digit}" for digit in range(10)]
print("taken for, and is:", [(asked[k], asked[k + 1]) for k in range(0, 6, 2)])
plotting.grad_cam(model, x_test[wrong], class_index=asked, classes=names)

# %% [markdown]
# Such maps show where the network looks, not why; with a network that is wrong about what matters they look just as clear. Ask more than one map, and more than one image.
#
# Back to the [index](README.md).
