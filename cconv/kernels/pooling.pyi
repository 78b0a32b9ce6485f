"""Stub of pooling.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def max_pool(x: np.ndarray, y: np.ndarray, argmax: np.ndarray, pool: Any, threads: int) -> None: ...
def max_pool_backward(
    dy: np.ndarray,
    argmax: np.ndarray,
    dx: np.ndarray,
    pool: Any,
    threads: int,
) -> None: ...
def average_pool(x: np.ndarray, y: np.ndarray, pool: Any, count_include_pad: bool, threads: int) -> None: ...
def average_pool_backward(
    dy: np.ndarray,
    dx: np.ndarray,
    weights: np.ndarray,
    pool: Any,
    count_include_pad: bool,
    threads: int,
) -> None: ...
def im2col(x: np.ndarray, col: np.ndarray, output_size: Any, pool: Any, threads: int) -> None: ...
def col2im(col: np.ndarray, x: np.ndarray, output_size: Any, pool: Any, threads: int) -> None: ...
