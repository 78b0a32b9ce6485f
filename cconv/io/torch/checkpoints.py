"""Files of torch.save as names and tensors: zip archives since torch 1.6, before that consecutive pickles.

Torch's `serialization.py` describes both. All tensors are checked before any is read; each is read when it is
requested.
"""

import io
import os
from typing import Any, BinaryIO

import numpy as np

from cconv.files.reading import fill_exactly, read_exactly
from cconv.io.torch.archive import LOCAL, Archive
from cconv.io.torch.pickles import MOST_BYTES, Machine
from cconv.io.torch.tensors import NAMED, Kind, Storage, Tensor, storage_of

# The pickle of torch's magic number at the beginning of a file of pickles, and the protocol's number.
MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
PROTOCOL = 1001
PICKLE = "/data.pkl"


def _nothing(given: Any) -> Any:
    raise ValueError("its pickle has a tensor where none may be")


class Zipped:
    """A file that is a zip archive.

    Attributes
    ----------
    content : dict, list, …
        The saved object, with a `Tensor` in place of each tensor.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._archive = Archive(file)
        members = self._archive.members
        found = [name for name in members if name.endswith(PICKLE)]
        if len(found) != 1:
            raise ValueError(f"it must have one member …{PICKLE}, got {len(found)}")
        self._folder = found[0].removesuffix(PICKLE)
        if f"{self._folder}/constants.pkl" in members:
            raise ValueError(
                "it is a program of TorchScript, which is code: where torch is installed, write its weights "
                "alone: torch.save(torch.jit.load(path).state_dict(), other_path)"
            )
        order = self._archive.read(f"{self._folder}/byteorder", 16) if self._has("byteorder") else b"little"
        if order not in (b"little", b"big"):
            raise ValueError(f"its byte order must be little or big, got {order!r}")
        self._order = "<" if order == b"little" else ">"
        self._last: tuple[str, np.ndarray] | None = None
        pickle = io.BytesIO(self._archive.read(found[0], MOST_BYTES))
        self.content: Any = Machine(pickle, NAMED, self._storage).run()

    def _has(self, name: str) -> bool:
        return f"{self._folder}/{name}" in self._archive.members

    def _storage(self, given: Any) -> Storage:
        storage = storage_of(given)
        size, needed = self._archive.size(self._member(storage)), storage.of * storage.kind.dtype.itemsize
        if size != needed:
            raise ValueError(f"the storage {storage.key[:80]!r} must have {needed} bytes, got {size}")
        return storage

    def _member(self, storage: Storage) -> str:
        return f"{self._folder}/data/{storage.key}"

    def array(self, tensor: Tensor) -> np.ndarray:
        """Return a tensor as a new array; ValueError if its bytes are damaged."""
        member = self._member(tensor.storage)
        if self._last is None or self._last[0] != member:  # several tensors may share a storage
            self._last = None
            self._last = member, self._archive.array(member)
        data = self._last[1]
        kind = tensor.kind
        if self._order == ">":
            kind = kind._replace(dtype=kind.dtype.newbyteorder(">"))
        return tensor._replace(kind=kind).of(_viewed(data, tensor.storage, kind))


class Pickled:
    """A file of pickles, followed by the storages; attributes as in `Zipped`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._storages: dict[str, Storage] = {}
        if read_exactly(file, len(MAGIC)) != MAGIC:
            raise ValueError("torch.save did not write it")
        if self._next() != PROTOCOL:
            raise ValueError("it has another protocol than torch's 1001")
        system = self._next()
        if not isinstance(system, dict) or system.get("little_endian", True) is not True:
            raise ValueError("its numbers must be little-endian")
        self.content: Any = Machine(file, NAMED, self._storage).run()
        keys = self._next()
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ValueError("it must have a list of its storages")
        self._places = self._follow(keys)

    def _next(self) -> Any:
        return Machine(self._file, NAMED, _nothing).run()

    def _storage(self, given: Any) -> Storage:
        storage = storage_of(given)
        first = self._storages.setdefault(storage.key, storage)
        if (first.kind, first.of) != (storage.kind, storage.of):
            raise ValueError(f"the storage {storage.key[:80]!r} is said to be of two kinds")
        return storage

    def _follow(self, keys: list[str]) -> dict[str, int]:
        """Return the position of each storage."""
        size, place = os.fstat(self._file.fileno()).st_size, self._file.tell()
        places: dict[str, int] = {}
        for key in keys:
            storage = self._storages.get(key)
            if storage is None or key in places:
                raise ValueError(f"the storage {key[:80]!r} belongs to no tensor")
            self._file.seek(place)
            count = int.from_bytes(read_exactly(self._file, 8), "little")
            length = storage.of * storage.kind.dtype.itemsize
            if count != storage.of or length > size - place - 8:
                raise ValueError(
                    f"the storage {key[:80]!r} must have {storage.of} elements, got {count}, in a file of "
                    f"{size} bytes"
                )
            places[key] = place + 8
            place += 8 + length
        missing = self._storages.keys() - places.keys()
        if missing:
            raise ValueError(f"the storage {min(missing)[:80]!r} is missing")
        return places

    def array(self, tensor: Tensor) -> np.ndarray:
        """Return a tensor as a new array."""
        storage = tensor.storage
        data = np.empty(storage.of * storage.kind.dtype.itemsize, np.uint8)
        self._file.seek(self._places[storage.key])
        fill_exactly(self._file, data.data)
        return tensor.of(_viewed(data, storage, tensor.kind))


def _viewed(data: np.ndarray, storage: Storage, kind: Kind) -> np.ndarray:
    """Return the elements that belong to a tensor's (view of a) storage, from the storage's bytes."""
    begin = storage.begin * storage.kind.dtype.itemsize
    data = data[begin : begin + storage.length * storage.kind.dtype.itemsize]
    whole = len(data) // kind.dtype.itemsize * kind.dtype.itemsize
    return data[:whole].view(kind.dtype)


def opened(file: BinaryIO) -> Zipped | Pickled:
    """Return the content of a file, positioned at its beginning, according to its first bytes."""
    start = file.read(4)
    file.seek(0)
    return Zipped(file) if start == LOCAL else Pickled(file)
