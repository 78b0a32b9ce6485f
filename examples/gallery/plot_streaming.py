"""
Data that come in pieces
========================

`partial_fit` passes over each piece once, and then the piece may go: nothing else is kept in memory.
Here MNIST's images arrive 250 at a time, and each piece is first predicted, then learnt from.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from cconv import CNNClassifier
from cconv.datasets import mnist_small

(X, y), (X_test, y_test) = mnist_small.load_data()
PIECE = 250


def pieces(passes):
    """Yield the data so many times, piece by piece."""
    for _ in range(passes):
        for start in range(0, len(X), PIECE):
            yield X[start : start + PIECE], y[start : start + PIECE]


cnn = CNNClassifier(batch_size=50, random_state=0)
before, after = [], []
for images, labels in pieces(passes=2):
    if hasattr(cnn, "classes_"):
        before.append(cnn.score(images, labels))
    cnn.partial_fit(images, labels, classes=np.arange(10))
    after.append(cnn.score(X_test, y_test))
print(f"accuracy on the test images after {len(after)} pieces: {after[-1]:.3f}")

# %%
plt.style.use("cconv.plotting.cconv")
figure, axes = plt.subplots(figsize=(7.5, 4))
seen = PIECE * np.arange(1, len(after) + 1)
axes.plot(seen[:-1], before, "o", label="on the next piece, before learning from it")
axes.plot(seen, after, label="on 1,000 test images")
axes.axvline(len(X), color="#57606a", lw=1, ls="--")
axes.annotate("second pass", (len(X), 0.6), (5, 0), textcoords="offset points", color="#57606a")
axes.set(xlabel="images seen", ylabel="accuracy", title=f"MNIST in pieces of {PIECE} images")
axes.grid()
axes.legend(loc="lower right")
if len(sys.argv) > 1:  # where to save the picture
    figure.savefig(sys.argv[1], dpi=90, bbox_inches="tight")
plt.show()
