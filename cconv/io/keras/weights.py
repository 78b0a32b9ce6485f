"""Reading only weights into a built model, in the order of its layers."""

import io
import os
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from cconv.files.hdf5 import Reader
from cconv.files.reading import Refused, open_regular, reading, short
from cconv.io.keras import legacy, modern
from cconv.io.keras.archive import WEIGHTS, Archive
from cconv.io.keras.graph_out import listed
from cconv.io.keras.reading import WHAT, Path, is_archive
from cconv.io.keras.writing import old_order
from cconv.models.files import stores

MOST_TOLD = 4  # of what does not fit
Pair = tuple[str, np.ndarray, str]  # a weight's name, its memory, and the path of its values


def read_weights(path: Path, model: Any) -> None:
    """Read a file's weights into a built model; if they do not fit, the model is unchanged.

    Raises
    ------
    OSError, ValueError
        When there is no such file, or it is damaged or does not fit.
    """
    with open_regular(path) as file, reading(path, WHAT, zipfile.BadZipFile, NotImplementedError):
        reader = _opened(path, file)
        pairs = list(_pairs_new(reader, model) if _is_new(reader) else _pairs_old(reader, model))
        for name, place, found in pairs:
            entry = reader.arrays[found]
            if entry.shape != place.shape:
                raise Refused(f"{name} must have shape {place.shape}, got {entry.shape} at {found!r}")
        arrays = [reader.array(found) for _, _, found in pairs]
    for (_, place, _), array in zip(pairs, arrays, strict=True):
        place[...] = array


def _opened(path: Path, file: BinaryIO) -> Reader:
    if is_archive(path):
        data = Archive(file).read(WEIGHTS)
        return Reader(io.BytesIO(data), len(data))
    return Reader(file, os.fstat(file.fileno()).st_size)


def _is_new(reader: Reader) -> bool:
    """Whether a file has Keras 3's layout."""
    return "vars" in reader.groups or (
        "layers" in reader.groups and not legacy.texts(reader, "", "layer_names")
    )


def _pairs_new(reader: Reader, model: Any) -> Iterator[Pair]:
    folders = modern.places(listed(model))
    wrong, known = [], {f"{folder}/vars" for folder in folders.values()}
    for name, layer in model._named:
        kept = list(stores(layer).items())
        paths = modern.variables(reader, folders[name]) if name in folders else []
        if len(paths) != len(kept):
            wrong.append(f"{name} must have {len(kept)} arrays, got {len(paths)}")
            continue
        for (weight, place), found in zip(kept, paths, strict=True):
            yield f"{name}/{weight}", place, found
    for path in reader.arrays:
        group = path.rpartition("/")[0]
        if group not in known and not group.startswith("optimizer/"):
            wrong.append(f"{path} belongs to no layer")
    if wrong:
        more = f"; and {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""
        raise Refused(f"it does not fit this model: {'; '.join(wrong[:MOST_TOLD])}{more}")


def _pairs_old(reader: Reader, model: Any) -> Iterator[Pair]:
    items = [(item.name, kept) for item in model._items if (kept := old_order(item))]
    given = legacy.layers_of(reader)
    if len(items) != len(given):
        raise Refused(
            f"it does not fit this model, which has {len(items)} layers with weights: got {len(given)}, "
            f"{short(', '.join(name for name, _ in given) or 'none')}"
        )
    for (name, kept), (theirs, paths) in zip(items, given, strict=True):
        if len(kept) != len(paths):
            raise Refused(f"it does not fit this model: {name} has {len(kept)} arrays, {theirs} {len(paths)}")
        for (weight, place), found in zip(kept, paths, strict=True):
            yield f"{name}: {weight}", place, found
