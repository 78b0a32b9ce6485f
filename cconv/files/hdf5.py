"""Reads HDF5 files, as h5py and Keras write them, in plain Python that trusts nothing in the file.

The library behind h5py ends the process, or hangs, on malicious files. This reader checks every size and
address against the file before memory is allocated. It supports nothing that leads out of the file: no
links but hard ones, no external storage, no virtual arrays, and no filters but deflate, shuffle and
Fletcher's checksum. Only the oldest layout is read (superblock 0 or 1), which h5py writes by default. The
format is described at https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np

from cconv.arguments.arrays import aligned_empty
from cconv.arguments.numbers import LARGEST
from cconv.files.reading import check_unpacked, fill_exactly, read_exactly

MAGIC = b"\x89HDF\r\n\x1a\n"
DEEPEST = 32  # nested groups
MOST_OBJECTS = 200_000
MOST_AXES = 32  # HDF5's limit
LONGEST_TEXT = 1 << 26  # bytes of an attribute, such as the configuration of a model
MOST_CHUNKS = 1 << 20
UNDEFINED = 2**64 - 1
DEFLATE, SHUFFLE, FLETCHER = 1, 2, 3

DATASPACE, DATATYPE, LAYOUT, EXTERNAL, FILTERS = 0x01, 0x03, 0x08, 0x07, 0x0B
LINK_INFO, LINK, ATTRIBUTE, CONTINUATION, SYMBOLS, ATTRIBUTE_INFO = 0x02, 0x06, 0x0C, 0x10, 0x11, 0x15


class Kind(NamedTuple):
    """The type of the elements of an array or attribute.

    Attributes
    ----------
    dtype : numpy.dtype or None
        For numbers, and bytes of fixed length; None for types that are not read.
    size : int
        Bytes of an element.
    varying : bool
        Whether elements are texts of any length, which lie elsewhere in the file.
    """

    dtype: np.dtype | None
    size: int
    varying: bool = False


class Entry(NamedTuple):
    """An array in the file, whose elements have not been read yet."""

    kind: Kind
    shape: tuple[int, ...]
    layout: bytes
    filters: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the array in memory."""
        assert self.kind.dtype is not None
        return self.kind.dtype.newbyteorder("=")

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.kind.size


class Attribute(NamedTuple):
    """An attribute of an object, with its elements as they lie in the file."""

    kind: Kind
    shape: tuple[int, ...]
    data: bytes


