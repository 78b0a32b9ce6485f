"""CIFAR-10 in its binary version: 50,000 + 10,000 colour photographs.

Krizhevsky 2009, "Learning multiple layers of features from tiny images".
"""

import os
import tarfile
from pathlib import Path

import numpy as np

from cconv.datasets._files import Source, cache_folder, download, places
from cconv.datasets._idx import Split
from cconv.files.reading import fill_exactly, open_regular, reading

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

SHAPE = (3, 32, 32)  # channels first, as in the files
RECORD = 1 + 3 * 32 * 32  # bytes: the label, then the pixels
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)
FOLDERS = ("cifar-10-batches-bin", "cifar10-subset")

ARCHIVE = Source(
    dataset="cifar10",
    folder=FOLDERS[0],
    name="cifar-10-binary.tar.gz",
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
    ),
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    then="put the .bin files of it there",
)


def load_data() -> tuple[Split, Split]:
    """Load CIFAR-10, from this machine or, the first time, from the network.

    The six ``.bin`` files are looked for in the folders ``cifar-10-batches-bin`` and ``cifar10-subset`` of
    ``CCONV_DATA_DIR`` and of the user's cache; they may have any number of whole records. Otherwise the
    archive is downloaded (170 MB; needs the extra ``data``) from one of two mirrors, and kept only if its
    SHA-256 is right.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images uint8 (50000, 32, 32, 3) and (10000, 32, 32, 3), red, green, blue; labels uint8 (50000,) and
        (10000,), indices of `CLASSES`; less for shorter files. (Keras returns labels as a column; here they
        are a vector, as in all other data sets.)

    Raises
    ------
    FileNotFoundError
        If a file cannot be found or downloaded; the message says what to do.
    ValueError
        If a file ends inside a record, is empty, or has a label above 9.
    """
    for folder in places(*FOLDERS):
        if any((folder / name).is_file() for name in TRAIN + TEST):
            break
    else:
        folder = cache_folder() / FOLDERS[0]
        download(ARCHIVE, folder, keep=_unpack)
    return _read(folder, TRAIN), _read(folder, TEST)


def _read(folder: Path, names: tuple[str, ...]) -> Split:
    """Read one split: the records of several files, joined."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"datasets.cifar10: {folder} has no {', '.join(missing)}; put all six files there"
        )
    records = np.concatenate([read_records(folder / name) for name in names])
    images = records[:, 1:].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].copy()


def read_records(path: Path) -> np.ndarray:
    """Read the records of one file, uint8 (n, 3073): the label, then the pixels channel by channel."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size % RECORD or not size:
            raise ValueError(
                f"{path}: expected whole records of {RECORD} bytes each, "
                f"got {size} bytes: {size // RECORD} records and {size % RECORD} bytes"
            )
        with reading(path, "a file of whole records"):
            data = np.empty(size, np.uint8)
            fill_exactly(file, data.data)
    records = data.reshape(-1, RECORD)
    if records[:, 0].max() >= len(CLASSES):
        where = int(np.argmax(records[:, 0] >= len(CLASSES)))
        raise ValueError(
            f"{path}: expected labels below {len(CLASSES)}, got {records[where, 0]} in record {where}"
        )
    return records


def _unpack(archive: Path, folder: Path) -> None:
    """Extract the six files from the archive; each is moved to its place in one atomic step."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(archive, "r:gz") as tar:
        for name in (*TRAIN, *TEST):
            member = tar.extractfile(f"{FOLDERS[0]}/{name}")
            if member is None:
                raise ValueError(f"{archive}: {name} is not a file in it")
            temporary = archive.with_name(name)
            temporary.write_bytes(member.read())
            os.replace(temporary, folder / name)
