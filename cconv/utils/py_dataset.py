"""Batches that a user's own class makes, by their numbers."""

from typing import Any

from cconv import arguments

__all__ = ["PyDataset", "Sequence"]


class PyDataset:
    """Base of a user's own data set: ``data[i]`` is batch i, ``len(data)`` how many there are.

    `fit`, `evaluate` and `predict` take any object with these two methods, of this class or not.

    Parameters
    ----------
    workers : int
        Threads that make batches ahead of the training; up to 1, the thread of `fit` makes each when it is
        wanted. With more, `__getitem__` must bear being called by several threads at once.
    use_multiprocessing : bool
        Must be False: workers are threads, and share the memory of the data.
    max_queue_size : int
        Batches that are made ahead, at most.

    Raises
    ------
    TypeError, ValueError
        For arguments that do not fit.

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
        """How many batches there are, by default ``len(self)``; None where they have no end."""
        if not hasattr(self, "__len__"):
            raise NotImplementedError(f"{type(self).__name__}: __len__ or num_batches must be defined")
        return len(self)

    def on_epoch_begin(self) -> None:
        """Do what is to be done before an epoch."""

    def on_epoch_end(self) -> None:
        """Do what is to be done after an epoch."""


Sequence = PyDataset
