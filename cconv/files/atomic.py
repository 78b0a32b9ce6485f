"""Writes a file in one step: at every moment there is the whole old file or the whole new one."""

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

LONGEST_NAME = 200  # bytes of a file's name, so that file systems accept it with what is added


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in every error about writing it."""
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"cannot write {path}: there is not enough memory") from error
    except OSError as error:
        reason = error.strerror or str(error)
        text = f"cannot write {path}: {reason}"
        raise (OSError(text) if error.errno is None else OSError(error.errno, text)) from error
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"cannot write {path}: {error}") from error


def destination(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Return the file to which a write to `path` goes, behind symbolic links, and its `os.stat`, or None.

    Raises
    ------
    OSError
        If it cannot be a file: missing folder, a folder, a device, a pipe, links in a circle.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        found = None
    target = Path(os.path.realpath(path))
    if found is None:
        if not target.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {target.parent}")
    elif stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    elif not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file, but a pipe or a device")
    return target, found


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a file to write to; at the end, if nothing was raised, it replaces the file at `path`.

    Until then it lies in the same folder. It gets the mode and, if allowed, the owner of the old file,
    or those of any new file. Temporary files that killed processes left in the folder are removed.

    Raises
    ------
    OSError
        If it cannot be written; then the file at `path` is untouched. Once the new file is in its place,
        nothing is raised any more.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/a") as file:
    ...         _ = file.write(b"new")
    ...     Path(folder, "a").read_bytes()
    b'new'
    """
    with naming(path):
        target, old = destination(path)
        _remove_leftovers(target)
        temporary, fd = _create(target, old)
        file = os.fdopen(fd, "wb")
        try:
            yield file
            file.flush()
            os.fsync(fd)
            if sys.platform == "win32":  # Windows does not move open files
                file.close()
            # The lock lasts until the file is in its place: an unlocked file would be taken for a leftover.
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        finally:
            with suppress(OSError):
                file.close()
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Write the folder's own table to the disk. Some file systems cannot, but the file is in place anyway."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _stem(target: Path) -> str:
    """Return the beginning of the names of a target's temporary files."""
    name = target.name
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = sha256(os.fsencode(name)).hexdigest()
    return f".{name}."


def _create(target: Path, old: os.stat_result | None) -> tuple[Path, int]:
    """Create a locked temporary file beside the target; return its path and descriptor."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = target.with_name(f"{_stem(target)}{secrets.token_hex(8)}.tmp")
        # The umask sets the mode of a new file. Who may not read the old file may not read this one either.
        fd = os.open(temporary, flags, 0o666 if old is None else 0o600)
        if _locked(fd):
            if old is not None:
                _keep_owner_and_mode(fd, old)
            return temporary, fd
        os.close(fd)  # another process took it for a leftover: try again


def _locked(fd: int) -> bool:
    """Lock a new file for the life of this process; False if it has been removed, or will be."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: there nobody can take the file for a leftover
    return os.fstat(fd).st_nlink > 0


def _keep_owner_and_mode(fd: int, old: os.stat_result) -> None:
    if sys.platform == "win32":
        return
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(OSError):  # only root may give files away
            os.fchown(fd, old.st_uid, old.st_gid)
    with suppress(PermissionError):  # on file systems without modes
        os.fchmod(fd, stat.S_IMODE(old.st_mode))


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of this target whose processes are gone."""
    pattern = re.compile(re.escape(_stem(target)) + r"[0-9a-f]{16}\.tmp")
    with suppress(OSError):
        for name in os.listdir(target.parent):
            if pattern.fullmatch(name):
                with suppress(OSError):
                    _remove_if_left(target.with_name(name))


def _remove_if_left(path: Path) -> None:
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        # A living process holds the lock of its own file; then this raises.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.unlink(path)
    finally:
        os.close(fd)
