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
def brighten(
    x: np.ndarray,
    delta: np.ndarray,
    y: np.ndarray,
    low: float,
    high: float,
    threads: int,
) -> None: ...
def brighten_backward(
    dy: np.ndarray,
    y: np.ndarray,
    dx: np.ndarray,
    low: float,
    high: float,
    threads: int,
) -> None: ...
def contrast(
    x: np.ndarray,
    factor: np.ndarray,
    y: np.ndarray,
    low: float,
    high: float,
    threads: int,
) -> None: ...
def mix(x: np.ndarray, partner: np.ndarray, weight: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def paste(
    x: np.ndarray,
    source: np.ndarray,
    partner: np.ndarray,
    box: np.ndarray,
    y: np.ndarray,
    threads: int,
) -> None: ...
def crop(x: np.ndarray, corner: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def crop_backward(dy: np.ndarray, corner: np.ndarray, dx: np.ndarray, threads: int) -> None: ...
