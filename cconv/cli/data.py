"""The images and labels for ``cconv train``: a data set by name, a file, or a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cconv.cli.folders import read_folder
from cconv.datasets import mnist, mnist_small
from cconv.files.numpyfiles import read_npz
from cconv.files.reading import short

Split = tuple[np.ndarray, np.ndarray]

MOST_CLASSES = 100_000  # the limit, so that a wrong label does not make a huge network


class Data(NamedTuple):
    """Images (n, h, w, c) with class numbers (n,), and the classes' names if known."""

    train: Split
    test: Split
    classes: list[str] | None = None


def load(data: str, size: int | None = None) -> Data:
    """Return the images of a data set by name, of a file, or of a folder; `size` is for a folder's pictures.

    Raises
    ------
    OSError, ValueError
        If they cannot be read, or have invalid shapes, dtypes or labels.
    """
    classes = None
    if size is not None and not (data and Path(data).is_dir()):
        raise ValueError(f"--size is for the pictures of a folder, got --data {data}")
    if data == "mnist":
        train, test = mnist.load_data()
    elif data == "mnist-small":
        train, test = mnist_small.load_data()
    elif data.lower().endswith(".npz"):
        train, test = _load_npz(Path(data))
    elif data and Path(data).is_dir():
        train, test, classes = read_folder(Path(data), size)
    else:
        raise ValueError(
            f"--data must be mnist, mnist-small, a .npz file or a folder that exists, got {data!r}"
        )
    x_train, y_train = _with_channels(data, "train", *train)
    x_test, y_test = _with_channels(data, "test", *test)
    for what, ours, theirs in (
        ("images", x_train.shape[1:], x_test.shape[1:]),
        ("dtype", x_train.dtype, x_test.dtype),
    ):
        if ours != theirs:
            raise ValueError(f"{data}: x_test must have the {what} of x_train, {ours}, got {theirs}")
    return Data((x_train, y_train), (x_test, y_test), classes)


def _load_npz(path: Path) -> tuple[Split, Split]:
    """Read a file's arrays; without x_test and y_test, the last tenth is the test set."""
    found, names = read_npz(path, ("x_train", "y_train", "x_test", "y_test"))
    for name in ("x_train", "y_train"):
        if name not in found:
            raise ValueError(f"{path}: expected an array {name}, got {_list(names)}")
    train = found["x_train"], found["y_train"]
    _check_lengths(str(path), "train", *train)  # before a tenth of each is split off
    if "x_test" in found and "y_test" in found:
        return train, (found["x_test"], found["y_test"])
    if "x_test" in found or "y_test" in found:
        raise ValueError(f"{path}: expected x_test and y_test together, got {_list(names)}")
    kept = len(train[0]) // 10 if train[0].ndim else 0
    if not kept:
        raise ValueError(f"{path}: without x_test, expected at least 10 images in x_train")
    print(f"{path} has no x_test: its last {kept:,} images are kept for the test")
    return (train[0][:-kept], train[1][:-kept]), (train[0][-kept:], train[1][-kept:])


def _list(names: Sequence[str]) -> str:
    """Return names found in a file, joined and shortened."""
    return short(", ".join(names) or "none")


def _check_lengths(where: str, split: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim in (3, 4) and y.ndim and len(x) != len(y):
        raise ValueError(
            f"{where}: y_{split} must be one class number for each of the {len(x)} images of x_{split}, "
            f"got {len(y)}"
        )


def _with_channels(where: str, split: str, x: np.ndarray, y: np.ndarray) -> Split:
    """Check the images and labels of a split and return them, as (n, h, w, c) and (n,) of integers."""
    if x.ndim not in (3, 4) or not x.size:
        raise ValueError(f"{where}: x_{split} must have the shape (n, h, w) or (n, h, w, c), got {x.shape}")
    _check_lengths(where, split, x, y)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError(f"{where}: x_{split} must hold finite numbers, got {x[~np.isfinite(x)][0]}")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (len(x),):
        one_hot = f"; of one-hot rows y_{split}.argmax(axis=1) makes them" if y.ndim == 2 else ""
        raise ValueError(
            f"{where}: y_{split} must be {len(x)} class numbers, got the shape {y.shape}{one_hot}"
        )
    y = _class_numbers(f"{where}: y_{split}", y)
    return (x[..., np.newaxis] if x.ndim == 3 else x), y


def _class_numbers(what: str, y: np.ndarray) -> np.ndarray:
    """Return labels as integers from 0; floats with integer values are accepted."""
    if y.dtype.kind == "f":
        # NaN and infinity are not integers; too large numbers are refused below.
        parted = np.flatnonzero(~(np.isfinite(y) & (np.floor(y) == y)))
        if len(parted):
            raise ValueError(f"{what} must hold class numbers 0, 1, 2, ..., got {y[parted[0]]}")
        y = np.clip(y, -1, MOST_CLASSES).astype(np.int64)
    if y.min() < 0:
        raise ValueError(f"{what} must hold class numbers from 0, got {y.min()}")
    if y.max() >= MOST_CLASSES:
        raise ValueError(f"{what} must hold class numbers below {MOST_CLASSES}, got {y.max()}")
    return y
