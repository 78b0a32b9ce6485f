"""The subject of a page: a model or an estimator, with test data and its predictions for them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cconv.arguments.arrays import as_array, real_array
from cconv.arguments.labels import whole_numbers
from cconv.arguments.text import short
from cconv.geometry.layout import to_channels_last
from cconv.models import Model
from cconv.models.answers import meaning

CLASSES, NUMBERS = "classes", "numbers"


class Subject(NamedTuple):
    """A model and its predictions for test samples.

    Attributes
    ----------
    model : Model
    kind : str
        "classes" if each sample has one of several classes, else "numbers".
    x : ndarray
        The samples as the model takes them, in its data format.
    truth : ndarray
        Class numbers (n,), or numbers (n, k).
    answers : ndarray
        Probabilities (n, classes), or numbers (n, k).
    names : list of str
        Names of the classes, or of the numbers.
    history : object
        History of the estimator, or of the model's last `fit`; None if there is none.
    """

    model: Model
    kind: str
    x: np.ndarray
    truth: np.ndarray
    answers: np.ndarray
    names: list[str]
    history: Any

    def image(self, number: int) -> np.ndarray:
        """Return a sample in the network's layout and dtype: (1, h, w, c) or (1, …)."""
        x = np.asarray(self.x[number : number + 1]).reshape(1, *self.model.input_shape[1:])
        x = to_channels_last(x, self.model.data_format) if x.ndim == 4 else x
        return np.ascontiguousarray(x, self.model.dtype)


def subject(where: str, model: Any, x: Any, y: Any, classes: Sequence[Any] | None) -> Subject:
    """Return the subject of a page; TypeError or ValueError if there is no page for it."""
    estimator = None if isinstance(model, Model) else model
    if estimator is not None and not isinstance(getattr(estimator, "model_", None), Model):
        raise TypeError(
            f"{where}: model must be a Sequential, a Model or a fitted estimator, got {estimator!r:.80}"
        )
    model, images = (
        (model, real_array(where, "x_test", x, None)) if estimator is None else _inside(estimator, x)
    )
    if not model.built:
        raise ValueError(f"{where}: the model is not built: fit it, or call build(input_shape)")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"{where}: model must have one input and one output, got {len(model.inputs)} and "
            f"{len(model.outputs)}"
        )
    targets = as_array(where, "y_test", y)
    if not images.ndim or not len(images) or targets.ndim == 0 or len(targets) != len(images):
        raise ValueError(
            f"{where}: x_test and y_test must hold as many samples, at least one, got the shapes "
            f"{images.shape} and {targets.shape}"
        )
    outputs = model.predict(images, verbose=0)
    history = getattr(estimator, "history_", model.history)
    labels = getattr(estimator, "classes_", None)
    if labels is not None and hasattr(estimator, "input_shape_"):
        # An estimator's model has a probability for each label.
        truth = _numbers_of(where, targets, np.asarray(labels))
        probabilities, names = outputs.reshape(len(outputs), -1), labels if classes is None else classes
    else:
        meant = meaning(model)
        if meant.kind not in ("class", "yes or no"):
            outputs = outputs.reshape(len(outputs), -1) * getattr(estimator, "target_scale_", 1.0)
            found = outputs + getattr(estimator, "target_mean_", 0.0)
            truth = _same_numbers(where, targets, found.shape)
            names = [f"output {n}" for n in range(found.shape[1])] if classes is None else classes
            shown = _names(where, names, found.shape[1])
            return Subject(model, NUMBERS, images, truth, found, shown, history)
        probabilities = np.array([meant.probabilities(row) for row in outputs])
        truth = _classes(where, targets, probabilities.shape[1])
        names = range(probabilities.shape[1]) if classes is None else classes
    shown = _names(where, names, probabilities.shape[1])
    return Subject(model, CLASSES, images, truth, probabilities, shown, history)


def _inside(estimator: Any, x: Any) -> tuple[Model, np.ndarray]:
    """Return the network of a fitted estimator, and samples in the form that it takes."""
    if hasattr(estimator, "input_shape_"):
        return estimator.model_, estimator._images(x)
    images = estimator._images("x_test", x)
    return estimator._model_for(images.dtype == np.uint8), images


def _names(where: str, given: Any, count: int) -> list[str]:
    if isinstance(given, str) or len(given) != count:
        raise ValueError(f"{where}: classes must be {count} names, one for each output, got {given!r:.80}")
    return [short(name) for name in given]


def _numbers_of(where: str, targets: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the index of each target among an estimator's sorted labels."""
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        raise ValueError(f"{where}: y_test must be labels, one a sample, got the shape {targets.shape}")
    places = np.minimum(np.searchsorted(labels, targets), len(labels) - 1)
    wrong = targets[labels[places] != targets]
    if len(wrong):
        raise ValueError(f"{where}: y_test must hold labels of classes_, got {wrong[0]!r}")
    return places


def _classes(where: str, targets: np.ndarray, count: int) -> np.ndarray:
    """Return class numbers (n,) from class numbers (n,) or (n, 1), or from one-hot rows."""
    if targets.ndim == 2 and targets.shape[1] == count > 1:
        return np.asarray(targets, np.float64).argmax(axis=1)
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        raise ValueError(
            f"{where}: y_test must be class numbers, (n,) or (n, 1), or one-hot rows (n, {count}), got the "
            f"shape {targets.shape}"
        )
    numbers = whole_numbers(where, "y_test", targets)
    if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= count:
        raise ValueError(
            f"{where}: y_test must hold class numbers from 0 to {count - 1}, got {numbers.dtype} from "
            f"{numbers.min()} to {numbers.max()}"
        )
    return numbers.astype(np.int64)


def _same_numbers(where: str, targets: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the targets as float64 of this shape."""
    truth = real_array(where, "y_test", targets, None).reshape(len(targets), -1).astype(np.float64)
    if truth.shape != shape:
        raise ValueError(
            f"{where}: y_test must hold {shape[1]} numbers for each sample, as the model gives, got the "
            f"shape {targets.shape}"
        )
    return truth
