"""Folders of images as batches: `image_dataset_from_directory`."""

import os
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from cconv import arguments
from cconv.arguments.paths import as_path
from cconv.inputs.feeds import in_threads
from cconv.inputs.orders import epoch_order
from cconv.seeds import check_seed
from cconv.utils.images import MODES, as_mode, open_image, pillow
from cconv.utils.py_dataset import PyDataset
from cconv.utils.resizing import INTERPOLATIONS, cropped, padded, resize

__all__ = ["ImageDataset", "image_dataset_from_directory"]

WHERE = "image_dataset_from_directory"
FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
LABEL_MODES = ("int", "categorical", "binary")


# Methods of a tf.data.Dataset, and what to use instead here.
ELSEWHERE = {
    "map": "put Rescaling and augmenting layers into the model, or write a PyDataset that changes batches",
    "shuffle": "image_dataset_from_directory(shuffle=True) gives another order in each epoch",
    "batch": "image_dataset_from_directory(batch_size=...) says how large batches are",
    "unbatch": "image_dataset_from_directory(batch_size=1) gives single images",
    "repeat": "fit(epochs=...) begins it anew",
    "as_numpy_iterator": "iter(data) gives NumPy arrays",
}


class ImageDataset(PyDataset):
    """Batches of images, which threads read from their files a few batches ahead.

    `image_dataset_from_directory` makes it. Iterating over it also gives its batches.

    Attributes
    ----------
    file_paths : list of str
        The files, in the order of the first epoch.
    class_names : list of str, or None
        Names of the classes 0, 1, …

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> from cconv.utils import image_dataset_from_directory, save_img
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.mkdir(f"{folder}/cats")
    ...     save_img(f"{folder}/cats/1.png", np.zeros((8, 8, 3)))
    ...     data = image_dataset_from_directory(folder, image_size=(4, 4), verbose=False)
    ...     print(len(data), data.class_names, len(data.file_paths))
    1 ['cats'] 1
    """

    def __init__(
        self,
        file_paths: list[str],
        labels: np.ndarray | None,
        class_names: list[str] | None,
        batch_size: int,
        picture: dict[str, Any],
        seed: int | None,
    ) -> None:
        workers = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4, 8)
        super().__init__(workers=workers, max_queue_size=workers + 1)
        self.file_paths, self.class_names = file_paths, class_names
        self._labels, self._batch_size, self._picture, self._seed = labels, batch_size, picture, seed
        self._epoch = 0
        self._order = np.arange(len(file_paths))

    def __len__(self) -> int:
        return -(-len(self.file_paths) // self._batch_size)

    def __getitem__(self, index: int) -> Any:
        """Return batch `index`: images, or (images, labels) if there are labels."""
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} batches, got {index}")
        numbers = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        x = np.stack([_read(self.file_paths[number], **self._picture) for number in numbers])
        return x if self._labels is None else (x, self._labels[numbers])

    def __iter__(self) -> Iterator[Any]:
        return in_threads(self.__getitem__, list(range(len(self))), self.workers, self.max_queue_size)

    def take(self, count: int) -> Iterator[Any]:
        """Return an iterator over the first `count` batches, e.g. to look at them; -1 for all."""
        if not arguments.is_int(count):
            raise TypeError(f"ImageDataset.take: count must be an int, got {count!r}")
        most = len(self) if count < 0 else min(int(count), len(self))
        return in_threads(self.__getitem__, list(range(most)), self.workers, self.max_queue_size)

    def prefetch(self, buffer_size: Any = None) -> Self:
        """Return the data set itself: its batches are always made ahead."""
        return self

    cache = prefetch  # not needed: images are read anew in each epoch, with the same result

    def __getattr__(self, name: str) -> Any:
        if name in ELSEWHERE:
            raise AttributeError(f"ImageDataset has no {name}, it is no tf.data.Dataset: {ELSEWHERE[name]}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def get_state(self) -> dict[str, Any]:
        """Return the number of the epoch, and the seed of its order."""
        return {"epoch": self._epoch, "seed": self._seed}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore an epoch; ValueError if its order has another seed."""
        if state["seed"] != self._seed:
            raise ValueError(
                f"ImageDataset: seed must be {state['seed']}, with which the training began, got "
                f"{self._seed}: give image_dataset_from_directory a seed"
            )
        self._epoch = state["epoch"]
        self._order = np.arange(len(self.file_paths))
        if self._seed is not None and self._epoch:
            self._order = epoch_order(self._seed, self._epoch, len(self.file_paths))

    def on_epoch_end(self) -> None:
        """Shuffle the images anew, if `shuffle`."""
        if self._seed is not None:
            self._epoch += 1
            self._order = epoch_order(self._seed, self._epoch, len(self.file_paths))


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: list[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    verbose: bool = True,
) -> Any:
    """Return the images of a folder, for `fit`, `evaluate` and `predict`; needs Pillow.

    BMP, GIF (its first picture), JPEG, PNG and WebP files, in all subfolders. Files, classes and split have
    the same order as in Keras for the same `seed`. 16 bits per channel are reduced to 8.

    Parameters
    ----------
    directory : path
        Has one folder for each class, unless `labels` are given.
    labels : "inferred", list of int, or None
        "inferred": from the folders' names; a list: for the files in the order of their sorted paths; None:
        no labels.
    label_mode : {"int", "categorical", "binary", None}
        int32 numbers, one-hot rows of float32, a column of 0 and 1 in float32, or none.
    class_names : list of str, optional
        The folders of the classes 0, 1, …; by default all, in alphabetical order.
    color_mode : {"rgb", "grayscale", "rgba"}
        3, 1 or 4 channels.
    batch_size : int
        Images in a batch.
    image_size : (height, width)
        Size to which all images are resized.
    shuffle : bool
        Whether to shuffle, depending on the seed and differently in every epoch; otherwise files are sorted.
    seed : int, optional
        By default from `numpy.random`.
    validation_split : float, optional
        The fraction of files for validation, the last ones.
    subset : {"training", "validation", "both"}, optional
        Which part of a split to return.
    interpolation : str
        "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian" or "mitchellcubic", as
        `tf.image.resize` without antialiasing.
    follow_links : bool
        Whether to follow symbolic links to folders.
    crop_to_aspect_ratio, pad_to_aspect_ratio : bool
        Crop two sides, or pad them with zeros, if an image's aspect ratio is not that of `image_size`.
    data_format : {"channels_last", "channels_first"}, optional
        By default channels last.
    verbose : bool
        Print how many files and classes there are.

    Returns
    -------
    ImageDataset, or list of two
        Images are float32, from 0 to 255.

    Raises
    ------
    ImportError
        Without Pillow.
    TypeError, ValueError
        For invalid arguments, or a folder without images; later also for a damaged file, with its path.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> from cconv.utils import save_img
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cats", "dogs"):
    ...         os.mkdir(f"{folder}/{name}")
    ...         save_img(f"{folder}/{name}/1.png", np.zeros((8, 8, 3)))
    ...     data = image_dataset_from_directory(folder, image_size=(4, 4), verbose=False)
    ...     print(data.class_names, data[0][0].shape)
    ['cats', 'dogs'] (2, 4, 4, 3)
    """
    pillow(WHERE)
    picture = _checked_picture(
        color_mode, image_size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio, data_format
    )
    batch_size = arguments.positive_int(WHERE, "batch_size", batch_size)
    shuffle = arguments.flag(WHERE, "shuffle", shuffle)
    label_mode = None if labels is None else label_mode
    _check_labels(labels, label_mode, class_names)
    _check_split(validation_split, subset, shuffle, seed)
    seed = int(np.random.randint(10**6)) if seed is None else check_seed(WHERE, seed)  # noqa: NPY002
    follow = arguments.flag(WHERE, "follow_links", follow_links)
    paths, numbers, names = _listed(
        as_path(WHERE, "directory", directory), labels, label_mode, class_names, follow
    )
    if arguments.flag(WHERE, "verbose", verbose):
        classes = "" if names is None else f" belonging to {len(names)} classes"
        print(f"Found {len(paths)} files{classes}.")
    if label_mode == "binary" and len(names or ()) != 2:
        raise ValueError(f"{WHERE}: label_mode must not be 'binary' without 2 classes, got {names}")
    if shuffle:
        # Keras' way, with NumPy's old generator, so that each part of a split has the same files.
        order = np.arange(len(paths))
        np.random.RandomState(seed % 2**32).shuffle(order)
        paths, numbers = [paths[i] for i in order], numbers[order]
    values = _targets(numbers, label_mode, len(names or ()))

    def part(rows: slice, mixed: bool) -> ImageDataset:
        if not paths[rows]:
            raise ValueError(f"{WHERE}: directory must have files that end in {', '.join(FORMATS)}, got none")
        given = None if values is None else values[rows]
        return ImageDataset(paths[rows], given, names, batch_size, picture, seed if mixed else None)

    kept = len(paths) - int((validation_split or 0) * len(paths))
    if verbose and subset is not None:
        sides = {"training": kept, "validation": len(paths) - kept}
        for side in sides if subset == "both" else (subset,):
            print(f"Using {sides[side]} files for {side}.")
    if subset == "both":
        return [part(slice(kept), shuffle), part(slice(kept, None), False)]
    return part(slice(kept, None) if subset == "validation" else slice(kept), shuffle)


def _checked_picture(
    color_mode: Any, image_size: Any, interpolation: Any, crop: Any, pad: Any, data_format: Any
) -> dict[str, Any]:
    """Return the checked arguments of `_read`."""
    crop = arguments.flag(WHERE, "crop_to_aspect_ratio", crop)
    pad = arguments.flag(WHERE, "pad_to_aspect_ratio", pad)
    if crop and pad:
        raise ValueError(f"{WHERE}: crop_to_aspect_ratio and pad_to_aspect_ratio must not both be True")
    layout = "channels_last" if data_format is None else arguments.data_format(WHERE, data_format)
    kind = interpolation.lower() if isinstance(interpolation, str) else interpolation
    return {
        "color_mode": arguments.one_of(WHERE, "color_mode", color_mode, tuple(MODES)),
        "size": arguments.pair(WHERE, "image_size", image_size),
        "interpolation": arguments.one_of(WHERE, "interpolation", kind, INTERPOLATIONS),
        "fit": cropped if crop else padded if pad else None,
        "channels_first": layout == "channels_first",
    }


def _check_labels(labels: Any, label_mode: Any, class_names: Any) -> None:
    if not (
        labels is None
        or isinstance(labels, list | tuple)
        or (isinstance(labels, str) and labels == "inferred")
    ):
        raise ValueError(f"{WHERE}: labels must be 'inferred', a list of ints or None, got {labels!r}")
    if isinstance(labels, list | tuple) and not all(
        arguments.is_int(label) and label >= 0 for label in labels
    ):
        raise ValueError(f"{WHERE}: labels must be ints of at least 0")
    if label_mode is not None:
        arguments.one_of(WHERE, "label_mode", label_mode, LABEL_MODES)
    if class_names is not None and (labels != "inferred" or label_mode is None):
        raise ValueError(f"{WHERE}: class_names must not be given unless labels is 'inferred'")


def _check_split(validation_split: Any, subset: Any, shuffle: bool, seed: Any) -> None:
    if validation_split is not None:
        arguments.fraction(WHERE, "validation_split", validation_split)
    if subset is not None:
        arguments.one_of(WHERE, "subset", subset, ("training", "validation", "both"))
    if (subset is None) == bool(validation_split):
        raise ValueError(
            f"{WHERE}: validation_split and subset must be given together, got {validation_split} and "
            f"{subset!r}"
        )
    if validation_split and shuffle and seed is None:
        raise ValueError(f"{WHERE}: seed must be given, or shuffle=False, where validation_split is")


def _listed(
    directory: str, labels: Any, label_mode: str | None, class_names: list[str] | None, follow: bool
) -> tuple[list[str], np.ndarray, list[str] | None]:
    """Return the paths of the files in order, their class numbers, and the names of the classes."""
    folders = [""]
    if labels == "inferred" and label_mode is not None:
        there = [entry.name for entry in os.scandir(directory) if entry.is_dir() and entry.name[0] != "."]
        folders = sorted(there) if class_names is None else list(class_names)
        if not set(folders) <= set(there):
            raise ValueError(
                f"{WHERE}: class_names must be folders of directory, {sorted(there)}, got {class_names}"
            )
    found = [_files(os.path.join(directory, folder), follow) for folder in folders]
    paths = [path for files in found for path in files]
    numbers = np.repeat(np.arange(len(found), dtype=np.int32), [len(files) for files in found])
    if label_mode is None:
        return paths, numbers, None
    if labels == "inferred":
        return paths, numbers, folders
    if len(labels) != len(paths):
        raise ValueError(f"{WHERE}: labels must be one for each of the {len(paths)} files, got {len(labels)}")
    return paths, np.array(labels, np.int32), [str(label) for label in sorted(set(labels))]


def _files(directory: str, follow: bool) -> list[str]:
    """Return the paths of the images below a folder: sorted by folder, then by name."""
    walk = sorted(os.walk(directory, followlinks=follow), key=lambda entry: entry[0])
    return [
        os.path.join(root, name)
        for root, _, names in walk
        for name in sorted(names)
        if name.lower().endswith(FORMATS)
    ]


def _targets(numbers: np.ndarray, label_mode: str | None, classes: int) -> np.ndarray | None:
    """Return class numbers as targets in `label_mode`'s form."""
    if label_mode is None:
        return None
    if label_mode == "int":
        return numbers
    if numbers.size and numbers.max() >= classes:
        raise ValueError(
            f"{WHERE}: labels must be class numbers below {classes} where label_mode is {label_mode!r}, got "
            f"{numbers.max()}"
        )
    if label_mode == "binary":
        return numbers.astype(np.float32)[:, np.newaxis]
    return np.eye(classes, dtype=np.float32)[numbers]


def _read(
    path: str, color_mode: str, size: tuple[int, int], interpolation: str, fit: Any, channels_first: bool
) -> np.ndarray:
    """Return an image file as an array of float32."""
    picture = open_image(WHERE, path)
    if picture.mode.startswith("I"):  # 16-bit grey
        values = np.clip(np.asarray(picture).astype(np.int64) >> 8, 0, 255)
        picture = pillow(WHERE).fromarray(values.astype(np.uint8))
    values = np.asarray(as_mode(picture, color_mode), np.float32)
    values = values if values.ndim == 3 else values[..., np.newaxis]
    values = resize(values if fit is None else fit(values, size), size, interpolation)
    return np.ascontiguousarray(np.moveaxis(values, 2, 0)) if channels_first else values
