"""The files of a data set: in the user's folder, in the cache, or downloaded to the cache."""

import gzip
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cconv.arguments.text import short
from cconv.files.reading import check_unpacked, open_regular, reading

TIMEOUT = 30  # seconds without a byte after which a mirror counts as down
CHUNK = 1 << 20
DELAY = 0.5  # seconds before a progress bar appears
LONGEST = 200  # maximum number of characters of a mirror's error


@dataclass(frozen=True)
class Source:
    """One file of a data set.

    Attributes
    ----------
    dataset : str
        Name of the data set, for messages.
    folder, name : str
        Subfolder of a data folder, and name of the file in it.
    mirrors : tuple of str
        Addresses of the file, tried in this order.
    sha256 : str
        Digest of the file, or if `unpacked`, of its decompressed content: mirrors compress the same content
        into different bytes.
    then : str
        Instruction for users who download the file by hand.
    """

    dataset: str
    folder: str
    name: str
    mirrors: tuple[str, ...]
    sha256: str
    unpacked: bool = False
    then: str = "put it there"


def data_folder() -> Path | None:
    """Return the user's own data folder, the value of ``CCONV_DATA_DIR``; None when it is not set."""
    value = os.environ.get("CCONV_DATA_DIR")
    return Path(value).expanduser() if value else None


def cache_folder() -> Path:
    """Return the folder for downloads: ``CCONV_CACHE_DIR``, else the system's cache folder."""
    value = os.environ.get("CCONV_CACHE_DIR")
    if value:
        return Path(value).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("cconv", appauthor=False)


def _former_cache_folder() -> Path:
    """Return the first versions' folder for downloads, which on some systems is another one."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local", "cconv", "Cache")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cconv"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "cconv")


def places(*folders: str) -> list[Path]:
    """Return the folders in which to look for a data set's files, in this order."""
    roots = [cache_folder()]
    own = data_folder()
    if own is not None:
        roots.insert(0, own)
    if not os.environ.get("CCONV_CACHE_DIR"):
        former = _former_cache_folder()
        if former not in roots and former.is_dir():
            roots.append(former)
    return [root / folder for root in roots for folder in folders]


def fetch(source: Source) -> Path:
    """Return the path of a data set's file; download it if it is not yet on this machine.

    Raises FileNotFoundError, which says what to do, if the file cannot be downloaded either.
    """
    for place in places(source.folder):
        if (place / source.name).is_file():
            return place / source.name
    return download(source, cache_folder() / source.folder / source.name)


def download(source: Source, target: Path, keep: Callable[[Path, Path], None] = os.replace) -> Path:
    """Download a file from the first mirror with the right bytes, then move it to `target`.

    The move (`keep`) is one atomic step, so that an interrupted download leaves nothing behind and two
    processes may download at once. Raises FileNotFoundError if no mirror has the file.
    """
    try:
        import pooch
        from tqdm.auto import tqdm
    except ImportError as error:
        raise FileNotFoundError(
            _what_to_do(source, "downloading it needs pooch: pip install 'cconv[data]'")
        ) from error
    failures = []
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as folder:
        for url in source.mirrors:
            temporary = Path(folder, source.name)
            try:
                # total=1, because pooch checks the truth value of the bar before it sets the real total. If a
                # mirror does not send a total, there is no bar.
                with tqdm(
                    total=1, desc=source.name, unit="B", unit_scale=True, dynamic_ncols=True, delay=DELAY
                ) as progress:
                    pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT)(url, str(temporary), None)
                check(source, temporary)
            except (OSError, ValueError) as error:
                failures.append((url, _reason(error)))
                continue
            keep(temporary, target)
            return target
    raise FileNotFoundError(_what_to_do(source, _why(failures)))


def _reason(error: Exception) -> str:
    """Return why a mirror failed, briefly; "" if it was not reached."""
    from requests.exceptions import ConnectionError, Timeout

    return "" if isinstance(error, ConnectionError | Timeout) else short(error, LONGEST)


def _why(failures: list[tuple[str, str]]) -> str:
    """Return why all mirrors failed."""
    if not any(reason for _, reason in failures):
        return "there is no connection to download it"
    reasons = [f"{url}: {reason or 'no connection'}" for url, reason in failures]
    return f"no mirror gave it ({'; '.join(reasons)})"


def check(source: Source, path: Path) -> None:
    """Raise ValueError unless the file at `path` is, by its sha256, the one of `source`."""
    digest = hashlib.sha256()
    with open_regular(path) as plain, reading(path, "a whole gzip file" if source.unpacked else "a file"):
        size = os.fstat(plain.fileno()).st_size
        with gzip.GzipFile(fileobj=plain, mode="rb") if source.unpacked else plain as file:
            total = 0
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                total += len(chunk)
                check_unpacked(total, size)
    if digest.hexdigest() != source.sha256:
        raise ValueError(f"the sha256 of its content must be {source.sha256}, got {digest.hexdigest()}")


def _what_to_do(source: Source, why: str) -> str:
    looked = " or ".join(str(place) for place in places(source.folder))
    return (
        f"datasets.{source.dataset}: {source.name} is not in {looked}, and {why}. "
        f"Get {source.mirrors[0]} and {source.then}, or name a folder that has it by CCONV_DATA_DIR."
    )
