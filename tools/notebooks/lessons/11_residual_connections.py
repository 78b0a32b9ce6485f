# %% [markdown]
# # 11 · Residual connections
#
# A deeper network can do all that a shallow one can: its further layers need only pass on what they get. But *plain* networks of many layers learn
# worse than those of few, even on the data that they learn from. He, Zhang, Ren and Sun ("Deep residual learning for image recognition", 2016) let
# every two layers compute what is to be *added* to their input:
#
# $$y = F(x) + x$$
#
# If nothing should change, $F = 0$ is enough, and weights near zero are where learning begins.

# %%
import numpy as np
from matplotlib import pyplot as plt

from cconv import functional, reference
from cconv.datasets import mnist_small
from cconv.layers import Activation, Add, BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, Input
from cconv.models import Model
from cconv.optimizers import SGD

rng = np.random.default_rng(0)

# %% [markdown]
# ## Forward and backward
#
# Let $F$ be two convolutions with a ReLU between, as in the paper: $F(x) = w_2 * \max(0,\; w_1 * x)$, where $*$ is a convolution that keeps the size. The sum has two
# readers of $x$, so that its gradient has two terms:
#
# $$\frac{\partial L}{\partial x} = \frac{\partial L}{\partial y} + \Big(\frac{\partial F}{\partial x}\Big)^{\!\top} \frac{\partial L}{\partial y}$$
#
# The first passes the gradient on as it is. In NumPy:


# %%
def forward(x, w1, w2):
    """Return y, and what backward needs."""
    a = np.maximum(reference.conv2d(x, w1, padding="same"), 0)
    return reference.conv2d(a, w2, padding="same") + x, a


def backward(dy, x, a, w1, w2):
    """Return dx, dw1 and dw2."""
    da, dw2, _ = reference.conv2d_backward(dy, a, w2, padding="same")
    dx, dw1, _ = reference.conv2d_backward(da * (a > 0), x, w1, padding="same")
    return dy + dx, dw1, dw2


x = rng.standard_normal((2, 6, 6, 3))
w1, w2 = 0.3 * rng.standard_normal((3, 3, 3, 4)), 0.3 * rng.standard_normal((3, 3, 4, 3))
y, a = forward(x, w1, w2)
dy = rng.standard_normal(y.shape)
dx, dw1, dw2 = backward(dy, x, a, w1, w2)

# %% [markdown]
# The same in cconv: layers called on tensors make a graph, and `Add` joins two ways through it.

# %%
inputs = Input((6, 6, 3))
inside = Conv2D(4, 3, padding="same", activation="relu", use_bias=False)(inputs)
inside = Conv2D(3, 3, padding="same", use_bias=False)(inside)
block = Model(inputs, Add()([inside, inputs]), dtype="float64")
block.set_weights([w1, w2])
print("y as cconv:", np.allclose(block.predict(x, verbose=0), y, rtol=1e-10))

# A step of size 1 against the gradient of half the squared error moves the weights by just that gradient.
block.compile(SGD(1.0), "mean_squared_error")
block.train_on_batch(x, y - dy * y.size / 2)
for name, old, new, gradient in zip(["dw1", "dw2"], [w1, w2], block.get_weights(), [dw1, dw2], strict=True):
    print(f"{name} as cconv:", np.allclose(old - new, gradient, rtol=1e-8))

# %% [markdown]
# and $\partial L/\partial x$ by differences, for one direction $d$:

# %%
d = rng.standard_normal(x.shape)
up, down = (np.sum(forward(x + sign * 1e-6 * d, w1, w2)[0] * dy) for sign in (1, -1))
print(f"along d: {np.sum(dx * d):.6f} by the formula, {(up - down) / 2e-6:.6f} by differences")

# %% [markdown]
# ## What becomes of a gradient
#
# Through $n$ layers in a row the gradient is multiplied by $n$ matrices; with $y = F(x) + x$ each of them is $I + F'$. Here convolutions with small weights, and how long the gradient is
# that arrives in front of each:


