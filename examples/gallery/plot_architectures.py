"""
A grid search over networks
===========================

`layers` is a parameter like any other, so that `GridSearchCV` can choose among networks: here
from none to two convolutions, each at two learning rates.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from cconv import CNNClassifier
from cconv.layers import Conv2D, Dense, Flatten, MaxPooling2D


def convolution(filters):
    return Conv2D(filters, 3, padding="same", activation="relu")


NETWORKS = {
    "softmax alone": [Flatten()],
    "dense 64": [Flatten(), Dense(64, activation="relu")],
    "one convolution": [convolution(16), MaxPooling2D(2), Flatten(), Dense(64, activation="relu")],
    "two convolutions": [
        convolution(16),
        convolution(16),
        MaxPooling2D(2),
        Flatten(),
        Dense(64, activation="relu"),
    ],
    "lenet (default)": "lenet",
}
RATES = [1e-3, 3e-3]

digits = load_digits()
search = GridSearchCV(
    CNNClassifier(tol=None, n_threads=1, random_state=0),
    {"layers": list(NETWORKS.values()), "learning_rate": RATES},
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    n_jobs=2,
)
search.fit(digits.images / 16, digits.target)
scores = search.cv_results_["mean_test_score"].reshape(len(NETWORKS), len(RATES))
spread = search.cv_results_["std_test_score"].reshape(len(NETWORKS), len(RATES))
for name, row in zip(NETWORKS, scores, strict=True):
    print(f"{name:18}", *(f"{score:.3f}" for score in row))

# %%
plt.style.use("cconv.plotting.cconv")
figure, axes = plt.subplots(figsize=(7.5, 3.8))
places = np.arange(len(NETWORKS))
for column, rate in enumerate(RATES):
    axes.errorbar(
        scores[:, column], places + 0.12 - 0.24 * column, xerr=spread[:, column], fmt="os"[column], capsize=3,
        label=f"learning_rate={rate:g}",
    )  # fmt: skip
axes.set_yticks(places, NETWORKS)
axes.invert_yaxis()
axes.set(xlabel="accuracy, mean and spread of 3 folds", title="Networks for 8×8 digits")
axes.grid(axis="x")
axes.legend()
if len(sys.argv) > 1:  # where to save the picture
    figure.savefig(sys.argv[1], dpi=90, bbox_inches="tight")
plt.show()
