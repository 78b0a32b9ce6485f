"""Stub of winograd.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def kept_size(kernel_shape: Any, tile: int, item: int) -> int: ...
def forward_scratch(
    x_shape: Any,
    x_pooled: bool,
    y_shape: Any,
    y_pooled: bool,
    tile: int,
    taps: int,
    gradient: bool,
    item: int,
    threads: int,
) -> int: ...
def forward(
    x: np.ndarray,
    x_argmax: np.ndarray | None,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    y_argmax: np.ndarray | None,
    positive: np.ndarray | None,
    conv_size: Any,
    tile: int,
    top: int,
    left: int,
    relu: bool,
    gradient: bool,
    kept: np.ndarray | None,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
