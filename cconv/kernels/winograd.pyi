"""Stub of winograd.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def kept_size(kernel_shape: Any, tile: int, item: int, lasting: bool) -> int: ...
def forward_scratch(
    x_shape: Any,
    y_shape: Any,
    pooled: bool,
    tile: int,
    taps: int,
    item: int,
    threads: int,
) -> int: ...
def forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    argmax: np.ndarray | None,
    conv_size: Any,
    tile: int,
    origin: Any,
    relu: bool,
    kept: np.ndarray | None,
    lasting: bool,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def input_gradient_scratch(
    dy_shape: Any,
    pooled: bool,
    dx_shape: Any,
    tile: int,
    taps: int,
    item: int,
    threads: int,
) -> int: ...
def input_gradient(
    dy: np.ndarray,
    argmax: np.ndarray | None,
    kernel: np.ndarray,
    positive: np.ndarray | None,
    dx: np.ndarray,
    conv_size: Any,
    tile: int,
    origin: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
