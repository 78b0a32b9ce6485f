"""Stub of winograd_input_gradient.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

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
