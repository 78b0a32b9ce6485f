# %% [markdown]
# # 5 · Forward and backward by hand
#
# The whole of a convolution layer: what it computes, and how it learns. Every formula stands beside the loops that compute
# it, and the loops are compared with `cconv.reference` (the same in NumPy, readable) and `cconv.functional` (compiled).
#
# Sizes: images $x$ of $N_h\times N_w$ pixels and $K$ channels, $M$ filters $w$ of $F_h\times F_w$, one bias $b_m$ each, stride 1, no padding.

# %%
import numpy as np

from cconv import functional, plotting, reference

rng = np.random.default_rng(0)
x = rng.integers(-3, 4, (5, 6, 2)).astype(float)  # N_h, N_w, K
w = rng.integers(-2, 3, (3, 3, 2, 3)).astype(float)  # F_h, F_w, K, M
b = np.array([1.0, 0.0, -1.0])  # M

# %% [markdown]
# ## Forward
#
# $$a_{i,j,m} = \sum_{k=0}^{K-1}\sum_{s=0}^{F_h-1}\sum_{t=0}^{F_w-1} x_{i+s,\;j+t,\;k}\;w_{s,t,k,m} + b_m$$


# %%
def forward(x, w, b):
    """a[i, j, m], term by term."""
    (height, width, channels), (fh, fw, _, filters) = x.shape, w.shape
    a = np.zeros((height - fh + 1, width - fw + 1, filters))
    for i, j, m in np.ndindex(a.shape):
        for k in range(channels):
            for s in range(fh):
                for t in range(fw):
                    a[i, j, m] += x[i + s, j + t, k] * w[s, t, k, m]
        a[i, j, m] += b[m]
    return a


a = forward(x, w, b)
print("a", a.shape)
print("as reference: ", np.allclose(a, reference.conv2d(x[np.newaxis], w, b)[0], rtol=1e-12))
print("as functional:", np.allclose(a, functional.conv2d(x[np.newaxis], w, b)[0], rtol=1e-12))

# %%
plotting.images(
    np.moveaxis(x, 2, 0), ["x, channel 0", "x, channel 1"], numbers=True, signed=True, shared=True, size=2.2
)

# %%
plotting.images(
    np.moveaxis(a, 2, 0), [f"a, filter {m}" for m in range(3)], numbers=True, shared=True, size=2.2
)

# %% [markdown]
# ## Backward: the weights
#
# Let $L$ be the loss, and $\partial L/\partial a$ what the next layer sends back. The weight $w_{s,t,k,m}$ took part in every
# output $(i, j)$ of its filter, each time multiplied by the pixel $x_{i+s,\,j+t,\,k}$. By the chain rule
#
# $$\frac{\partial L}{\partial w_{s,t,k,m}} = \sum_{i=0}^{N_{out,h}-1}\sum_{j=0}^{N_{out,w}-1}
# \frac{\partial L}{\partial a_{i,j,m}}\;x_{i+s,\;j+t,\;k}
# \qquad
# \frac{\partial L}{\partial b_m} = \sum_{i=0}^{N_{out,h}-1}\sum_{j=0}^{N_{out,w}-1} \frac{\partial L}{\partial a_{i,j,m}}$$

# %%
da = rng.standard_normal(a.shape)


def weight_gradient(da, x, w):
    """dw[s, t, k, m] and db[m], term by term."""
    dw, db = np.zeros_like(w), np.zeros(w.shape[3])
    for i, j, m in np.ndindex(da.shape):
        for s, t, k in np.ndindex(w.shape[:3]):
            dw[s, t, k, m] += da[i, j, m] * x[i + s, j + t, k]
        db[m] += da[i, j, m]
    return dw, db


dw, db = weight_gradient(da, x, w)
dx_reference, dw_reference, db_reference = reference.conv2d_backward(da[np.newaxis], x[np.newaxis], w)
print("dw as reference:", np.allclose(dw, dw_reference, rtol=1e-12))
print("db as reference:", np.allclose(db, db_reference, rtol=1e-12))

