"""Stub of winograd_weight_gradient.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def weight_gradient_scratch(
    x_shape: Any,
    dy_shape: Any,
    conv_size: Any,
    tile: int,
    taps: int,
    item: int,
    threads: int,
) -> int: ...
def weight_gradient(
    dy: np.ndarray,
    argmax: np.ndarray | None,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    conv_size: Any,
    tile: int,
    origin: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
