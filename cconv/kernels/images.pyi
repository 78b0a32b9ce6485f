"""Stub of images.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

def gather(
    source: np.ndarray,
    order: np.ndarray | None,
    out: np.ndarray,
    kind: int,
    item: int,
    channels: int,
    scale: float,
    offset: float,
) -> None: ...
def flip(x: np.ndarray, flips: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def sample(
    x: np.ndarray,
    at: np.ndarray,
    y: np.ndarray,
    middle: Any,
    fill: int,
    bilinear: bool,
    value: float,
    threads: int,
) -> None: ...
def sample_backward(
    dy: np.ndarray,
    at: np.ndarray,
    dx: np.ndarray,
    middle: Any,
    fill: int,
    bilinear: bool,
    threads: int,
) -> None: ...
