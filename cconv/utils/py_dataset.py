"""Numbered batches from a user's own class."""

from typing import Any

from cconv import arguments

__all__ = ["PyDataset", "Sequence"]


class PyDataset:
    """Base of a user's own data set: ``data[i]`` is batch i, ``len(data)`` the number of batches.

    `fit`, `evaluate` and `predict` accept any object with these two methods, also of other classes.

    Parameters
    ----------
    workers : int
        Threads that make batches ahead of the training. With 0 or 1, the thread of `fit` makes each batch on
        demand. With more, several threads call `__getitem__` at the same time, so it must be thread-safe.
    use_multiprocessing : bool
        Must be False: workers are threads, and share the memory of the data.
    max_queue_size : int
        Maximum number of batches that are made ahead.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments.

    Examples
    --------
    >>> import numpy as np
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...
    ...     def __getitem__(self, index):
    ...         x = np.arange(4 * index, 4 * index + 4, dtype=np.float32)
    ...         return x[:, np.newaxis], x**2
    >>> Squares().num_batches
    2
    """

    workers: int = 1
    use_multiprocessing: bool = False
    max_queue_size: int = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        where = type(self).__name__
        for name, value in (("workers", workers), ("max_queue_size", max_queue_size)):
            if not arguments.is_int(value):
                raise TypeError(f"{where}: {name} must be an int of at least 0, got {value!r}")
            if value < 0:
                raise ValueError(f"{where}: {name} must be an int of at least 0, got {value!r}")
        if arguments.flag(where, "use_multiprocessing", use_multiprocessing):
            raise ValueError(f"{where}: use_multiprocessing must be False, got True: workers are threads")
        self.workers, self.max_queue_size = int(workers), int(max_queue_size)

    def __getitem__(self, index: int) -> Any:
        """Return batch `index`: ``(x, y)``, ``(x, y, sample_weight)``, or for `predict` x alone."""
        raise NotImplementedError(f"{type(self).__name__}: __getitem__ must be defined")

    @property
    def num_batches(self) -> int | None:
        """The number of batches, by default ``len(self)``; None if they are endless."""
        if not hasattr(self, "__len__"):
            raise NotImplementedError(f"{type(self).__name__}: __len__ or num_batches must be defined")
        return len(self)

    def on_epoch_begin(self) -> None:
        """Do something before each epoch; by default nothing."""

    def on_epoch_end(self) -> None:
        """Do something after each epoch; by default nothing."""


Sequence = PyDataset
