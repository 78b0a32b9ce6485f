"""Rows in real stores, HDF5, Zarr and Dask, train as the same rows in memory."""

import importlib

import numpy as np
import pytest
from sources import OnDisk, same
from test_sources import ROWS, X, Y, model

from cconv.inputs import orders, windows


def h5py_rows(folder, values, chunks):
    file = importlib.import_module("h5py").File(folder / "x.h5", "w")
    return file.create_dataset("x", data=values, chunks=chunks)


def zarr_rows(folder, values, chunks):
    zarr = importlib.import_module("zarr")
    rows = zarr.create_array(
        folder / "x.zarr", shape=values.shape, dtype=values.dtype, chunks=chunks or "auto"
    )
    rows[:] = values
    return rows


def dask_rows(folder, values, chunks):
    dask = importlib.import_module("dask.array")
    sizes = (5, 9, 1, 20, 9) if chunks else len(values)
    return dask.from_array(values, chunks=(sizes, *values.shape[1:]))


@pytest.mark.parametrize("store", ["h5py", "zarr", "dask"])
@pytest.mark.parametrize("chunks", [None, (7, *X.shape[1:]), (8, 3, 6, 1)])
@pytest.mark.parametrize("shuffle", [True, "exact", False])
def test_rows_of_a_store(tmp_path, monkeypatch, store, chunks, shuffle):
    pytest.importorskip(store)
    for name, count in (("BLOCK_BYTES", 20), ("RUN_BYTES", 3)):
        monkeypatch.setattr(orders, name, count * X[0].nbytes)
    monkeypatch.setattr(windows, "PIECE_BYTES", 6 * X[0].nbytes)
    x = globals()[f"{store}_rows"](tmp_path, X, chunks)
    one, other = model(), model()
    memory = X if shuffle is not True else OnDisk(X, x.chunks)
    given = {"batch_size": ROWS, "epochs": 2, "verbose": 0, "shuffle": shuffle, "validation_split": 0.25}
    expected = one.fit(memory, Y, **given)
    got = other.fit(x, Y, prefetch_bytes=15 * X[0].nbytes, **given)
    assert got.history == expected.history
    assert same(one, other)
    assert np.array_equal(other.predict(x, batch_size=5, verbose=0), one.predict(X, verbose=0))
