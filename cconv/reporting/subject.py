"""The subject of a page: a model or an estimator, with test data and its predictions for them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cconv.arguments.arrays import as_array, real_array
from cconv.arguments.labels import whole_numbers
from cconv.arguments.text import names_of, short
from cconv.geometry.layout import to_channels_last
from cconv.layers.symbolic import IMAGE
from cconv.models import Model
from cconv.models.answers import meaning

CLASSES, NUMBERS = "classes", "numbers"


class Output(NamedTuple):
    """What one of a model's outputs should be for the test samples, and what it is.

    Attributes
    ----------
    name : str
    value : int
        Number of the flow's value that it is.
    kind : str
        "classes" if each sample has one of several classes, else "numbers".
    truth : ndarray
        Class numbers (n,), or numbers (n, k); k is h·w·c for images.
    answers : ndarray
        Probabilities (n, classes), or numbers (n, k).
    names : list of str
        Names of the classes, of the numbers, or of the channels of images.
    image : tuple of int or None
        Shape (h, w, c) of images; None for other outputs.
    """

    name: str
    value: int
    kind: str
    truth: np.ndarray
    answers: np.ndarray
    names: list[str]
    image: tuple[int, ...] | None = None


class Subject(NamedTuple):
    """A model and its predictions for test samples.

    Attributes
    ----------
    model : Model
    xs : tuple of ndarray
        For each input the samples as the model takes them, in its data format.
    outputs : list of Output
        Those for which there are targets, at least one.
    history : object
        History of the estimator, or of the model's last `fit`; None if there is none.
    """

    model: Model
    xs: tuple[np.ndarray, ...]
    outputs: list[Output]
    history: Any

    def sample(self, number: int) -> tuple[np.ndarray, ...]:
        """Return a sample in the network's layout and dtype: (1, h, w, c) or (1, …) for each input."""
        assert self.model._input_shapes is not None
        parts = [
            np.asarray(x[number : number + 1]).reshape(1, *shape)
            for x, shape in zip(self.xs, self.model._input_shapes, strict=True)
        ]
        layout, dtype = self.model.data_format, self.model.dtype
        return tuple(
            [np.ascontiguousarray(to_channels_last(x, layout) if x.ndim == 4 else x, dtype) for x in parts]
        )


def subject(where: str, model: Any, x: Any, y: Any, classes: Any) -> Subject:
    """Return the subject of a page; TypeError or ValueError if there is no page for it."""
    if not isinstance(model, Model) and not isinstance(getattr(model, "model_", None), Model):
        raise TypeError(
            f"{where}: model must be a Sequential, a Model or a fitted estimator, got {model!r:.80}"
        )
    estimator = None if isinstance(model, Model) else model
    if estimator is None and not model.built:
        raise ValueError(f"{where}: the model is not built: fit it, or call build(input_shape)")
    if estimator is None:
        labels, parts = _parted(where, "x_test", model._ins, x)
        xs = tuple([real_array(where, label, part, None) for label, part in zip(labels, parts, strict=True)])
    else:
        model, images = _inside(estimator, x)
        xs = (images,)
    labels, parts = _parted(where, "y_test", model._outs, y, may_lack=True)
    targets = [
        part if part is None else as_array(where, label, part)
        for label, part in zip(labels, parts, strict=True)
    ]
    _same_samples(where, xs, targets)
    named, names = _parted(where, "classes", model._outs, classes, may_lack=True)
    found = model.predict(model._ins.outside(xs), verbose=0)
    answers = [*found.values()] if isinstance(found, dict) else found if len(parts) > 1 else [found]
    outputs = [
        _output(_Asked(where, label, of_names, model, number), estimator, target, answer, given)
        for number, (label, of_names, target, answer, given) in enumerate(
            zip(labels, named, targets, answers, names, strict=True)
        )
        if target is not None
    ]
    return Subject(model, xs, outputs, getattr(estimator, "history_", model.history))


def _parted(where: str, what: str, ends: Any, given: Any, may_lack: bool = False) -> tuple[list[str], Any]:
    """Return a name for error messages, and the user's entry, for each of a model's inputs or outputs."""
    names = ends.names
    labels = [what] if len(names) == 1 else [f"{what}[{name!r}]" for name in names]
    if may_lack and given is None:
        return labels, [None] * len(names)
    return labels, ends.parted(where, what, given, names if may_lack else ())


def _same_samples(where: str, xs: Sequence[np.ndarray], targets: Sequence[np.ndarray | None]) -> None:
    """Raise a ValueError if inputs and targets differ in length, or have none."""
    ys = [target for target in targets if target is not None]
    if not ys:
        raise ValueError(f"{where}: y_test must hold targets for at least one output, got None")
    shapes = [each.shape for each in (*xs, *ys)]
    if not all(shapes) or shapes[0][0] == 0 or len({shape[0] for shape in shapes}) > 1:
        got = " and ".join(map(str, shapes))
        raise ValueError(
            f"{where}: x_test and y_test must hold as many samples, at least one, got the shapes {got}"
        )


