"""One file for arrays and a JSON document: the safetensors format, which holds no code.

The format is described at https://huggingface.co/docs/safetensors: eight bytes with the length of the header;
the header, which is JSON and says where each array lies; then the arrays. Plain Python reads and writes it,
so that missing memory is a MemoryError. This module knows nothing about models: `models/files.py` says what
goes into the file.

The header has a digest of document and arrays, so that a flipped bit is found. Files without a digest are
read too.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np

from cconv.arguments.arrays import aligned_empty
from cconv.arguments.numbers import LARGEST
from cconv.files import names, plainjson
from cconv.files.atomic import naming, replacing
from cconv.files.reading import DAMAGE, Refused, fill_exactly, open_regular, read_exactly, reading

KEY, DIGEST = "cconv", "cconv.sha256"  # keys in the format's own metadata
NOT_YET = "0" * 64
LONGEST_HEADER = 1 << 23  # bytes: some ten thousand layers; this also bounds its size in memory
MOST_AXES = 64  # NumPy's limit
CHUNK = 1 << 20  # bytes

CODES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
# Types for which NumPy has no dtype, read as their bits: the upper halves of float32. Only in foreign files.
BITS = {"BF16": "<u2"}
DTYPES = {code: np.dtype(text) for code, text in (CODES | BITS).items()}
_CODE_OF = {DTYPES[code].str[1:]: code for code in CODES}


class Entry(NamedTuple):
    """Where an array lies in a file, counted from the end of the header, and its dtype and shape."""

    code: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the array in memory."""
        return DTYPES[self.code].newbyteorder("=")


