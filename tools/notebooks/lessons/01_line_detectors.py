# %% [markdown]
# # 1 · Line detectors
#
# A convolution layer looks at a small part of an image at a time and asks one question everywhere: *how much
# does this part look like my kernel?* Here we set the kernels by hand, so that the question is plain, and see
# the answers. In a network the kernels are learned; nothing else changes.
#
# The image is a circle of 10×10 pixels: it holds lines in every direction.

# %%
import numpy as np

from cconv import functional, plotting
from cconv.datasets import circle

x = circle.load_data()
plotting.images([x], [f"the image, {x.shape[0]}×{x.shape[1]}"], numbers=True, size=2.6, cmap="gray")

# %% [markdown]
# ## Four kernels
#
# Each is a picture of the line it looks for: vertical, horizontal, and the two diagonals.

# %%
names = ["vertical", "horizontal", "diagonal ↘", "diagonal ↙"]
kernels = np.array(
    [
        [[0, 1, 0], [0, 1, 0], [0, 1, 0]],
        [[0, 0, 0], [1, 1, 1], [0, 0, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 0, 1], [0, 1, 0], [1, 0, 0]],
    ],
    dtype=np.float32,
)
plotting.images(kernels, names, numbers=True, signed=True, size=1.5, title="kernels")

# %% [markdown]
# ## The formula
#
# Lay the kernel $w$ on the image with its corner at pixel $(i, j)$, multiply what lies on each other, and add up:
#
# $$a_{i,j} = \sum_{s=0}^{2}\sum_{t=0}^{2} x_{i+s,\;j+t}\; w_{s,t}$$
#
# The corner can stand in $10 - 3 + 1 = 8$ places in each direction, so the result, the *feature map*, has 8×8
# pixels. Written down as it stands:


# %%
def convolve(x, w):
    """The sum of products of each 3×3 part of x with w."""
    height, width = x.shape[0] - 2, x.shape[1] - 2
    a = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            a[i, j] = np.sum(x[i : i + 3, j : j + 3] * w)
    return a


maps = [convolve(x, w) for w in kernels]
plotting.images(maps, names, numbers=True, shared=True, size=2.3, title="feature maps, 8×8")

# %% [markdown]
# A 3 says: here are all three pixels of my line. The vertical detector finds the circle's left and right side, the
# horizontal one its top and bottom, and each diagonal detector two of the four corners. Every map also has weaker answers, 1 and 2,
# where the image only crosses the line.
#
# ## The same with cconv
#
# `cconv.functional.conv2d` takes a batch of images $(n, h, w, c)$ and kernels
# $(k_h, k_w, c, \text{filters})$: one image of one channel here, and four filters.

# %%
batch = x.reshape(1, 10, 10, 1)
kernel = np.moveaxis(kernels, 0, -1)[:, :, np.newaxis, :]
a = functional.conv2d(batch, kernel)
print("x", batch.shape, " kernel", kernel.shape, " a", a.shape)
print("same numbers as the loops:", all(np.array_equal(a[0, :, :, f], maps[f]) for f in range(4)))

# %% [markdown]
# ## A pickier kernel
#
# The vertical detector above gives 1 wherever a horizontal line passes. Negative weights beside the line
# tell it what must *not* be there: a part that is all bright now gives 0, and a horizontal line
# $1 - \tfrac12 - \tfrac12 = 0$.

# %%
picky = np.array([[-0.5, 1, -0.5], [-0.5, 1, -0.5], [-0.5, 1, -0.5]])
plotting.images([picky, convolve(x, picky)], ["kernel", "feature map"], numbers=True, size=3.0)

# %% [markdown]
# Red is *more* like the line than like its surroundings, blue *less*. A ReLU behind it, $\max(a, 0)$, would keep the red alone.
#
# **Try:** a kernel for corners; one whose weights are all $\tfrac19$ (what does it do?); one that is 1 in the ring around a 0.
#
# Next: [2 · Pooling](02_pooling.ipynb).
