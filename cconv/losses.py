"""Losses: what training makes small, each with its gradient.

A loss is called with targets and predictions and returns ``(loss, dy)``: a float, the mean over
the batch, and its gradient with respect to the predictions, which has their shape and dtype.
Weights multiply the samples' losses and the mean still divides by the number of samples, which is
Keras' "sum over batch size".
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, exactmath, ops
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.ops.run import Run

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]

# Probabilities are kept this far from 0 and 1 before a logarithm, as in Keras.
EPSILON = 1e-7


class Loss(arguments.Configured):
    """Base of the losses.

    Attributes
    ----------
    key : str
        Keras' name.
    activation : str
        The activation from whose input this loss and its gradient are computed stably; "" for none.
    """

    not_called: ClassVar[Mapping[str, str]] = {
        "call": "define __call__, which returns the loss and its gradient"
    }
    key = ""
    activation = ""
    from_logits = False

    def from_logits_of(self, activation: str) -> bool:
        """Whether this loss should be given the input of that activation, the logits, instead of its output.

        Examples
        --------
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
        sample_weight : array of shape (n,), optional
            At least 0.
        run : Run, optional
            Where the gradient's memory comes from.
        from_logits : bool
            Whether `y_pred` is what the activation `self.activation` would be given.

        Returns
        -------
        loss : float
            Mean over the batch.
        dy : ndarray
            Shape and dtype of `y_pred`.

        Raises
        ------
        TypeError, ValueError
            When targets, predictions and weights do not belong together.
        """
        pred = arguments.as_activations(self.key, "y_pred", y_pred, None)
        true = self._targets(y_true, pred)
        weight = self._weights(sample_weight, pred)
        run = Run(training=True) if run is None else run
        # A diverged training gives NaN, which the model reports, and not also NumPy.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self._compute(true, pred, weight, run, from_logits or self.from_logits)

    def check_shape(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """ValueError where targets of that shape are not for predictions of that shape."""
        if true != pred and not (true == pred[:-1] and pred[-1] == 1):
            raise ValueError(f"{self.key}: y_true must have shape {pred}, got {true}")

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        """Return the targets in the shape and dtype of the predictions; `first` numbers the first sample."""
        true = arguments.real_array(self.key, "y_true", y_true, None)
        self.check_shape(true.shape, pred.shape)
        return arguments.ready(true.reshape(pred.shape), pred.dtype)

    def _weights(self, sample_weight: ArrayLike | None, pred: np.ndarray) -> np.ndarray | None:
        """Return one weight for each entry of `pred.shape[:-1]`, flat."""
        if sample_weight is None:
            return None
        weight = arguments.as_sample_weight(
            self.key, "sample_weight", sample_weight, pred.reshape(len(pred), -1)
        )
        rows = pred.size // (pred.shape[-1] if pred.ndim > 1 else 1)
        return weight if weight is None else np.repeat(weight, rows // len(weight))

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        raise NotImplementedError


def _total(values: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the weighted sum of the elements' losses in float64; `weight` has one entry a row."""
    if weight is None:
        return float(values.sum(dtype=np.float64))
    return float((values.reshape(len(weight), -1).sum(axis=1, dtype=np.float64) * weight).sum())


def _scale(dy: np.ndarray, weight: np.ndarray | None, factor: float) -> None:
    """Multiply the gradient by the factor and the rows' weights, in place."""
    dy *= factor
    if weight is not None:
        rows = dy.reshape(len(weight), -1)
        rows *= weight[:, np.newaxis]


class MeanSquaredError(Loss):
    """Mean of squared differences, ``mean((y_pred - y_true)²)`` (Legendre 1805).

    Examples
    --------
    >>> MeanSquaredError()([[1.0]], np.array([[3.0]]))
    (4.0, array([[4.]]))
    """

    key = "mean_squared_error"

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        dy = np.subtract(pred, true, out=run.empty("dy", pred.shape, pred.dtype))
        loss = _total(np.square(dy), weight) / dy.size
        _scale(dy, weight, 2.0 / dy.size)
        return loss, dy


class MeanAbsoluteError(Loss):
    """Mean of absolute differences, ``mean(|y_pred - y_true|)`` (Boscovich 1757); its gradient at 0 is 0.

    Examples
    --------
    >>> MeanAbsoluteError()([[1.0]], np.array([[3.0]]))
    (2.0, array([[1.]]))
    """

    key = "mean_absolute_error"

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        dy = np.subtract(pred, true, out=run.empty("dy", pred.shape, pred.dtype))
        loss = _total(np.abs(dy), weight) / dy.size
        np.sign(dy, out=dy)
        _scale(dy, weight, 1.0 / dy.size)
        return loss, dy


