"""Encoded images in tar, Parquet and folders as rows, which are decoded when they are wanted."""

import itertools
import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cconv import arguments
from cconv.arguments.paths import as_path
from cconv.files import parquet
from cconv.files.pictures import ENDINGS, decode_picture
from cconv.files.reading import open_regular
from cconv.files.tars import Place, read_places, samples

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["FolderImages", "ParquetImages", "TarImages"]

CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
GROUP = 8  # images that a thread decodes before it hands them over
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class StoredImages:
    """Rows of `n` images, decoded by threads when they are asked for; ``chunks`` of them lie together."""

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


class TarImages(StoredImages):
    """Images in tar files (shards), as rows that `fit`, `evaluate` and `predict` take; needs Pillow.

    A sample is the files of one key, side by side: ``key.jpg`` (or jpeg, png, bmp, webp) and ``key.cls``, or
    ``key.json``. Shards are looked through once, their headers and labels alone; they must not be packed.
    Where `fit` shuffles by blocks, it reads shards as they lie, one after the other, in an order by its seed.

    Parameters
    ----------
    files : path or list of paths
        The shards, in this order.
    label : str, optional
        "cls": a whole number in a file of its own; "json." and a name: an entry of ``key.json``; None: none.
    image : str, optional
        What the names of images end with, where a key has several: "seg.png".
    image_size : (height, width), optional
        To which all are brought, bilinearly; by default all must be as large as the first.
    color_mode : {"rgb", "grayscale", "rgba"}
    data_format : {"channels_last", "channels_first"}, optional
        By default channels last.
    workers : int, optional
        Threads that decode; by default as many as there are processors, at most 8.

    Attributes
    ----------
    shape, dtype
        ``(n, h, w, c)`` and uint8.
    labels : ndarray of int64, shape (n,), or None
    keys : list of str

    Raises
    ------
    ImportError
        Without Pillow.
    OSError, ValueError
        For shards that are cut off, damaged, packed or empty; for keys that lie apart, have no label or not
        one image: with the shard and the key. Later for an image that is damaged.

    Examples
    --------
    >>> import io
    >>> import tarfile
    >>> import tempfile
    >>> from cconv.utils import save_img
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with tarfile.open(f"{folder}/000.tar", "w") as tar:
    ...         for number in range(3):
    ...             png = io.BytesIO()
    ...             save_img(png, np.full((4, 4, 3), number), file_format="png", scale=False)
    ...             for name, data in (("png", png.getvalue()), ("cls", b"%d" % (number % 2))):
    ...                 member = tarfile.TarInfo(f"{number}.{name}")
    ...                 member.size = len(data)
    ...                 tar.addfile(member, io.BytesIO(data))
    ...     images = TarImages(f"{folder}/000.tar")
    ...     print(images.shape, images.labels, images[2, ][0, 0, 0])
    (3, 4, 4, 3) [0 1 0] [2 2 2]
    """

    def __init__(
        self,
        files: Paths,
        label: str | None = "cls",
        image: str | None = None,
        image_size: tuple[int, int] | None = None,
        color_mode: str = "rgb",
        data_format: str | None = None,
        workers: int | None = None,
    ) -> None:
        paths = paths_of("TarImages", "files", files)
        if label not in (None, "cls") and not (isinstance(label, str) and re.match(r"json\..", label)):
            raise ValueError(f"TarImages: label must be 'cls', 'json.' and a name, or None, got {label!r}")
        if image is not None and not isinstance(image, str):
            raise TypeError(f"TarImages: image must be a str or None, got {image!r}")
        ending = None if image is None else image.lower().removeprefix(".")
        found = [list(samples(path, ending, label)) for path in paths]
        self.file_paths: list[str] = paths
        self.keys: list[str] = [sample.key for shard in found for sample in shard]
        self._places = np.array([sample.image for shard in found for sample in shard], np.int64)
        sizes = tuple(len(shard) for shard in found)
        self._ends = np.cumsum(sizes)
        labels = None
        if label is not None:
            labels = np.array([sample.label for shard in found for sample in shard], np.int64)
        super().__init__(len(self.keys), labels, sizes, color_mode, image_size, data_format, workers)

    def _shard(self, row: int) -> int:
        return int(np.searchsorted(self._ends, row, "right"))

    def _named(self, row: int) -> str:
        return f"{self.file_paths[self._shard(row)]}: key {self.keys[row]!r}"

    def _encoded(self, rows: np.ndarray) -> Iterator[bytes]:
        shards = np.searchsorted(self._ends, rows, "right")
        for shard in np.unique(shards).tolist():
            places = self._places[rows[shards == shard]].tolist()
            yield from read_places(self.file_paths[shard], [Place(*place) for place in places])


