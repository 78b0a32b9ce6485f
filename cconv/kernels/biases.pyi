"""Stub of biases.pyx, made by tools/make_stubs.py."""

import numpy as np

def add_bias(y: np.ndarray, bias: np.ndarray | None, relu: bool, rows: int, threads: int) -> None: ...
