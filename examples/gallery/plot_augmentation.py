"""
Few images and augmentation
===========================

With `augment=`, every training image is shifted and turned a little differently in each epoch;
images to predict are left alone. The fewer images there are, the more this helps.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from cconv import CNNClassifier, RandomRotation, RandomTranslation
from cconv.datasets import mnist_small

(X_train, y_train), (X_test, y_test) = mnist_small.load_data()
SIZES = [100, 200, 400, 800]
AUGMENTATIONS = {
    "as they are": None,
    "shifted and turned": [RandomTranslation(0.1, 0.1), RandomRotation(0.03)],
}


def cut(images):
    """Return the images without their empty border of two pixels."""
    return images[:, 2:26, 2:26]


# %%
# The same number of steps for every size, in batches of 50.
accuracy = {}
for name, augment in AUGMENTATIONS.items():
    for size in SIZES:
        epochs = 20_000 // size
        cnn = CNNClassifier(augment=augment, batch_size=50, max_epochs=epochs, tol=None, random_state=0)
        pipe = make_pipeline(FunctionTransformer(cut), cnn).fit(X_train[:size], y_train[:size])
        accuracy[name, size] = pipe.score(X_test, y_test)
        print(f"{size:4} images {name}: {accuracy[name, size]:.3f}")

# %%
# One training image and eight of the images that the network sees of it.
image = cut(X_train[:1])[..., np.newaxis].astype(np.float32)
shifted = image.repeat(8, axis=0)
for layer in AUGMENTATIONS["shifted and turned"]:
    shifted = layer.clone().build(image.shape[1:], seed=3).forward(shifted, training=True)

plt.style.use("cconv.plotting.cconv")
figure = plt.figure(figsize=(10, 4))
left, right = figure.subfigures(1, 2, width_ratios=[1.5, 1])
axes = left.subplots()
for name, style in zip(AUGMENTATIONS, ("o-", "s--"), strict=True):
    axes.plot(SIZES, [accuracy[name, size] for size in SIZES], style, label=name)
axes.set(xscale="log", xlabel="training images", ylabel="accuracy on 1,000 others", title="MNIST, few images")
axes.set_xticks(SIZES, SIZES)
axes.minorticks_off()
axes.grid()
axes.legend(title="images are seen", loc="lower right")
right.suptitle("An image (framed) and what becomes of it", fontsize=10)
places = right.subplots(3, 3).ravel()
places[0].spines[:].set(color="C1", linewidth=3)
for place, picture in zip(places, [image[0], *shifted], strict=True):
    place.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=255)
    place.set(xticks=[], yticks=[])
    place.spines[:].set_visible(place is places[0])
if len(sys.argv) > 1:  # where to save the picture
    figure.savefig(sys.argv[1], dpi=90, bbox_inches="tight")
plt.show()