# %%
def lengths(skips, depth=50):
    """Length of the gradient behind each of the last layers, from the end to the beginning, 1 at the end."""
    rng = np.random.default_rng(1)
    dy = rng.standard_normal((1, 8, 8, 4))
    found = [np.linalg.norm(dy)]
    for _layer in range(depth):
        w = 0.1 * rng.standard_normal((3, 3, 4, 4))
        through, _, _ = functional.conv2d_backward(dy, np.zeros_like(dy), w, padding="same")
        dy = dy + through if skips else through
        found.append(np.linalg.norm(dy))
    return np.array(found) / found[0]


BLUE, ORANGE = "#0072b2", "#e69f00"
plt.style.use("cconv.plotting.cconv")
figure, axes = plt.subplots(figsize=(6, 3))
axes.semilogy(lengths(True), color=BLUE, label="$F(x) + x$")
axes.semilogy(lengths(False), "--", color=ORANGE, label="$F(x)$")
axes.set_xlabel("layers from the end")
axes.set_ylabel("length of the gradient")
axes.grid()
axes.legend()
plt.show()
print(f"after 50 layers: {lengths(True)[-1]:.1f} with skips, {lengths(False)[-1]:.0e} without")

# %% [markdown]
# With skips the first layers hear of the loss; that the gradient grows a little is what normalisation is good for. Without the skips nothing is left for the first layers to learn from. Normalisation and initial weights that fit keep the lengths there too, and all networks below have both;
# but that alone does not make a deep plain network easy to train.
#
# ## 20 and 56 layers, with and without skips
#
# The paper's networks for CIFAR-10: a convolution, then three stages of $n$ blocks with two convolutions each, $6n + 2$ layers with the dense one at the end. The second and the third stage begin with
# stride 2 and have twice the filters; there a 1×1 convolution brings $x$ to the new shape. So that they run in seconds, they get 1,000 digits of 14×14 pixels, and 4, 8, 16 filters.

# %%
(images, labels), _ = mnist_small.load_data()
images = images[:1000].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))[..., np.newaxis] / 255
labels = labels[:1000]


def convolution(x, filters, strides=1):
    """Convolution and normalisation."""
    x = Conv2D(filters, 3, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return BatchNormalization()(x)


def network(depth, skips, width=4):
    """A network of 6n + 2 layers."""
    inputs = Input((14, 14, 1))
    x = Activation("relu")(convolution(inputs, width))
    for stage in range(3):
        filters = width * 2**stage
        for block in range((depth - 2) // 6):
            strides = 2 if stage > 0 and block == 0 else 1
            y = Activation("relu")(convolution(x, filters, strides))
            y = convolution(y, filters)
            if skips:
                if strides > 1:
                    x = Conv2D(filters, 1, strides, use_bias=False, kernel_initializer="he_normal")(x)
                y = Add()([y, x])
            x = Activation("relu")(y)
    x = GlobalAveragePooling2D()(x)
    return Model(inputs, Dense(10, activation="softmax")(x), seed=0)


losses = {}
for depth in (20, 56):
    for skips in (False, True):
        model = network(depth, skips)
        model.compile(SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
        history = model.fit(images, labels, batch_size=64, epochs=8, verbose=0)
        losses[depth, skips] = history.history["loss"]
        name = "residual" if skips else "plain"
        size, loss = model.count_params(), losses[depth, skips][-1]
        print(f"{depth} layers, {name:8}  {size:6,} parameters, loss {loss:.2f}")

# %%
figure, pair = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
for axes, skips, title in zip(pair, (False, True), ("plain", "residual"), strict=True):
    for depth, style, colour in ((20, "o-", BLUE), (56, "s--", ORANGE)):
        axes.plot(
            range(1, 9), losses[depth, skips], style, color=colour, markersize=4, label=f"{depth} layers"
        )
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.set_ylim(0, 3)
    axes.grid()
    axes.legend()
pair[0].set_ylabel("loss on the training images")
plt.show()

# %% [markdown]
# The plain network of 56 layers hardly leaves the loss of guessing, $\ln 10 \approx 2.3$, although it could do all that the one of 20 can. With skips the deep one learns nearly as fast as
# the shallow one. Figures 1 and 6 of the paper show the same on CIFAR-10.
#
# Next: [12 · U-Net](12_unet.ipynb).
