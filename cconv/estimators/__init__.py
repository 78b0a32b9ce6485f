"""The scikit-learn estimators; apart from `datasets.digits` the only modules that import scikit-learn."""

from cconv.estimators.classifier import CNNClassifier
from cconv.estimators.regressor import CNNRegressor
from cconv.estimators.scratch import OPTIMIZERS, Scratch2dCNNClassifier

# `pickle`, skops and messages must name the public module of these classes.
for _public in (CNNClassifier, CNNRegressor, Scratch2dCNNClassifier):
    _public.__module__ = __name__

__all__ = ["OPTIMIZERS", "CNNClassifier", "CNNRegressor", "Scratch2dCNNClassifier"]
