"""Losses: the functions that training minimises, each with its gradient.

A loss is called with targets and predictions and returns ``(loss, dy)``: a float, the mean over the batch,
and its gradient with respect to the predictions, which has their shape and dtype. Weights multiply the
samples' losses; the mean still divides by the number of samples (Keras' "sum over batch size"). The functions
of the same names return one value per sample, as in Keras.
"""

from typing import Any

from cconv import arguments
from cconv.arguments.keras_names import refusing
from cconv.losses.base import Loss
from cconv.losses.circle import Circle, circle
from cconv.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from cconv.losses.custom import FunctionLoss, from_function
from cconv.losses.focal import BinaryFocalCrossentropy, CategoricalFocalCrossentropy
from cconv.losses.functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    cosine_similarity,
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
from cconv.losses.generalized import (
    CategoricalGeneralizedCrossEntropy,
    categorical_generalized_cross_entropy,
)
from cconv.losses.hinge import CategoricalHinge, Hinge, SquaredHinge
from cconv.losses.overlap import Dice, Tversky, dice, tversky
from cconv.losses.probabilistic import KLDivergence, Poisson
from cconv.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
)

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "dice",
    "from_function",
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
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

# Keras' short names; the functions stand for the losses with their names.
_SHORT: dict[str, type[Loss]] = {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}
_CLASSES: dict[str, type[Loss]] = _SHORT | {
    kind.key: kind
    for kind in (
        BinaryCrossentropy,
        BinaryFocalCrossentropy,
        CategoricalCrossentropy,
        CategoricalFocalCrossentropy,
        CategoricalGeneralizedCrossEntropy,
        CategoricalHinge,
        Circle,
        CosineSimilarity,
        Dice,
        Hinge,
        Huber,
        KLDivergence,
        LogCosh,
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanSquaredError,
        MeanSquaredLogarithmicError,
        Poisson,
        SparseCategoricalCrossentropy,
        SquaredHinge,
        Tversky,
    )
}


def get(value: Any, where: str = "losses.get", name: str = "value") -> Loss:
    """Return the loss that `value` describes.

    Parameters
    ----------
    value : str, Loss, mapping or callable
        ``"mse"``, ``MeanSquaredError()`` or its configuration, or a function of ``(y_true, y_pred)`` that
        returns the value and its gradient: see `from_function`.
    where, name : str
        Used at the beginning of error messages.

    Raises
    ------
    TypeError, ValueError
        When `value` does not describe a loss.

    Examples
    --------
    >>> get("sparse_categorical_crossentropy")
    SparseCategoricalCrossentropy()
    >>> get(mean_squared_error)
    MeanSquaredError()
    """
    if callable(value) and not isinstance(value, Loss | type):
        known = _CLASSES.get(getattr(value, "__name__", ""))
        own = known is not None and globals().get(known.key) is value
        return known() if own and known is not None else FunctionLoss(value)
    return arguments.resolve(where, name, value, Loss, _CLASSES)


refusing(globals(), functions=["get"])
