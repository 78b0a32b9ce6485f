"""Stub of normalization.pyx, made by tools/make_stubs.py."""

import numpy as np

def statistics(x: np.ndarray, partial: np.ndarray, rows: int, threads: int) -> None: ...
def apply(
    x: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    relu: bool,
    y: np.ndarray,
    rows: int,
    threads: int,
) -> None: ...
def gradient_sums(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    partial: np.ndarray,
    rows: int,
    threads: int,
) -> None: ...
def add_chunks(partial: np.ndarray, sums: np.ndarray) -> None: ...
def relu_gradient_sums(
    dy: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    dx: np.ndarray,
    partial: np.ndarray,
    rows: int,
    threads: int,
) -> None: ...
def input_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    slope: np.ndarray,
    shift: np.ndarray,
    dx: np.ndarray,
    rows: int,
    threads: int,
) -> None: ...
