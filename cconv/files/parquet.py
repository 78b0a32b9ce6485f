"""Encoded images in Parquet files, a row group at a time, by pyarrow, which is only imported here.

A column of images is one of binaries, or of structs with a field ``bytes``, as Hugging Face writes them.
"""

import os
from typing import Any, NamedTuple

import numpy as np

from cconv.files.reading import Path, open_regular, reading

BYTES = "bytes"


def _pyarrow() -> tuple[Any, Any]:
    """Return the modules pyarrow and pyarrow.parquet."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("reading Parquet needs pyarrow: pip install 'cconv[parquet]'") from error
    return pyarrow, pyarrow.parquet


class Table(NamedTuple):
    """What is known of a file when it has been looked at.

    Attributes
    ----------
    column : str
        That of the images.
    metadata : pyarrow's
    groups : list of int
        Rows of each row group.
    labels : ndarray of int64, or None
    """

    path: str
    column: str
    metadata: Any
    groups: list[int]
    labels: np.ndarray | None


def look(path: Path, image: str, label: str | None) -> Table:
    """Return what there is in a file; no image is read.

    Raises
    ------
    ImportError
        Without pyarrow.
    OSError, ValueError
        For a file that is damaged, has no such columns, no rows, or labels that are no whole numbers.
    """
    arrow, parquet = _pyarrow()
    open_regular(path).close()
    with (
        reading(path, "a whole Parquet file", arrow.ArrowException),
        parquet.ParquetFile(os.fspath(path), pre_buffer=False) as file,
    ):
        schema, metadata = file.schema_arrow, file.metadata
        for name in (image, *([] if label is None else [label])):
            if schema.get_field_index(name) < 0:
                raise ValueError(f"there must be one column {name!r}, got {', '.join(schema.names)}")
        column = image + _field(arrow.types, image, schema.field(image).type)
        groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        if not sum(groups):
            raise ValueError("there is no row in it")
        labels = None
        if label is not None:
            labels = _labels(arrow, label, file.read([label], use_threads=False).column(0))
    return Table(os.fspath(path), column, metadata, groups, labels)


def _field(types: Any, name: str, kind: Any) -> str:
    """Return what is to be added to the name of a column for that of its images' bytes."""

    def is_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))

    if is_bytes(kind):
        return ""
    if types.is_struct(kind) and kind.get_field_index(BYTES) >= 0 and is_bytes(kind.field(BYTES).type):
        return f".{BYTES}"
    raise ValueError(f"the column {name!r} must be of binaries, or structs with {BYTES!r}, got {kind}")


def _labels(arrow: Any, name: str, given: Any) -> np.ndarray:
    """Return class numbers; ValueError that names the row that has none."""
    kind = given.type
    if not (arrow.types.is_integer(kind) or arrow.types.is_boolean(kind) or arrow.types.is_floating(kind)):
        raise ValueError(f"the column {name!r} must be of whole numbers, got {kind}")
    if given.null_count:
        row = int(np.flatnonzero(given.is_null().to_numpy())[0])
        raise ValueError(f"row {row} has no {name!r}")
    values = given.to_numpy()
    if values.dtype.kind == "f":
        wrong = np.flatnonzero(~(np.abs(values) < 2**53) | (values != np.floor(values)))
    else:
        wrong = np.flatnonzero(values > np.iinfo(np.int64).max) if values.dtype == np.uint64 else values[:0]
    if len(wrong):
        raise ValueError(f"row {wrong[0]} must have a whole number {name!r}, got {values[wrong[0]]}")
    return np.asarray(values, np.int64)


def read_group(table: Table, number: int) -> Any:
    """Return the images of a row group, for `image_of`."""
    arrow, parquet = _pyarrow()
    with reading(table.path, "the Parquet file that it was", arrow.ArrowException):
        with parquet.ParquetFile(table.path, metadata=table.metadata, pre_buffer=False) as file:
            found = file.read_row_group(number, [table.column], use_threads=False).column(0)
        if len(found) != table.groups[number]:
            raise ValueError(f"row group {number} has {len(found)} rows for {table.groups[number]}")
    return found


def image_of(group: Any, row: int) -> bytes | None:
    """Return the bytes of the image in a row of a row group; None where there is none."""
    value = group[row]
    if value.is_valid and hasattr(value, "keys"):
        value = value[BYTES]
    found: bytes | None = value.as_py() if value.is_valid else None
    return found
