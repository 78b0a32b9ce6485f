"""Stub of batch_normalization.pyx, made by tools/make_stubs.py."""

import numpy as np

def statistics(
    partial: np.ndarray,
    first: np.ndarray,
    m: int,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    epsilon: float,
    momentum: float,
    moving_mean: np.ndarray,
    moving_variance: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    inverse: np.ndarray,
) -> None: ...
def fold(
    moving_mean: np.ndarray,
    moving_variance: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    epsilon: float,
    kernel: np.ndarray | None,
    bias: np.ndarray | None,
    folded: np.ndarray | None,
    scale: np.ndarray,
    shift: np.ndarray,
    threads: int,
) -> None: ...
def kept_statistics(
    moving_variance: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    epsilon: float,
    scale: np.ndarray,
    shift: np.ndarray,
    inverse: np.ndarray,
) -> None: ...
def slopes(
    partial: np.ndarray,
    scale: np.ndarray,
    inverse: np.ndarray,
    m: int,
    dgamma: np.ndarray,
    dbeta: np.ndarray,
    slope: np.ndarray,
    shift: np.ndarray,
) -> None: ...
