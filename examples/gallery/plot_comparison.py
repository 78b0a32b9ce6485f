"""
Three classifiers on the same folds
===================================

A convolutional network, a plain one and a forest, all with their defaults, on the same five folds of
scikit-learn's digits: how often they are right, and how long they take to fit on one thread of this machine.
"""

import sys

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from cconv import CNNClassifier

digits = load_digits()
MODELS = {
    "CNNClassifier": CNNClassifier(input_shape=(8, 8), tol=None, n_threads=1, random_state=0),
    "MLPClassifier": MLPClassifier(random_state=0),
    "RandomForestClassifier": RandomForestClassifier(random_state=0),
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)

plt.style.use("cconv.plotting.cconv")
figure, axes = plt.subplots(figsize=(7.5, 4.2))
for (name, model), marker in zip(MODELS.items(), "DsP", strict=True):
    with threadpool_limits(1):
        found = cross_validate(model, digits.data, digits.target, cv=folds)
    accuracy, seconds = found["test_score"], found["fit_time"]
    print(f"{name:22} accuracy {accuracy.mean():.4f}, {seconds.mean():.2f} s a fit")
    (points,) = axes.plot(seconds, accuracy, "o", alpha=0.5)
    axes.plot(seconds.mean(), accuracy.mean(), marker, ms=10, ls="", color=points.get_color(), label=name)
axes.set(xlabel="seconds to fit 1,437 images on one thread", ylabel="accuracy on 360 others")
axes.set(title="Defaults on digits: five folds (circles) and their mean (large)")
axes.set_xlim(left=0)
axes.grid()
figure.legend(loc="outside lower center", ncols=3)
if len(sys.argv) > 1:  # where to save the picture
    figure.savefig(sys.argv[1], dpi=90, bbox_inches="tight")
plt.show()
