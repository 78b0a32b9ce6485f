"""Opens files for reading, and turns all errors that their content may cause into one kind."""

import errno
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO

Path = str | os.PathLike[str]

# The errors of Python's parsers, and of Pillow, for damaged content. RuntimeError includes RecursionError and
# what zipfile raises for passwords and unknown methods.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
PIECE = 1 << 22  # bytes that are read at once: what unpacks them needs additional memory
LONGEST = 400  # characters of a reason: a file must not fill the screen with its content

# A compressed file may unpack to MOST_UNPACKED bytes, or to MOST_RATIO times its own size if that is more.
# Deflate reaches 1,000 times, which no pictures or labels do.
MOST_UNPACKED, MOST_RATIO = 1 << 28, 100


class Refused(ValueError):
    """A whole file that is not what was asked for: `reading` puts the path in front, and nothing else."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises
    ------
    OSError
        If it cannot be opened, or is a folder, a pipe or a device; it does not wait for these.
    ValueError
        If `path` cannot be a path at all.
    """
    try:
        try:
            _check_regular(os.stat(path))
            # If it has become a pipe in the meantime, opening it does not wait for a writer.
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "there is no file") from None
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)!r} cannot be the path of a file: {error}") from error
        try:
            _check_regular(os.fstat(fd))
            return os.fdopen(fd, "rb")
        except BaseException:
            os.close(fd)
            raise
    except OSError as error:
        raise _named(path, error) from error


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file, but a pipe or a device")


def _named(path: Path, error: OSError) -> OSError:
    """Return an error of the same class, with the path in its text."""
    reason = error.strerror or str(error)
    if reason.endswith(f": {path}"):  # by a reader of the same file
        return error
    if error.errno is None:
        return OSError(f"{reason} {path}")
    return OSError(error.errno, f"{reason}: {path}")


@contextmanager
def reading(path: Path, what: str, *more: type[Exception]) -> Iterator[None]:
    """Turn the errors of parsers into ValueError, or OSError, with the path in front.

    Parameters
    ----------
    path : path
        The file that is read.
    what : str
        What it should be: ``"a whole gzip file"``.
    *more : classes
        Errors of the format's parser, besides the usual ones.

    Raises
    ------
    ValueError
        If the content is not what it should be. The ValueErrors of the code inside say why, without the
        path.
    OSError
        If the system cannot read the file.
    MemoryError
        If there is not enough memory for it.
    """
    try:
        yield
    except Refused as error:
        raise ValueError(f"{path}: {short(error)}") from error
    except more as error:
        raise ValueError(f"{path}: not {what} ({short(error)})") from error
    except MemoryError as error:
        raise MemoryError(f"{path}: there is not enough memory to read it") from error
    except OSError as error:
        if error.errno is None:  # not from the system, but from a parser
            raise ValueError(f"{path}: not {what} ({short(error)})") from error
        raise _named(path, error) from error
    except DAMAGE as error:
        raise ValueError(f"{path}: not {what} ({short(error)})") from error


def short(error: BaseException | str) -> str:
    """Return the text of an error on one line, not too long; if it has no text, its class."""
    kind = type(error).__name__
    text = " ".join(str(error).split()) or kind
    if isinstance(error, KeyError):
        text = f"there is no entry {text}"
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: LONGEST + 1])
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def read_exactly(file: IO[bytes], count: int) -> bytes:
    """Return the next `count` bytes; ValueError if the file ends before."""
    data = file.read(count)
    if len(data) < count:
        raise ValueError(f"it ends after {len(data)} of {count} bytes")
    return data


def fill(file: Any, buffer: memoryview) -> int:
    """Read until the buffer is full or the file ends; return the number of bytes read."""
    done = 0
    while done < len(buffer):
        count = file.readinto(buffer[done : done + PIECE])
        if not count:
            break
        done += count
    return done


def fill_exactly(file: Any, buffer: memoryview) -> None:
    """Read until the buffer is full; ValueError if the file ends before."""
    count = fill(file, buffer)
    if count < len(buffer):
        raise ValueError(f"it ends after {count} of {len(buffer)} bytes")


def check_unpacked(count: int, packed: int) -> None:
    """Refuse a file of `packed` bytes that says it unpacks to `count`, before anything is unpacked."""
    most = max(MOST_UNPACKED, MOST_RATIO * packed)
    if count > most:
        raise ValueError(f"its {packed} bytes are said to unpack to {count}; at most {most} are taken")
