"""Metrics: figures of how good predictions are, for people; they have no gradients.

A metric accumulates: `update_state` adds a batch, `result` is the figure of all samples since `reset_state`,
as in Keras. The functions work on one batch: those that Keras has too, including the losses, return one value
per sample; `accuracy`, `top_k_accuracy` and `confusion_matrix` are cconv's own.
"""

import functools
from collections.abc import Callable
from typing import Any

from cconv import arguments, losses
from cconv.arguments.keras_names import refusing
from cconv.arguments.text import key_of
from cconv.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from cconv.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    FittingAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from cconv.metrics.area import (
    AUC,
)
from cconv.metrics.base import (
    RISING,
    Mean,
    MeanMetricWrapper,
    Metric,
    Sum,
)
from cconv.metrics.confusion import (
    ConfusionMatrix,
    confusion_matrix,
)
from cconv.metrics.f_score import (
    F1Score,
    FBetaScore,
)
from cconv.metrics.of_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from cconv.metrics.overlap import (
    BinaryIoU,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
from cconv.metrics.r2 import (
    R2Score,
)
from cconv.metrics.rates import (
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_accuracy,
    top_k_categorical_accuracy,
)
from cconv.metrics.thresholds import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConfusionMatrix",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Poisson",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "accuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "confusion_matrix",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_accuracy",
    "top_k_categorical_accuracy",
]

_CLASSES: dict[str, Callable[..., Metric]] = {
    kind.__name__: kind
    for kind in (
        AUC,
        BinaryAccuracy,
        BinaryCrossentropy,
        BinaryIoU,
        CategoricalAccuracy,
        CategoricalCrossentropy,
        CategoricalHinge,
        ConfusionMatrix,
        CosineSimilarity,
        F1Score,
        FBetaScore,
        FalseNegatives,
        FalsePositives,
        Hinge,
        IoU,
        KLDivergence,
        LogCoshError,
        Mean,
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanIoU,
        MeanSquaredError,
        MeanSquaredLogarithmicError,
        OneHotIoU,
        OneHotMeanIoU,
        Poisson,
        Precision,
        R2Score,
        Recall,
        RootMeanSquaredError,
        SparseCategoricalAccuracy,
        SparseCategoricalCrossentropy,
        SparseTopKCategoricalAccuracy,
        SquaredHinge,
        Sum,
        TopKCategoricalAccuracy,
        TrueNegatives,
        TruePositives,
    )
}
# Functions, and whether a higher value is better.
RISING += [
    (accuracy, True),
    (top_k_accuracy, True),
    (binary_accuracy, True),
    (categorical_accuracy, True),
    (sparse_categorical_accuracy, True),
    (top_k_categorical_accuracy, True),
    (sparse_top_k_categorical_accuracy, True),
    (losses.cosine_similarity, False),
    (binary_crossentropy, False),
    (binary_focal_crossentropy, False),
    (categorical_crossentropy, False),
    (categorical_focal_crossentropy, False),
    (categorical_hinge, False),
    (hinge, False),
    (huber, False),
    (kl_divergence, False),
    (log_cosh, False),
    (mean_absolute_error, False),
    (mean_absolute_percentage_error, False),
    (mean_squared_error, False),
    (mean_squared_logarithmic_error, False),
    (poisson, False),
    (sparse_categorical_crossentropy, False),
    (squared_hinge, False),
]
# Keras' short names, and functions without a class.
_SHORT: dict[str, Callable[..., Metric]] = {
    "acc": FittingAccuracy,
    "accuracy": FittingAccuracy,
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "log_cosh": LogCoshError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
    **{
        function.__name__: functools.partial(MeanMetricWrapper, function)
        for function in (huber, binary_focal_crossentropy, categorical_focal_crossentropy, top_k_accuracy)
    },
}
_TABLE = {key_of(name): make for name, make in (_CLASSES | _SHORT).items()}


def get(value: Any, where: str = "metrics.get", name: str = "value") -> Metric:
    """Return the metric that `value` describes, with the given name.

    Parameters
    ----------
    value : str, Metric, mapping or callable
        ``"accuracy"``, ``AUC()`` or its configuration, or a function of ``(y_true, y_pred)`` that returns one
        value per sample, or the mean over a batch.
    where, name : str
        Used at the beginning of error messages.

    Raises
    ------
    TypeError, ValueError
        When `value` does not describe a metric.

    Examples
    --------
    >>> get("acc").name, get("acc")([1], [[0.2, 0.8]])
    ('acc', 1.0)
    """
    if isinstance(value, str) and key_of(value) in _TABLE:
        make = _TABLE[key_of(value)]
        try:
            return make(name=value)
        except TypeError as error:
            text = f"{where}: {name} {value!r} needs arguments, give an instance of its class"
            raise TypeError(text) from error
    if callable(value) and not isinstance(value, Metric | type):
        return MeanMetricWrapper(value)
    known = {**_SHORT, **_CLASSES, "FittingAccuracy": FittingAccuracy, "ExactAccuracy": Accuracy}
    return arguments.resolve(where, name, value, Metric, known)


refusing(globals(), functions=["get"])
