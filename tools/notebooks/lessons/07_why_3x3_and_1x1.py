# %% [markdown]
# # 7 · Why 3×3 and 1×1
#
# Most kernels in today's networks are 3×3 or 1×1. Why not 7×7, which sees more? Why not 2×2, which is cheaper? And what can a
# kernel do that sees one pixel?

# %%
import time

import numpy as np

from cconv import functional, plotting
from cconv.datasets import circle, mnist_small
from cconv.layers import Conv2D, Dense, Flatten, MaxPooling2D, Rescaling
from cconv.models import Sequential, summary

# %% [markdown]
# ## Why odd
#
# With stride 1 a layer keeps the size of its input if $N + 2P - F + 1 = N$, that is $P = (F-1)/2$ zeros on each side. That is a whole number only
# for odd $F$. An even kernel has no middle, so `"same"` must put its odd zero on one side, and the maps are shifted by half a pixel:

# %%
plotting.padding(circle.load_data(), "same", 3)

# %%
plotting.padding(circle.load_data(), "same", 2)

# %% [markdown]
# The smallest odd size that sees its neighbours is 3.
#
# ## Why small: the same view with fewer weights
#
# Stack two 3×3 convolutions: an output of the second sees 3×3 outputs of the first, whose windows cover 5×5 pixels. In general the *receptive field* grows
# with each layer $l$ of kernel size $F_l$ and stride $S_l$ as
#
# $$r_l = r_{l-1} + (F_l - 1)\prod_{i<l} S_i \qquad r_0 = 1$$
#
# With $C$ channels in and out (biases left out), and the same 7×7 view:
#
# | | weights | non-linearities |
# | --- | --- | --- |
# | one 7×7 | $49\,C^2$ | 1 |
# | three 3×3 | $3\cdot 9\,C^2 = 27\,C^2$ | 3 |

# %%
C = 64


def stack(*sizes):
    """Return a model of convolutions of these kernel sizes, C channels in and out."""
    layers = [Conv2D(C, size, padding="same", activation="relu") for size in sizes]
    return Sequential(layers, seed=0).build((56, 56, C))


stacks = {"one 7×7": stack(7), "two 3×3": stack(3, 3), "three 3×3": stack(3, 3, 3)}
for name, model in stacks.items():
    field = summary.receptive_fields(model.layers)[-1]
    products = sum(map(summary.mult_adds, model.layers))
    print(
        f"{name:10} sees {field[0]}×{field[1]}, {model.count_params():,} parameters, {products:,} mult-adds"
    )

# %% [markdown]
# Is it so? We ask backward: which input pixels does one output pixel depend on?

# %%
seen = []
for sizes in [(7,), (3, 3), (3, 3, 3)]:
    dx = np.zeros((1, 15, 15, 1))
    dx[0, 7, 7, 0] = 1  # the gradient of the one output in the middle
    for size in sizes:
        # Weights of 1: no path from input to output is lost.
        kernel = np.ones((size, size, 1, 1))
        dx, _, _ = functional.conv2d_backward(dx, np.zeros((1, 15, 15, 1)), kernel, padding="same")
    seen.append(dx[0, 3:12, 3:12, 0])  # what lies further out is all zeros
plotting.images(
    seen,
    ["one 7×7", "two 3×3", "three 3×3"],
    numbers=True,
    size=2.7,
    title="number of paths from each of 9×9 pixels, each picture with a scale of its own",
)

# %% [markdown]
# Three 3×3 see the same 7×7 as one, the middle more than the border. Measured, how long does one image take? (Processor time: what else
# runs on the machine does not count.)

# %%
x = np.random.default_rng(0).random((1, 56, 56, C), np.float32)


def seconds(model, repeats=20):
    """Return the shortest of several times of one prediction."""
    times = []
    for _repeat in range(repeats):
        begin = time.process_time()
        model.predict(x, verbose=0)
        times.append(time.process_time() - begin)
    return min(times)


for name, model in stacks.items():
    print(f"{name:10} {1000 * seconds(model):6.2f} ms")