class _Asked(NamedTuple):
    """An output of a model, and what error messages call its targets and the names of its classes."""

    where: str
    targets: str
    names: str
    model: Model
    number: int

    @property
    def said(self) -> str:
        """The beginning of error messages about the targets."""
        return f"{self.where}: {self.targets}"

    def told(
        self, kind: str, truth: np.ndarray, answers: np.ndarray, names: Any, image: Any = None
    ) -> Output:
        """Return the output, with these names of classes, numbers or channels."""
        count, each = (answers.shape[1], "output") if image is None else (image[2], "channel")
        names = names_of(self.where, self.names, names, count, each)
        name, value = self.model._outs.names[self.number], self.model._inlined().flow.outputs[self.number]
        return Output(short(name), value, kind, truth, answers, [short(each) for each in names], image)


def _output(asked: _Asked, estimator: Any, targets: np.ndarray, found: np.ndarray, names: Any) -> Output:
    """Return what an output of the model, or the estimator's only one, should be and is."""
    labels = getattr(estimator, "classes_", None)
    if labels is not None and hasattr(estimator, "input_shape_"):
        # An estimator's model has a probability for each label.
        truth = _numbers_of(asked, targets, np.asarray(labels))
        return asked.told(CLASSES, truth, found.reshape(len(found), -1), labels if names is None else names)
    meant = meaning(asked.model, asked.number)
    if meant.kind in ("class", "yes or no"):
        probabilities = np.array([meant.probabilities(row) for row in found])
        truth = _classes(asked, targets, probabilities.shape[1])
        return asked.told(
            CLASSES, truth, probabilities, range(probabilities.shape[1]) if names is None else names
        )
    answers = found.reshape(len(found), -1) * getattr(estimator, "target_scale_", 1.0)
    answers = answers + getattr(estimator, "target_mean_", 0.0)
    truth = _same_numbers(asked, targets, answers.shape)
    image, count = None, answers.shape[1]
    if found.ndim == 1 + IMAGE and meant.kind == "image":
        layout = asked.model.data_format
        pair = [to_channels_last(each.reshape(found.shape), layout) for each in (truth, answers)]
        image, (truth, answers) = pair[0].shape[1:], [each.reshape(len(each), -1) for each in pair]
        count = image[2]
    if names is None:
        name = asked.model._outs.names[asked.number] if len(asked.model._outs.names) > 1 else "output"
        one = count == 1 and name != "output"
        names = [name] if one else [f"{name} {n}" for n in range(count)]
    return asked.told(NUMBERS, truth, answers, names, image)


def _inside(estimator: Any, x: Any) -> tuple[Model, np.ndarray]:
    """Return the network of a fitted estimator, and samples in the form that it takes."""
    if hasattr(estimator, "input_shape_"):
        return estimator.model_, estimator._images(x)
    images = estimator._images("x_test", x)
    return estimator._model_for(images.dtype == np.uint8), images


def _numbers_of(asked: _Asked, targets: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the index of each target among an estimator's sorted labels."""
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        raise ValueError(f"{asked.said} must be labels, one a sample, got the shape {targets.shape}")
    places = np.minimum(np.searchsorted(labels, targets), len(labels) - 1)
    wrong = targets[labels[places] != targets]
    if len(wrong):
        raise ValueError(f"{asked.said} must hold labels of classes_, got {wrong[0]!r}")
    return places


def _classes(asked: _Asked, targets: np.ndarray, count: int) -> np.ndarray:
    """Return class numbers (n,) from class numbers (n,) or (n, 1), or from one-hot rows."""
    if targets.ndim == 2 and targets.shape[1] == count > 1:
        return np.asarray(targets, np.float64).argmax(axis=1)
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        raise ValueError(
            f"{asked.said} must be class numbers, (n,) or (n, 1), or one-hot rows (n, {count}), got the "
            f"shape {targets.shape}"
        )
    given = real_array(asked.where, asked.targets, targets, None)
    numbers = whole_numbers(asked.where, asked.targets, given)
    if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= count:
        raise ValueError(
            f"{asked.said} must hold class numbers from 0 to {count - 1}, got {numbers.dtype} from "
            f"{numbers.min()} to {numbers.max()}"
        )
    return numbers.astype(np.int64)


def _same_numbers(asked: _Asked, targets: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the targets as float64 of this shape."""
    truth = real_array(asked.where, asked.targets, targets, None).reshape(len(targets), -1).astype(np.float64)
    if truth.shape != shape:
        raise ValueError(
            f"{asked.said} must hold {shape[1]} numbers for each sample, as the model gives, got the "
            f"shape {targets.shape}"
        )
    return truth
