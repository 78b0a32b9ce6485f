"""Stub of resizing.pyx, made by tools/make_stubs.py."""

import numpy as np

def resize(
    x: np.ndarray,
    rows_at: np.ndarray,
    rows_share: np.ndarray,
    columns_at: np.ndarray,
    columns_share: np.ndarray,
    y: np.ndarray,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def resize_backward(
    dy: np.ndarray,
    rows_at: np.ndarray,
    rows_share: np.ndarray,
    rows_reach: np.ndarray,
    columns_at: np.ndarray,
    columns_share: np.ndarray,
    columns_reach: np.ndarray,
    dx: np.ndarray,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
