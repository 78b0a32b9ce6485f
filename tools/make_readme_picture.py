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

from cconv.plotting import _figure  # noqa: F401  it has the colour maps

OUT = Path(__file__).parents[1] / "docs" / "images" / "mnist_small.png"
WIDTH, GAP = 10.0, 0.1  # of the picture, and between two in a row, in inches
INK, WRONG = "#1b1f24", "#a8321e"


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


class Page:
    """A figure on which everything is placed in inches from its upper left corner."""

    def __init__(self, width, height):
        self.size = width, height
        self.figure = plt.figure(figsize=self.size, dpi=110, layout="none")

    def title(self, top, text):
        """Write a line above a row."""
        self.figure.text(0, 1 - top / self.size[1], text, va="top", fontsize=11)

    def show(self, left, top, width, picture, caption="", colour=INK, **style):
        """Show a square picture, and words below it."""
        whole, high = self.size
        axes = self.figure.add_axes((left / whole, 1 - (top + width) / high, width / whole, width / high))
        axes.imshow(picture, **style)
        axes.set(xticks=[], yticks=[])
        axes.set_xlabel(caption, fontsize=9, color=colour, labelpad=3)
        axes.spines[:].set(visible=True, color="#57606a", linewidth=0.8)


def main(out=OUT):
    """Train, draw, save."""
    model, x, y = train()
    p = model.predict(x, verbose=0)
    right = p.argmax(-1) == y
    # The first image of each digit, then the mistakes that the model is surest of.
    firsts = [int(np.argmax(y == digit)) for digit in range(10)]
    mistakes = sorted(np.flatnonzero(~right), key=lambda i: -p[i].max())[:10]
    plt.style.use("cconv.plotting.cconv")
    page = Page(WIDTH, 5.9)
    page.title(
        0,
        f"LeNet-5, 10 epochs on 5,000 digits, gets {right.sum()} of {len(y):,} test digits right",
    )
    page.title(
        1.55,
        f"Its surest mistakes among the other {(~right).sum()}: what it says, how sure it is, and the truth",
    )
    page.title(
        3.28, "What the six filters of its first convolution make of a 5: red is above zero, blue below"
    )
    cell = (WIDTH - 9 * GAP) / 10
    for column, (i, wrong) in enumerate(zip(firsts, mistakes, strict=True)):
        left = column * (cell + GAP)
        page.show(left, 0.28, cell, x[i, :, :, 0], f"{p[i].argmax()}", cmap="gray")
        words = f"{p[wrong].argmax()} ({100 * p[wrong].max():.0f} %)\ntruth: {y[wrong]}"
        page.show(left, 1.83, cell, x[wrong, :, :, 0], words, WRONG, cmap="gray")
    i = firsts[5]
    maps = first_maps(model, x[i : i + 1])[0]
    (conv,) = [layer for layer in model.layers if isinstance(layer, Conv2D)][:1]
    kernel = conv.params["kernel"][:, :, 0]
    cell = (WIDTH - 6 * GAP) / 7
    page.show(0, 5.9 - cell - 0.02, cell, x[i, :, :, 0], cmap="gray")
    for f in range(6):
        left = (f + 1) * (cell + GAP)
        for picture, size, top, reach in [
            (kernel[..., f], 0.8, 3.58, np.abs(kernel).max()),
            (maps[..., f], cell, 5.9 - cell - 0.02, np.abs(maps).max()),
        ]:
            style = {"cmap": "cconv.signed", "vmin": -reach, "vmax": reach}
            page.show(left + (cell - size) / 2, top, size, picture, **style)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    page.figure.savefig(out, metadata={"Software": None}, bbox_inches="tight", pad_inches=0.04)
    print(f"{out}: {Path(out).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
