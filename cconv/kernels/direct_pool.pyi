"""Stub of direct_pool.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def pool_forward_scratch(
    x_shape: Any,
    kernel_shape: Any,
    conv_size: Any,
    window: Any,
    groups: int,
    item: int,
    threads: int,
) -> int: ...
def pool_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    argmax: np.ndarray,
    conv_size: Any,
    window: Any,
    groups: int,
    relu: bool,
    pool: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def pool_weight_gradient_scratch(
    x_shape: Any,
    kernel_shape: Any,
    conv_size: Any,
    window: Any,
    groups: int,
    item: int,
    threads: int,
) -> int: ...
def pool_weight_gradient(
    dy: np.ndarray,
    argmax: np.ndarray,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    conv_size: Any,
    window: Any,
    groups: int,
    pool: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
