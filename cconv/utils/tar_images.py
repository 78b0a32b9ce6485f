"""Images in tar files, as WebDataset lays them out: `TarImages`."""

import os
import re
from collections.abc import Iterable, Iterator

import numpy as np

from cconv.files.tars import Place, read_places, samples
from cconv.utils.stored_images import StoredImages, paths_of

__all__ = ["TarImages"]


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
        files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
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
