# %% [markdown]
# # 12 · U-Net: a class for every pixel
#
# So far a network gave one answer for an image. Now it gives one for every pixel: two digits, a 3 and a 4, are drawn over each other, and the network says
# where the 3 is and where the 4 is. For that it must look far around each pixel, and still know exactly where it is. The U-Net of Ronneberger, Fischer and Brox ("U-Net: convolutional networks for
# biomedical image segmentation", 2015) does the one by poolings, and the other by ways that go around them.

# %%
import numpy as np

from cconv import functional, plotting, reference
from cconv.datasets import mnist_small
from cconv.layers import Concatenate, Conv2D, Conv2DTranspose, Input, MaxPooling2D
from cconv.models import Model
from cconv.optimizers import Adam

# %% [markdown]
# ## Back to the size of the image: the transposed convolution
#
# A pooling halves the height and the width; at the end they are wanted back. A *transposed convolution* spreads every pixel, multiplied by the kernel, over a window of its output,
# $s$ pixels from one window to the next, and adds what falls on the same place:
#
# $$y_{s i + p,\; s j + q,\; m} = b_m + \sum_{i, j} \sum_{p, q} \sum_k x_{i,j,k}\; w_{p,q,m,k}$$
#
# where the sum takes all $(i, j, p, q)$ that meet in that pixel of $y$. It is the way *back* through a convolution with stride $s$ (lesson 5).


# %%
def transposed(x, w, b, s):
    """y, window by window: x (h, w, K), w (F, F, M, K), b (M)."""
    height, width, _ = x.shape
    size, _, filters, _ = w.shape
    y = np.zeros(((height - 1) * s + size, (width - 1) * s + size, filters)) + b
    for i, j in np.ndindex(height, width):
        y[s * i : s * i + size, s * j : s * j + size] += w @ x[i, j]
    return y


rng = np.random.default_rng(0)
x = rng.standard_normal((4, 5, 3))
w = rng.standard_normal((3, 3, 2, 3))
b = np.array([1.0, -1.0])
y = transposed(x, w, b, 2)
print("y", y.shape)
print(
    "as reference: ",
    np.allclose(y, reference.conv2d_transpose(x[np.newaxis], w, b, strides=2)[0], rtol=1e-12),
)
print(
    "as functional:",
    np.allclose(y, functional.conv2d_transpose(x[np.newaxis], w, b, strides=2)[0], rtol=1e-12),
)
back, _, _ = reference.conv2d_backward(x[np.newaxis], np.zeros((1, 9, 11, 2)), w, strides=2)
print("as the way back through a convolution:", np.allclose(y - b, back[0], rtol=1e-12))

# %% [markdown]
# Four pixels, a kernel of 2×2 and of 3×3, stride 2. The windows of the first lie side by side; those of the second overlap by a row or column, where the outputs are sums:

# %%
pixels = np.array([[1.0, 2.0], [3.0, 4.0]])
two, three = (transposed(pixels[..., np.newaxis], np.ones((n, n, 1, 1)), 0, 2) for n in (2, 3))
plotting.images([pixels, two, three], ["x", "kernel 2×2", "kernel 3×3"], numbers=True, shared=True, size=2.2)

# %% [markdown]
# ## The data
#
# A 3 and a 4, each moved by up to four pixels, drawn over each other: the brighter of both in every pixel. The target has a channel for each: 1 where there is ink of that digit.
# The test images are made of digits that are in no training image.

# %%
(digits, labels), (digits_test, labels_test) = mnist_small.load_data()


def overlapping(digits, labels, count):
    """Return images (count, 28, 28, 1) and targets (count, 28, 28, 2)."""
    parts = np.zeros((count, 28, 28, 2), np.float32)
    for channel, digit in enumerate((3, 4)):
        for part, number in zip(parts, rng.choice(np.flatnonzero(labels == digit), count), strict=True):
            up, left = rng.integers(0, 9, 2)
            part[..., channel] = np.pad(digits[number], 4)[up : up + 28, left : left + 28] / 255
    return parts.max(axis=3, keepdims=True), (parts > 0.5).astype(np.float32)


x_train, y_train = overlapping(digits, labels, 800)
x_test, y_test = overlapping(digits_test, labels_test, 200)


