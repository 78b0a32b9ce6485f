"""Stub of optimizers.pyx, made by tools/make_stubs.py."""

import numpy as np

def optimize(
    rule: int,
    arrays: np.ndarray,
    l2: np.ndarray,
    numbers: np.ndarray,
    item: int,
    threads: int,
) -> None: ...
def square_sums(
    arrays: np.ndarray,
    pieces: np.ndarray,
    partial: np.ndarray,
    sums: np.ndarray,
    column: int,
    item: int,
    threads: int,
) -> None: ...
def lamb_sums(
    arrays: np.ndarray,
    pieces: np.ndarray,
    partial: np.ndarray,
    sums: np.ndarray,
    epsilon: float,
    item: int,
    threads: int,
) -> None: ...
