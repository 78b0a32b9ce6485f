"""Draw docs/images/mnist_small.png: what LeNet-5 sees in digits after `python -m cconv train`.

    python tools/make_readme_picture.py [OUT]

The model is the one that the command of the README trains (same data, epochs, batch size and seed),
so the picture is the same on every machine, up to matplotlib's own version.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

from cconv.applications import LeNet5
from cconv.datasets import mnist_small
from cconv.layers import Conv2D

mpl.use("Agg")
from matplotlib import pyplot as plt

OUT = Path(__file__).parents[1] / "docs" / "images" / "mnist_small.png"


def train():
    """Return the model of `python -m cconv train`, and the test images and labels."""
    (x_train, y_train), (x_test, y_test) = mnist_small.load_data()
    model = LeNet5((28, 28, 1), rescale=1 / 255, seed=0)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train[..., None], y_train, batch_size=32, epochs=10, verbose=2)
    return model, x_test[..., None], y_test


def first_maps(model, x):
    """Return the output of the first convolution, (n, 28, 28, 6)."""
    for layer in model.layers:
        x = layer.forward(x)
        if isinstance(layer, Conv2D):
            return x
    raise ValueError("the model has no convolution")


def show(axes, picture, **more):
    """Show a picture without its axes."""
    axes.imshow(picture, interpolation="nearest", **more)
    axes.set_xticks([])
    axes.set_yticks([])


def main(out=OUT):
    """Train, draw, save."""
    model, x, y = train()
    p = model.predict(x, verbose=0)
    right = p.argmax(-1) == y
    # The first image of each digit, then the mistakes that the model is surest of.
    firsts = [int(np.argmax(y == digit)) for digit in range(10)]
    mistakes = sorted(np.flatnonzero(~right), key=lambda i: -p[i].max())[:10]

    figure = plt.figure(figsize=(10, 6.6), dpi=110, layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[1.15, 1.3, 2.0])
    for part, chosen, title in [
        (top, firsts, f"LeNet-5, 10 epochs on 5,000 digits: {right.sum()} of {len(y):,} test digits right"),
        (middle, mistakes, f"Its surest mistakes among the other {(~right).sum()}"),
    ]:
        part.suptitle(title, fontsize=12)
        for axes, i in zip(part.subplots(1, 10), chosen, strict=False):
            show(axes, x[i, :, :, 0], cmap="gray_r")
            best = p[i].argmax()
            colour = "black" if right[i] else "firebrick"
            truth = "" if right[i] else f"\nis a {y[i]}"
            axes.set_xlabel(f"{best}  ({p[i, best]:.0%}){truth}", fontsize=10, color=colour)

    bottom.suptitle(
        "What the six filters of the first convolution make of a 5 (blue below zero, red above)", fontsize=12
    )
    i = firsts[5]
    maps = first_maps(model, x[i : i + 1])[0]
    (conv,) = [layer for layer in model.layers if isinstance(layer, Conv2D)][:1]
    kernel = conv.params["kernel"][:, :, 0]
    rows = bottom.subplots(2, 7, height_ratios=[1, 2])
    rows[0, 0].axis("off")
    show(rows[1, 0], x[i, :, :, 0], cmap="gray_r")
    for f in range(6):
        show(
            rows[0, f + 1],
            kernel[..., f],
            cmap="RdBu_r",
            vmin=-np.abs(kernel).max(),
            vmax=np.abs(kernel).max(),
        )
        show(rows[1, f + 1], maps[..., f], cmap="RdBu_r", vmin=-1, vmax=1)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Software": None})
    print(f"{out}: {Path(out).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
