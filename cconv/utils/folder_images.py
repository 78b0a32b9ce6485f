"""Images in folders, one a class: `FolderImages`."""

import os
from collections.abc import Iterator

import numpy as np

from cconv.files.pictures import ENDINGS
from cconv.files.reading import open_regular
from cconv.utils.stored_images import StoredImages

__all__ = ["FolderImages"]


class FolderImages(StoredImages):
    """Images in folders, one a class, as rows that `fit`, `evaluate` and `predict` take; needs Pillow.

    What `image_dataset_from_directory` gives in batches of float32, as Keras does, is here rows of bytes:
    they are shuffled, split, weighted and read ahead as rows of an array are.

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
        if not isinstance(directory, str | os.PathLike):
            raise TypeError(f"FolderImages: directory must be a path, got {directory!r}")
        root = os.fsdecode(directory)
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