# %% [markdown]
# ## Backward: the input
#
# What goes on to the layer before. Pixel $(i, j)$ took part in the outputs whose window covers it, those at $(i-s, j-t)$:
#
# $$\frac{\partial L}{\partial x_{i,j,k}} = \sum_{m=0}^{M-1}\sum_{s=0}^{F_h-1}\sum_{t=0}^{F_w-1}
# \frac{\partial L}{\partial a_{i-s,\;j-t,\;m}}\;w_{s,t,k,m}$$
#
# where the terms whose output does not exist, $i-s<0$, $i-s>N_{out,h}-1$, and the same for $j-t$, are zero.


# %%
def input_gradient(da, w, shape):
    """dx[i, j, k], term by term."""
    dx = np.zeros(shape)
    fh, fw, _, filters = w.shape
    for i, j, k in np.ndindex(shape):
        for s in range(fh):
            for t in range(fw):
                if 0 <= i - s < da.shape[0] and 0 <= j - t < da.shape[1]:
                    for m in range(filters):
                        dx[i, j, k] += da[i - s, j - t, m] * w[s, t, k, m]
    return dx


dx = input_gradient(da, w, x.shape)
print("dx as reference:", np.allclose(dx, dx_reference[0], rtol=1e-12))

# %% [markdown]
# It is a convolution again: $\partial L/\partial a$ with zeros around it, the kernel turned by half a turn, its channels and filters swapped.

# %%
turned = w[::-1, ::-1].swapaxes(2, 3)
again = functional.conv2d(da[np.newaxis], turned, padding=(2, 2))[0]
print("dx as a convolution:", np.allclose(dx, again, rtol=1e-12))

# %% [markdown]
# ## Is the gradient right?
#
# Change one number by a small $\varepsilon$, and see how the loss changes. Here the loss is $L = \sum_{i,j,m} a_{i,j,m}\,d_{i,j,m}$ with the
# numbers $d$ above, whose gradient with respect to $a$ is just $d$.
#
# $$\frac{\partial L}{\partial w} \approx \frac{L(w + \varepsilon) - L(w - \varepsilon)}{2\varepsilon}$$


# %%
def numerical(function, values, epsilon=1e-6):
    """Central differences of a function of the array `values`."""
    gradient = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        step = np.zeros_like(values)
        step[place] = epsilon
        gradient[place] = (function(values + step) - function(values - step)) / (2 * epsilon)
    return gradient


def loss(x, w, b):
    """Sum of the outputs, weighted by da."""
    return np.sum(functional.conv2d(x[np.newaxis], w, b)[0] * da)


for name, by_hand, by_difference in [
    ("dx", dx, numerical(lambda v: loss(v, w, b), x)),
    ("dw", dw, numerical(lambda v: loss(x, v, b), w)),
    ("db", db, numerical(lambda v: loss(x, w, v), b)),
]:
    print(f"{name}: largest difference {np.abs(by_hand - by_difference).max():.1e}")

# %% [markdown]
# ## Learning: one step
#
# $$w' = w - \alpha\,\frac{\partial L}{\partial w} \qquad b' = b - \alpha\,\frac{\partial L}{\partial b}$$
#
# with the learning rate $\alpha$. Let the layer learn to give a wanted output, with the loss $L = \tfrac12\sum (a - \hat a)^2$, whose gradient is $a - \hat a$.
# The data are this one image, so every step is an epoch:

# %%
wanted = forward(x, rng.standard_normal(w.shape), b)
learned, bias = w.copy(), b.copy()
losses = []
for _step in range(200):
    a = functional.conv2d(x[np.newaxis], learned, bias)
    losses.append(0.5 * np.sum((a[0] - wanted) ** 2))
    _, dw, db = functional.conv2d_backward(a - wanted, x[np.newaxis], learned)
    learned -= 0.002 * dw
    bias -= 0.002 * db
print(f"loss {losses[0]:.1f} -> {losses[-1]:.6f}")
plotting.history({"loss": losses})

# %% [markdown]
# ## As a layer
#
# `cconv.layers.Conv2D` is this, with the weights kept: `forward(x, training=True)`, then `backward(da)` gives `dx` and fills `grads`.

# %%
from cconv.layers import Conv2D

layer = Conv2D(3, 3).build((5, 6, 2), dtype="float64")
layer.set_weights([w, b])
layer.forward(x[np.newaxis], training=True)
print(np.allclose(layer.backward(da[np.newaxis])[0], dx), {name: g.shape for name, g in layer.grads.items()})

# %% [markdown]
# Next: [6 · Output sizes and parameter counts](06_sizes_and_counts.ipynb).
