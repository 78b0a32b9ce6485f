"""Stub of group_normalization.pyx, made by tools/make_stubs.py."""

import numpy as np

def statistics(
    partial: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    epsilon: float,
    mean: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    inverse: np.ndarray,
    threads: int,
) -> None: ...
def slopes(
    partial: np.ndarray,
    inverse: np.ndarray,
    m: int,
    slope: np.ndarray,
    shift: np.ndarray,
    dgamma: np.ndarray,
    dbeta: np.ndarray,
    gamma: np.ndarray | None,
    threads: int,
) -> None: ...
