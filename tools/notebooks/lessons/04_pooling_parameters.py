# %% [markdown]
# # 4 · The settings of a pooling
#
# `MaxPooling2D(pool_size, strides, padding)`, each shown for two values side by side, on the feature maps of four line
# detectors (lesson 1).

# %%
import numpy as np

from cconv import functional, plotting
from cconv.datasets import circle
from cconv.layers import AveragePooling2D, MaxPooling2D

kernels = np.zeros((3, 3, 1, 4), np.float32)
kernels[:, 1, 0, 0] = kernels[1, :, 0, 1] = 1
kernels[[0, 1, 2], [0, 1, 2], 0, 2] = kernels[[0, 1, 2], [2, 1, 0], 0, 3] = 1
a = functional.conv2d(circle.load_data().reshape(1, 10, 10, 1), kernels)


def compare(*outputs):
    """Show four feature maps in each row."""
    names = ["vertical", "horizontal", "diagonal ↘", "diagonal ↙"]
    rows = [np.moveaxis(y[0], 2, 0) for y in outputs]
    titles = [f"{name}, {row.shape[1]}×{row.shape[2]}" for row in rows for name in names]
    pictures = [picture for row in rows for picture in row]
    return plotting.images(pictures, titles, columns=4, size=1.5, numbers=True, shared=True)


compare(a)

# %% [markdown]
# ## pool_size
#
# The size of the window. The larger it is, the less a small shift of the image matters, and the less is left of
# where things are; 2×2 is the usual choice. **2×2** and **4×4**, both with stride 1:

# %%
compare(MaxPooling2D(2, strides=1).forward(a), MaxPooling2D(4, strides=1).forward(a))

# %% [markdown]
# With 4×4 every line has become a broad patch: that there is a line is still known, its place hardly.
#
# ## strides
#
# How far the window moves. Left out, it is the window's size, so that windows lie side by side: that is Keras' rule too.
# **2×2 windows with stride 1**, and **3×3 windows with stride 2**:

# %%
compare(MaxPooling2D(2, strides=1).forward(a), MaxPooling2D(3, strides=2).forward(a))

# %% [markdown]
# The second kind overlaps, each window by one row with the next (AlexNet pools so). The size follows the same formula as for
# a convolution, $\lfloor (8 - 3) / 2 \rfloor + 1 = 3$; the last row and column of the 8×8 map are in no window:

# %%
plotting.padding(a[0, :, :, 0] / a.max(), "valid", 3, 2)

# %% [markdown]
# ## padding
#
# **None** and **1 on every side**, with 2×2 windows side by side:

# %%
compare(MaxPooling2D(2, padding="valid").forward(a), MaxPooling2D(2, padding=(1, 1)).forward(a))

# %%
plotting.padding(a[0, :, :, 0] / a.max(), ["valid", (1, 1)], 2, 2, value="−∞")

# %% [markdown]
# What is around the image must not win, and must not count. So max pooling pads with $-\infty$, not with zeros, which
# makes a difference where all values are negative; average pooling divides by the number of true pixels in the
# window. Both are what Keras does. `count_include_pad=True` would count the padding as zeros:

# %%
x = np.full((1, 2, 2, 1), -4.0)
show = [
    x[0],
    MaxPooling2D(2, strides=1, padding=(1, 1)).forward(x)[0],
    AveragePooling2D(2, strides=1, padding=(1, 1)).forward(x)[0],
    AveragePooling2D(2, strides=1, padding=(1, 1), count_include_pad=True).forward(x)[0],
]
titles = ["x", "max", "average", "average, padding counts"]
plotting.images(show, titles, numbers=True, shared=True)

# %% [markdown]
# Next: [5 · Forward and backward by hand](05_forward_and_backward.ipynb).