def write(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    document: Any,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write arrays and a JSON document; at every moment the file is the old one or the new one.

    Parameters
    ----------
    path : path
        The file; its folder must exist. Behind symbolic links their target is written, with its mode.
    arrays : mapping of str to ndarray
        Arrays of booleans, integers or floats.
    document : JSON value
        Without NaN and infinities.
    more : mapping of str to str, optional
        Additional metadata for other readers.

    Raises
    ------
    OSError
        If the file cannot be written; the file at `path` is untouched.
    ValueError, TypeError
        If JSON cannot hold the document, or arrays have other dtypes; also then it is untouched.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.safetensors", {"w": np.ones(2)}, {"epochs": 3})
    ...     read(f"{folder}/a.safetensors")
    ({'w': array([1., 1.])}, {'epochs': 3})
    """
    with naming(path):
        text = plainjson.dumps(document)
        entries = _placed(arrays)
        header = _header(text, entries, more or {})
    with replacing(path) as file:
        file.write(len(header).to_bytes(8, "little") + header)
        hashes = {name: _write_array(file, arrays[name], entry) for name, entry in entries.items()}
        # The digest is of what was written, not of what is in memory, which others may change meanwhile.
        file.seek(8 + header.index(NOT_YET.encode()))
        file.write(_digest(text, entries, hashes).encode())


def _placed(arrays: Mapping[str, np.ndarray]) -> dict[str, Entry]:
    """Return where each array goes: large items first, so that all are aligned, then by name."""
    entries, stop = {}, 0
    for name in sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name)):
        array = arrays[name]
        code = _CODE_OF.get(array.dtype.str[1:])
        if code is None:
            raise TypeError(f"{name!r} must hold booleans, integers or floats, got dtype {array.dtype}")
        start, stop = stop, stop + array.nbytes
        entries[name] = Entry(code, array.shape, start, stop)
    return entries


def _header(text: str, entries: Mapping[str, Entry], more: Mapping[str, str]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {**more, DIGEST: NOT_YET, KEY: text}}
    for name, entry in entries.items():
        if name in header:
            raise ValueError(f"an array cannot be called {name!r}")
        offsets = [entry.start, entry.stop]
        header[name] = {"dtype": entry.code, "shape": list(entry.shape), "data_offsets": offsets}
    data = plainjson.dumps(header).encode()
    data += b" " * (-len(data) % 8)
    if len(data) > LONGEST_HEADER:
        raise ValueError(f"what describes it must have at most {LONGEST_HEADER} bytes, got {len(data)}")
    return data


def _write_array(file: BinaryIO, array: np.ndarray, entry: Entry) -> str:
    """Write the elements in C order and little-endian; return their hash."""
    flat, dtype = array.reshape(-1), DTYPES[entry.code]
    step = CHUNK // dtype.itemsize
    found = sha256()
    for start in range(0, flat.size, step):
        data = flat[start : start + step].astype(dtype, copy=False).tobytes()
        found.update(data)
        file.write(data)
    return found.hexdigest()


def _digest(text: str, entries: Mapping[str, Entry], hashes: Mapping[str, str]) -> str:
    """Return the digest of a file's content; the order of arrays in the file does not change it."""
    lines = [sha256(text.encode()).hexdigest()]
    for name in sorted(entries):
        entry = entries[name]
        lines.append(json.dumps([name, entry.code, list(entry.shape), hashes[name]]))
    return sha256("\n".join(lines).encode()).hexdigest()


class Reader:
    """An open file: its header has been read and checked; its arrays are read on request.

    Parameters
    ----------
    path : path
        A file that `write` wrote.
    foreign : bool
        Whether files of other writers are accepted, which have no document, and the dtypes of `BITS`.

    Attributes
    ----------
    entries : dict of str to Entry
        The arrays by name.
    document : JSON value
        As it was written; None in files of other writers.
    digest : str or None
        The digest of document and arrays in the file; None in files of older versions.

    Raises
    ------
    FileNotFoundError, OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is not a safetensors file, or not one that `write` wrote.
    """

    entries: dict[str, Entry]
    digest: str | None

    def __init__(self, path: str | os.PathLike[str], *, foreign: bool = False) -> None:
        self.path: str = os.fspath(path)
        self._file = open_regular(path)
        self._hashes: dict[str, str] = {}
        try:
            with reading(self.path, "a whole safetensors file"), _hinting(path, foreign):
                metadata, self.entries, self._begin = _read_header(
                    self._file, CODES | BITS if foreign else CODES
                )
            self._text, self.digest = metadata.get(KEY, ""), metadata.get(DIGEST)
            self.document: Any = None
            if KEY not in metadata:
                if foreign:
                    return
                advice = names.hint(path) or "cconv.io.torch.load_state_dict reads weights of PyTorch"
                raise ValueError(
                    f"{path} was not written by cconv: it has no {KEY!r} in its metadata; {advice}"
                )
            with reading(self.path, "a whole file of cconv: its description is not JSON"):
                self.document = plainjson.loads(self._text)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def array(self, name: str) -> np.ndarray:
        """Return a new array, 64-byte aligned, in native byte order.

        Raises
        ------
        KeyError
            If there is no array of this name.
        MemoryError
            If there is not enough memory for it.
        ValueError
            If the file has become shorter since it was opened.
        """
        entry = self.entries[name]
        with reading(self.path, "a whole safetensors file"):
            array = aligned_empty(entry.shape, entry.dtype)
            data = array.reshape(-1).view(np.uint8).data
            self._file.seek(self._begin + entry.start)
            fill_exactly(self._file, data)
            if self.digest is not None:
                self._hashes[name] = sha256(data).hexdigest()
            if not DTYPES[entry.code].isnative:
                array.byteswap(inplace=True)
        return array

    def check(self) -> None:
        """Compare the file with its digest; arrays that were not requested are read for that.

        Raises
        ------
        ValueError
            If they differ: the file is damaged.
        """
        if self.digest is None:
            return
        with reading(self.path, "a whole safetensors file"):
            for name in self.entries.keys() - self._hashes.keys():
                found = sha256()
                for chunk in self._chunks(self.entries[name]):
                    found.update(chunk)
                self._hashes[name] = found.hexdigest()
        if _digest(self._text, self.entries, self._hashes) != self.digest:
            raise ValueError(
                f"{self.path} is damaged: its content does not have the digest it was written with"
            )

    def _chunks(self, entry: Entry) -> Iterator[bytes]:
        self._file.seek(self._begin + entry.start)
        for start in range(entry.start, entry.stop, CHUNK):
            yield read_exactly(self._file, min(CHUNK, entry.stop - start))


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], Any]:
    """Return the arrays and the JSON document of a file that `write` wrote.

    Raises
    ------
    FileNotFoundError, OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is not a safetensors file, was not written by `write`, or is damaged.
    MemoryError
        If there is not enough memory for the arrays.
    """
    with Reader(path) as file:
        arrays = {name: file.array(name) for name in file.entries}
        file.check()
        return arrays, file.document


