"""Stub of few_taps_weight_gradient.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def weight_gradient_scratch(
    x_shape: Any,
    kernel_shape: Any,
    conv_size: Any,
    window: Any,
    pooled: bool,
    item: int,
    threads: int,
) -> int: ...
def weight_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    window: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def pool_weight_gradient(
    dy: np.ndarray,
    argmax: np.ndarray,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    conv_size: Any,
    window: Any,
    pool: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
