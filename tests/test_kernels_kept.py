"""Kernels of dense layers and 1x1 convolutions that never change, laid out once: the bits of any others."""

import dataclasses
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Lasting, dtypes, many, on_all_threads, seeds
from test_kernels_bands import Numbers, cases, parts_of

from cconv import ops
from cconv.kernels import dense
from cconv.ops.bands import forward
from cconv.ops.behind import Behind
from cconv.ops.run import Run

rows = st.sampled_from([1, 2, 15, 17, 97, 300])
sizes = st.sampled_from([1, 3, 16, 33, 100, 257, 530])


@given(rows, sizes, sizes, st.booleans(), dtypes, seeds)
@many
def test_dense(m, width, outputs, scales, dtype, seed):
    """For batches of any size, one after the other."""
    numbers, run = Numbers(dtype, seed), Lasting(lasting=True)
    kernel, bias = numbers(width, outputs), numbers.maybe(outputs)
    scale = numbers(outputs) if scales else None
    for samples in (m, 2, 70, m):
        x = numbers(samples, width)
        last = Behind("silu", 0.0, numbers(samples, outputs))
        wanted = ops.dense(x, kernel, bias, True, Run(), scale, last)
        found = on_all_threads(partial(ops.dense, x, kernel, bias, True, run, scale, last))
        assert found.tobytes() == wanted.tobytes()


@given(cases(), dtypes, seeds, st.data())
@many
def test_bands(case, dtype, seed, data):
    numbers, run = Numbers(dtype, seed), Lasting(lasting=True)
    x, *parts = parts_of(case, data, numbers)
    for samples in (x, numbers(*x.shape)):
        wanted = forward(samples, *parts, case[1], Run())
        found = on_all_threads(partial(forward, samples, *parts, case[1], run))
        assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_kernel_is_laid_out_once(dtype):
    x, kernel, run = np.ones((20, 70), dtype), np.ones((70, 40), dtype), Lasting(lasting=True)
    assert (ops.dense(x, kernel, None, False, run) == 70).all()
    run.memory[1:] = 2
    assert (ops.dense(x, kernel, None, False, run) == 140).all()


def test_a_kernel_that_no_cache_holds_is_not_kept():
    """Memory sets the time, and twice as much would be needed."""
    assert dense.kept_size(1024, 1024, 4) > 1024 * 1024
    assert dense.kept_size(1024, 1025, 4) == dense.kept_size(25088, 4096, 4) == 0


def test_a_run_without_such_memory():
    x, kernel = np.ones((20, 70)), np.ones((70, 40))
    run = dataclasses.replace(Run(), lasting=True)
    assert run.kept("anything", 1, x.dtype) is None
    assert (ops.dense(x, kernel, None, False, run) == 70).all()
