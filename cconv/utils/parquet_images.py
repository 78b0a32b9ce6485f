"""Images in Parquet files: `ParquetImages`."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from cconv.files import parquet
from cconv.utils.stored_images import StoredImages, paths_of

__all__ = ["ParquetImages"]


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
        files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
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
