"""`Memory`: how much memory a model will need."""

from typing import Any, NamedTuple

import numpy as np

from cconv.engine.plan import each_of

MB = 1e6  # bytes


class Memory(NamedTuple):
    """Bytes that a model needs besides the program and the data: see ``model.memory(batch_size)``.

    Attributes
    ----------
    batch_size : int
        Samples computed at a time.
    weights : int
        Bytes of weights and moving averages.
    optimizer : int
        Bytes of the optimizer's state for all trainable weights; 0 before `compile`.
    training_buffers, prediction_buffers : int
        Bytes of outputs, gradients, rearranged kernels, and scratch memory.
    training, prediction : int
        Totals.

    Examples
    --------
    >>> from cconv.models.memory import Memory
    >>> print(Memory(32, 1_000_000, 2_000_000, 9_500_000, 3_000_000))  # doctest: +NORMALIZE_WHITESPACE
    batches of 32: weights 1.0 MB; training 12.5 MB with optimizer 2.0, buffers 9.5; prediction 4.0 MB with
    buffers 3.0
    """

    batch_size: int
    weights: int
    optimizer: int
    training_buffers: int
    prediction_buffers: int

    @property
    def training(self) -> int:
        """Total bytes of training."""
        return self.weights + self.optimizer + self.training_buffers

    @property
    def prediction(self) -> int:
        """Total bytes of prediction."""
        return self.weights + self.prediction_buffers

    def __str__(self) -> str:
        return (
            f"batches of {self.batch_size}: weights {self.weights / MB:.1f} MB; "
            f"training {self.training / MB:.1f} MB with optimizer {self.optimizer / MB:.1f}, "
            f"buffers {self.training_buffers / MB:.1f}; "
            f"prediction {self.prediction / MB:.1f} MB with buffers {self.prediction_buffers / MB:.1f}"
        )


def memory_of(model: Any, batch_size: int) -> Memory:
    """Return the memory of a model, which must be built and not in training, for that batch size."""
    layers = model._layers
    arrays = [array for layer in layers for array in (*layer.params.values(), *layer.state.values())]
    return Memory(
        batch_size,
        sum(array.nbytes for array in arrays),
        sum(_kept_for(model.optimizer, layer) for _, layer in model._learning() or ()),
        _buffers(model, batch_size, training=True),
        _buffers(model, batch_size, training=False),
    )


def _kept_for(optimizer: Any, layer: Any) -> int:
    """Return the bytes of an optimizer's state for the weights of a layer."""
    if optimizer is None:
        return 0
    return sum(
        int(np.prod(shape)) * array.itemsize
        for array in layer.params.values()
        for shape in optimizer.slot_shapes(array.shape).values()
    )


def _buffers(model: Any, batch_size: int, training: bool) -> int:
    """Return the bytes of a plan after a dry run of one batch, in which no memory page is touched."""
    kept = [
        (layer, dict(layer.grads), {k: a.copy() for k, a in layer.state.items()}) for layer in model._layers
    ]
    plan = model._new_plan(training=training)
    plan.run.dry = True
    xs = tuple(np.zeros((batch_size, *shape), model.dtype) for shape in model._inner_input_shapes())
    try:
        y = plan.forward(xs if len(xs) > 1 else xs[0])
        if training:
            # `zeros_like` would touch the pages.
            dy = tuple(np.zeros(each.shape, each.dtype) for each in each_of(y))
            plan.backward(dy if len(dy) > 1 else dy[0])
    finally:
        plan.release()
        for layer, grads, state in kept:
            layer.grads.clear()
            layer.grads.update(grads)
            for name, array in state.items():
                layer.state[name][...] = array
    return int(plan.arena.nbytes)
