"""Stub of dropout.pyx, made by tools/make_stubs.py."""

import numpy as np

def dropout(
    x: np.ndarray,
    y: np.ndarray,
    bits: np.ndarray,
    key: np.ndarray,
    seed: int,
    layer: int,
    threshold: int,
    factor: float,
    threads: int,
) -> None: ...
def dropout_backward(
    dy: np.ndarray,
    bits: np.ndarray,
    dx: np.ndarray,
    factor: float,
    threads: int,
) -> None: ...