def coloured(three, four):
    """Return a picture of two masks: the 3 orange, the 4 blue, both together white, on black."""
    orange, blue = np.array([0.90, 0.62, 0.0]), np.array([0.0, 0.45, 0.80])
    both = (three * four)[..., np.newaxis]
    return np.where(both > 0, 1.0, three[..., np.newaxis] * orange + four[..., np.newaxis] * blue)


shown = [coloured(*np.moveaxis(mask, 2, 0)) for mask in y_train[:6]]
plotting.images(
    [*(np.repeat(image, 3, axis=2) for image in x_train[:6]), *shown],
    ["image", "", "", "", "", "", "target", "", "", "", "", ""],
    columns=6,
    size=1.35,
    title="in the target the 3 is orange, the 4 blue, and what both share is white",
)

# %% [markdown]
# ## The network
#
#     image ─ double ────────────────────── concatenate ─ double ─ conv 1×1 ─ two masks
#               └ pool ─ double ── concatenate ─ double ─ up ┘
#                          └ pool ─ double ─ up ┘
#
# *double* is twice a convolution of 3×3 with ReLU, *up* a transposed convolution of 2×2 with stride 2. On the way up the maps are joined with those of the same size from the way down, which have
# not gone through a pooling. A sigmoid for each channel, and not one softmax, because a pixel may belong to both digits.


# %%
def double(x, filters):
    """Twice a convolution with ReLU."""
    for _time in range(2):
        x = Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
    return x


def unet(skips=True, filters=8):
    """A U-Net with two poolings; without skips only what has gone through them."""
    inputs = Input((28, 28, 1))
    first = double(inputs, filters)
    second = double(MaxPooling2D(2)(first), 2 * filters)
    x = double(MaxPooling2D(2)(second), 4 * filters)
    for before, size in ((second, 2 * filters), (first, filters)):
        x = Conv2DTranspose(size, 2, strides=2, activation="relu")(x)
        x = Concatenate()([before, x]) if skips else x
        x = double(x, size)
    return Model(inputs, Conv2D(2, 1, activation="sigmoid")(x), seed=0)


model = unet()
model.summary()

# %% [markdown]
# The loss is the binary cross-entropy of every pixel and channel,
#
# $$L = -\frac{1}{n}\sum \big(y \log p + (1 - y) \log (1 - p)\big)$$
#
# and what is measured is the *intersection over union* of the ink: pixels that are in both masks, over those that are in one or both. Beside it the same network without the ways around the poolings.

# %%
found = {}
for skips in (True, False):
    model = unet(skips)
    model.compile(Adam(0.003), "binary_crossentropy")
    history = model.fit(x_train, y_train, batch_size=32, epochs=16, verbose=0)
    p = found[skips] = model.predict(x_test, verbose=0) > 0.5
    both, either = (p & (y_test > 0.5)).sum(axis=(1, 2)), (p | (y_test > 0.5)).sum(axis=(1, 2))
    name = "U-Net" if skips else "without skips"
    loss = history.history["loss"][-1]
    print(f"{name:13}  loss {loss:.3f}, intersection over union {np.mean(both / either):.2f}")

# %%
truth = [coloured(*np.moveaxis(mask, 2, 0)) for mask in y_test[:6]]
rows = [
    [np.repeat(image, 3, axis=2) for image in x_test[:6]],
    truth,
    *(
        [coloured(*np.moveaxis(mask.astype(float), 2, 0)) for mask in found[skips][:6]]
        for skips in (True, False)
    ),
]
titles = [
    name if column == 0 else ""
    for name in ("image", "target", "U-Net", "without skips")
    for column in range(6)
]
plotting.images([picture for row in rows for picture in row], titles, columns=6, size=1.35)

# %% [markdown]
# The U-Net follows the strokes; without the skips the network knows about where each digit is, but thin strokes are lost or too thick. Where the strokes cross both channels answer yes, which is
# drawn white.
#
# `cconv.layers.Conv2DTranspose` takes padding, `output_padding`, groups and dilation too; `UpSampling2D` followed by a convolution is the other way to a larger image.
#
# Next: [13 · What a network looks at](13_what_it_looks_at.ipynb).