class ParquetImages(StoredImages):
    """Encoded images in Parquet files, as rows that `fit`, `evaluate` and `predict` take.

    Needs pyarrow and Pillow (``pip install 'cconv[data,parquet]'``). Images are files (PNG, JPEG, BMP, WebP)
    in a column of binaries, or of structs with a field ``bytes``, as Hugging Face writes them. They are read
    by row groups, and the last one is kept; where `fit` shuffles by blocks, it takes whole row groups.

    Parameters
    ----------
    files : path or list of paths
        In this order.
    image : str
        The column of images.
    label : str, optional
        The column of whole numbers; None: there is none.
    image_size, color_mode, data_format, workers
        As for `TarImages`.

    Attributes
    ----------
    shape, dtype
        ``(n, h, w, c)`` and uint8.
    labels : ndarray of int64, shape (n,), or None

    Raises
    ------
    ImportError
        Without pyarrow or Pillow.
    OSError, ValueError
        For files that are damaged or empty, or have no such columns; for a row without label: with the file
        and the row. Later for a row whose image is damaged or missing.

    Examples
    --------
    >>> import pytest
    >>> pyarrow = pytest.importorskip("pyarrow.parquet")
    >>> import io
    >>> import tempfile
    >>> from pyarrow import table
    >>> from cconv.utils import save_img
    >>> files = [io.BytesIO() for _ in range(3)]
    >>> for number, file in enumerate(files):
    ...     save_img(file, np.full((4, 4, 3), number), file_format="png", scale=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = {"image": [file.getvalue() for file in files], "label": [0, 1, 0]}
    ...     pyarrow.write_table(table(rows), f"{folder}/0.parquet")
    ...     images = ParquetImages(f"{folder}/0.parquet")
    ...     print(images.shape, images.labels, images[2][0, 0])
    (3, 4, 4, 3) [0 1 0] [2 2 2]
    """

    def __init__(
        self,
        files: Paths,
        image: str = "image",
        label: str | None = "label",
        image_size: tuple[int, int] | None = None,
        color_mode: str = "rgb",
        data_format: str | None = None,
        workers: int | None = None,
    ) -> None:
        for name, value in (("image", image), ("label", label)):
            if not isinstance(value, str) and (name == "image" or value is not None):
                raise TypeError(f"ParquetImages: {name} must be the name of a column, got {value!r}")
        self.file_paths: list[str] = paths_of("ParquetImages", "files", files)
        self._tables = [parquet.look(path, image, label) for path in self.file_paths]
        # Each row group: its file, and its number there.
        self._groups = [(t, g) for t, table in enumerate(self._tables) for g in range(len(table.groups))]
        sizes = tuple(size for table in self._tables for size in table.groups)
        self._starts = np.cumsum((0, *sizes[:-1]))
        self._files = np.cumsum([0, *(sum(table.groups) for table in self._tables)])
        self._kept: tuple[int, Any] | None = None
        labels = None
        if label is not None:
            labels = np.concatenate([table.labels for table in self._tables if table.labels is not None])
        super().__init__(sum(sizes), labels, sizes, color_mode, image_size, data_format, workers)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": None}

    def _named(self, row: int) -> str:
        file = int(np.searchsorted(self._files, row, "right")) - 1
        return f"{self.file_paths[file]}: row {row - self._files[file]}"

    def _group(self, number: int) -> Any:
        """Return a row group, that of the last call if it is the same."""
        kept = self._kept  # another thread may put another one there
        if kept is None or kept[0] != number:
            table, group = self._groups[number]
            self._kept = None  # which need not be in memory any more
            kept = self._kept = number, parquet.read_group(self._tables[table], group)
        return kept[1]

    def _encoded(self, rows: np.ndarray) -> Iterator[bytes]:
        groups = np.searchsorted(self._starts, rows, "right") - 1
        for row, number in zip(rows.tolist(), groups.tolist(), strict=True):
            data = parquet.image_of(self._group(number), row - int(self._starts[number]))
            if data is None:
                raise ValueError(f"{self._named(row)}: there is no image")
            yield data


