"""Gemm and MatMul: dense layers."""

import math
from typing import Any

import numpy as np

from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import Translator, constant, operator
from cconv.io.onnx.reading.values import Unread, Value
from cconv.layers import Dense


def dense(
    t: Translator, node: Node, x: Value, kernel: np.ndarray, bias: np.ndarray | None, shared: tuple[str, ...]
) -> Value:
    """Return a dense layer on the last axis; weights are rearranged if the features have another order."""
    features, units = kernel.shape
    if x.shape[-1] != features or x.rank < 2 or x.batch == x.rank - 1:
        raise ValueError(f"weights of shape {kernel.shape} do not fit {x.shape}")
    turned: tuple[int, ...] = ()
    if x.parts:
        # Row i of the weights belongs to the feature that is stored at place i.
        places = np.arange(math.prod(x.parts)).reshape(x.parts).transpose(x.turn).ravel()
        rows = np.empty_like(places)
        rows[places] = np.arange(len(places))
        kernel, turned = kernel[rows], (*x.parts, *x.turn)
        x = Value(x.number, x.shape, x.order)
    x = t.in_place(x, [x.rank - 1])
    options = {"units": units, "use_bias": bias is not None}
    weights = {"kernel": kernel} | ({} if bias is None else {"bias": bias})
    how = {"options": options, "weights": weights, "name": node.name, "shared": (*shared, turned)}
    return t.add(Dense, x, x.order, (*x.shape[:-1], units), **how)


@operator("Gemm")
def gemm(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a dense layer of alpha · A · B + beta · C."""
    kernel, bias = constant(given, 1, "weights"), constant(given, 2, "a bias")
    if not isinstance(given[0], Value) or kernel is None:
        raise Unread("of a constant and the input")
    if node("transA", 0):
        raise Unread("with transA")
    if kernel.ndim != 2 or given[0].rank != 2 or given[0].batch != 0:
        raise ValueError(f"weights of shape {kernel.shape} do not fit {given[0].shape}")
    alpha, beta = node("alpha", 1.0), node("beta", 1.0)
    kernel = kernel.T if node("transB", 0) else kernel
    if alpha != 1.0:
        kernel = kernel * kernel.dtype.type(alpha)
    if bias is not None:
        bias = bias if beta == 1.0 else bias * bias.dtype.type(beta)
        if (
            bias.ndim > 2
            or (bias.ndim == 2 and bias.shape[0] != 1)
            or bias.shape[-1:] not in (*((), (1,), (kernel.shape[1],)),)
        ):
            raise Unread("with a bias for every sample")
        bias = np.broadcast_to(bias.reshape(-1), (kernel.shape[1],))
    return dense(t, node, given[0], kernel, bias, (*node.inputs[1:3], str(alpha), str(beta)))


@operator("MatMul")
def matmul(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a dense layer without a bias; an Add behind it may add one."""
    x, kernel = given
    if not isinstance(x, Value) or not isinstance(kernel, np.ndarray):
        raise Unread(
            "of two values that depend on the input, or of a constant in front", *_product(x, kernel)
        )
    if kernel.ndim != 2:
        raise Unread(f"with weights of shape {kernel.shape}")
    return dense(t, node, x, kernel, None, (node.inputs[1],))


def _product(x: Any, y: Any) -> tuple[Any, ...]:
    """Return the shape of a product of matrices, and its axis of samples; () if they do not fit."""
    largest = max((one for one in (x, y) if isinstance(one, Value)), key=lambda one: one.rank)
    if min(len(x.shape), len(y.shape)) < 2 or x.shape[-1] != y.shape[-2]:
        return ()
    front = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    rank = len(front) + 2
    return (*front, x.shape[-2], y.shape[-1]), rank - largest.rank + largest.batch