class Reader:
    """A file whose structure has been read and checked; arrays and attributes are read on request.

    Parameters
    ----------
    file : binary file
        Must be seekable; the caller closes it.
    size : int
        Its size in bytes.

    Attributes
    ----------
    groups : dict of str to list of str
        The names in each group, by the path of the group; the path of the root is "".
    arrays : dict of str to Entry
        The arrays of numbers, by path.

    Raises
    ------
    ValueError
        Says what is wrong, or not supported; `cconv.files.reading.reading` adds the name of the file.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size
        self.groups: dict[str, list[str]] = {}
        self.arrays: dict[str, Entry] = {}
        self._attributes: dict[str, dict[str, Attribute]] = {}
        self._seen: set[int] = set()
        self._walk(self._superblock())

    # --- the structure ------------------------------------------------------------------------

    def _at(self, place: int, count: int) -> bytes:
        """Return `count` bytes from a place in the file."""
        if place > self._size or count > self._size - place:
            raise ValueError(f"{count} bytes at {place} do not lie in its {self._size} bytes")
        self._file.seek(place)
        return read_exactly(self._file, count)

    def _superblock(self) -> int:
        """Return the place where the root group is described."""
        start = self._at(0, min(self._size, 100))
        if start[:8] != MAGIC:
            raise ValueError(f"it must begin with {MAGIC!r}, got {start[:8]!r}")
        version = start[8] if len(start) > 8 else 255
        if version in (2, 3):
            raise ValueError("it has HDF5's newer layout: write it with libver='earliest', h5py's default")
        if version > 1 or start[13:15] != b"\x08\x08":
            raise ValueError(
                f"its superblock must be of version 0 or 1 with 8-byte places, got {start[8:16]!r}"
            )
        begin = 24 if version == 0 else 28
        base, _, end, _, _, root = struct.unpack_from("<6Q", start, begin)
        if base != 0 or end > self._size:
            raise ValueError(f"it is said to have {end} bytes from {base}, got {self._size}")
        return int(root)

    def _walk(self, root: int) -> None:
        todo = [("", root, 0)]
        while todo:
            path, place, depth = todo.pop()
            if depth > DEEPEST:
                raise ValueError(f"groups must be nested at most {DEEPEST} deep")
            if place in self._seen:
                raise ValueError(f"{path!r} is the same object as another")
            self._seen.add(place)
            if len(self._seen) > MOST_OBJECTS:
                raise ValueError(f"it must have at most {MOST_OBJECTS} objects")
            messages = list(self._messages(place))
            self._attributes[path] = dict(
                self._attribute(body) for code, body in messages if code == ATTRIBUTE
            )
            found = dict(messages)
            if ATTRIBUTE_INFO in found and struct.unpack_from("<Q", found[ATTRIBUTE_INFO], 2)[0] != UNDEFINED:
                raise ValueError(f"{path!r} has attributes in HDF5's newer layout")
            if SYMBOLS in found:
                members = dict(self._members(*struct.unpack_from("<2Q", found[SYMBOLS])))
                self.groups[path] = list(members)
                todo += [(f"{path}/{name}" if path else name, at, depth + 1) for name, at in members.items()]
            elif LINK_INFO in found or LINK in found:
                raise ValueError(
                    f"the group {path!r} has HDF5's newer layout, which names need that are not ASCII: give "
                    "the layers other names, or save in another format (.keras)"
                )
            elif LAYOUT in found:
                entry = self._entry(path, found)
                if entry is not None:
                    self.arrays[path] = entry

    def _messages(self, place: int) -> Iterator[tuple[int, bytes]]:
        """Yield the messages of an object's header: a code and a body each."""
        version, _, count, _, length = struct.unpack("<BBHII", self._at(place, 12))
        if version != 1:
            raise ValueError(f"an object's header must be of version 1, got {version}")
        blocks = [(place + 16, length)]
        for start, size in blocks:
            block, at = self._at(start, size), 0
            while at + 8 <= size and count:
                code, extent, flags = struct.unpack_from("<HHB", block, at)
                body = block[at + 8 : at + 8 + extent]
                at, count = at + 8 + extent, count - 1
                if at > size:
                    raise ValueError("a message of an object's header is longer than the header")
                if code == CONTINUATION:
                    blocks.append(struct.unpack_from("<2Q", body))
                elif flags & 2 and code in (DATASPACE, DATATYPE, LAYOUT, FILTERS, ATTRIBUTE):
                    raise ValueError("an object shares what describes it with others")
                else:
                    yield code, body

    def _members(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """Yield the names in a group, and the places where they are described."""
        magic, _, length, _, data = struct.unpack("<4sIQQQ", self._at(heap, 32))
        if magic != b"HEAP":
            raise ValueError(f"the names of a group must begin with HEAP, got {magic!r}")
        names, known = self._at(data, length), set()
        for node in self._leaves(tree, 0, 8):
            magic, _, _, count = struct.unpack("<4sBBH", self._at(node, 8))
            if magic != b"SNOD":
                raise ValueError(f"the members of a group must begin with SNOD, got {magic!r}")
            entries = self._at(node + 8, 40 * count)
            for at in range(0, 40 * count, 40):
                offset, place, cache = struct.unpack_from("<QQI", entries, at)
                name = names[offset : names.index(b"\0", offset)].decode()
                if cache == 2 or place == UNDEFINED:
                    raise ValueError(f"{name!r} is a link to elsewhere: only arrays and groups are read")
                if not name or "/" in name or name in known:
                    raise ValueError(f"a group's names must be there once, without '/', got {name!r}")
                known.add(name)
                yield name, place

    def _leaves(self, tree: int, kind: int, key: int) -> Iterator[int]:
        """Yield the places of the leaves of a tree, in order; the key of a leaf lies before it."""
        for _, place in self._pairs(tree, kind, key):
            yield place

    def _pairs(self, tree: int, kind: int, key: int) -> Iterator[tuple[bytes, int]]:
        todo, seen = [tree], {tree}
        while todo:
            node = todo.pop()
            magic, code, level, count = struct.unpack("<4sBBH", self._at(node, 8))
            if magic != b"TREE" or code != kind:
                raise ValueError(f"a tree must begin with TREE and {kind}, got {magic!r} and {code}")
            block = self._at(node + 24, count * (key + 8))
            pairs = [
                (block[at : at + key], struct.unpack_from("<Q", block, at + key)[0])
                for at in range(0, len(block), key + 8)
            ]
            if not level:
                yield from pairs
                continue
            below = [place for _, place in pairs]
            if seen & set(below) or len(seen) + len(below) > MOST_CHUNKS:
                raise ValueError("a tree must have each node once")
            seen |= set(below)
            todo += reversed(below)

    def _attribute(self, body: bytes) -> tuple[str, Attribute]:
        version, flags, *sizes = struct.unpack_from("<BBHHH", body)
        if version not in (1, 2, 3) or (version > 1 and flags):
            raise ValueError(f"an attribute must be of version 1, 2 or 3, got {version}")
        at, parts = 8 if version < 3 else 9, []
        for size in sizes:
            parts.append(body[at : at + size])
            at += -(-size // 8) * 8 if version == 1 else size
        name = parts[0].split(b"\0")[0].decode()
        return name, Attribute(_kind(parts[1]), _shape(parts[2]), body[at:])

    def _entry(self, path: str, found: dict[int, bytes]) -> Entry | None:
        """Return the array that messages describe; None if its elements are no numbers."""
        if DATASPACE not in found or DATATYPE not in found:
            raise ValueError(f"{path!r} must have a shape and a type")
        if EXTERNAL in found:
            raise ValueError(f"the elements of {path!r} lie in another file, which is not read")
        kind, shape = _kind(found[DATATYPE]), _shape(found[DATASPACE])
        if kind.dtype is None or kind.dtype.kind not in "iuf":
            return None
        layout = found[LAYOUT]
        if layout[:1] != b"\x03" or len(layout) < 4 or layout[1] > 2:
            raise ValueError(f"{path!r} must lie as one piece or in chunks, got the layout {layout[:2]!r}")
        entry = Entry(kind, shape, layout, _filters(found[FILTERS]) if FILTERS in found else ())
        check_unpacked(entry.nbytes, self._size)
        return entry

    # --- reading on request -------------------------------------------------------------------

    def array(self, path: str) -> np.ndarray:
        """Return a new array, 64-byte aligned, in native byte order; KeyError if there is none."""
        entry = self.arrays[path]
        code = entry.layout[1]
        array = aligned_empty(entry.shape, entry.dtype)
        flat = array.reshape(-1).view(np.uint8)
        if code == 2:
            self._chunked(path, entry, array)
        elif entry.filters:
            raise ValueError(f"{path!r} is one piece, which no filter is for")
        elif code == 1:
            place, size = struct.unpack_from("<2Q", entry.layout, 2)
            if place == UNDEFINED and not entry.nbytes:
                return array
            if size != entry.nbytes or place > self._size or size > self._size - place:
                raise ValueError(
                    f"{path!r} must have the {entry.nbytes} bytes of its shape, got {size} at {place}"
                )
            self._file.seek(place)
            fill_exactly(self._file, flat.data)
        else:
            flat[:] = np.frombuffer(_exactly(path, entry.layout[4:], entry.nbytes), np.uint8)
        if code != 2 and entry.kind.dtype != entry.dtype:
            array.byteswap(inplace=True)
        return array

    def _chunked(self, path: str, entry: Entry, array: np.ndarray) -> None:
        """Fill an array from its chunks."""
        rank = len(entry.shape)
        if entry.layout[2] != rank + 1:
            raise ValueError(f"the chunks of {path!r} must have {rank} axes")
        (tree,) = struct.unpack_from("<Q", entry.layout, 3)
        *extents, _ = struct.unpack_from(f"<{rank + 1}I", entry.layout, 11)
        nbytes = math.prod(extents) * entry.kind.size
        if not nbytes or not entry.nbytes or tree == UNDEFINED:
            raise ValueError(f"{path!r} has chunks without elements")
        expected = math.prod(-(-n // extent) for n, extent in zip(entry.shape, extents, strict=True))
        check_unpacked(nbytes * expected, self._size)
        seen = set()
        for key, place in self._pairs(tree, 1, 8 * (rank + 2)):
            size, skipped, *offsets = struct.unpack_from(f"<2I{rank}Q", key)
            if tuple(offsets) in seen or any(
                start % extent or start >= n
                for start, extent, n in zip(offsets, extents, entry.shape, strict=True)
            ):
                raise ValueError(f"a chunk of {path!r} does not lie in it")
            seen.add(tuple(offsets))
            data = _unfiltered(path, entry, self._at(place, size), skipped, nbytes)
            chunk = np.frombuffer(data, entry.kind.dtype).reshape(extents)
            there = tuple(
                slice(start, start + extent) for start, extent in zip(offsets, extents, strict=True)
            )
            target = array[there]
            target[...] = chunk[tuple(slice(n) for n in target.shape)]
        if len(seen) != expected:
            raise ValueError(f"{path!r} must have {expected} chunks, got {len(seen)}")

    def attribute(self, path: str, name: str) -> Any:
        """Return a text, or a list of texts; None if there is no such attribute, or it holds no texts.

        Raises
        ------
        ValueError
            If it is damaged, or is not valid text.
        """
        found = self._attributes.get(path, {}).get(name)
        if found is None or not (
            found.kind.varying or (found.kind.dtype is not None and found.kind.dtype.kind == "S")
        ):
            return None
        count, size = math.prod(found.shape), found.kind.size
        data = _exactly(name, found.data, count * size)
        pieces = [data[at : at + size] for at in range(0, count * size, size)]
        if found.kind.varying:
            pieces = [self._elsewhere(*struct.unpack("<IQI", piece)) for piece in pieces]
        texts = [piece.rstrip(b"\0").decode() for piece in pieces]
        return texts if found.shape else texts[0]

    def _elsewhere(self, length: int, place: int, number: int) -> bytes:
        """Return an object of the global heap."""
        if not length:
            return b""
        magic, _, size = struct.unpack("<4sIQ", self._at(place, 16))
        if magic != b"GCOL" or length > LONGEST_TEXT:
            raise ValueError(f"a text must lie in a heap, GCOL, got {length} bytes at {magic!r}")
        at = place + 16
        while at + 16 <= place + size:
            found, _, _, extent = struct.unpack("<HHIQ", self._at(at, 16))
            if found == number:
                return self._at(at + 16, min(extent, length))
            if not found:
                break
            at += 16 + -(-extent // 8) * 8
        raise ValueError(f"there is no text {number} in the heap at {place}")


def _exactly(name: str, data: bytes, count: int) -> bytes:
    """Return the first `count` bytes of a block; ValueError if it has fewer."""
    if count > len(data):
        raise ValueError(f"{name!r} must have {count} bytes, got {len(data)}")
    return data[:count]


def _shape(body: bytes) -> tuple[int, ...]:
    """Return the shape that a dataspace describes."""
    version, rank = body[0], body[1]
    if version not in (1, 2) or rank > MOST_AXES or (version == 2 and body[3] == 2):
        raise ValueError(f"a shape must be of version 1 or 2 with at most {MOST_AXES} axes")
    shape = struct.unpack_from(f"<{rank}Q", body, 8 if version == 1 else 4)
    if math.prod(shape) > LARGEST or max(shape, default=0) > LARGEST:
        raise ValueError("a shape is larger than an array may be")
    return shape


def _kind(body: bytes) -> Kind:
    """Return the type that a datatype describes."""
    code, bits, size = body[0] & 15, body[1], struct.unpack_from("<I", body, 4)[0]
    order = ">" if bits & 1 else "<"
    if code == 0 and size in (1, 2, 4, 8) and struct.unpack_from("<2H", body, 8) == (0, 8 * size):
        return Kind(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"), size)
    layouts = {2: (16, 10, 5, 0, 10, 15), 4: (32, 23, 8, 0, 23, 127), 8: (64, 52, 11, 0, 52, 1023)}
    if code == 1 and size in layouts and not bits & 64:
        offset, *found = struct.unpack_from("<2H4BI", body, 8)
        if not offset and tuple(found) == layouts[size]:
            return Kind(np.dtype(f"{order}f{size}"), size)
    if code == 3 and size:
        return Kind(np.dtype(f"S{min(size, LONGEST_TEXT)}"), size)
    return Kind(None, size, varying=code == 9 and bits & 15 == 1 and size == 16)


def _filters(body: bytes) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return the filters of the chunks, with their parameters."""
    version, count, found = body[0], body[1], []
    if version not in (1, 2):
        raise ValueError(f"filters must be of version 1 or 2, got {version}")
    at = 8 if version == 1 else 2
    for _ in range(count):
        (code,) = struct.unpack_from("<H", body, at)
        if code not in (DEFLATE, SHUFFLE, FLETCHER):
            raise ValueError(f"filters must be deflate, shuffle or fletcher32, got number {code}")
        length = struct.unpack_from("<H", body, at + 2)[0] if version == 1 else 0
        (values,) = struct.unpack_from("<H", body, at + (6 if version == 1 else 4))
        at += 8 + -(-length // 8) * 8 if version == 1 else 6
        found.append((code, struct.unpack_from(f"<{values}I", body, at)))
        at += 4 * (values + (values & 1 if version == 1 else 0))
    return tuple(found)


def _unfiltered(path: str, entry: Entry, data: bytes, skipped: int, nbytes: int) -> bytes:
    """Return a chunk as it was before its filters were applied."""
    for number in reversed(range(len(entry.filters))):
        code, _ = entry.filters[number]
        if skipped >> number & 1:
            continue
        if code == DEFLATE:
            data = zlib.decompressobj().decompress(data, nbytes + 4)
        elif code == FLETCHER:
            data = data[:-4]
        else:
            rows = np.frombuffer(_exactly(path, data, nbytes), np.uint8).reshape(entry.kind.size, -1)
            data = rows.T.tobytes()
    return _exactly(path, data, nbytes)
