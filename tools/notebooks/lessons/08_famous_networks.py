# %% [markdown]
# # 8 · Famous networks
#
# One rarely designs a network from nothing: one takes a known one. `cconv.applications` has the best known, as functions that return a built model
# (without trained weights), and a table in which everything is counted on their layers.

# %%
import numpy as np

from cconv import applications, plotting
from cconv.datasets import mnist_small
from cconv.models import summary
from cconv.utils import plot_model

applications.table()

# %% [markdown]
# - **LeNet-5** (1998) read digits on cheques: convolution, pooling, convolution, pooling, dense layers. That is still the plan of most.
# - **AlexNet** (2012) won the ImageNet competition of that year by a wide margin, and with it began the present interest: ReLU, dropout, two GPUs, and overlapping pooling. The original splits its filters over the two GPUs; here it is in one column, without that division, 62,378,344 parameters.
# - **VGG** (2014): nothing but 3×3 convolutions (lesson 7), twice as many filters after each pooling. The number counts the layers with weights.
# - **MobileNet** (2017): a 3×3 on every channel by itself, then a 1×1 that mixes the channels, for telephones.
#
# Two more to know, whose layers do not stand in a row (lesson 11): **GoogLeNet** (2014), whose layers apply 1×1, 3×3 and 5×5 side by side, and **ResNet** (2015), whose
# layers add their result to their input, so that 152 of them can be trained.
#
# ## LeNet-5
#
# A built model shows its table and its diagram:

# %%
lenet = applications.LeNet5(seed=0)
lenet

# %% [markdown]
# ## Where the parameters are, and where the work is
#
# VGG-16 has 138 million parameters. Which layers have them?

# %%
vgg = applications.VGG16(seed=0)
rows = [(layer.name, layer.count_params(), summary.mult_adds(layer)) for layer in vgg.layers if layer.params]
total = [sum(row[column] for row in rows) for column in (1, 2)]
for name, parameters, products in rows:
    shares = parameters / total[0], products / total[1]
    print(f"{name:14} {shares[0]:6.1%} of the parameters {shares[1]:6.1%} of the mult-adds")

# %%
from matplotlib import pyplot as plt

plt.style.use("cconv.plotting.cconv")
figure, pair = plt.subplots(1, 2, figsize=(8, 4.2), sharex=True, sharey=True)
for column, (axes, what) in enumerate(zip(pair, ("parameters", "mult-adds"), strict=True), 1):
    shares = [100 * row[column] / total[column - 1] for row in rows]
    bars = axes.barh([row[0] for row in rows], shares, color="#0072b2")
    axes.bar_label(bars, fmt="{:.1f} %", padding=3, fontsize=8)
    axes.set_title(f"VGG-16: share of the {what}")
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.margins(x=0.15, y=0.01)
pair[0].invert_yaxis()
plt.show()

# %% [markdown]
# Nine tenths of the parameters are in the dense layers, almost all of the work is in the convolutions. That is why later networks replace the dense layers by the mean of each map.

# %%
plot_model(vgg, to_file=None)

# %% [markdown]
# ## Depthwise separable convolutions
#
# A convolution $F\times F$ from $K$ to $M$ channels takes $F^2 K M$ products at a pixel. MobileNet first convolves every channel by itself, $F^2 K$, then mixes by 1×1, $K M$. The ratio:
#
# $$\frac{F^2 K + K M}{F^2 K M} = \frac1M + \frac1{F^2}$$
#
# For 3×3 and many channels that is a little more than a ninth. Counted on the last pair of MobileNet's 512 channels:

# %%
mobilenet = applications.MobileNetV1(seed=0)
pair = [mobilenet.get_layer(name) for name in ("conv_dw_11", "conv_pw_11")]
separable = sum(map(summary.mult_adds, pair))
height, width, channels = pair[1].output_shape
full = height * width * 9 * 512 * channels
print(f"{separable:,} of {full:,}: {separable / full:.3f}")
print(f"1/512 + 1/9 = {1 / 512 + 1 / 9:.3f}")
del vgg, mobilenet

# %% [markdown]
# ## LeNet-5 at work
#
# Three epochs on 5,000 digits, a few seconds.

# %%
(x_train, y_train), (x_test, y_test) = mnist_small.load_data()
x_train, x_test = x_train[..., np.newaxis], x_test[..., np.newaxis]
model = applications.LeNet5((28, 28, 1), rescale=1 / 255, seed=0)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=3, validation_data=(x_test, y_test), verbose=2)

# %%
p = model.predict(x_test)
plotting.confusion_matrix(y_test, p)

# %%
plotting.feature_maps(model, x_test[0])

# %% [markdown]
# Next: [9 · MNIST](09_mnist.ipynb).
