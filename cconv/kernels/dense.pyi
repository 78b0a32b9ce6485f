"""Stub of dense.pyx, made by tools/make_stubs.py."""

import numpy as np

def dense_in_place(rows: int, columns: int, item: int) -> bool: ...
def dense_scratch(item: int, threads: int) -> int: ...
def kept_size(depth: int, columns: int, item: int) -> int: ...
def dense_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    scale: np.ndarray | None,
    bias: np.ndarray | None,
    y: np.ndarray,
    relu: bool,
    added: np.ndarray | None,
    activation: int,
    number: float,
    kept: np.ndarray | None,
    scratch: np.ndarray | None,
    threads: int,
) -> None: ...
def dense_row_scratch(depth: int, columns: int) -> int: ...
def dense_row(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    relu: bool,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def dense_input_gradient(
    dy: np.ndarray,
    kernel: np.ndarray,
    dx: np.ndarray,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def dense_weight_gradient_scratch(m: int, inputs: int, outputs: int, item: int, threads: int) -> int: ...
def dense_weight_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
