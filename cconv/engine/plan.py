"""How a built model runs: a list of steps over memory that is allocated once.

Touching fresh pages costs more than the arithmetic of a small network, so a plan keeps every
array that its steps ask for and hands out the same memory at the next batch:

- in training, each layer's output and caches have memory of their own, because backward reads them
  again; the gradients that flow from layer to layer take turns in two places; so do outputs that are
  cheap enough to be computed again on the way back (`fusing.compute_again`);
- in inference, the outputs take turns in two places too, since only the next layer reads them; what comes
  of a batch in parts (`parts.py`) has a third one;
- the scratch of the kernels is one place that all layers share;
- in inference, Winograd's kernels are kept transformed, five times the size of the weights (`Run.kept`).

A plan belongs to whoever has taken it (`replaying.PlanCache`), and is never entered twice. What it returns is
overwritten by its next batch: whoever gives it to a user copies it first.

Some layers in a row are computed as one step (`fusing.py`). With ``fuse=False`` each is one of its own.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.activations import Activation
from cconv.engine.fusing import compute_again, share_relus, split_activation, steps_of
from cconv.engine.memory import Arena, PlanRun
from cconv.engine.parts import cut_batch
from cconv.engine.steps import Step
from cconv.layers.base import Layer


class Plan:
    """A built model made ready to run over memory of its own.

    Parameters
    ----------
    layers : sequence of Layer
        Built, in order.
    training : bool
        Whether `backward` will follow `forward`.
    seed : int
        Key of the random draws.
    loss : Loss, optional
        With it `forward` gives logits where the loss is defined on them.
    fuse : bool
        Whether layers in a row may be computed as one step.

    Attributes
    ----------
    steps : list of Step
        What runs, in order.
    outputs : list of ndarray
        The last batch's output of each step, in training.
    """

    activation: Activation | None

    def __init__(
        self, layers: Sequence[Layer], *, training: bool, seed: int, loss: Any = None, fuse: bool = True
    ) -> None:
        chain, self.activation = split_activation(layers, loss)
        self.steps: list[Step] = steps_of(chain, training, fuse)
        if training and fuse:
            share_relus(self.steps)
            compute_again(self.steps)
        # The bytes that a sample takes of each memory in which outputs lie that are computed again.
        self._again: dict[Any, int] = {}
        for number, entry in enumerate(self.steps):
            if entry.again:
                turn = _turn_again(number)
                self._again[turn] = max(self._again.get(turn, 0), _bytes_of_output(entry))
        self._last, self._bare = layers[-1], chain[-1]
        self.loss = loss
        self.training = training
        self.arena: Arena = Arena()
        self.run: PlanRun = PlanRun(self.arena, training, seed)
        self.outputs: list[np.ndarray] = []
        self._done = 0
        # Built again, or with another activation, a layer is not what the steps were made of.
        self._made_of = [
            (layer.__dict__, name, layer.__dict__[name])
            for layer in layers
            for name in ("params", "activation", "algorithm")
            if name in layer.__dict__
        ]
        self._prepared = [
            (("prepare", number), entry)
            for number, entry in enumerate(self.steps)
            if type(entry).prepare is not Step.prepare
        ]
        self.prepare()

    def is_current(self) -> bool:
        """Whether the layers are still what the steps were made of: their arrays, activations, algorithms."""
        # Every batch asks; `all` takes half as long again.
        for attributes, name, value in self._made_of:  # noqa: SIM110
            if attributes[name] is not value:
                return False
        return True

    def prepare(self) -> None:
        """Take notice of the weights: called before batches that follow a change of them."""
        for place, entry in self._prepared:
            self.run.enter(place, 0, "")
            entry.prepare(self.run)

    def forward(self, x: np.ndarray, step: int = 0, first_sample: int = 0, done: int = 0) -> np.ndarray:
        """Return the output, or the logits, of a batch (n, h, w, c); overwritten by the next one.

        The first `done` layers have been computed where the batch was gathered.
        """
        self._done = done
        self.run.begin(step, first_sample)
        self._reserve(len(x))
        self._bare.trainable = self._last.trainable  # may have been changed since the plan was made
        self.outputs.clear()
        steps = [(number, entry) for number, entry in enumerate(self.steps) if entry.first >= done]
        if not self.training:
            front, samples = cut_batch([entry for _, entry in steps], x)
            if front:
                x, steps = self._forward_in_parts(x, samples, steps[:front]), steps[front:]
        return self._forward_through(x, steps)

    def _forward_through(
        self, x: np.ndarray, steps: Sequence[tuple[int, Step]], out: np.ndarray | None = None
    ) -> np.ndarray:
        """Return what these steps make of x; if `out` is given, there."""
        run, turn = self.run, 0
        for number, entry in steps:
            if entry.again:
                self._enter_again(number)
            else:
                run.enter(("forward", number), turn, "" if self.training else "*")
            if number == steps[-1][0]:
                run.offer(out)
            y = entry.forward(x, run)
            if self.training:
                self.outputs.append(y)
            elif not np.may_share_memory(x, y):
                # A layer that returns its input, or a view of it, has not used its turn.
                turn = 1 - turn
            x = y
        return x

    def _forward_in_parts(self, x: np.ndarray, samples: int, steps: Sequence[tuple[int, Step]]) -> np.ndarray:
        """Return what these steps make of x, taking `samples` samples at a time."""
        last = steps[-1][1].layers[-1]
        y = self.run.arena.array("parts", (len(x), *last._inner(last.output_shape)), x.dtype)
        for begin in range(0, len(x), samples):
            part = y[begin : begin + samples]
            made = self._forward_through(x[begin : begin + samples], steps, part)
            if not np.may_share_memory(made, part):
                self.run.call(np.copyto, part, made)
        return y

    def _reserve(self, samples: int) -> None:
        """Make room for outputs that are computed again, which several steps hold together."""
        for turn, nbytes in self._again.items():
            self.run.reserve(turn, "y", samples * nbytes)

    def _enter_again(self, number: int) -> None:
        """Begin a pass of a step whose output is computed again: neighbours take turns."""
        self.run.enter(("forward", number), _turn_again(number), "y")

    def _recompute(self, number: int) -> None:
        """Put the output of a step back where it was, if it is one that is computed again."""
        if number >= 0 and self.steps[number].again and self.steps[number].first >= self._done:
            self._enter_again(number)
            self.steps[number].recompute(self.run)

    def finish(self, y: np.ndarray) -> np.ndarray:
        """Return the model's output for what `forward` returned: the activation of the logits."""
        if self.activation is None:
            return y
        self.run.enter("activation", 0, "")
        return self.activation(y, self.run)

    def predict(self, x: np.ndarray, done: int = 0) -> np.ndarray:
        """Return the model's output for a batch: `forward` and `finish`; overwritten by the next one."""
        return self.finish(self.forward(x, done=done))

    def loss_of(
        self, y_true: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[float, np.ndarray]:
        """Return the loss of what `forward` returned, and its gradient."""
        self.run.enter("loss", 0, "")
        return self.loss(y_true, y, sample_weight, self.run, self.activation is not None)

    def backward(self, dy: np.ndarray) -> None:
        """Set the gradients of all weights that are trained, from that of what `forward` returned."""
        learning = [number for number, entry in enumerate(self.steps) if entry.learns()]
        if not learning:
            return
        run, turn = self.run, 0
        for number in range(len(self.steps) - 1, learning[0] - 1, -1):
            self._recompute(number - 1)
            run.enter(("backward", number), turn, "dx")
            dx = self.steps[number].backward(dy, run, need_dx=number > learning[0])
            if dx is None:
                return
            if not np.may_share_memory(dy, dx):
                turn = 1 - turn
            dy = dx

    def release(self) -> None:
        """Let go of the last batch, which may be the user's own memory; the arena stays."""
        self.outputs.clear()
        for entry in self.steps:
            entry.release()

    def first_not_finite(self) -> int | None:
        """Return the number of the first layer whose output of the last batch was not finite."""
        computed = [number for number, entry in enumerate(self.steps) if entry.first >= self._done]
        for number, y in zip(computed, self.outputs, strict=True):
            entry = self.steps[number]
            self._recompute(number)
            if not np.isfinite(y).all():
                return entry.first
        return None


def _turn_again(number: int) -> tuple[str, int]:
    """Return the name of the memory in which the output of that step lies, if it is computed again."""
    return "again", number % 2


def _bytes_of_output(entry: Step) -> int:
    last = entry.layers[-1]
    return math.prod(last.output_shape) * last.dtype.itemsize
