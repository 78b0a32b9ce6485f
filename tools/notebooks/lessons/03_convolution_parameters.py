# %% [markdown]
# # 3 · The settings of a convolution
#
# `Conv2D(filters, kernel_size, strides, padding)`: four settings, each shown here for two values side by side.
# The kernels are random, as they are before training.

# %%
import numpy as np

from cconv import plotting
from cconv.datasets import circle
from cconv.initializers import RandomUniform
from cconv.layers import Conv2D
from cconv.utils import set_random_seed

set_random_seed(1)
x = circle.load_data()
batch = x.reshape(1, 10, 10, 1)
positive = RandomUniform(0, 1, seed=1)  # weights between 0 and 1


def maps(layer):
    """Return the feature maps of the circle, (filters, h, w)."""
    return np.moveaxis(layer.forward(batch)[0], 2, 0)


# %% [markdown]
# ## filters
#
# The number of kernels, which is the number of feature maps: how many kinds of features the layer can look for. With too few
# the network misses some; many cost time, and may find the same things again. **2** and **10**:

# %%
two, ten = Conv2D(2, 3, kernel_initializer=positive), Conv2D(10, 3, kernel_initializer=positive)
a_two, a_ten = maps(two), maps(ten)
titles = ["1 of 2", "2 of 2", *(f"{i} of 10" for i in range(1, 11))]
plotting.images([*a_two, *a_ten], titles, columns=6, size=1.4, shared=True)

# %% [markdown]
# Ten random kernels make ten maps that look much alike. How alike? The correlation of each pair:

# %%
correlation = np.corrcoef(a_ten.reshape(10, -1))[np.triu_indices(10, 1)]
low, high, mean = correlation.min(), correlation.max(), correlation.mean()
print(f"45 pairs of maps: correlation {low:.2f} … {high:.2f}, mean {mean:.2f}")
print("parameters:", two.count_params(), "and", ten.count_params())

# %% [markdown]
# ## kernel_size
#
# Height and width of the kernel: how much of the image one output sees. A large kernel mixes many features into one number,
# and its map is blurred; it also has more weights. **3×3** and **6×6**, first the kernels, then their maps:

# %%
layers = [Conv2D(4, size, kernel_initializer=positive) for size in (3, 6)]
small, large = map(maps, layers)
kernels = [layer.params["kernel"][:, :, 0, f] for layer in layers for f in range(4)]
titles = [f"kernel {size}×{size}" for size in (3, 6) for _ in range(4)]
plotting.images(kernels, titles, columns=4, size=1.5, signed=True, shared=True)

# %%
titles = [f"map {a.shape[0]}×{a.shape[1]}" for a in (*small, *large)]
plotting.images([*small, *large], titles, columns=4, size=1.5, shared=True)

# %%
for layer in layers:
    (kh, kw), (height, width, _) = layer.kernel_size, layer.output_shape
    print(f"{kh}×{kw}: {layer.count_params()} parameters, maps of {height}×{width}")

# %% [markdown]
# ## strides
#
# How far the kernel moves from one output to the next. Stride 2 gives a quarter of the outputs: every second row and column of
# those with stride 1, if the kernels are the same. **1** and **2**:

# %%
fine, coarse = Conv2D(4, 3, strides=1), Conv2D(4, 3, strides=2)
a_fine = maps(fine)
coarse.build((10, 10, 1)).set_weights(fine.get_weights())  # the same kernels
a_coarse = maps(coarse)
titles = ["strides=1, 8×8"] * 4 + ["strides=2, 4×4"] * 4
plotting.images([*a_fine, *a_coarse], titles, columns=4, size=1.5, shared=True)

# %%
print("every second output of the first:", np.array_equal(a_fine[:, ::2, ::2], a_coarse))
plotting.padding(x, "valid", 3, 2)

# %% [markdown]
# Blue is the first window, orange the last one. With stride 2, windows of 3 pixels do not fit the 10 exactly: the
# hatched last row and column are never seen.
#
# ## padding
#
# Zeros around the image. They keep the map from shrinking, and let pixels at the border count as often as the others.
# `"valid"` adds none, `"same"` so many that stride 1 keeps the size; a number, or a pair, can also be given.
# **None** and **2 on every side**:

# %%
plotting.padding(x, ["valid", (2, 2)], 3)

# %%
bare, padded = Conv2D(4, 3, padding="valid"), Conv2D(4, 3, padding=(2, 2))
a_bare = maps(bare)
padded.build((10, 10, 1)).set_weights(bare.get_weights())
a_padded = maps(padded)
titles = ['"valid", 8×8'] * 4 + ["(2, 2), 12×12"] * 4
plotting.images([*a_bare, *a_padded], titles, columns=4, size=1.5, shared=True)

# %% [markdown]
# The middle is the same; around it come the answers of windows that lie partly outside.

# %%
print(np.allclose(a_padded[:, 2:-2, 2:-2], a_bare))

# %% [markdown]
# ## All sizes follow from one formula
#
# $$N_{out} = \left\lfloor\frac{N_{in} + 2P - F}{S}\right\rfloor + 1$$
#
# with input size $N_{in}$, padding $P$ on each side, kernel size $F$ and stride $S$. Lesson 6 derives it.

# %%
from cconv.functional import output_size

for F, S, P in [(3, 1, 0), (6, 1, 0), (3, 2, 0), (3, 1, 2)]:
    print(f"F={F} S={S} P={P}: {(10 + 2 * P - F) // S + 1}", output_size(10, F, S, P))

# %% [markdown]
# Next: [4 · The settings of a pooling](04_pooling_parameters.ipynb).
