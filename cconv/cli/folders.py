"""Pictures to train on: a folder with one folder for each class."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cconv.files.pictures import ENDINGS, look, read_picture

Split = tuple[np.ndarray, np.ndarray]

LARGEST_OWN = 128  # pixels; pictures of one common size up to this are not resized
USUAL = 32  # pixels to which other pictures are resized, as in LeNet-5's paper
HELD = 10  # every tenth picture of a class is for the test


def read_folder(folder: Path, size: int | None = None) -> tuple[Split, Split, list[str]]:
    """Return the training pictures, the test pictures, and the names of the classes.

    Parameters
    ----------
    folder : path
        Has a folder for each class; names that begin with a dot are ignored.
    size : int, optional
        Height and width to which the pictures are resized; by default the pictures' own size if all have
        the same and it is at most LARGEST_OWN (128), else USUAL (32).

    Returns
    -------
    (x_train, y_train), (x_test, y_test), classes
        uint8 (n, h, w, c), with one channel if all are grey, else three; class numbers in the order of the
        names. Every tenth picture of a class, and at least one, is for the test.

    Raises
    ------
    OSError, ValueError, ImportError
        If there are fewer than two classes, if a class has fewer than two pictures, or if one cannot be read.
    """
    found = _pictures(folder)
    looked = [look(path) for paths in found.values() for path in paths]
    sizes = {shape for shape, _ in looked}
    first = next(iter(sizes))
    own = len(sizes) == 1 and max(first) <= LARGEST_OWN
    wanted = (size, size) if size is not None else first if own else (USUAL, USUAL)
    channels = 3 if any(colours for _, colours in looked) else 1
    train = [path for paths in found.values() for number, path in enumerate(paths) if number % HELD != 1]
    test = [path for paths in found.values() for number, path in enumerate(paths) if number % HELD == 1]
    kind = "grey" if channels == 1 else "colours"
    print(
        f"{folder}: {len(train):,} pictures of {len(found)} classes, and {len(test):,} kept for the test, "
        f"as {wanted[0]}x{wanted[1]} pixels, {kind}"
    )
    numbers = {name: number for number, name in enumerate(found)}
    return _read(train, wanted, channels, numbers), _read(test, wanted, channels, numbers), list(found)


def _pictures(folder: Path) -> dict[str, list[Path]]:
    """Return the paths of the pictures by class; classes and paths are sorted by name."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.startswith(".") or not (folder / name).is_dir():
            continue
        inside = sorted(os.listdir(folder / name))
        found[name] = [
            folder / name / file
            for file in inside
            if not file.startswith(".") and Path(file).suffix.lower() in ENDINGS
        ]
        if len(found[name]) < 2:
            raise ValueError(
                f"{folder / name}: a class must have at least 2 pictures ({', '.join(ENDINGS)}), "
                f"got {len(found[name])}"
            )
    if len(found) < 2:
        raise ValueError(
            f"{folder}: expected a folder for each of at least 2 classes, such as {folder / 'cats'} and "
            f"{folder / 'dogs'} with pictures in them, got {len(found)}"
        )
    return found


def _read(paths: Sequence[Path], size: tuple[int, int], channels: int, numbers: dict[str, int]) -> Split:
    x = np.empty((len(paths), *size, channels), np.uint8)
    for place, path in enumerate(paths):
        x[place] = read_picture(path, channels, size)
    return x, np.array([numbers[path.parent.name] for path in paths], np.int64)
