"""Stub of dropout.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def dropout(
    x: np.ndarray,
    y: np.ndarray,
    bits: np.ndarray,
    key: np.ndarray,
    source: Any,
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
def normal(
    out: np.ndarray,
    key: np.ndarray,
    source: Any,
    mean: float,
    stddev: float,
    threads: int,
) -> None: ...
def keep(
    x: np.ndarray,
    kept: np.ndarray,
    scale: float,
    shift: float,
    other: float,
    y: np.ndarray,
    threads: int,
) -> None: ...
