"""Stub of bands.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def kept_size(
    x_shape: Any,
    expand_shape: Any,
    kernel_shape: Any,
    project_shape: Any,
    y_shape: Any,
    window: Any,
    item: int,
) -> int: ...
def forward_scratch(
    x_shape: Any,
    expand_shape: Any,
    kernel_shape: Any,
    project_shape: Any,
    y_shape: Any,
    window: Any,
    item: int,
    keeps: bool,
    threads: int,
) -> int: ...
def forward(
    x: np.ndarray,
    expand: np.ndarray | None,
    expand_scale: np.ndarray | None,
    expand_bias: np.ndarray | None,
    expanded: int,
    expanded_number: float,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    convolved: int,
    convolved_number: float,
    project: np.ndarray | None,
    project_scale: np.ndarray | None,
    project_bias: np.ndarray | None,
    added: np.ndarray | None,
    activation: int,
    number: float,
    y: np.ndarray,
    window: Any,
    kept: np.ndarray | None,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