class FolderImages(StoredImages):
    """Images in folders, one a class, as rows that `fit`, `evaluate` and `predict` take; needs Pillow.

    What `image_dataset_from_directory` gives in batches of float32, as Keras does, is here rows of bytes:
    they are shuffled, split, weighted and read ahead as rows of an array are. Photographs that a camera
    turned (Exif) are upright; `load_img` leaves them as they are.

    Parameters
    ----------
    directory : path
        With one folder a class, in any depth of which are its images (PNG, JPEG, BMP, WebP).
    image_size, color_mode, data_format, workers
        As for `TarImages`.

    Attributes
    ----------
    shape, dtype
        ``(n, h, w, c)`` and uint8.
    labels : ndarray of int64, shape (n,)
    class_names : list of str
        The folders' names in alphabetical order, which are the classes 0, 1, …
    file_paths : list of str

    Raises
    ------
    ImportError
        Without Pillow.
    OSError, ValueError
        For a folder of a class without images; later for an image that is damaged, with its path.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> from cconv.utils import save_img
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cats", "dogs"):
    ...         os.mkdir(f"{folder}/{name}")
    ...         save_img(f"{folder}/{name}/1.png", np.zeros((8, 8, 3)))
    ...     images = FolderImages(folder)
    ...     print(images.shape, images.labels, images.class_names)
    (2, 8, 8, 3) [0 1] ['cats', 'dogs']
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_size: tuple[int, int] | None = None,
        color_mode: str = "rgb",
        data_format: str | None = None,
        workers: int | None = None,
    ) -> None:
        root = as_path("FolderImages", "directory", directory)
        self.class_names: list[str] = sorted(
            entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != "."
        )
        if not self.class_names:
            raise ValueError(f"FolderImages: directory must have a folder for each class, got none in {root}")
        found = [list(_images(os.path.join(root, name))) for name in self.class_names]
        for name, paths in zip(self.class_names, found, strict=True):
            if not paths:
                raise ValueError(f"{os.path.join(root, name)}: there must be files of {', '.join(ENDINGS)}")
        self.file_paths: list[str] = [path for paths in found for path in paths]
        labels = np.repeat(np.arange(len(found)), [len(paths) for paths in found])
        super().__init__(len(labels), labels, None, color_mode, image_size, data_format, workers)

    def _named(self, row: int) -> str:
        return self.file_paths[row]

    def _encoded(self, rows: np.ndarray) -> Iterator[bytes]:
        for row in rows.tolist():
            with open_regular(self.file_paths[row]) as file:
                yield file.read()


def _images(folder: str) -> Iterator[str]:
    """Yield the images below a folder, in the order of their paths."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (os.path.join(root, name) for name in sorted(names) if name.lower().endswith(ENDINGS))


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
    real = [os.path.realpath(path) for path in paths]
    if len(set(real)) < len(real):
        twice = next(path for number, path in enumerate(paths) if real[number] in real[:number])
        raise ValueError(f"{where}: {name} must name each file once, got {twice!r} twice")
    return paths
