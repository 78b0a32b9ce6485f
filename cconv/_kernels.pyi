"""Stub of _kernels.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def available_isas() -> list[str]: ...
def isa() -> str: ...
def compiler() -> str: ...
def has_openmp() -> bool: ...
def openmp_version() -> int: ...
def omp_max_threads() -> int: ...
def probe_threads(threads: int, stack: int) -> int: ...
def view(array: Any) -> Any: ...
def conv2d_forward_scratch(
    x_shape: Any,
    kernel_shape: Any,
    y_shape: Any,
    strides: Any,
    origin: Any,
    dilation: Any,
    groups: int,
    item: int,
) -> int: ...
def conv2d_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    strides: Any,
    origin: Any,
    dilation: Any,
    groups: int,
    relu: bool,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def conv2d_input_gradient_scratch(kernel_shape: Any, groups: int, item: int) -> int: ...
def conv2d_input_gradient(
    dy: np.ndarray,
    kernel: np.ndarray,
    dx: np.ndarray,
    strides: Any,
    origin: Any,
    dilation: Any,
    groups: int,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def conv2d_weight_gradient_scratch(
    x_shape: Any,
    kernel_shape: Any,
    dy_shape: Any,
    strides: Any,
    origin: Any,
    dilation: Any,
    groups: int,
    item: int,
    threads: int,
    pooled: bool,
) -> int: ...
def conv2d_weight_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    strides: Any,
    origin: Any,
    dilation: Any,
    groups: int,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def conv2d_pool_scratch(
    x_shape: Any,
    kernel_shape: Any,
    conv_size: Any,
    strides: Any,
    origin: Any,
    dilation: Any,
    groups: int,
    item: int,
    threads: int,
) -> int: ...
def conv2d_pool_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    argmax: np.ndarray,
    conv_size: Any,
    strides: Any,
    origin: Any,
    dilation: Any,
    groups: int,
    relu: bool,
    pool: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def conv2d_pool_weight_gradient(
    dy: np.ndarray,
    argmax: np.ndarray,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    conv_size: Any,
    strides: Any,
    origin: Any,
    dilation: Any,
    groups: int,
    pool: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
