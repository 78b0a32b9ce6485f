"""Stub of losses.pyx, made by tools/make_stubs.py."""

import numpy as np

def softmax_cross_entropy(
    logits: np.ndarray,
    probabilities: np.ndarray | None,
    labels: np.ndarray | None,
    weights: np.ndarray | None,
    losses: np.ndarray,
    dlogits: np.ndarray,
    threads: int,
) -> None: ...
def total(x: np.ndarray) -> float: ...
