"""NumPy's files, .npy and .npz: arrays of numbers, whose headers are checked before memory is allocated.

The header of an array is Python source. NumPy's own reader parses it as such; here three patterns read it.
"""

import math
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

import numpy as np

from cconv.arguments.numbers import LARGEST
from cconv.files.reading import Refused, check_unpacked, fill_exactly, open_regular, read_exactly, reading

Check = Callable[[tuple[int, ...]], None]

NPY, ZIP, END = b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06"
LONGEST_HEADER = 10_000  # bytes; NumPy has the same limit
LONGEST_DIRECTORY = 1 << 20  # bytes: some ten thousand members
MOST_AXES = 64  # NumPy's limit

_ENTRIES = {
    "descr": r"(?P<quote>['\"])(?P<descr>[<>|=]?[A-Za-z]\d{0,5}(?:\[\w{1,9}\])?)(?P=quote)",
    "fortran_order": r"(?P<fortran_order>True|False)",
    "shape": r"\((?P<shape>(?:\s*\d{1,19}L?\s*,)*(?:\s*\d{1,19}L?)?)\s*\)",
}
_PATTERNS = [re.compile(rf"\s*['\"]{key}['\"]\s*:\s*{value}\s*(?:,|$)") for key, value in _ENTRIES.items()]


class Header(NamedTuple):
    """What the header of an array says; `fortran`: the elements are in Fortran order, not in C order."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy(path: str | os.PathLike[str], check: Check) -> np.ndarray:
    """Return the array of a .npy file.

    Parameters
    ----------
    path : path
        The file.
    check : callable
        Is called with the shape before the elements are read; may raise.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or is not an array of numbers; the message names the file.
    """
    with open_regular(path) as file:
        with reading(path, "a .npy file"):
            size = os.fstat(file.fileno()).st_size
            header = _header(file)
        if header.dtype.kind not in "uif" or header.dtype.itemsize > 8:
            raise ValueError(
                f"{path}: expected numbers, got an array of shape {header.shape}, {_instead(header.dtype)}"
            )
        check(header.shape)
        with reading(path, "a .npy file"):
            if header.nbytes > size - file.tell():
                raise ValueError(f"{header.nbytes} bytes of elements do not fit into a file of {size}")
            return _elements(file, header)


def read_npz(path: str | os.PathLike[str], names: Sequence[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the named arrays that a .npz file has, and the names of all its arrays.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, holds something else under these names, or would unpack to far more than
        its size; the message names the file.
    """
    with open_regular(path) as file, reading(path, "a .npz file", zipfile.BadZipFile):
        size = os.fstat(file.fileno()).st_size
        _check_directory(file, size)
        with zipfile.ZipFile(file) as archive:
            members = _members(archive)
            wanted = {name: members[name] for name in names if name in members}
            check_unpacked(sum(info.file_size for info in wanted.values()), size)
            return {name: _member(archive, name, info) for name, info in wanted.items()}, list(members)


def _check_directory(file: IO[bytes], size: int) -> None:
    """Refuse a file that is no zip archive, or whose directory alone would take much memory."""
    start = file.read(4)
    if start not in (ZIP, END):
        raise ValueError(f"it must begin with {ZIP!r}, got {start!r}")
    tail = min(size, 22 + 65535)
    file.seek(size - tail)
    end = read_exactly(file, tail)
    place = end.rfind(END)
    if place < 0 or len(end) < place + 22:
        raise ValueError("its directory of members is missing")
    directory = int.from_bytes(end[place + 12 : place + 16], "little")
    if directory > LONGEST_DIRECTORY:
        raise ValueError(f"its directory must have at most {LONGEST_DIRECTORY} bytes, got {directory}")


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members of the archive that are arrays, by name."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise ValueError(f"the member {name[:80]!r} comes twice")
        members[name] = info
    return members


def _member(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> np.ndarray:
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} must be stored or deflated as numpy.savez does it")
    with archive.open(info) as member:
        header = _header(member)
        if header.dtype.kind not in "uif" or header.dtype.itemsize > 8:
            raise Refused(f"{name} must hold numbers, got {_instead(header.dtype)}")
        found = info.file_size - member.tell()
        if header.nbytes != found:
            raise ValueError(f"{name} must have the {header.nbytes} bytes of its shape, got {found}")
        array = _elements(member, header)
        member.read(1)  # only at the end the checksum is compared
    return array


def _instead(dtype: np.dtype) -> str:
    """Return what elements are, if not numbers, and how to make numbers of them."""
    if dtype.kind == "O":  # a pickle, which is code: it is never loaded
        return "Python's objects: numpy.unique(..., return_inverse=True) makes class numbers of texts"
    if dtype.kind in "US":
        return f"texts, dtype {dtype}: numpy.unique(..., return_inverse=True) makes class numbers of them"
    if dtype.kind == "b":
        return f"True and False, dtype {dtype}: .astype('uint8') makes numbers of them"
    return f"dtype {dtype}"


def _header(file: IO[bytes]) -> Header:
    """Read the header of an array; the ValueError says what is wrong."""
    start = read_exactly(file, 8)
    if start[:6] != NPY:
        raise ValueError(f"an array must begin with {NPY!r}, got {start[:6]!r}")
    if start[6] not in (1, 2, 3):
        raise ValueError(f"its version must be 1, 2 or 3, got {start[6]}")
    length = int.from_bytes(read_exactly(file, 2 if start[6] == 1 else 4), "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"its header must have at most {LONGEST_HEADER} bytes, got {length}")
    text = read_exactly(file, length).decode("utf-8" if start[6] == 3 else "latin-1").strip()
    found = _parsed(text)
    sizes = [int(entry.strip().rstrip("L")) for entry in found["shape"].split(",") if entry.strip()]
    if len(sizes) > MOST_AXES or math.prod(sizes) > LARGEST:
        raise ValueError("its shape is larger than an array may be")
    return Header(np.dtype(found["descr"]), tuple(sizes), found["fortran_order"] == "True")


def _parsed(text: str) -> dict[str, str]:
    """Return the three entries of a header as text."""
    if text[:1] != "{" or text[-1:] != "}":
        raise ValueError(f"its header must be a dict, got {text[:80]!r}")
    found: dict[str, str] = {}
    rest = text[1:-1].strip()
    while rest:
        match = next(filter(None, (pattern.match(rest) for pattern in _PATTERNS)), None)
        if match is None:
            raise ValueError(
                f"its header must give descr, a plain dtype, fortran_order and shape, got {rest[:80]!r}"
            )
        groups = {key: value for key, value in match.groupdict().items() if key != "quote"}
        if groups.keys() & found.keys():
            raise ValueError("its header says something twice")
        found |= groups
        rest = rest[match.end() :].strip()
    if len(found) != len(_ENTRIES):
        raise ValueError(f"its header must give {', '.join(_ENTRIES)}")
    return found


def _elements(file: IO[bytes], header: Header) -> np.ndarray:
    flat = np.empty(math.prod(header.shape), header.dtype)
    fill_exactly(file, flat.view(np.uint8).data)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")
