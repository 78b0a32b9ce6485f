"""What joblib computes, as tasks for workers that may be lost: a backend of joblib's.

joblib's own backends for Dask and Ray keep the data in the memory of workers, and end with one of these. Here
data lie in files, and a task says all else that it needs: any worker can do it again.
"""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import joblib

# Arguments of so many numbers or entries go through a file; smaller ones go with the task.
LARGE = 1000
Items = list[tuple[Any, Any, Any]]  # functions, positional arguments, arguments by name


class Tasks(joblib.parallel.ParallelBackendBase):
    """Gives calls to a client.

    Parameters
    ----------
    client : object
        Its ``submit(function, *args)`` returns a future.
    folder : path
        Where large arguments are written to, and whence workers read them.

    Examples
    --------
    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as client, tempfile.TemporaryDirectory() as folder:
    ...     with joblib.parallel_config(backend=Tasks(client, folder)):
    ...         joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(3, n) for n in range(4))
    [1, 3, 9, 27]
    """

    supports_retrieve_callback = True

    def __init__(self, client: Any, folder: str | os.PathLike[str]) -> None:
        super().__init__(nesting_level=0)
        self._client, self._folder = client, Path(folder)
        self._files: dict[int, tuple[Any, _Filed]] = {}  # by id, which holds as long as the object is kept
        self._futures: set[Any] = set()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many tasks are given out at a time: never one, which joblib would do in this process."""
        if n_jobs is None or n_jobs < 0:
            threads = getattr(self._client, "nthreads", None)
            n_jobs = sum(threads().values()) if threads else os.cpu_count()
        return max(2, n_jobs or 0)

    def submit(self, func: Any, callback: Any = None) -> Any:
        """Give out a batch of calls."""
        items = [
            (f, self._filed(a), dict(zip(k, self._filed(k.values()), strict=True))) for f, a, k in func.items
        ]
        # By a name of its own, since a client may take two calls of the same for one.
        future = self._client.submit(done, items, uuid4().hex)
        self._futures.add(future)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return what the calls of a future returned, or raise what they raised."""
        self._futures.discard(out)
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Take back what has not begun."""
        futures, self._futures = self._futures, set()
        for future in futures:
            future.cancel()

    def stop_call(self) -> None:
        """Remove the files of a call that has ended."""
        files, self._files = self._files, {}
        for _, filed in files.values():
            filed.path.unlink(missing_ok=True)

    def _filed(self, values: Iterable[Any]) -> list[Any]:
        """Return these arguments, with what stands for the large ones."""
        return [self._file_of(value) if _is_large(value) else value for value in values]

    def _file_of(self, value: Any) -> "_Filed":
        if id(value) not in self._files:
            path = self._folder / f"{uuid4().hex}.joblib"
            joblib.dump(value, path)
            self._files[id(value)] = value, _Filed(path)
        return self._files[id(value)][1]


class _Filed:
    """What lies in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Any:
        """Return it; arrays are mapped, so that the workers of a machine have them once."""
        try:
            return joblib.load(self.path, mmap_mode="r")
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"distributed.workers: folder must be one that all workers see, got {str(self.path.parent)!r}"
            ) from error


def _is_large(value: Any) -> bool:
    """Whether an argument is an array, a table or a list of many numbers or entries."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return math.prod(shape) >= LARGE
    return isinstance(value, list | tuple) and len(value) >= LARGE


def done(items: Items, name: str) -> list[Any]:
    """Return what these calls return, one after another; a worker runs this."""

    def given(value: Any) -> Any:
        return value.read() if isinstance(value, _Filed) else value

    with joblib.parallel_config(backend="sequential"):
        return [
            function(*map(given, args), **{key: given(value) for key, value in named.items()})
            for function, args, named in items
        ]
