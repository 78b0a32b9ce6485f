"""Stub of _winograd.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def forward_scratch(x_shape: Any, y_shape: Any, gradient: bool, item: int, threads: int) -> int: ...
def forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    top: int,
    left: int,
    relu: bool,
    gradient: bool,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def weight_gradient_scratch(x_shape: Any, dy_shape: Any, item: int, threads: int) -> int: ...
def weight_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    top: int,
    left: int,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
