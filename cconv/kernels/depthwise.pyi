"""Stub of depthwise.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def packed_scratch(kernel_shape: Any) -> int: ...
def forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    window: Any,
    relu: bool,
    added: np.ndarray | None,
    activation: int,
    number: float,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def input_gradient(
    dy: np.ndarray,
    kernel: np.ndarray,
    dx: np.ndarray,
    window: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def weight_gradient_scratch(dy_shape: Any, kernel_shape: Any) -> int: ...
def weight_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    window: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
