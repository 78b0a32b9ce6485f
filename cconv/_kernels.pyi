"""Stub of _kernels.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def available_isas() -> list[str]: ...
def isa() -> str: ...
def tunings() -> list[str]: ...
def tuning() -> tuple[str, int, int]: ...
def tuning_said(answers: bytes) -> tuple[str, int, int]: ...
def processor_answers() -> bytes: ...
def race_multipliers() -> int: ...
def compiler() -> str: ...
def has_openmp() -> bool: ...
def openmp_version() -> int: ...
def omp_max_threads() -> int: ...
def probe_threads(threads: int, stack: int) -> int: ...
def look_for_work(microseconds: int) -> None: ...
def view(array: Any) -> Any: ...
def conv2d_forward_scratch(
    x_shape: Any,
    kernel_shape: Any,
    y_shape: Any,
    window: Any,
    groups: int,
    item: int,
) -> int: ...
def conv2d_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    window: Any,
    groups: int,
    relu: bool,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def conv2d_input_gradient_scratch(kernel_shape: Any, groups: int, item: int) -> int: ...
def conv2d_input_gradient(
    dy: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    dx: np.ndarray,
    window: Any,
    groups: int,
    relu: bool,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
def conv2d_weight_gradient_scratch(
    x_shape: Any,
    kernel_shape: Any,
    dy_shape: Any,
    window: Any,
    groups: int,
    item: int,
    threads: int,
) -> int: ...
def conv2d_weight_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray,
    window: Any,
    groups: int,
    scratch: np.ndarray,
    threads: int,
) -> None: ...
