"""The scikit-learn side; beside `datasets.digits` the only modules that import scikit-learn."""

from cconv.estimators.classifier import CNNClassifier
from cconv.estimators.regressor import CNNRegressor
from cconv.estimators.scratch import OPTIMIZERS, Scratch2dCNNClassifier

__all__ = ["OPTIMIZERS", "CNNClassifier", "CNNRegressor", "Scratch2dCNNClassifier"]
