"""Pictures of a model's training and predictions."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, metrics
from cconv.arguments.numbers import positive_int
from cconv.arguments.text import names_of
from cconv.callbacks import History
from cconv.callbacks.recording import epochs_of
from cconv.plotting._pictures import (
    BLUE,
    GREY,
    ORANGE,
    UNSIGNED,
    WRONG,
    as_picture,
    cells,
    drawn,
    matplotlib_parts,
    show,
    signs,
)

VALIDATION = "val_"  # in front of the figures of validation data
SETTINGS = ("learning_rate", "lr")  # what a history also has, and nobody measured
UNBROKEN = "\N{NO-BREAK SPACE}"
CAPTION = 16  # characters of a line below a picture
MOST_CELLS = 40  # of a row of a table that has its numbers written
DECADES = 100  # times the smallest, from which on the largest hides it on a linear axis


@drawn
def history(h: History | Mapping[str, Sequence[float]] | Any) -> Any:
    """Show how loss and metrics went, epoch by epoch, training beside validation; learning rates alone.

    Figures that span more than two powers of ten have a logarithmic axis.

    Parameters
    ----------
    h : History, mapping of str to list of float, or fitted estimator
        What `Sequential.fit` returned, or its attribute ``history``; or a fitted estimator with ``history_``,
        such as `cconv.CNNClassifier`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If it is not a history, or has no epoch.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> figure = history({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5], "accuracy": [0.3, 0.6]})
    >>> [axes.get_title() for axes in figure.axes]
    ['loss', 'accuracy']
    """
    where = "history"
    figures = h.history if isinstance(h, History) else getattr(h, "history_", h)
    if not isinstance(figures, Mapping):
        raise TypeError(
            f"{where}: h must be a History or a mapping of lists, or an estimator with a history_, "
            f"got {h!r:.80}"
        )
    figures = {name: _numbers(where, name, values) for name, values in figures.items()}
    figures = {name: values for name, values in figures.items() if len(values)}
    if not figures:
        raise ValueError(f"{where}: h must hold at least one epoch")
    names = list(dict.fromkeys(name.removeprefix(VALIDATION) for name in figures))
    parts = matplotlib_parts(where)
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    figure = parts.new(max(4.2 * columns, 4.6), 3.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    epochs = epochs_of(h if isinstance(h, History) else figures)
    for axes, name in zip(grid.flat, names, strict=False):
        _draw_figures(parts, axes, name, figures, epochs)
    for axes in grid.flat[len(names) :]:
        axes.axis("off")
    return figure


def _numbers(where: str, name: Any, values: Any) -> np.ndarray:
    """Return the values of one figure as floats, one an epoch; None is NaN."""
    if not isinstance(name, str):
        raise TypeError(f"{where}: h must have names of figures, got {name!r:.80}")
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(())
    if numbers.ndim != 1:
        raise TypeError(
            f"{where}: h must hold a list of numbers in {name!r}, one an epoch, got {values!r:.80}"
        )
    return numbers


def _draw_figures(
    parts: Any,
    axes: Any,
    name: str,
    figures: Mapping[str, Sequence[float]],
    epochs: Mapping[str, Sequence[int]],
) -> None:
    """Draw what one figure was in training and validation, or what a setting was."""
    lines = [("training", name, BLUE, "o-"), ("validation", VALIDATION + name, ORANGE, "s--")]
    if name in SETTINGS:
        lines = [("", name, GREY, "o-")]
    lines = [line for line in lines if line[1] in figures]
    n = max(epochs[key][-1] for _, key, _, _ in lines)
    for label, key, colour, style in lines:
        few = len(figures[key]) <= 30
        axes.plot(epochs[key], figures[key], style, color=colour, label=label, markersize=4 if few else 0)
    values = np.concatenate([np.asarray(figures[key], np.float64) for _, key, _, _ in lines])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > DECADES * values.min():
        axes.set_yscale("log")
    axes.set_title(name.replace("_", " ") if name in SETTINGS else name)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(parts.MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(0.5, n + 0.5)
    axes.grid(visible=True)
    if name not in SETTINGS:
        axes.legend()


@drawn
def predictions(
    x: ArrayLike,
    y: ArrayLike | None,
    p: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    count: int = 10,
    columns: int = 5,
) -> Any:
    r"""Show images with what a model takes them for, and how sure it is; below its mistakes stands the truth.

    Parameters
    ----------
    x : array of shape (n, h, w), (n, h, w, 1) or (n, h, w, 3)
        The images.
    y : array of shape (n,), (n, 1) or (n, classes), optional
        The truth: class numbers, or one-hot.
    p : array of shape (n, classes), (n, 1) or (n,)
        What `Sequential.predict` returned, or class numbers; one column is the probability of class 1.
    classes : sequence of str, optional
        Names of the classes; by default their numbers.
    count : int
        Maximum number of images; the first ones are drawn.
    columns : int
        Images in a row.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        For arrays that do not fit each other.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> x, y = np.zeros((3, 8, 8)), [0, 1, 1]
    >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> [axes.get_xlabel() for axes in predictions(x, y, p, classes=["cat", "dog"]).axes]
    ['cat (90 %)', 'dog (80 %)', 'cat (70 %)\ntruth: dog']
    """
    where = "predictions"
    images = arguments.real_array(where, "x", x, None)
    given = arguments.real_array(where, "p", p, None)
    if images.ndim not in (3, 4) or not len(images):
        raise ValueError(f"{where}: x must have the shape (n, h, w) or (n, h, w, c), got {images.shape}")
    if given.ndim not in (1, 2) or len(given) != len(images):
        raise ValueError(
            f"{where}: p must have {len(images)} rows, one an image, got the shape {given.shape}"
        )
    if given.ndim == 2 and given.shape[1] == 1:  # of one sigmoid: the probability of class 1
        given = np.concatenate([1 - given, given], axis=1)
    best = given.argmax(axis=1) if given.ndim == 2 else _whole(where, "p", given, " or (n, 1) probabilities")
    shares = given.ndim == 2 and bool(((given >= 0) & (given <= 1)).all())
    true = None if y is None else _class_numbers(where, y, len(images))
    names = None if classes is None else names_of(where, "classes", classes)
    parts = matplotlib_parts(where)
    shown = min(positive_int(where, "count", count), len(images))
    columns = min(positive_int(where, "columns", columns), shown)
    rows = math.ceil(shown / columns)
    figure = parts.new(1.75 * columns, 2.15 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        if number >= shown:
            axes.axis("off")
            continue
        picture = as_picture(where, "x", images[number])
        show(parts, axes, picture)
        label = _name(where, best[number], names)
        if given.ndim == 2:
            score = given[number, best[number]]
            label += f" ({percent(score) if shares else signs(f'{score:.3g}')})"
        truth = best[number] if true is None else true[number]
        right = truth == best[number]
        _caption(axes, label, None if right else f"truth: {_name(where, truth, names)}")
    return figure


def _caption(axes: Any, label: str, truth: str | None) -> None:
    """Write below a picture what it is taken for, and what it is if that is something else."""
    given = [line.replace(" %", f"{UNBROKEN}%") for line in (label, truth) if line is not None]
    lines = [textwrap.fill(line, CAPTION).replace(UNBROKEN, " ") for line in given]
    axes.set_xlabel("\n".join(lines))
    if truth is not None:
        axes.xaxis.label.set_color(WRONG)
        for spine in axes.spines.values():
            spine.set(color=WRONG, linewidth=2.5)


def percent(share: float) -> str:
    """Return a share in per cent, of which nearly all is not written as all."""
    return "> 99 %" if share >= 0.995 else f"{100 * share:.0f} %"


def _class_numbers(where: str, y: ArrayLike, n: int) -> np.ndarray:
    labels = arguments.real_array(where, "y", y, None)
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not ((labels == 0) | (labels == 1)).all() or (labels.sum(axis=1) != 1).any():
            raise ValueError(
                f"{where}: y must be class numbers or one-hot rows, got rows of other numbers: the truth y "
                "stands in front of the predictions p"
            )
        labels = labels.argmax(axis=1)
    elif labels.ndim == 2:
        labels = labels[:, 0]
    if labels.shape != (n,):
        raise ValueError(f"{where}: y must have {n} rows, one an image, got the shape {labels.shape}")
    return _whole(where, "y", labels)


def _whole(where: str, name: str, numbers: np.ndarray, other: str = "") -> np.ndarray:
    """Return class numbers as int64; ValueError for what is none."""
    wrong = ~(np.isfinite(numbers) & (numbers == np.floor(numbers)) & (numbers >= 0))
    if wrong.any():
        got = numbers[wrong][0]
        raise ValueError(f"{where}: {name} must be class numbers{other}, whole and at least 0, got {got}")
    return numbers.astype(np.int64)


def _name(where: str, number: Any, classes: Sequence[str] | None) -> str:
    if classes is None:
        return str(int(number))
    if not 0 <= number < len(classes):
        raise ValueError(f"{where}: classes must name class {int(number)} too, got {len(classes)} names")
    return str(classes[int(number)])


@drawn
def confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
) -> Any:
    """Show how often each class was predicted as each class.

    A row is a true class. Numbers are counts; the darker a square, the larger its share of the row.
    Colours begin steeply, so that a mistake of one per cent is seen. More than 40 classes have colours alone,
    and not each of them its name.

    Parameters
    ----------
    y_true, y_pred
        As in `cconv.metrics.confusion_matrix`.
    classes : sequence of str, optional
        Names of the classes; by default their numbers.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        For classes that do not fit the data.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> figure = confusion_matrix([0, 1, 1], [0, 1, 0], classes=["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '1', '1']
    """
    where = "confusion_matrix"
    given = None if classes is None else names_of(where, "classes", classes)
    counts = metrics.confusion_matrix(y_true, y_pred, None if given is None else len(given))
    parts = matplotlib_parts(where)
    n = len(counts)
    names = [str(number) for number in range(n)] if given is None else given
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    longest = max(map(len, names))
    many = n > MOST_CELLS
    size = (9 if many else max(0.46 * n, 1.6)) + 0.08 * longest
    figure = parts.new(size + 0.9, size + 0.6)
    axes = figure.subplots()
    image = axes.imshow(share, cmap=UNSIGNED, norm=parts.PowerNorm(0.5, 0, 1))
    for (i, j), value in np.ndenumerate(counts):
        if value and not many:
            colour = parts.ink_on(image.cmap(image.norm(share[i, j])))
            axes.text(j, i, f"{value}", ha="center", va="center", fontsize=8, color=colour)
    turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if longest > 2 else {}
    shown = range(0, n, math.ceil(n / MOST_CELLS))
    axes.set_xticks(shown, names[:: shown.step], **turn)
    axes.set_yticks(shown, names[:: shown.step])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY)
    if not many:
        cells(axes, counts.shape)
    axes.set_title(f"{np.trace(counts):,} of {counts.sum():,} right")
    return figure