class BinaryCrossentropy(Loss):
    """Cross-entropy of independent 0/1 targets t, ``mean(-t log p - (1 - t) log(1 - p))``.

    From logits z it is ``mean(max(z, 0) - t z + log(1 + exp(-|z|)))`` with the gradient
    ``(sigmoid(z) - t) / size``, which overflows nowhere (Bishop 2006, "Pattern Recognition and
    Machine Learning", eq. 4.90).

    Parameters
    ----------
    from_logits : bool
        Whether the model's output is not yet a probability.

    Examples
    --------
    >>> loss, dy = BinaryCrossentropy()([[1], [0]], np.array([[0.5], [0.5]]))
    >>> round(loss, 6), dy.tolist()
    (0.693147, [[-1.0], [1.0]])
    """

    key = "binary_crossentropy"
    activation = "sigmoid"

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits: bool = arguments.flag("BinaryCrossentropy", "from_logits", from_logits)

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        true = super()._targets(y_true, pred, first)
        low, high = true.min(), true.max()
        if not (low >= 0 and high <= 1):
            raise ValueError(f"{self.key}: y_true must lie in [0, 1], got {low} … {high}")
        return true

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        dy = run.empty("dy", pred.shape, pred.dtype)
        if from_logits:
            # log(1 + exp(-|z|)) = -log(sigmoid(|z|))
            upper = ops.sigmoid(np.abs(pred), run)
            losses = np.maximum(pred, 0) - true * pred - exactmath.log(upper)
            np.subtract(np.where(pred < 0, 1 - upper, upper), true, out=dy)
            factor = 1.0 / dy.size
        else:
            p = np.clip(pred, EPSILON, 1 - EPSILON)
            losses = -(true * exactmath.log(p) + (1 - true) * exactmath.log(1 - p))
            np.divide(p - true, p * (1 - p), out=dy)
            dy *= p == pred  # where p is cut off the loss is flat
            factor = 1.0 / dy.size
        _scale(dy, weight, factor)
        return _total(losses, weight) / dy.size, dy


class CategoricalCrossentropy(Loss):
    """Cross-entropy of one-hot targets or probabilities t, ``mean over samples of -Σ_k t_k log q_k``.

    q are the predictions p divided by their sum s over the classes, as in Keras, so that p need not be
    probabilities; then they are kept `EPSILON` away from 0 and 1. The gradient is
    ``(Σ_k t_k - t_j / q_j) / (s n)``, a term t_k being 0 where q_k was cut off: there the loss is flat.
    Predictions of nothing but 0 give NaN. From logits the gradient is ``(softmax(z) - t) / n`` (Bishop
    2006, eqs. 4.108 and 4.109). `cconv.reference.categorical_crossentropy` is the twin of the first form.

    Parameters
    ----------
    from_logits : bool
        Whether the model's output is not yet probabilities.

    Examples
    --------
    >>> loss, dy = CategoricalCrossentropy()([[0, 1]], np.array([[0.75, 0.25]]))
    >>> round(loss, 6), dy.tolist()
    (1.386294, [[1.0, -3.0]])
    >>> round(CategoricalCrossentropy()([[0, 1]], [[1.0, 1.0]])[0], 6)
    0.693147
    """

    key = "categorical_crossentropy"
    activation = "softmax"

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits: bool = arguments.flag(type(self).__name__, "from_logits", from_logits)

    def check_shape(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """ValueError where targets of that shape are not for predictions of that shape."""
        if true != pred:
            raise ValueError(
                f"{self.key}: y_true must have the shape of y_pred {pred}, got {true}; "
                f"class numbers are for sparse_categorical_crossentropy"
            )

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        true = arguments.real_array(self.key, "y_true", y_true, None)
        self.check_shape(true.shape, pred.shape)
        return arguments.as_labels(self.key, "y_true", true, pred, first)

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        rows = pred.reshape(-1, pred.shape[-1])
        if from_logits:
            loss, dy = ops.softmax_cross_entropy(rows, true, weight, run)
            return loss, dy.reshape(pred.shape)
        if true.ndim == 1:
            true = np.equal(true[:, np.newaxis], np.arange(rows.shape[1])).astype(rows.dtype)
        sums = rows.sum(axis=1, keepdims=True)
        shares = rows / sums
        q = np.clip(shares, EPSILON, 1 - EPSILON)
        loss = -_total(true * exactmath.log(q), weight) / len(rows)
        dy = run.empty("dy", rows.shape, rows.dtype)
        counted = true * (q == shares)
        np.divide(counted, q, out=dy)
        np.subtract(counted.sum(axis=1, keepdims=True), dy, out=dy)
        dy /= sums
        _scale(dy, weight, 1.0 / len(rows))
        return loss, dy.reshape(pred.shape)


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """Cross-entropy of class numbers c, ``mean over samples of -log q_c``: see `CategoricalCrossentropy`.

    Parameters
    ----------
    from_logits : bool
        Whether the model's output is not yet probabilities.

    Examples
    --------
    >>> loss, dy = SparseCategoricalCrossentropy()([1], np.array([[0.75, 0.25]]))
    >>> round(loss, 6), dy.tolist()
    (1.386294, [[1.0, -3.0]])
    """

    key = "sparse_categorical_crossentropy"

    def check_shape(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """ValueError where targets of that shape are not for predictions of that shape."""
        if true not in (pred[:-1], (*pred[:-1], 1)):
            hint = "; one-hot targets are for categorical_crossentropy" if true == pred else ""
            raise ValueError(
                f"{self.key}: y_true must be class numbers of shape {pred[:-1]}, got {true}{hint}"
            )

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        true = arguments.real_array(self.key, "y_true", y_true, None)
        self.check_shape(true.shape, pred.shape)
        numbers = arguments.whole_numbers(self.key, "y_true", true.reshape(pred.shape[:-1]), first)
        return arguments.as_labels(self.key, "y_true", numbers, pred, first)


_CLASSES: dict[str, type[Loss]] = {
    "mse": MeanSquaredError,
    "mean_squared_error": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}


def get(value: Any, where: str = "losses.get", name: str = "value") -> Loss:
    """Return the loss that `value` stands for.

    Parameters
    ----------
    value : str, Loss or mapping
        ``"mse"``, ``MeanSquaredError()`` or its configuration.
    where, name : str
        Begin the error message.

    Raises
    ------
    TypeError, ValueError
        When it stands for none.

    Examples
    --------
    >>> get("sparse_categorical_crossentropy")
    SparseCategoricalCrossentropy()
    """
    return arguments.resolve(where, name, value, Loss, _CLASSES)


refusing(globals(), functions=["get"])
