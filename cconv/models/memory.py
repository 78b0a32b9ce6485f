"""`Memory`: what a model takes, told before it is taken."""

from typing import Any, NamedTuple

import numpy as np

from cconv.engine.plan import each_of

MB = 1e6  # bytes


class Memory(NamedTuple):
    """Bytes that a model takes beside the program and the data: see ``model.memory(batch_size)``.

    Attributes
    ----------
    batch_size : int
        Samples computed at a time.
    weights : int
        Of weights and moving averages.
    optimizer : int
        Of what the optimizer keeps for every weight that is trained; 0 before `compile`.
    training_buffers, prediction_buffers : int
        Of outputs, gradients, kernels that are laid out anew, and scratch.
    training, prediction : int
        In all.

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
        """Bytes of a training."""
        return self.weights + self.optimizer + self.training_buffers

    @property
    def prediction(self) -> int:
        """Bytes of a prediction."""
        return self.weights + self.prediction_buffers

    def __str__(self) -> str:
        return (
            f"batches of {self.batch_size}: weights {self.weights / MB:.1f} MB; "
            f"training {self.training / MB:.1f} MB with optimizer {self.optimizer / MB:.1f}, "
            f"buffers {self.training_buffers / MB:.1f}; "
            f"prediction {self.prediction / MB:.1f} MB with buffers {self.prediction_buffers / MB:.1f}"
        )


def memory_of(model: Any, batch_size: int) -> Memory:
    """Return what a model that is built, and not in training, takes for batches of that size."""
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
    """Return the bytes that an optimizer keeps for the weights of a layer."""
    if optimizer is None:
        return 0
    return sum(
        int(np.prod(shape)) * array.itemsize
        for array in layer.params.values()
        for shape in optimizer.slot_shapes(array.shape).values()
    )


def _buffers(model: Any, batch_size: int, training: bool) -> int:
    """Return the bytes of a plan that has gone through a batch, of which no page was touched."""
    kept = [
        (layer, dict(layer.grads), {k: a.copy() for k, a in layer.state.items()}) for layer in model._layers
    ]
    plan = model._new_plan(training=training)
    plan.run.dry = True
    xs = tuple(np.zeros((batch_size, *shape), model.dtype) for shape in model._inner_input_shapes())
    try:
        y = plan.forward(xs if len(xs) > 1 else xs[0])
        if training:
            # `zeros_like` would touch them.
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