@contextmanager
def _hinting(path: str | os.PathLike[str], foreign: bool) -> Iterator[None]:
    """Say of what is no safetensors file what it is by its name, if that tells; the cause says why."""
    try:
        yield
    except DAMAGE as error:
        if foreign or not names.hint(path):
            raise
        raise Refused(f"not a file of cconv: {names.hint(path)}") from error


def _read_header(file: BinaryIO, codes: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Entry], int]:
    """Return metadata, arrays, and the place where the arrays begin; ValueError if the header is wrong."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(read_exactly(file, 8), "little")
    if not 2 <= length <= min(LONGEST_HEADER, size - 8):
        raise ValueError(
            f"its header is said to have {length} bytes; the file has {size}, and at most {LONGEST_HEADER} "
            "are taken"
        )
    text = read_exactly(file, length).decode()
    if not text.startswith("{"):
        raise ValueError(f"its header must begin with {{, got {text[0]!r}")
    header = plainjson.loads(text)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata must be strings by name")
    if DIGEST in metadata and not re.fullmatch("[0-9a-f]{64}", metadata[DIGEST]):
        raise ValueError("its digest must be 64 hexadecimal digits")
    entries = {name: _entry(name, given, codes) for name, given in header.items()}
    _check_places(entries, size - 8 - length)
    return metadata, entries, 8 + length


def _entry(name: str, given: Any, codes: Mapping[str, str]) -> Entry:
    """Return what the header says about an array; ValueError if that is impossible."""
    where = f"the array {name[:80]!r}"
    if not isinstance(given, dict) or set(given) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{where} must have dtype, shape and data_offsets")
    code, shape, offsets = given["dtype"], given["shape"], given["data_offsets"]
    if not isinstance(code, str) or code not in codes:
        raise ValueError(f"{where} must have one of the dtypes {', '.join(codes)}, got {str(code)[:40]!r}")
    if not _are_sizes(shape) or len(shape) > MOST_AXES:
        raise ValueError(f"{where} must have a shape of at most {MOST_AXES} sizes")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{where} must have two offsets")
    start, stop = offsets
    nbytes = math.prod(shape) * DTYPES[code].itemsize
    if stop - start != nbytes:
        raise ValueError(
            f"{where} must take the {nbytes} bytes of its shape, got the offsets {start}, {stop}"
        )
    return Entry(code, tuple(shape), start, stop)


def _are_sizes(given: Any) -> bool:
    return isinstance(given, list) and all(type(n) is int and 0 <= n <= LARGEST for n in given)


def _check_places(entries: Mapping[str, Entry], size: int) -> None:
    """Refuse arrays that overlap, leave gaps, or do not end at the end of the file."""
    stop = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != stop:
            raise ValueError(
                f"the array {name[:80]!r} must begin at {stop}, where another ends, got {entry.start}"
            )
        stop = entry.stop
    if stop != size:
        raise ValueError(f"its arrays must end with the file, after {size} bytes, got {stop}")
