"""Preparation of X, sample_weight and random_state for an estimator's network."""

import math
import warnings
from collections.abc import Sequence
from numbers import Integral, Number, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.validation import _check_sample_weight

from cconv.arguments.arrays import as_array
from cconv.arguments.numbers import is_int
from cconv.models import Model

Shape = tuple[int, ...]
RandomState = int | np.random.RandomState | np.random.Generator

CHANNELS_FIRST = "channels_first"
# Layouts of X and input_shape, for messages.
NAMES = {"channels_last": ("(n, h, w, c)", "(h, w, c)"), CHANNELS_FIRST: ("(n, c, h, w)", "(c, h, w)")}
CHANNELS = 1, 3, 4  # of grey images, colour images, and colour images with transparency

LOOKED_AT = 4096  # maximum number of rows from which the mean square is estimated


class Samples(NamedTuple):
    """Images as rows in the order of X, targets in the loss' form, and weights or None."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None

    def take(self, rows: np.ndarray) -> "Samples":
        """Return these rows of the samples."""
        return Samples(self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows])


def readable(where: str, name: str, value: Any) -> Any:
    """Return value as an array, unless scikit-learn reads it better itself: lists, frames or sparse."""
    own = hasattr(value, "iloc") or hasattr(value, "columns") or hasattr(value, "tocsr")
    return value if value is None or own or isinstance(value, list | tuple) else as_array(where, name, value)


def image_rows(where: str, x: Any, data_format: str) -> tuple[Any, Shape | None]:
    """Return images (n, h, w) or (n, h, w, c) as rows (n, h·w·c), and (h, w, c).

    If data_format is channels_first, (n, c, h, w) is returned as rows (n, c·h·w), with (c, h, w). Anything
    else, such as rows and frames, is returned unchanged, with None, for scikit-learn's checks.
    """
    x = readable(where, "X", np.asarray(x) if isinstance(x, list | tuple) else x)
    ndim = len(getattr(x, "shape", ()))
    if ndim == 1 and getattr(x, "dtype", np.dtype(float)).kind in "US":
        raise ValueError(
            f"{where}: X must be images as arrays, got text such as {str(x[0])!r:.60}: "
            "cconv.utils.FolderImages(folder)[:] reads pictures"
        )
    if ndim < 3:
        return x, None
    x = np.asarray(x)
    if ndim > 4:
        raise ValueError(
            f"{where}: X must have shape {NAMES[data_format][0]}, (n, h, w) or (n, features), got {x.shape}"
        )
    shape = _with_channels(x.shape[1:], data_format)
    return x.reshape(len(x), math.prod(shape)), shape


def _with_channels(shape: Shape, data_format: str) -> Shape:
    """Return an image's shape with the axis of channels, which may be missing for a single channel."""
    if len(shape) == 3:
        return shape
    return (1, *shape) if data_format == CHANNELS_FIRST else (*shape, 1)


def format_of(data_format: str | None, layers: Any) -> str:
    """Return the layout of an estimator's images: the given one, by default that of its layers."""
    if data_format is not None:
        return data_format
    if isinstance(layers, Model):
        return layers.data_format
    named = layers if isinstance(layers, list | tuple) else ()
    first = any(getattr(layer, "data_format", None) == CHANNELS_FIRST for layer in named)
    return CHANNELS_FIRST if first else "channels_last"


def warn_of_channels_first(where: str, shape: Shape | None) -> None:
    """Warn about images (h, w, c) that seem to be (c, h, w)."""
    if shape is None or shape[0] not in CHANNELS or min(shape[1:]) <= shape[0] or shape[2] <= max(CHANNELS):
        return
    h, w, c = shape
    warnings.warn(
        f"{where}: X of shape (n, {h}, {w}, {c}) is read as images of {h}x{w} pixels and {c} channels; "
        "if its channels come first, pass data_format='channels_first', else data_format='channels_last'",
        UserWarning,
        stacklevel=6,  # the user's call of fit
    )


def given_shape(where: str, input_shape: Any, data_format: str) -> Shape | None:
    """Return the parameter input_shape as (h, w, c), or (c, h, w) if channels_first; None if it is None."""
    if input_shape is None:
        return None
    entries = tuple(input_shape)
    if len(entries) not in (2, 3) or not all(is_int(e) and e >= 1 for e in entries):
        expected = NAMES[data_format][1]
        raise ValueError(f"{where}: input_shape must be (h, w) or {expected}, got {input_shape!r}")
    return _with_channels(tuple(int(e) for e in entries), data_format)


def shape_of_model(layers: Any) -> Shape | None:
    """Return the image shape of a model in the parameter layers; None for other values."""
    built = isinstance(layers, Model) and layers.built
    shape = layers.input_shape if built else None
    return shape[1:] if isinstance(shape, tuple) and len(shape) == 4 else None


