"""
What the augmentations do
=========================

Four draws of each layer that changes training images. `MixUp` and `CutMix` mix images and labels;
the numbers above their pictures are the label: how much of it is the flower, and how much the temple.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

from cconv.layers import (
    CutMix,
    MixUp,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomErasing,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)

temple, flower = (picture[:420:3, 100:520:3] for picture in load_sample_images().images)
LAYERS = {
    "RandomFlip()": RandomFlip(seed=93),
    "RandomTranslation(0.2, 0.2)": RandomTranslation(0.2, 0.2, seed=0),
    "RandomRotation(0.1)": RandomRotation(0.1, seed=2),
    "RandomZoom(0.4)": RandomZoom(0.4, seed=2),
    "RandomCrop(84, 84)": RandomCrop(84, 84, seed=3),
    "RandomErasing((1, 1))": RandomErasing((1.0, 1.0), seed=1),
    "RandomBrightness(0.4)": RandomBrightness(0.4, seed=2),
    "RandomContrast(0.8)": RandomContrast(0.8, seed=1),
}
MIXING = {"MixUp(1)": MixUp(1.0, seed=4), "CutMix()": CutMix(seed=4)}

# %%
# Eight layers change images alone.
drawn = {}
for number, (name, layer) in enumerate(LAYERS.items()):
    picture = temple if number < 4 else flower
    drawn[name] = [(changed, "") for changed in layer.forward(np.stack([picture] * 4), training=True)]

# %%
# Two mix the images of a batch, and their one-hot labels.
batch = {"images": np.stack([flower, temple] * 4), "labels": np.eye(2)[[0, 1] * 4]}
for name, layer in MIXING.items():
    mixed = layer(batch)
    pairs = [
        (picture, f"{100 * label[0]:.0f} % · {100 * label[1]:.0f} %")
        for picture, label in zip(mixed["images"], mixed["labels"], strict=True)
        if 0.05 < label[0] < 0.95
    ]
    drawn[name] = pairs[:4]

# %%
# Two layers a row.
plt.style.use("cconv.plotting.cconv")
figure = plt.figure(figsize=(10, 7.6))
groups = figure.subfigures(5, 2, wspace=0.06, hspace=0.02, height_ratios=[1, 1, 1, 1, 1.13])
for group, (name, pictures) in zip(groups.flat, drawn.items(), strict=True):
    group.suptitle(name, fontsize=10, family="monospace")
    for place, (picture, label) in zip(group.subplots(1, 4), pictures, strict=True):
        place.imshow(picture.astype(np.uint8))
        place.set_axis_off()
        place.set_title(label, fontsize=8, pad=2)
if len(sys.argv) > 1:  # where to save the picture
    small = {"quality": 60, "optimize": True, "progressive": True}  # of a .jpg
    figure.savefig(sys.argv[1], dpi=80, bbox_inches="tight", pil_kwargs=small)
plt.show()
