"""scikit-learn's searches over parameters on a cluster whose workers may be lost."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cconv.arguments.paths import as_path


def search(
    estimator: Any,
    grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    X: Any,
    y: Any = None,
    *,
    client: Any = None,
    folder: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Any:
    """Return a fitted ``GridSearchCV(estimator, grid)``, computed by the workers of a cluster.

    Its scores are those of ``n_jobs=1``. A worker that is lost in the middle costs what it was at, which
    others do again. The best estimator is fitted at the end, in this process, as scikit-learn does.

    Parameters
    ----------
    estimator : estimator of scikit-learn's kind
        Its class must be known to the workers, as what cconv is.
    grid : dict or list of dict
        The values of each parameter, as for ``GridSearchCV``.
    X, y
        What `estimator` is fitted to.
    client, folder
        As for `workers`.
    **options
        ``cv``, ``scoring``, ``refit``, ``return_train_score``, ``error_score``, ``verbose`` and
        ``pre_dispatch`` of ``GridSearchCV``. ``n_jobs``, by default -1, bounds the tasks at a time.

    Returns
    -------
    sklearn.model_selection.GridSearchCV

    Raises
    ------
    ImportError, TypeError, ValueError
        As `workers` does; and for what ``GridSearchCV`` does not take.
    distributed.KilledWorker
        When Dask gives a task up: workers were lost at it more often than Dask's configuration allows, which
        is 3 times (``distributed.scheduler.allowed-failures``).

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import cconv
    >>> from cconv.datasets import digits
    >>> (x, y), _ = digits.load_data()
    >>> with ThreadPoolExecutor(2) as client:  # dask.distributed.Client() has processes
    ...     found = cconv.distributed.search(
    ...         cconv.CNNClassifier(max_epochs=1, tol=None, random_state=0, verbose=0),
    ...         {"batch_size": [32, 64]}, x[:60], y[:60], client=client, cv=2,
    ...     )
    >>> found.cv_results_["mean_test_score"].shape
    (2,)
    """
    from sklearn.model_selection import GridSearchCV

    with workers(client, folder):
        return GridSearchCV(estimator, grid, **{"n_jobs": -1, **options}).fit(X, y)


@contextmanager
def workers(client: Any = None, folder: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """Have what scikit-learn computes by joblib in the ``with`` block computed by workers that may be lost.

    ``GridSearchCV``, ``RandomizedSearchCV``, ``cross_validate`` and others do so with ``n_jobs=-1``.

    Parameters
    ----------
    client : dask.distributed.Client, or what has its or ``concurrent.futures``' ``submit``, optional
        By default the Dask client that was made last. That a lost task is done again is the client's affair:
        Dask does so, executors of Python's do not.
    folder : path, optional
        A folder that all workers see, in which data lie meanwhile; by default one for temporary files, which
        will do where they are processes of this machine.

    Raises
    ------
    ImportError, ValueError
        Without a client, Dask or a client of Dask's.
    TypeError
        For a client without ``submit``.
    OSError
        When `folder` cannot be written to.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import cconv
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from cconv.datasets import digits
    >>> (x, y), _ = digits.load_data()
    >>> with ThreadPoolExecutor(2) as client, cconv.distributed.workers(client):
    ...     scores = cross_val_score(LogisticRegression(), x.reshape(len(x), -1) / 16, y, n_jobs=-1)
    >>> len(scores)
    5
    """
    where = "distributed.workers"
    folder = None if folder is None else as_path(where, "folder", folder)
    if client is None:
        try:
            from distributed import get_client
        except ImportError as error:
            raise ImportError(
                f"{where} needs a client, or Dask: pip install 'cconv[dask]' ({error})"
            ) from error
        client = get_client()
    if not callable(getattr(client, "submit", None)):
        raise TypeError(f"{where}: client must have a method submit, got {client!r}")
    import joblib

    from cconv.distributed.tasks import Tasks

    with (
        tempfile.TemporaryDirectory(prefix="cconv-", dir=folder) as place,
        joblib.parallel_config(backend=Tasks(client, place)),
    ):
        yield
