# %% [markdown]
# # 6 · Output sizes and parameter counts
#
# Before a network is built one must know how many numbers reach its first dense layer; before it is trained, whether it fits into
# memory. Both are arithmetic.
#
# ## The size
#
# A kernel of $F$ pixels on a row of $N$ pixels, with $P$ zeros at each end, is first laid at position 0. The row then has $N + 2P$ pixels, so the
# last position at which the kernel still fits is $N + 2P - F$. Moving by $S$ from 0, it stands at
# $0, S, 2S, \dots$ up to the largest multiple of $S$ that is not beyond it. Counting them, the first included:
#
# $$N_{out} = \left\lfloor\frac{N + 2P - F}{S}\right\rfloor + 1$$
#
# The floor means that pixels beyond the last position are not seen. Height and width each follow the formula.
#
# ## The parameters
#
# One filter looks at *all* $K$ channels of its input, so it has $F_h\cdot F_w\cdot K$ weights, and one bias. There are $M$ filters, each with weights of its own:
#
# $$\text{parameters} = F_h\cdot F_w\cdot K\cdot M + M = (F_h\,F_w\,K + 1)\,M$$
#
# The image's size does not occur: the same weights are used everywhere.


# %%
from cconv import plotting
from cconv.datasets import circle
from cconv.functional import output_size
from cconv.layers import Conv2D


def by_formula(n, channels, f, filters, stride=1, padding=0):
    """Return (output size, parameters)."""
    return (n + 2 * padding - f) // stride + 1, (f * f * channels + 1) * filters


# %% [markdown]
# ## Three cases
#
# **1.** Input 144×144 with 3 channels, 6 filters of 3×3, stride 1, no padding.
#
# $$\frac{144 - 3}{1} + 1 = 142 \;\Rightarrow\; 142\times142\times6
# \qquad (3\cdot3\cdot3 + 1)\cdot 6 = 28\cdot 6 = 168$$
#
# **2.** Input 60×60 with 24 channels, 48 filters of 3×3, stride 1, no padding.
#
# $$\frac{60 - 3}{1} + 1 = 58 \;\Rightarrow\; 58\times58\times48
# \qquad (3\cdot3\cdot24 + 1)\cdot 48 = 217\cdot 48 = 10{,}416$$
#
# **3.** Input 20×20 with 10 channels, 20 filters of 3×3, stride **2**, no padding.
#
# $$\left\lfloor\frac{20 - 3}{2}\right\rfloor + 1 = \lfloor 8.5\rfloor + 1 = 9 \;\Rightarrow\; 9\times9\times20
# \qquad (3\cdot3\cdot10 + 1)\cdot 20 = 91\cdot 20 = 1{,}820$$

# %%
print(f"{'case':4} {'output':>12} {'parameters':>11}   by formula")
for case, (n, channels, filters, stride) in enumerate([(144, 3, 6, 1), (60, 24, 48, 1), (20, 10, 20, 2)], 1):
    layer = Conv2D(filters, 3, strides=stride).build((n, n, channels))
    output = "×".join(map(str, layer.output_shape))
    print(f"{case:4} {output:>12} {layer.count_params():11,}   {by_formula(n, channels, 3, filters, stride)}")

# %% [markdown]
# In the third case $17/2$ is not whole: the last row and column of the 20 are in no window. Networks are laid out so
# that this does not happen, or padded.

# %%
plotting.padding(circle.load_data(20), "valid", 3, 2, size=3.6)

# %% [markdown]
# ### A mistake to avoid
#
# One may think that the 6 filters of case 1 share the work on the 3 channels, so that there are only $6/3$ of them for each channel:
# $3\cdot3\cdot3\cdot(6/3) = 54$, and 2 biases, 56 in all; likewise 434 and 182 for the others. But the filters do not divide the channels
# among them: every one of the 6 filters has a 3×3 kernel for *each* of the 3 channels, adds up the three results, and has a bias. The kernel array
# shows it:

# %%
layer = Conv2D(6, 3).build((144, 144, 3))
print({name: array.shape for name, array in layer.params.items()})
print("weights", 3 * 3 * 3 * 6, "+ biases", 6, "=", layer.count_params())

# %% [markdown]
# (A division by groups does exist: with `groups=3` each filter sees one channel only. That is another layer, with
# $3\cdot3\cdot1\cdot6 + 6 = 60$ parameters.)

# %%
print(Conv2D(6, 3, groups=3).build((144, 144, 3)).count_params())

# %% [markdown]
# ## A whole network
#
# The first network of the course, built as in Keras with `cconv` in the place of `keras`, and its table.

# %%
from cconv.layers import Activation, Dense, Flatten, MaxPooling2D
from cconv.models import Sequential

model = Sequential()
model.add(Conv2D(input_shape=(28, 28, 1), filters=32, kernel_size=(2, 2), strides=(1, 1), padding="same"))
model.add(MaxPooling2D(pool_size=(2, 2), strides=(1, 1)))
model.add(Conv2D(filters=32, kernel_size=(2, 2), strides=(1, 1), padding="same"))
model.add(MaxPooling2D(pool_size=(2, 2), strides=(1, 1)))
model.add(Flatten())
model.add(Dense(256))
model.add(Activation("sigmoid"))
model.add(Dense(128))
model.add(Activation("sigmoid"))
model.add(Dense(10))
model.add(Activation("softmax"))

model.summary()

# %% [markdown]
# Line by line:
#
# | layer | size | parameters |
# | --- | --- | --- |
# | Conv2D, 32 of 2×2, same | 28, since "same" keeps it | $(2\cdot2\cdot1 + 1)\cdot32 = 160$ |
# | MaxPooling2D, 2×2, stride 1 | $28 - 2 + 1 = 27$ | 0 |
# | Conv2D, 32 of 2×2, same | 27 | $(2\cdot2\cdot32 + 1)\cdot32 = 4{,}128$ |
# | MaxPooling2D, 2×2, stride 1 | $27 - 2 + 1 = 26$ | 0 |
# | Flatten | $26\cdot26\cdot32 = 21{,}632$ | 0 |
# | Dense, 256 | 256 | $(21{,}632 + 1)\cdot256 = 5{,}538{,}048$ |
# | Dense, 128 | 128 | $(256 + 1)\cdot128 = 32{,}896$ |
# | Dense, 10 | 10 | $(128 + 1)\cdot10 = 1{,}290$ |
#
# 99 % of the 5,576,522 parameters are in one dense layer. Pooling with stride 2 would have left a sixteenth of its inputs.
#
# `details=True` adds what a forward pass costs, what each output takes in memory, and how many pixels one output sees.

# %%
model.summary(details=True)

# %%
print(output_size(144, 3), output_size(20, 3, stride=2))  # the formula of the sizes, as a function
model

# %% [markdown]
# A model shows itself as its table and a diagram, when it is the last value of a cell. `cconv.utils.plot_model(model, "model.svg")` writes the diagram to a file.
#
# Next: [7 · Why 3×3 and 1×1](07_why_3x3_and_1x1.ipynb).
