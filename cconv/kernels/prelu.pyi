"""Stub of prelu.pyx, made by tools/make_stubs.py."""

import numpy as np

def prelu(x: np.ndarray, alpha: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def prelu_backward(
    dy: np.ndarray,
    x: np.ndarray,
    alpha: np.ndarray,
    dx: np.ndarray,
    dalpha: np.ndarray,
    threads: int,
) -> None: ...
