"""What all losses share: checks of targets and weights, and the reduction of values to one number."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.arguments.text import snake_case
from cconv.losses.own import checked
from cconv.ops.run import Run

# Before a logarithm, probabilities are clipped to [EPSILON, 1 - EPSILON], as in Keras.
EPSILON = 1e-7
SUM_OVER_BATCH_SIZE = "sum_over_batch_size"
REDUCTIONS = (SUM_OVER_BATCH_SIZE, "sum", "mean", "mean_with_sample_weight")


class Values(NamedTuple):
    """The losses of a batch before the reduction, with the parts of their gradient.

    Attributes
    ----------
    values : ndarray
        Its first axes are the predictions' axes except the last: the loss of a sample, or pixel, is the sum
        of its `values` divided by `terms`.
    slopes : ndarray of the predictions' shape
        `factor` times these are the derivatives of the sums.
    factor : float
        See `slopes`.
    terms : int
        1 for a sum, the number of terms for a mean.
    """

    values: np.ndarray
    slopes: np.ndarray
    factor: float = 1.0
    terms: int = 1


class Loss(arguments.Configured):
    """Base of the losses.

    Parameters
    ----------
    name : str, optional
        By default the class' name in lower case.
    reduction : {"sum_over_batch_size", "sum", "mean", "mean_with_sample_weight"}
        The reduction of all samples' values: for "sum_over_batch_size" and "mean" their sum divided by their
        number; "sum" their sum; "mean_with_sample_weight" their weighted sum divided by the sum of weights.

    Attributes
    ----------
    key : str
        Keras' name.
    activation : str
        The activation for which loss and gradient are computed stably from the logits; "" for none.
    looks_at_targets : bool
        Whether `fit` must show all targets to the loss before it begins, since some values are refused.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.losses import MeanSquaredError
    >>> loss, gradient = MeanSquaredError()(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]))
    >>> loss, gradient.tolist()
    (2.0, [[0.0], [2.0]])
    >>> MeanSquaredError(reduction="sum")(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]))[0]
    4.0
    """

    not_called: ClassVar[Mapping[str, str]] = {
        "call": "define __call__, which returns the loss and its gradient, or use losses.from_function"
    }
    key = ""
    activation = ""
    from_logits = False
    looks_at_targets = False
    name: str = ""
    reduction: str = SUM_OVER_BATCH_SIZE

    def __init__(self, name: str | None = None, reduction: str = SUM_OVER_BATCH_SIZE) -> None:
        kind = type(self).__name__
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{kind}: name must be a string, got {name!r}")
        self.name = name or snake_case(kind)
        if reduction is None or reduction == "none":
            raise ValueError(
                f"{kind}: reduction must be one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}: "
                "a loss returns one number; the functions of cconv.losses return one for each sample"
            )
        self.reduction = arguments.one_of(kind, "reduction", reduction, REDUCTIONS)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__call__" in cls.__dict__:
            cls.__call__ = checked(cls.__call__)  # type: ignore[method-assign]

    def from_logits_of(self, activation: str) -> bool:
        """Whether this loss takes that activation's input, the logits, instead of its output.

        Examples
        --------
        >>> from cconv.losses import CategoricalCrossentropy
        >>> CategoricalCrossentropy().from_logits_of("softmax")
        True
        """
        return bool(activation) and activation == self.activation and not self.from_logits

    @controlled
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        run: Run | None = None,
        from_logits: bool = False,
    ) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient with respect to `y_pred`.

        Parameters
        ----------
        y_true : array
            Targets: the shape of `y_pred`, or class numbers for the sparse cross-entropy.
        y_pred : array of shape (n, ...)
            Predictions, or logits.
        sample_weight : array, optional
            Finite: of shape (n,) or (n, 1), one per sample; or of the shape of `y_pred` without its last axis
            (or with length 1 there), one per pixel.
        run : Run, optional
            Provides the memory for the gradient.
        from_logits : bool
            Whether `y_pred` is the input of the activation `self.activation`.

        Returns
        -------
        loss : float
            The mean over the batch, or the result of `reduction`; 0 without samples.
        dy : ndarray
            Shape and dtype of `y_pred`.

        Raises
        ------
        TypeError, ValueError
            When targets, predictions and weights do not fit together.
        """
        pred = arguments.as_activations(self.key, "y_pred", y_pred, None, may_be_empty=True)
        if not len(pred):
            self.check_shape(arguments.as_array(self.key, "y_true", y_true).shape, pred.shape)
            return 0.0, np.empty(pred.shape, pred.dtype)
        true = self._targets(y_true, pred)
        weight = self._weights(sample_weight, pred)
        run = Run(training=True) if run is None else run
        # A diverged training gives NaN, which the model reports: NumPy's warnings are not needed.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            true, pred, weight = self._counted(true, pred, weight)
            weight = self._reduced(weight, rows_of(pred))
            return self._compute(true, pred, weight, run, from_logits or self.from_logits)

    def check_shape(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """Raise ValueError if targets of that shape do not fit predictions of that shape."""
        if true != pred and not (true == pred[:-1] and pred[-1] == 1):
            raise ValueError(f"{self.key}: y_true must have shape {pred}, got {true}")

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        """Return targets with the predictions' shape and dtype; `first` is the number of the first sample."""
        true = arguments.real_array(self.key, "y_true", y_true, None)
        self.check_shape(true.shape, pred.shape)
        return arguments.ready(true.reshape(pred.shape), pred.dtype)

    def weight_shape(self, pred: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the values that weights multiply, for predictions of that shape."""
        return pred[:-1] if len(pred) > 1 else pred

    def _weights(self, sample_weight: ArrayLike | None, pred: np.ndarray) -> np.ndarray | None:
        """Return one weight for each entry of `pred.shape[:-1]`, flat."""
        if sample_weight is None:
            return None
        shape = self.weight_shape(pred.shape)
        return arguments.spread_weight(self.key, "sample_weight", sample_weight, shape, pred.dtype)

    def _counted(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return targets, predictions and weights, changed so that ignored samples do not count."""
        return true, pred, weight

    def _reduced(self, weight: np.ndarray | None, rows: int) -> np.ndarray | None:
        """Return weights with which the mean over the rows is the result of `reduction`."""
        if self.reduction == "sum":
            return np.full(rows, float(rows)) if weight is None else weight * float(rows)
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            total = float(weight.sum(dtype=np.float64))
            return weight * (rows / total if total else 0.0)
        return weight

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        """Return the weighted mean over the rows, and its gradient."""
        return self._of_values(true, pred, weight, run, from_logits)

    def _of_values(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        values, slopes, factor, terms = self._values(true, pred, run, from_logits)
        size = rows_of(pred) * terms
        loss = _total(values, weight) / size
        _scale(slopes, weight, factor / size)
        return loss, slopes

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        """Return the losses for targets and predictions, with slopes in memory of `run`."""
        raise NotImplementedError


def rows_of(pred: np.ndarray) -> int:
    """Return the number of samples, or pixels, with their own loss."""
    return pred.size // (pred.shape[-1] if pred.ndim > 1 else 1)


def terms_of(pred: np.ndarray) -> int:
    """Return the number of terms in the mean of a row."""
    return pred.shape[-1] if pred.ndim > 1 else 1


def last_axis(where: str, axis: int) -> int:
    """Return -1; ValueError for any axis except the last."""
    if type(axis) is not int or axis != -1:
        raise ValueError(f"{where}: axis must be -1, the last one, got {axis!r}")
    return axis


def _total(values: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the weighted sum of the elements' losses in float64; `weight` has one entry per row."""
    if weight is None:
        return float(values.sum(dtype=np.float64))
    return float((values.reshape(len(weight), -1).sum(axis=1, dtype=np.float64) * weight).sum())


def _scale(dy: np.ndarray, weight: np.ndarray | None, factor: float) -> None:
    """Multiply the gradient by the factor and the rows' weights, in place."""
    dy *= factor
    if weight is not None:
        rows = dy.reshape(len(weight), -1)
        rows *= weight[:, np.newaxis]


def each(loss: Loss, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return the loss of every sample, or pixel: the shape of `y_pred` without its last axis."""
    pred = arguments.as_activations(loss.key, "y_pred", y_pred, None, may_be_empty=True)
    shape = pred.shape[:-1]
    if not len(pred):
        loss.check_shape(arguments.as_array(loss.key, "y_true", y_true).shape, pred.shape)
        return np.empty(shape, pred.dtype)
    true = arguments.as_array(loss.key, "y_true", y_true)
    if pred.ndim == 1:  # a single sample, for which one number is returned
        pred, true = pred[np.newaxis], true[np.newaxis]
    true = loss._targets(true, pred)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        true, pred, weight = loss._counted(true, pred, None)
        found = loss._values(true, pred, Run(training=True), loss.from_logits)
        rows = found.values.reshape(rows_of(pred), -1).sum(axis=1, dtype=np.float64) / found.terms
        if weight is not None:
            rows = np.where(weight != 0, rows, 0.0)
    return rows.astype(pred.dtype).reshape(shape)[()]
