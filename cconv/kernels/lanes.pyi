"""Stub of lanes.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def forward_scratch(
    x_shape: Any,
    kernel_shape: Any,
    y_shape: Any,
    window: Any,
    by_rows: bool,
    item: int,
    threads: int,
) -> int: ...
def forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    window: Any,
    by_rows: bool,
    relu: bool,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def pool_forward_scratch(
    x_shape: Any,
    kernel_shape: Any,
    y_shape: Any,
    columns: int,
    window: Any,
    pool: Any,
    item: int,
    threads: int,
) -> int: ...
def pool_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    columns: int,
    window: Any,
    activation: str,
    pool: Any,
    include_pad: bool,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def input_gradient_scratch(
    dy_shape: Any,
    kernel_shape: Any,
    dx_shape: Any,
    window: Any,
    item: int,
    threads: int,
) -> int: ...
def input_gradient(
    dy: np.ndarray,
    kernel: np.ndarray,
    dx: np.ndarray,
    window: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
