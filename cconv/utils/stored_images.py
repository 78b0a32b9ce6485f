"""Encoded images as rows that are decoded when they are wanted: what folders, tar and Parquet files share."""

import itertools
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cconv import arguments
from cconv.files.pictures import decode_picture

if TYPE_CHECKING:
    from concurrent.futures import Future

CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
GROUP = 8  # images that a thread decodes before it hands them over


class StoredImages:
    """Rows of images, decoded by threads when they are asked for.

    Parameters
    ----------
    labels : ndarray of int64, or None
        One for each image.
    chunks : tuple of int, or None
        How many images lie together, one after the other.
    n : int
        How many images there are.
    color_mode, image_size, data_format, workers
        As the classes that users make have them.

    Attributes
    ----------
    shape : tuple of int
        ``(n, h, w, c)``, or ``(n, c, h, w)``.
    dtype : numpy.dtype
        uint8.
    labels : ndarray of int64, shape (n,), or None
    """

    dtype = np.dtype(np.uint8)
    takes_rows = True

    def __init__(
        self,
        n: int,
        labels: np.ndarray | None,
        chunks: tuple[int, ...] | None,
        color_mode: str,
        image_size: tuple[int, int] | None,
        data_format: str | None,
        workers: int | None,
    ) -> None:
        where = type(self).__name__
        self._channels = CHANNELS[arguments.one_of(where, "color_mode", color_mode, tuple(CHANNELS))]
        self._size = None if image_size is None else arguments.pair(where, "image_size", image_size)
        layout = "channels_last" if data_format is None else arguments.data_format(where, data_format)
        self._first = layout == "channels_first"
        workers = min(os.cpu_count() or 1, 8) if workers is None else workers
        self.workers: int = arguments.positive_int(where, "workers", workers)
        self.labels = labels
        (data,) = self._encoded(np.zeros(1, np.intp))
        h, w, c = decode_picture(data, self._named(0), self._channels, self._size).shape
        self._expected: tuple[int, ...] = h, w, c
        self.shape: tuple[int, ...] = (n, c, h, w) if self._first else (n, h, w, c)
        self.chunks = None if chunks is None else (chunks, *((size,) for size in self.shape[1:]))

    @abstractmethod
    def _encoded(self, rows: np.ndarray) -> Iterator[bytes]:
        """Yield the files of these images, whose numbers are rising."""

    @abstractmethod
    def _named(self, row: int) -> str:
        """Return what errors call an image."""

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self)} images, shape {self.shape[1:]}"

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return an image, a slice of them, or those that have these numbers, decoded now."""
        if arguments.is_int(rows):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"there are {len(self)} images, got {rows}")
            return self._decoded(np.array([rows % len(self)]))[0]
        numbers = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise TypeError(f"rows must be an int, a slice or an array of ints, got {rows!r}")
        if numbers.size and not (numbers.min() >= -len(self) and numbers.max() < len(self)):
            raise IndexError(f"there are {len(self)} images, got {numbers.min()} to {numbers.max()}")
        found, at = np.unique(numbers.astype(np.intp) % len(self), return_inverse=True)
        images = self._decoded(found)
        return images if len(found) == len(at) and np.all(at[:-1] < at[1:]) else images[at]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if copy is False:
            raise ValueError("images that are decoded cannot be had without a copy")
        images = self[:]
        return images if dtype is None else images.astype(dtype, copy=False)

    def _decoded(self, rows: np.ndarray) -> np.ndarray:
        """Return these images."""
        out = np.empty((len(rows), *self.shape[1:]), np.uint8)
        places = np.moveaxis(out, 1, 3) if self._first else out
        work = enumerate(zip(rows.tolist(), self._encoded(rows) if len(rows) else (), strict=True))
        if self.workers == 1 or len(rows) <= GROUP:
            self._decode(work, places)
            return out
        from concurrent.futures import ThreadPoolExecutor  # slow to import, and seldom needed

        # Threads of their own for each call: nothing is left behind, or shared with a process that is forked.
        failure: Exception | None = None
        with ThreadPoolExecutor(self.workers, "cconv images") as pool:
            begun: list[Future[None]] = []
            try:
                while group := list(itertools.islice(work, GROUP)):
                    begun.append(pool.submit(self._decode, group, places))
            except Exception as error:
                failure = error  # of a later image than those that were begun
            for future in begun:
                future.result()
        if failure is not None:
            raise failure
        return out

    def _decode(self, work: Iterable[tuple[int, tuple[int, bytes]]], places: np.ndarray) -> None:
        """Decode images, each to its place."""
        for place, (row, data) in work:
            pixels = decode_picture(data, self._named(row), self._channels, self._size)
            if pixels.shape != self._expected:
                (h, w), (height, width) = pixels.shape[:2], self._expected[:2]
                raise ValueError(
                    f"{self._named(row)}: it has {h}x{w} pixels, the first image {height}x{width}: give "
                    "image_size"
                )
            places[place] = pixels


def paths_of(where: str, name: str, given: Any) -> list[str]:
    """Return one path, or several of a list or an iterator, as a list of str.

    Raises
    ------
    TypeError, ValueError
        For what is no path, no list of them, an empty list, or one that names a file twice.
    """
    many = [given] if isinstance(given, str | os.PathLike) else given
    if isinstance(many, bytes | dict) or not hasattr(many, "__iter__"):
        raise TypeError(f"{where}: {name} must be a path or a list of paths, got {given!r}")
    paths = []
    for path in many:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"{where}: {name} must be a path or a list of paths, got {path!r} among them")
        paths.append(os.fsdecode(path))
    if not paths:
        raise ValueError(f"{where}: {name} must have at least one path, got none")
    twice = next((path for number, path in enumerate(paths) if path in paths[:number]), None)
    if len(set(paths)) < len(paths):
        raise ValueError(f"{where}: {name} must name each file once, got {twice!r} twice")
    return paths
