"""Stub of adafactor.pyx, made by tools/make_stubs.py."""

import numpy as np

def moments(
    arrays: np.ndarray,
    matrices: np.ndarray,
    tiles: np.ndarray,
    sums: np.ndarray,
    means: np.ndarray,
    keep: float,
    epsilon: float,
    item: int,
    threads: int,
) -> None: ...
def update_sums(
    arrays: np.ndarray,
    matrices: np.ndarray,
    tiles: np.ndarray,
    ends: np.ndarray,
    means: np.ndarray,
    partial: np.ndarray,
    sums: np.ndarray,
    item: int,
    threads: int,
) -> None: ...
def step(
    arrays: np.ndarray,
    matrices: np.ndarray,
    tiles: np.ndarray,
    means: np.ndarray,
    rates: np.ndarray,
    item: int,
    threads: int,
) -> None: ...
