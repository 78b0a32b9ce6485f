"""The scikit-learn side; beside `datasets.digits` the only modules that import scikit-learn."""

from cconv.estimators.classifier import CNNClassifier
from cconv.estimators.regressor import CNNRegressor
from cconv.estimators.scratch import OPTIMIZERS, Scratch2dCNNClassifier

# What `pickle` and skops write, and messages say, is where users find them.
for _public in (CNNClassifier, CNNRegressor, Scratch2dCNNClassifier):
    _public.__module__ = __name__

__all__ = ["OPTIMIZERS", "CNNClassifier", "CNNRegressor", "Scratch2dCNNClassifier"]
