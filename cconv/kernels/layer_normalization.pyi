"""Stub of layer_normalization.pyx, made by tools/make_stubs.py."""

import numpy as np

def pieces_chunks(n: int) -> int: ...
def rows_chunks(m: int, n: int) -> int: ...
def normalize(
    x: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    rule: int,
    epsilon: float,
    statistics: np.ndarray,
    moments: np.ndarray,
    y: np.ndarray,
    threads: int,
) -> None: ...
def normalize_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    rule: int,
    epsilon: float,
    statistics: np.ndarray,
    sums: np.ndarray,
    weights: np.ndarray | None,
    dx: np.ndarray | None,
    threads: int,
) -> None: ...
