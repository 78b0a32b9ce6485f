"""Stub of few_taps.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def forward_scratch(
    x_shape: Any,
    kernel_shape: Any,
    conv_size: Any,
    window: Any,
    tiled: bool,
    item: int,
    threads: int,
) -> int: ...
def forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    window: Any,
    tiled: bool,
    relu: bool,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def pool_forward_scratch(
    x_shape: Any,
    kernel_shape: Any,
    conv_size: Any,
    window: Any,
    tiled: bool,
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
    tiled: bool,
    relu: bool,
    pool: Any,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