def image_shape(
    where: str, declared: Shape | None, found: Shape | None, n_features: int, data_format: str, n: int = 0
) -> Shape:
    """Return the shape of the n images whose rows have n_features, from the declared shape and that of X."""
    if declared is not None:
        if found not in (None, declared) or math.prod(declared) != n_features:
            got = f"images {found}" if found else f"{n_features} features"
            if found and declared == (n, *found[:-1]):
                got += "; X looks like one image: X[np.newaxis] is a batch of it"
            raise ValueError(f"{where}: X must hold images of input_shape {declared}, got {got}")
        return declared
    return found or _with_channels((1, n_features), data_format)


def sample_weights(where: str, sample_weight: Any, x: np.ndarray) -> np.ndarray | None:
    """Return the weights as float64 (n,), or None; ValueError if one is negative, or all are zero."""
    if sample_weight is None:
        return None
    given = (
        sample_weight
        if isinstance(sample_weight, Number)
        else readable(where, "sample_weight", sample_weight)
    )
    weight = _check_sample_weight(given, x, dtype=np.float64)
    if weight.min() < 0:
        raise ValueError("Negative values in data passed to `sample_weight`")
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number, got zeros")
    return weight


def class_weights(class_weight: Any, classes: np.ndarray, samples: Samples) -> np.ndarray | None:
    """Return the samples' weights times those of their classes.

    ``"balanced"`` is scikit-learn's ``n / (classes · count of the class)``, with the samples' weights as
    counts. Classes that a dict does not name have weight 1.
    """
    if class_weight is None:
        return samples.weight
    own = np.ones(len(samples.y)) if samples.weight is None else samples.weight
    if isinstance(class_weight, dict):
        if not all(isinstance(weight, Real) for weight in class_weight.values()):
            raise ValueError(f"class_weight must hold finite weights of at least 0, got {class_weight!r}")
        by_class = compute_class_weight(class_weight, classes=classes, y=classes[samples.y])
        if not (np.isfinite(by_class).all() and by_class.min() >= 0):
            raise ValueError(f"class_weight must hold finite weights of at least 0, got {class_weight!r}")
    else:
        counts = np.bincount(samples.y, own, minlength=len(classes))
        by_class = own.sum() / (len(classes) * np.maximum(counts, np.finfo(float).tiny))
    return own * by_class[samples.y]


def without_zeros(samples: Samples) -> Samples:
    """Return the samples with a weight above zero."""
    if samples.weight is None or samples.weight.all():
        return samples
    return samples.take(np.flatnonzero(samples.weight))


def merged(samples: Samples, dtype: Any) -> Samples:
    """Return the samples sorted, with equal ones merged and their weights added.

    So training with full batches gives the same bits for a sample of weight 2 as for a sample that occurs
    twice, and for any order of the samples.
    """
    x = np.ascontiguousarray(samples.x, samples.x.dtype if samples.x.dtype == np.uint8 else dtype)
    y = np.ascontiguousarray(samples.y)
    weight = np.ones(len(x)) if samples.weight is None else samples.weight
    keys = [row.tobytes() + target.tobytes() for row, target in zip(x, y, strict=True)]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    first = [place for place, row in enumerate(order) if place == 0 or keys[row] != keys[order[place - 1]]]
    rows = np.array(order)
    return Samples(x, y, None).take(rows[first])._replace(weight=np.add.reduceat(weight[rows], first))


def exponents(values: np.ndarray) -> np.ndarray:
    """Return for each column the smallest exponent of two above all absolute values.

    ``np.ldexp(values, -exponents(values))`` has no entry above 1: sums and squares of it neither overflow nor
    vanish, and are bit for bit those of `values`, scaled.

    Examples
    --------
    >>> exponents(np.array([[3.0, 0.0], [-8.0, 0.25]])).tolist()
    [4, -1]
    """
    return np.frexp(np.abs(values).max(axis=0))[1]


def check_range(where: str, x: np.ndarray, dtype: np.dtype) -> None:
    """Raise ValueError if a number exceeds the range of the network's dtype."""
    if x.dtype != np.float64 or dtype == np.float64:
        return
    most, largest = float(np.finfo(dtype).max), max(float(x.max()), -float(x.min()))
    if largest > most:
        raise ValueError(
            f"{where}: X must be within ±{most:.3g} for dtype {str(dtype)!r}, "
            f"got a size of {largest:.3g}: scale it, or pass dtype='float64'"
        )


def with_mean_one(weight: np.ndarray | None) -> np.ndarray | None:
    """Return the weights divided by their mean: the loss is then Σ w·loss / Σ w."""
    if weight is None:
        return None
    weight = np.ldexp(weight, -exponents(weight))
    return weight / weight.mean()


def root_mean_square(x: np.ndarray) -> float:
    """Return the root of the mean of the squares of at most `LOOKED_AT` rows, evenly spread."""
    rows = x[:: -(-len(x) // LOOKED_AT)]
    top = int(max(exponents(row) for row in rows)) if x.dtype == np.float64 else 0
    total = math.fsum(float(np.square(np.ldexp(row, -top), dtype=np.float64).mean()) for row in rows)
    return math.ldexp(math.sqrt(total / len(rows)), top)


def draw_seed(random_state: Any) -> int:
    """Return a seed from scikit-learn's random_state, or from a NumPy generator."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        random_state = int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def seen(x: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return rows as images (n, *shape)."""
    return x.reshape(len(x), *shape)
