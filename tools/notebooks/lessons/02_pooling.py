# %% [markdown]
# # 2 · Pooling
#
# Feature maps say more than the next layer needs: a line that is found is found at neighbouring pixels too, and wide
# parts hold nothing. Pooling keeps one number of each small window: its largest value (*max pooling*) or its mean
# (*average pooling*). What it gives up is where exactly in the window that was.

# %%
import numpy as np

from cconv import functional, plotting, reference
from cconv.datasets import circle

x = circle.load_data()
names = ["vertical", "horizontal", "diagonal ↘", "diagonal ↙"]
kernels = np.zeros((3, 3, 1, 4), np.float32)
kernels[:, 1, 0, 0] = kernels[1, :, 0, 1] = 1
kernels[[0, 1, 2], [0, 1, 2], 0, 2] = kernels[[0, 1, 2], [2, 1, 0], 0, 3] = 1

a = functional.conv2d(x.reshape(1, 10, 10, 1), kernels)
plotting.images(
    np.moveaxis(a[0], 2, 0), names, numbers=True, shared=True, size=2.3, title="feature maps, 8×8"
)

# %% [markdown]
# ## The formula
#
# With $P_{i,j}$ the window of output pixel $(i, j)$, for each channel $k$ by itself:
#
# $$\text{max: } a_{i,j,k} = \max_{(p,q)\in P_{i,j}} x_{p,q,k}
# \qquad
# \text{average: } a_{i,j,k} = \frac{1}{|P_{i,j}|}\sum_{(p,q)\in P_{i,j}} x_{p,q,k}$$
#
# Windows of 2×2 side by side make 4×4 of the 8×8. As loops, on one map:


# %%
def pool(x, size, function):
    """Apply the function to each size×size part of x."""
    height, width = x.shape[0] // size, x.shape[1] // size
    a = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            a[i, j] = function(x[i * size : (i + 1) * size, j * size : (j + 1) * size])
    return a


largest = pool(a[0, :, :, 0], 2, np.max)
mean = pool(a[0, :, :, 0], 2, np.mean)
plotting.images(
    [a[0, :, :, 0], largest, mean],
    ["vertical, 8×8", "max, 4×4", "average, 4×4"],
    numbers=True,
    shared=True,
    size=2.4,
)

# %% [markdown]
# ## The same with cconv, on all maps at once

# %%
pooled, where = functional.max_pool2d(a, 2)
print(a.shape, "->", pooled.shape, " same as the loops:", np.array_equal(pooled[0, :, :, 0], largest))
plotting.images(
    np.moveaxis(pooled[0], 2, 0), names, numbers=True, shared=True, size=2.0, title="max pooling, 4×4"
)

# %% [markdown]
# Another example: 6×6 numbers, windows of 3×3.

# %%
numbers = np.random.default_rng(1).integers(0, 10, (6, 6)).astype(float)
plotting.images(
    [numbers, pool(numbers, 3, np.max), pool(numbers, 3, np.mean)],
    ["6×6", "max of 3×3", "average of 3×3"],
    numbers=True,
    shared=True,
)

# %% [markdown]
# ## Small shifts matter less
#
# Whether a digit stands a pixel further right should not matter to what digit it is. We move the circle by one pixel, and
# compare how many numbers change, before pooling and behind it.

# %%
moved = np.roll(x, 1, axis=1).reshape(1, 10, 10, 1)
a_moved = functional.conv2d(moved, kernels)
pooled_moved, _ = functional.max_pool2d(a_moved, 2)
for name, before, after in [("feature maps", a, a_moved), ("max pooled", pooled, pooled_moved)]:
    distance = np.linalg.norm(before - after) / np.linalg.norm(before)
    print(
        f"{name:13} {np.mean(before != after):4.0%} of the numbers changed, relative distance {distance:.2f}"
    )

# %% [markdown]
# ## Backward
#
# Training asks: if the output grows, which input pixel is to thank? For the maximum it is the one pixel that won
# (the first, if several are equal), so the whole gradient goes there; `max_pool2d` returns its place in the window beside the
# maximum. The mean owes the same to each of its pixels.

# %%
x4 = np.array([[1.0, 5, 2, 0], [3, 4, 2, 7], [6, 0, 1, 1], [2, 8, 9, 3]]).reshape(1, 4, 4, 1)
dy = np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
_, argmax = functional.max_pool2d(x4, 2)
dx_max = functional.max_pool2d_backward(dy, argmax, x4.shape, 2)
dx_mean = functional.average_pool2d_backward(dy, x4.shape, 2)
plotting.images([x4[0]], ["x"], numbers=True, cmap="gray")

# %%
gradients = [dy[0], dx_max[0], dx_mean[0]]
plotting.images(gradients, ["dy", "dx of max", "dx of average"], numbers=True, signed=True, shared=True)

# %% [markdown]
# `cconv.reference` has the same functions in a few lines of NumPy, to be read; they give the same numbers.

# %%
y, _ = reference.max_pool2d(x4, 2)
same_dx = np.array_equal(reference.max_pool2d_backward(dy, argmax, x4.shape, 2), dx_max)
print(np.array_equal(y, functional.max_pool2d(x4, 2)[0]), same_dx)

# %% [markdown]
# Next: [3 · The settings of a convolution](03_convolution_parameters.ipynb).
