"""Stub of _elementwise.pyx, made by tools/make_stubs.py."""

import numpy as np

def relu(x: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def relu_backward(dy: np.ndarray, y: np.ndarray, dx: np.ndarray, threads: int) -> None: ...
def leaky_relu(x: np.ndarray, y: np.ndarray, slope: float, threads: int) -> None: ...
def leaky_relu_backward(
    dy: np.ndarray,
    y: np.ndarray,
    dx: np.ndarray,
    slope: float,
    threads: int,
) -> None: ...
def sigmoid(x: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def sigmoid_backward(dy: np.ndarray, y: np.ndarray, dx: np.ndarray, threads: int) -> None: ...
def tanh(x: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def tanh_backward(dy: np.ndarray, y: np.ndarray, dx: np.ndarray, threads: int) -> None: ...
def exp(x: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def log(x: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def softmax(x: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def softmax_backward(dy: np.ndarray, y: np.ndarray, dx: np.ndarray, threads: int) -> None: ...
def log_softmax(x: np.ndarray, y: np.ndarray, threads: int) -> None: ...
def log_softmax_backward(dy: np.ndarray, y: np.ndarray, dx: np.ndarray, threads: int) -> None: ...
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
def column_sums_chunks(m: int) -> int: ...
def column_sums(x: np.ndarray, partial: np.ndarray, sums: np.ndarray, threads: int) -> None: ...
def dropout(
    x: np.ndarray,
    y: np.ndarray,
    bits: np.ndarray,
    seed: int,
    step: int,
    first_sample: int,
    layer: int,
    threshold: int,
    factor: float,
    threads: int,
) -> None: ...
def dropout_backward(
    dy: np.ndarray,
    bits: np.ndarray,
    dx: np.ndarray,
    factor: float,
    threads: int,
) -> None: ...
def sgd(param: np.ndarray, grad: np.ndarray, lr: float, l2: float, threads: int) -> None: ...
def momentum(
    param: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray,
    lr: float,
    l2: float,
    momentum: float,
    nesterov: bool,
    threads: int,
) -> None: ...
def adagrad(
    param: np.ndarray,
    grad: np.ndarray,
    accumulator: np.ndarray,
    lr: float,
    l2: float,
    epsilon: float,
    threads: int,
) -> None: ...
def rmsprop(
    param: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray,
    lr: float,
    l2: float,
    rho: float,
    epsilon: float,
    threads: int,
) -> None: ...
def adadelta(
    param: np.ndarray,
    grad: np.ndarray,
    accumulated_grad: np.ndarray,
    accumulated_delta: np.ndarray,
    lr: float,
    l2: float,
    rho: float,
    epsilon: float,
    threads: int,
) -> None: ...
def adam(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    lr: float,
    l2: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    threads: int,
) -> None: ...
