"""Samples in tar files as WebDataset has them: ``key.jpg`` and ``key.cls`` or ``key.json``, side by side.

Only headers and labels are read, once; where an image lies is remembered. Nothing of a file is believed: it
must be whole, and each sample have one image and its label.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from cconv.files.reading import Path, open_regular, read_exactly, reading, short

IMAGES = ("jpg", "jpeg", "png", "bmp", "webp")
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# The key ends with the first point of the name; what begins with one is no sample.
NAME = re.compile(r"((?:.*/)?[^./][^/.]*)\.([^/]*)", re.DOTALL)
WHOLE = re.compile(rb"\s*[+-]?[0-9]{1,18}\s*")
LONGEST_LABEL = 1 << 20  # bytes
LONGEST_END = 1 << 20  # of zeros


class Place(NamedTuple):
    """Where a file lies in a tar file."""

    offset: int
    size: int


class Sample(NamedTuple):
    """A sample of a shard."""

    key: str
    image: Place
    label: int | None


def samples(path: Path, image: str | None, label: str | None) -> Iterator[Sample]:
    """Yield the samples of a tar file in their order.

    Parameters
    ----------
    path : path
    image : str or None
        What the names of images end with; None: one of `IMAGES`.
    label : str or None
        "cls", or "json." and the name of an entry; None: there is none.

    Raises
    ------
    OSError, ValueError
        For a file that is not whole, and for samples that are not; with the path, and the key.
    """
    from tarfile import TarError  # slow to import, and seldom needed

    with open_regular(path) as file, reading(path, "a tar file of whole samples", TarError):
        key, found, seen = None, dict[str, Place](), set[str]()
        for name, place in _members(file):
            match = NAME.fullmatch(name)
            if match is None:
                continue
            if match[1] != key:
                if key is not None:
                    yield _sample(file, key, found, image, label)
                key, found = match[1], {}
                if key in seen:
                    raise ValueError(
                        f"there are files of the key {key!r} in two places, {name!r} is the second"
                    )
                seen.add(key)
            ending = match[2].lower()
            if ending in found:
                raise ValueError(f"the key {key!r} has two files {ending!r}")
            found[ending] = place
        if key is None:
            raise ValueError("there is no sample in it")
        yield _sample(file, key, found, image, label)


def _members(file: BinaryIO) -> Iterator[tuple[str, Place]]:
    """Yield the names and places of the files in a tar file; ValueError where it is damaged or cut off."""
    from tarfile import BLOCKSIZE, TarFile

    total, begin = os.fstat(file.fileno()).st_size, file.read(6)
    for magic, kind in PACKED.items():
        if begin.startswith(magic):
            raise ValueError(f"it is packed by {kind}, and images in it cannot be found: unpack it first")
    file.seek(0)
    tar: Any = TarFile(fileobj=file)
    before = -1
    while (member := tar.next()) is not None:
        tar.members.clear()  # which would grow with the file
        if member.offset_data <= before or member.offset_data + member.size > total:
            raise ValueError(f"it ends within {member.name!r}")
        before = member.offset_data
        if member.issym() or member.islnk() or member.issparse():
            raise ValueError(f"{member.name!r} must be a plain file, no link, without holes")
        if member.isfile():
            yield member.name, Place(member.offset_data, member.size)
    file.seek(tar.offset)
    rest = file.read(LONGEST_END)
    if len(rest) < BLOCKSIZE:
        raise ValueError(f"it is cut off behind byte {tar.offset}: it must end with a block of zeros")
    if rest.strip(b"\0") or file.read(1):
        raise ValueError(f"it is damaged at byte {tar.offset}: there is no header")


def _sample(
    file: BinaryIO, key: str, found: dict[str, Place], image: str | None, label: str | None
) -> Sample:
    """Return a sample; ValueError where it has not one image and its label."""
    wanted = [ending for ending in found if (ending in IMAGES if image is None else ending == image)]
    if len(wanted) != 1:
        of = f"of {', '.join(IMAGES)}" if image is None else repr(image)
        raise ValueError(f"the key {key!r} must have one image {of}, got {', '.join(found)}")
    place = found[wanted[0]]
    if label is None:
        return Sample(key, place, None)
    kind, _, entry = label.partition(".")
    if kind not in found:
        raise ValueError(f"the key {key!r} has no label {kind!r}, got {', '.join(found)}")
    if found[kind].size > LONGEST_LABEL:
        raise ValueError(f"the label {kind!r} of the key {key!r} has {found[kind].size} bytes")
    file.seek(found[kind].offset)
    return Sample(key, place, _label(key, read_exactly(file, found[kind].size), entry))


def _label(key: str, data: bytes, entry: str) -> int:
    """Return the class number in the text of a label, or in an entry of its JSON."""
    given: object = data
    if entry:
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the JSON of the key {key!r} is damaged ({short(error)})") from error
        if not isinstance(document, dict) or entry not in document:
            raise ValueError(f"the JSON of the key {key!r} has no entry {entry!r}")
        given = document[entry]
        data = str(given).encode() if isinstance(given, int) and not isinstance(given, bool) else b""
    if not WHOLE.fullmatch(data):
        raise ValueError(f"the label of the key {key!r} must be a whole number, got {short(repr(given))}")
    return int(data)


def read_places(path: Path, places: list[Place]) -> Iterator[bytes]:
    """Yield what lies at these places of a file."""
    with open_regular(path) as file:
        for place in places:
            file.seek(place.offset)
            yield file.read(place.size)
