"""The zip archive of a ``.keras`` file: its members, and how it is written."""

import io
import os
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

from cconv.files import plainjson
from cconv.files.reading import check_unpacked

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
LONGEST_DIRECTORY = 1 << 20  # bytes: enough for about ten thousand members
LONGEST_CONFIG = 1 << 26  # bytes
END = b"PK\x05\x06"
FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # a fixed date: the same model gives the same bytes


class Archive:
    """An open archive.

    Parameters
    ----------
    file : binary file
        Must be seekable; it is not closed here.

    Raises
    ------
    ValueError, zipfile.BadZipFile
        When it is not an archive, or has a directory that is too long.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._size = os.fstat(file.fileno()).st_size
        tail = min(self._size, 22 + 65535)
        file.seek(self._size - tail)
        end = file.read(tail)
        place = end.rfind(END)
        if place < 0 or len(end) < place + 22:
            raise ValueError("its directory of members is missing")
        directory = int.from_bytes(end[place + 12 : place + 16], "little")
        if directory > LONGEST_DIRECTORY:
            raise ValueError(f"its directory must have at most {LONGEST_DIRECTORY} bytes, got {directory}")
        self._zip = zipfile.ZipFile(file)
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if info.filename in self._members:
                raise ValueError(f"the member {info.filename[:80]!r} comes twice")
            self._members[info.filename] = info

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str, most: int | None = None) -> bytes:
        """Return a member after checking its checksum; ValueError if it is missing or too large."""
        info = self._members.get(name)
        if info is None:
            raise ValueError(
                f"there is no {name} in it, only {', '.join(sorted(self._members)[:8]) or 'nothing'}"
            )
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} must be stored or deflated, without a password")
        check_unpacked(info.file_size, self._size)
        if most is not None and info.file_size > most:
            raise ValueError(f"{name} must have at most {most} bytes, got {info.file_size}")
        with self._zip.open(info) as member:
            data = member.read(info.file_size + 1)
        if len(data) != info.file_size:
            raise ValueError(f"{name} must have {info.file_size} bytes, got {len(data)}")
        return data

    def json(self, name: str) -> object:
        """Return a member's content, parsed as JSON."""
        return plainjson.loads(self.read(name, LONGEST_CONFIG).decode())


def packed(members: Mapping[str, bytes]) -> bytes:
    """Return an archive of these members, stored without compression."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, FIRST_DAY), data)
    return buffer.getvalue()
