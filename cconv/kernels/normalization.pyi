"""Stub of normalization.pyx, made by tools/make_stubs.py."""

import numpy as np

def statistics(x: np.ndarray, partial: np.ndarray, rows: int, threads: int) -> None: ...
def apply(
    x: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    cap: float,
    y: np.ndarray,
    rows: int,
    threads: int,
) -> None: ...
def gradient_sums(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    cap: float,
    partial: np.ndarray,
    rows: int,
    threads: int,
) -> None: ...
def add_chunks(partial: np.ndarray, sums: np.ndarray) -> None: ...
def input_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    cap: float,
    slope: np.ndarray,
    less: np.ndarray,
    dx: np.ndarray,
    rows: int,
    threads: int,
) -> None: ...
