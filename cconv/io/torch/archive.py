"""Zip archives as torch writes them: members without compression, each with a checksum.

This module reads the directory itself, to check that its length and every member's length fit into the file
before memory is allocated for them. The format is PKWARE's APPNOTE 6.3, sections 4.3 and 4.5.
"""

import os
import struct
import zlib
from typing import BinaryIO, NamedTuple

import numpy as np

from cconv.files.reading import PIECE, fill_exactly, read_exactly

END, END64, WHERE64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
MEMBER, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
TAIL = 22 + 65535  # bytes at the end of a file in which the end record of the directory must be
MOST_MEMBERS = 100_000
LONGEST_DIRECTORY = 1 << 25  # bytes
STORED, ENCRYPTED, ZIP64 = 0, 1, 1  # method, flag, kind of extra field
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF  # mean that the number is in the zip64 fields


class Member(NamedTuple):
    """A member's entry in the directory; `header` is the position of its own header."""

    header: int
    size: int
    checksum: int
    plain: bool


class Archive:
    """The members of an archive by name.

    Parameters
    ----------
    file : file
        Opened for reading, in binary mode.

    Attributes
    ----------
    members : dict of str to Member

    Raises
    ------
    ValueError
        When it is not a complete archive.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self.members: dict[str, Member] = {}
        count, length, self._end = self._directory()
        if count > MOST_MEMBERS or length > LONGEST_DIRECTORY:
            raise ValueError(f"it is said to have {count} members, and at most {MOST_MEMBERS} are taken")
        if length > self._size - self._end:
            raise ValueError("its directory of members does not fit into the file")
        file.seek(self._end)
        data, place = read_exactly(file, length), 0
        for _ in range(count):
            place = self._member(data, place)

    def _directory(self) -> tuple[int, int, int]:
        """Return the number of members, and the length and position of the directory."""
        tail = min(self._size, TAIL)
        self._file.seek(self._size - tail)
        end = read_exactly(self._file, tail)
        place = end.rfind(END)
        if place < 0 or len(end) < place + 22:
            raise ValueError("its directory of members is missing: the file is cut off, or no zip archive")
        count, length, start = struct.unpack_from("<HII", end, place + 10)
        if count == FULL16 or FULL32 in (length, start):
            if place < 20 or end[place - 20 : place - 16] != WHERE64:
                raise ValueError("its directory of members is missing")
            self._file.seek(min(struct.unpack_from("<Q", end, place - 12)[0], self._size))
            large = read_exactly(self._file, 56)
            if large[:4] != END64:
                raise ValueError("its directory of members is missing")
            count, length, start = struct.unpack_from("<QQQ", large, 32)
        return count, length, min(start, self._size)

    def _member(self, data: bytes, place: int) -> int:
        """Read the directory's entry at this position; return the position of the next."""
        if data[place : place + 4] != MEMBER or len(data) < place + 46:
            raise ValueError("its directory of members is damaged")
        flags, method = struct.unpack_from("<HH", data, place + 8)
        checksum, packed, size, named, more, said = struct.unpack_from("<IIIHHH", data, place + 16)
        (header,) = struct.unpack_from("<I", data, place + 42)
        begin = place + 46
        name = data[begin : begin + named].decode()
        begin += named
        if FULL32 in (packed, size, header):
            packed, size, header = _large(data[begin : begin + more], [packed, size, header])
        if name in self.members:
            raise ValueError(f"the member {name[:80]!r} comes twice")
        plain = method == STORED and not flags & ENCRYPTED and packed == size
        self.members[name] = Member(header, size, checksum, plain)
        return begin + more + said

    def read(self, name: str, most: int) -> bytes:
        """Return the content of a small member.

        Raises
        ------
        ValueError
            When it is missing, is longer than `most` bytes, or is damaged.
        """
        size = self.size(name)
        if size > most:
            raise ValueError(f"{name[:80]!r} must have at most {most} bytes, got {size}")
        return self.array(name).tobytes()

    def size(self, name: str) -> int:
        """Return the length of a member in bytes, checked to lie within the file."""
        member = self.members.get(name)
        if member is None:
            raise ValueError(f"the member {name[:80]!r} is missing")
        if not member.plain:
            raise ValueError(f"{name[:80]!r} must lie in the file as it is, not packed or encrypted")
        if member.header + 30 + member.size > self._end:
            raise ValueError(f"{name[:80]!r} is said to have {member.size} bytes and does not fit in")
        return member.size

    def array(self, name: str) -> np.ndarray:
        """Return the bytes of a member.

        Raises
        ------
        ValueError
            When they are not in the file, or their checksum differs.
        """
        size, member = self.size(name), self.members[name]
        self._file.seek(member.header)
        header = read_exactly(self._file, 30)
        if header[:4] != LOCAL:
            raise ValueError(f"{name[:80]!r} does not begin where the directory says")
        named, more = struct.unpack_from("<HH", header, 26)
        start = member.header + 30 + named + more
        if start + size > self._end:
            raise ValueError(f"{name[:80]!r} is said to have {size} bytes and does not fit in")
        self._file.seek(start)
        data = np.empty(size, np.uint8)
        fill_exactly(self._file, data.data)
        found = 0
        for begin in range(0, size, PIECE):
            found = zlib.crc32(data[begin : begin + PIECE].data, found)
        if found != member.checksum:
            raise ValueError(f"{name[:80]!r} is damaged: its content does not have its checksum")
        return data


def _large(extra: bytes, numbers: list[int]) -> list[int]:
    """Return packed size, size and position; numbers too large for their fields are in the extra fields."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        place += 4
        if kind == ZIP64:
            # In the extra field the unpacked size comes first.
            order = [index for index in (1, 0, 2) if numbers[index] == FULL32]
            for number, index in enumerate(order):
                (numbers[index],) = struct.unpack_from("<Q", extra[place : place + length], 8 * number)
            return numbers
        place += length
    return numbers
