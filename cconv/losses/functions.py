"""Keras' functions for the losses: one value per sample, and no gradient.

Each takes targets and predictions of shape (n, …), as its loss does, and returns an array with the shape of
`y_pred` without its last axis, in its dtype; for a single sample (one axis) it returns a number.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from cconv.arguments.control import controlled
from cconv.losses.base import each
from cconv.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from cconv.losses.focal import BinaryFocalCrossentropy, CategoricalFocalCrossentropy
from cconv.losses.hinge import CategoricalHinge, Hinge, SquaredHinge
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


@controlled
def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the mean of squared differences of each sample, see `MeanSquaredError`.

    Examples
    --------
    >>> import numpy as np
    >>> mean_squared_error([[1.0, 2.0], [3.0, 4.0]], np.array([[1.0, 4.0], [3.0, 3.0]])).round(6)
    array([2. , 0.5])
    """
    return each(MeanSquaredError(), y_true, y_pred)


@controlled
def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the mean of absolute differences of each sample, see `MeanAbsoluteError`.

    Examples
    --------
    >>> import numpy as np
    >>> mean_absolute_error([[1.0, 2.0], [3.0, 4.0]], np.array([[1.0, 4.0], [3.0, 3.0]])).round(6)
    array([1. , 0.5])
    """
    return each(MeanAbsoluteError(), y_true, y_pred)


@controlled
def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the mean of each sample's relative differences in per cent, see `MeanAbsolutePercentageError`.

    Examples
    --------
    >>> import numpy as np
    >>> mean_absolute_percentage_error([[1.0, 2.0], [3.0, 4.0]], np.array([[1.0, 4.0], [3.0, 3.0]])).round(6)
    array([50. , 12.5])
    """
    return each(MeanAbsolutePercentageError(), y_true, y_pred)


@controlled
def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the mean of each sample's squared differences of logarithms.

    See `MeanSquaredLogarithmicError`.

    Examples
    --------
    >>> import numpy as np
    >>> mean_squared_logarithmic_error([[1.0, 2.0], [3.0, 4.0]], np.array([[1.0, 4.0], [3.0, 3.0]])).round(6)
    array([0.130471, 0.024897])
    """
    return each(MeanSquaredLogarithmicError(), y_true, y_pred)


@controlled
def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the mean of log(cosh(y_pred - y_true)) of each sample, see `LogCosh`.

    Examples
    --------
    >>> import numpy as np
    >>> log_cosh([[1.0, 2.0], [3.0, 4.0]], np.array([[1.0, 4.0], [3.0, 3.0]])).round(6)
    array([0.662501, 0.21689 ])
    """
    return each(LogCosh(), y_true, y_pred)


@controlled
def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the mean of max(1 - y_true y_pred, 0) of each sample, see `Hinge`.

    Examples
    --------
    >>> import numpy as np
    >>> hinge([[-1, 1], [1, 1]], np.array([[0.5, 0.75], [0.25, 2.0]])).round(6)
    array([0.875, 0.375])
    """
    return each(Hinge(), y_true, y_pred)


@controlled
def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the mean of max(1 - y_true y_pred, 0)² of each sample, see `SquaredHinge`.

    Examples
    --------
    >>> import numpy as np
    >>> squared_hinge([[-1, 1], [1, 1]], np.array([[0.5, 0.75], [0.25, 2.0]])).round(6)
    array([1.15625, 0.28125])
    """
    return each(SquaredHinge(), y_true, y_pred)


@controlled
def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the margin between the right and the best wrong class of each sample, see `CategoricalHinge`.

    Examples
    --------
    >>> import numpy as np
    >>> categorical_hinge([[0, 1], [1, 0]], np.array([[0.5, 0.75], [0.5, 0.75]])).round(6)
    array([0.75, 1.25])
    """
    return each(CategoricalHinge(), y_true, y_pred)


@controlled
def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the Kullback-Leibler divergence of each sample's prediction from its target, see `KLDivergence`.

    Examples
    --------
    >>> import numpy as np
    >>> kl_divergence([[0.5, 0.5]], np.array([[0.25, 0.75]])).round(6)
    array([0.143841])
    """
    return each(KLDivergence(), y_true, y_pred)


@controlled
def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the mean of y_pred - y_true log(y_pred) of each sample, see `Poisson`.

    Examples
    --------
    >>> import numpy as np
    >>> poisson([[3.0], [1.0]], np.array([[2.0], [1.0]])).round(6)
    array([-0.079442,  1.      ])
    """
    return each(Poisson(), y_true, y_pred)


@controlled
def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Any:
    """Return minus the cosine between target and prediction of each sample, see `CosineSimilarity`.

    Examples
    --------
    >>> import numpy as np
    >>> cosine_similarity([[0.0, 1.0], [1.0, 0.0]], np.array([[3.0, 4.0], [3.0, 4.0]])).round(6)
    array([-0.8, -0.6])
    """
    return each(CosineSimilarity(axis), y_true, y_pred)


@controlled
def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> Any:
    """Return the Huber loss of each sample, see `Huber`.

    Examples
    --------
    >>> import numpy as np
    >>> huber([[0.0, 0.0]], np.array([[0.5, 3.0]])).round(6)
    array([1.3125])
    """
    return each(Huber(delta), y_true, y_pred)


@controlled
def binary_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the mean binary cross-entropy of each sample, see `BinaryCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> binary_crossentropy([[0, 1], [1, 1]], np.array([[0.5, 0.75], [0.25, 0.5]])).round(6)
    array([0.490415, 1.039721])
    """
    return each(BinaryCrossentropy(from_logits, label_smoothing, axis), y_true, y_pred)


@controlled
def categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the cross-entropy of each sample, see `CategoricalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> categorical_crossentropy([[0, 1], [1, 0]], np.array([[0.25, 0.75], [0.25, 0.75]])).round(6)
    array([0.287682, 1.386294])
    """
    return each(CategoricalCrossentropy(from_logits, label_smoothing, axis), y_true, y_pred)


@controlled
def sparse_categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """Return the cross-entropy of each sample, see `SparseCategoricalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> sparse_categorical_crossentropy([1, 0], np.array([[0.25, 0.75], [0.25, 0.75]])).round(6)
    array([0.287682, 1.386294])
    """
    return each(SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis), y_true, y_pred)


@controlled
def binary_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the mean focal cross-entropy of each sample, see `BinaryFocalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> binary_focal_crossentropy([[0, 1], [1, 1]], np.array([[0.5, 0.75], [0.25, 0.5]])).round(6)
    array([0.095633, 0.476539])
    """
    return each(
        BinaryFocalCrossentropy(apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis),
        y_true,
        y_pred,
    )


@controlled
def categorical_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the focal cross-entropy of each sample, see `CategoricalFocalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> categorical_focal_crossentropy([[0, 1], [1, 0]], np.array([[0.25, 0.75], [0.25, 0.75]])).round(6)
    array([0.004495, 0.194948])
    """
    return each(
        CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis), y_true, y_pred
    )
