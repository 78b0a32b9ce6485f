"""Losses as metrics: their means over all samples, without gradients."""

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from cconv import losses
from cconv.arguments import flag
from cconv.arguments.arrays import as_array
from cconv.arguments.control import controlled
from cconv.losses.base import each, last_axis
from cconv.losses.crossentropy import smoothing
from cconv.metrics.base import Mean
from cconv.metrics.checks import alike


class LossMetric(Mean):
    """The mean of one of cconv's losses, computed in float64."""

    rising = False
    sign: ClassVar[float] = 1.0

    def _loss(self) -> losses.Loss:
        raise NotImplementedError

    @controlled
    def update_state(  # type: ignore[override]
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch; see `Metric.update_state`."""
        pred = as_array(self.name, "y_pred", y_pred)
        true = as_array(self.name, "y_true", y_true)
        if pred.dtype.kind in "biuf":
            pred = pred.astype(np.float64)
        if pred.ndim == 1:  # one number per sample
            pred, true = pred[:, np.newaxis], true.reshape(-1, 1) if true.ndim == 1 else true
        super().update_state(self.sign * each(self._loss(), true, pred), sample_weight)


class MeanSquaredError(LossMetric):
    """The mean of `cconv.losses.MeanSquaredError`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(MeanSquaredError()([[1.0], [2.0]], [[1.0], [4.0]]), 6)
    2.0
    """

    def __init__(self, name: str = "mean_squared_error") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.MeanSquaredError()


class MeanAbsoluteError(LossMetric):
    """The mean of `cconv.losses.MeanAbsoluteError`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(MeanAbsoluteError()([[1.0], [2.0]], [[1.0], [4.0]]), 6)
    1.0
    """

    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.MeanAbsoluteError()


class MeanAbsolutePercentageError(LossMetric):
    """The mean of `cconv.losses.MeanAbsolutePercentageError`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(MeanAbsolutePercentageError()([[1.0], [2.0]], [[1.0], [4.0]]), 6)
    50.0
    """

    def __init__(self, name: str = "mean_absolute_percentage_error") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.MeanAbsolutePercentageError()


class MeanSquaredLogarithmicError(LossMetric):
    """The mean of `cconv.losses.MeanSquaredLogarithmicError`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(MeanSquaredLogarithmicError()([[1.0], [1.0]], [[1.0], [3.0]]), 6)
    0.240227
    """

    def __init__(self, name: str = "mean_squared_logarithmic_error") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.MeanSquaredLogarithmicError()


class LogCoshError(LossMetric):
    """The mean of `cconv.losses.LogCosh`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(LogCoshError()([[1.0], [2.0]], [[1.0], [3.0]]), 6)
    0.21689
    """

    def __init__(self, name: str = "logcosh") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.LogCosh()


class Hinge(LossMetric):
    """The mean of `cconv.losses.Hinge`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(Hinge()([[-1.0], [1.0]], [[0.5], [0.75]]), 6)
    0.875
    """

    def __init__(self, name: str = "hinge") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.Hinge()


class SquaredHinge(LossMetric):
    """The mean of `cconv.losses.SquaredHinge`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(SquaredHinge()([[-1.0], [1.0]], [[0.5], [0.75]]), 6)
    1.15625
    """

    def __init__(self, name: str = "squared_hinge") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.SquaredHinge()


class CategoricalHinge(LossMetric):
    """The mean of `cconv.losses.CategoricalHinge`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(CategoricalHinge()([[0, 1, 0]], [[0.5, 0.75, 0.0]]), 6)
    0.75
    """

    def __init__(self, name: str = "categorical_hinge") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.CategoricalHinge()


class KLDivergence(LossMetric):
    """The mean of `cconv.losses.KLDivergence`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 6)
    0.143841
    """

    def __init__(self, name: str = "kl_divergence") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.KLDivergence()


class Poisson(LossMetric):
    """The mean of `cconv.losses.Poisson`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> round(Poisson()([[3.0]], [[2.0]]), 6)
    -0.079442
    """

    def __init__(self, name: str = "poisson") -> None:
        super().__init__(name)

    def _loss(self) -> losses.Loss:
        return losses.Poisson()


class CosineSimilarity(LossMetric):
    """The mean cosine between targets and predictions; see `cconv.losses.CosineSimilarity`.

    Parameters
    ----------
    name : str
        In the logs.
    axis : -1
        Other axes are refused.

    Examples
    --------
    >>> round(CosineSimilarity()([[0.0, 1.0]], [[3.0, 4.0]]), 6)
    0.8
    """

    rising = True
    sign = -1.0

    def __init__(self, name: str = "cosine_similarity", *, axis: int = -1) -> None:
        super().__init__(name)
        self.axis: int = last_axis("CosineSimilarity", axis)

    def _loss(self) -> losses.Loss:
        return losses.CosineSimilarity()


class BinaryCrossentropy(LossMetric):
    """The mean of `cconv.losses.BinaryCrossentropy`.

    Parameters
    ----------
    name : str
        In the logs.
    from_logits : bool
        Whether predictions are logits, not probabilities.
    label_smoothing : float
        In [0, 1].

    Examples
    --------
    >>> round(BinaryCrossentropy()([[1], [0]], [[0.5], [0.5]]), 6)
    0.693147
    """

    def __init__(
        self, name: str = "binary_crossentropy", *, from_logits: bool = False, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(name)
        self.from_logits: bool = flag("BinaryCrossentropy", "from_logits", from_logits)
        self.label_smoothing: float = smoothing("BinaryCrossentropy", label_smoothing)

    def _loss(self) -> losses.Loss:
        return losses.BinaryCrossentropy(self.from_logits, self.label_smoothing)


class CategoricalCrossentropy(LossMetric):
    """The mean of `cconv.losses.CategoricalCrossentropy`.

    Parameters
    ----------
    name : str
        In the logs.
    from_logits : bool
        Whether predictions are logits, not probabilities.
    label_smoothing : float
        In [0, 1].
    axis : -1
        Other axes are refused.

    Examples
    --------
    >>> round(CategoricalCrossentropy()([[0, 1]], [[0.75, 0.25]]), 6)
    1.386294
    """

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        *,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(name)
        self.from_logits: bool = flag("CategoricalCrossentropy", "from_logits", from_logits)
        self.label_smoothing: float = smoothing("CategoricalCrossentropy", label_smoothing)
        self.axis: int = last_axis("CategoricalCrossentropy", axis)

    def _loss(self) -> losses.Loss:
        return losses.CategoricalCrossentropy(self.from_logits, self.label_smoothing)


class SparseCategoricalCrossentropy(LossMetric):
    """The mean of `cconv.losses.SparseCategoricalCrossentropy`.

    Parameters
    ----------
    name : str
        In the logs.
    from_logits : bool
        Whether predictions are logits, not probabilities.
    axis : -1
        Other axes are refused.

    Examples
    --------
    >>> round(SparseCategoricalCrossentropy()([1], [[0.75, 0.25]]), 6)
    1.386294
    """

    def __init__(
        self, name: str = "sparse_categorical_crossentropy", *, from_logits: bool = False, axis: int = -1
    ) -> None:
        super().__init__(name)
        self.from_logits: bool = flag("SparseCategoricalCrossentropy", "from_logits", from_logits)
        self.axis: int = last_axis("SparseCategoricalCrossentropy", axis)

    def _loss(self) -> losses.Loss:
        return losses.SparseCategoricalCrossentropy(self.from_logits)


class RootMeanSquaredError(Mean):
    """The square root of the mean of squared differences.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> RootMeanSquaredError()([[1.0], [2.0]], [[1.0], [4.0]], sample_weight=[1, 0])
    0.0
    """

    rising = False

    def __init__(self, name: str = "root_mean_squared_error") -> None:
        super().__init__(name)

    @controlled
    def update_state(  # type: ignore[override]
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch; see `Metric.update_state`."""
        true, pred = alike(self.name, y_true, y_pred)
        super().update_state(np.square(pred.astype(np.float64) - true), sample_weight)

    @controlled
    def result(self) -> float:
        """Return the root of the mean over all samples since the last reset; 0 without samples."""
        return float(np.sqrt(super().result()))