# %% [markdown]
# The 3×3 stacks are even faster than their number of products says: for 3×3 and stride 1 there is an algorithm that needs fewer products than the formula (Winograd's; Lavin & Gray 2016), which
# cconv takes where it pays.
#
# ## 1×1: all channels of one pixel
#
# $$a_{i,j,m} = \sum_{k} x_{i,j,k}\,w_{k,m} + b_m$$
#
# A dense layer that is applied at every pixel by itself. It sees no neighbours; it mixes the channels:

# %%
pointwise = Conv2D(8, 1).build((56, 56, C), seed=1)
kernel, bias = pointwise.get_weights()
per_pixel = x.reshape(-1, C) @ kernel.reshape(C, 8) + bias
print(
    "kernel",
    kernel.shape,
    " as a dense layer:",
    np.allclose(pointwise.forward(x).reshape(-1, 8), per_pixel, atol=1e-5),
)

# %% [markdown]
# Three uses of it:
#
# - **fewer channels** before an expensive layer: 256 channels, first to 64 by 1×1, then 3×3, then back to 256 by 1×1 (a *bottleneck*, as in ResNet; GoogLeNet does likewise);
# - **mixing the channels** behind a depthwise convolution, which looks at every channel by itself (MobileNet);
# - **another non-linearity** for few weights.

# %%
direct = [Conv2D(256, 3, padding="same")]
bottleneck = [Conv2D(64, 1), Conv2D(64, 3, padding="same"), Conv2D(256, 1)]
for name, layers in [("3×3, 256 channels", direct), ("1×1 to 64, 3×3, 1×1 to 256", bottleneck)]:
    model = Sequential(layers).build((28, 28, 256))
    products = sum(map(summary.mult_adds, model.layers))
    print(f"{name:28} {model.count_params():9,} parameters {products:13,} mult-adds")

# %% [markdown]
# ## Does it cost accuracy?
#
# Three networks that differ in their middle alone, on the small MNIST that comes with cconv (5,000 images; 1,000 for the test), three times each with other seeds.

# %%
(x_train, y_train), (x_test, y_test) = mnist_small.load_data()
x_train, x_test = x_train[..., np.newaxis], x_test[..., np.newaxis]


def same(filters, size):
    """A convolution that keeps the size, with a ReLU."""
    return Conv2D(filters, size, padding="same", activation="relu")


middles = {
    "one 7×7": lambda: [same(16, 7)],
    "three 3×3": lambda: [same(16, 3), same(16, 3), same(16, 3)],
    "1×1, 3×3, 1×1": lambda: [same(8, 1), same(8, 3), same(16, 1)],
}
print(f"{'middle':14} {'parameters':>10} {'s an epoch':>11}   test accuracy of three seeds")
for name, middle in middles.items():
    accuracies, times = [], []
    for seed in range(3):
        first = [Rescaling(1 / 255, input_shape=(28, 28, 1)), same(16, 3), MaxPooling2D(2)]
        model = Sequential(
            [*first, *middle(), MaxPooling2D(2), Flatten(), Dense(10, activation="softmax")], seed=seed
        )
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        begin = time.process_time()
        model.fit(x_train, y_train, epochs=2, verbose=0)
        times.append((time.process_time() - begin) / 2)
        accuracies.append(model.evaluate(x_test, y_test, verbose=0)[1])
    weights = sum(layer.count_params() for layer in model.layers[3:-3])
    listed = "  ".join(f"{accuracy:.3f}" for accuracy in accuracies)
    print(f"{name:14} {weights:10,} {min(times):11.2f}   {listed}")

# %% [markdown]
# The parameters are those of the middle alone, the time is the processor's, for the whole network. Between the first two the accuracy differs no more than between two seeds, with little more than half of the weights.
# The bottleneck has a fourteenth of the weights, and after these two short epochs is a few points behind: it is made for layers of hundreds of channels, as above.
#
# Next: [8 · Famous networks](08_famous_networks.ipynb).
