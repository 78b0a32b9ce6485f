"""How a built model, a row of layers or a graph, runs: a list of steps over memory that is allocated once.

Touching fresh pages costs more than the arithmetic of a small network. So a plan keeps every
array that its steps ask for, and hands out the same memory for the next batch:

- in training, arrays that `backward` reads again have their own memory (`keeping.py`). Outputs that are
  cheap to compute again for `backward` (`keeping.compute_again`) share memory in turns. All others, and the
  gradients that flow from layer to layer, are lent memory for as long as somebody will read them
  (`lending.py`); gradients also get the memory of outputs that have been read for the last time;
- in inference, outputs lie in as few places as can hold those that are still needed (`places.py`): two in a
  row of layers. What is computed in parts of a batch (`parts.py`) has its own place;
- the scratch of the kernels is one place that all layers share;
- in inference, transformed kernels for Winograd's algorithm are kept: five times the size of the weights
  (`Run.kept`).

A plan belongs to the caller who has taken it (`replaying.PlanCache`), and is never entered twice. Its next
batch overwrites what it returned: who gives that to a user copies it first.

Some layers in a row are computed as one step (`fusing.py`). With ``fuse=False`` each layer is a step.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cconv.activations import Activation
from cconv.engine.adding import add_behind
from cconv.engine.banding import in_bands
from cconv.engine.flow import Flow
from cconv.engine.fusing import steps_of
from cconv.engine.growing import grow
from cconv.engine.keeping import Lasting, compute_again, lasting_of, share_relus
from cconv.engine.lending import Lender
from cconv.engine.logits import split_activations
from cconv.engine.memory import Arena, PlanRun
from cconv.engine.parts import cut_batch
from cconv.engine.places import Gradients, Values
from cconv.engine.sharing import Shared, apart
from cconv.engine.steps import Step
from cconv.layers.base import Layer

Arrays = (
    np.ndarray | tuple[np.ndarray, ...]
)  # an input or output of a model; if there are several, a tuple of all


class Plan:
    """A built model that is ready to run over its own memory.

    Parameters
    ----------
    layers : sequence of Layer, or Flow
        Built layers: a row, or a flow that says which values go into each.
    training : bool
        Whether `backward` will follow `forward`.
    seed : int
        Key of the random draws.
    loss : Loss, optional
        If given, `forward` returns logits where the loss is defined on logits.
    fuse : bool
        Whether layers in a row may be computed as one step.

    Attributes
    ----------
    flow : Flow
        What is computed.
    steps : list of Step
        What runs, in order.
    """

    activations: list[Activation | None]

    def __init__(
        self,
        layers: Sequence[Layer] | Flow,
        *,
        training: bool,
        seed: int,
        loss: Any = None,
        fuse: bool = True,
    ) -> None:
        given = Flow.of(layers)
        self.shared: Shared
        single, self.shared = apart(given)
        self.flow, self.activations, self._bare = split_activations(single, loss)
        self.steps: list[Step] = steps_of(self.flow, training, fuse)
        if training and fuse:
            share_relus(self.steps, self.flow)
            compute_again(self.steps, self.flow)
        elif fuse:
            self.steps = in_bands(grow(add_behind(self.steps, self.flow), self.flow), self.flow)
        # Bytes of a sample in each memory that holds outputs which are computed again.
        self._again: dict[Any, int] = {}
        for number, entry in enumerate(self.steps):
            if entry.again:
                turn = _turn_again(number)
                self._again[turn] = max(self._again.get(turn, 0), _bytes_of_output(entry))
        self._step_of = {entry.value: number for number, entry in enumerate(self.steps)}
        self.loss = loss
        self.training = training
        self.arena: Arena = Arena()
        self.run: PlanRun = PlanRun(self.arena, training, seed)
        self._lender = Lender(self.arena)
        self._learning: list[bool] = []
        self._kept: list[Lasting] = []
        self._given: tuple[np.ndarray, ...] = ()
        self._outputs: tuple[np.ndarray, ...] = ()
        self._done = 0
        # If a layer is built again, or gets another activation, the steps are out of date.
        self._made_of = [
            (layer.__dict__, name, layer.__dict__[name])
            for layer in given.layers
            for name in ("params", "activation", "algorithm", "epsilon", *layer._recorded)
            if name in layer.__dict__
        ]
        self._prepared = [
            (("prepare", number), entry)
            for number, entry in enumerate(self.steps)
            if type(entry).prepare is not Step.prepare
        ]
        self.prepare()

    @property
    def layers(self) -> list[Layer]:
        """The model's layers in the order of their first use, each once."""
        return self.shared.layers

    @property
    def activation(self) -> Activation | None:
        """The activation that was removed from the end of the only output."""
        return self.activations[0]

    def is_current(self) -> bool:
        """Whether the steps are up to date: the layers have the same arrays, activations and algorithms."""
        # This runs for every batch; `all` would take half as long again.
        for attributes, name, value in self._made_of:  # noqa: SIM110
            if attributes[name] is not value:
                return False
        return True

    def prepare(self) -> None:
        """Prepare for the weights as they are now: call it before batches that follow a change of them."""
        for place, entry in self._prepared:
            self.run.enter(place, 0, "")
            entry.prepare(self.run)

    # --- forward ------------------------------------------------------------------------------

    def forward(self, x: Arrays, step: int = 0, first_sample: int = 0, done: int = 0) -> Any:
        """Return the output, or the logits, of a batch (n, h, w, c); the next batch overwrites it.

        Several inputs, or outputs, are a tuple. The first `done` layers of a row have already been computed
        when the batch was gathered.
        """
        self._done, self._given = done, each_of(x)
        self.run.begin(step, first_sample)
        values, steps = self._begun()
        if self.training:
            for number, entry in steps:
                self._step_forward(number, entry, values)
        else:
            self._forward_through(values, self._take_in_parts(values, self._given, steps))
            self._given = ()
        self._outputs = tuple([values.read(value) for value in self.flow.outputs])
        return self._outputs[0] if len(self._outputs) == 1 else self._outputs

    def _begun(self) -> tuple[Values, list[tuple[int, Step]]]:
        """Begin the batch that was given: return its values, and the steps that are left."""
        given, done = self._given, self._done
        self._reserve(len(given[0]))
        for bare, layer in self._bare:
            bare.trainable = layer.trainable  # may have been changed since the plan was made
        self.shared.follow()
        if self.training:
            self._lender.begin()
            learning = [layer.trainable for layer in self.layers]
            if learning != self._learning:
                self._learning, self._kept = learning, lasting_of(self.steps, self.flow)
        first = self.flow.value_of(done - 1) if done else 0
        values = Values(self.flow.readers, {first + number: array for number, array in enumerate(given)})
        return values, [(number, entry) for number, entry in enumerate(self.steps) if entry.first >= done]

    def _step_forward(self, number: int, entry: Step, values: Values) -> np.ndarray:
        """Compute a training step, and return its output."""
        run, passing = self.run, self._kept[number].passes
        if entry.again:
            self._enter_again(number)
        else:
            run.enter(("forward", number), 0, "")
        if passing:
            run.borrow("y", self._lender)
        y = entry.forward(values.of(entry), run)
        values.put(entry.value, y, 0, entry.sources)
        self._lender.keep_only(values.all())
        return y

    def _forward_through(
        self, values: Values, steps: Sequence[tuple[int, Step]], out: np.ndarray | None = None
    ) -> None:
        """Compute these steps at inference; if `out` is given, the last output goes there."""
        for number, entry in steps:
            place = values.places.free()
            self.run.enter(("forward", number), place, "*")
            if number == steps[-1][0]:
                self.run.offer(out)
            y = entry.forward(values.of(entry), self.run)
            values.put(entry.value, y, place, entry.sources)

    def _take_in_parts(
        self, values: Values, given: tuple[np.ndarray, ...], steps: list[tuple[int, Step]]
    ) -> list[tuple[int, Step]]:
        """Compute the first steps part by part, if that is better; return those that are left."""
        if len(given) > 1:
            return steps
        (x,) = given
        front, samples = cut_batch([entry for _, entry in steps], x, self.flow.readers)
        if not front:
            return steps
        last = steps[front - 1][1]
        layer, source = last.layers[-1], steps[0][1].sources[0]
        y = self.run.arena.array("parts", (len(x), *layer._inner(layer.output_shape)), x.dtype)
        for begin in range(0, len(x), samples):
            part = y[begin : begin + samples]
            inside = Values(self.flow.readers, {source: x[begin : begin + samples]})
            self._forward_through(inside, steps[:front], part)
            made = inside.read(last.value)
            if not np.may_share_memory(made, part):
                self.run.call(np.copyto, part, made)
        values.begin(last.value, y)
        return steps[front:]

    def _reserve(self, samples: int) -> None:
        """Make room for outputs that are computed again; several steps use that room at the same time."""
        for turn, nbytes in self._again.items():
            self.run.reserve(turn, "y", samples * nbytes)

    def _enter_again(self, number: int) -> None:
        """Begin a pass of a step whose output is computed again: neighbouring steps take turns."""
        self.run.enter(("forward", number), _turn_again(number), "y")

    def _recompute(self, number: int | None) -> None:
        """Compute the output of a step again, into the same memory, if it was not kept."""
        if number is not None and self.steps[number].again and self.steps[number].first >= self._done:
            self._enter_again(number)
            self.steps[number].recompute(self.run)

    def finish(self, y: Arrays) -> Any:
        """Return the model's output from what `forward` returned: apply the activations to the logits."""
        if isinstance(y, tuple):
            return tuple([self._activated(number, each) for number, each in enumerate(y)])
        return self._activated(0, y)

    def _activated(self, number: int, y: np.ndarray) -> np.ndarray:
        activation = self.activations[number]
        if activation is None:
            return y
        self.run.enter(("activation", number), 0, "")
        return activation(y, self.run)

    def predict(self, x: Arrays, done: int = 0) -> Any:
        """Return the model's output for a batch: `forward`, then `finish`; the next batch overwrites it."""
        return self.finish(self.forward(x, done=done))

    def loss_of(self, y_true: Any, y: Arrays, sample_weight: Any) -> tuple[float, Any]:
        """Return the loss of what `forward` returned, and its gradient.

        With several outputs the loss is a `losses.joint.Total`; the gradient is None for one without a loss.
        """
        self.run.enter("loss", 0, "")
        if isinstance(y, tuple):
            from_logits = [activation is not None for activation in self.activations]
            return self.loss.of_all(y_true, y, sample_weight, self._parts_of_loss(), from_logits)
        return self.loss(y_true, y, sample_weight, self.run, self.activation is not None)

    def _parts_of_loss(self) -> Iterator[PlanRun]:
        """Yield the run for the loss of one output after another; each loss has its own memory."""
        for number in range(len(self.flow.outputs)):
            self.run.enter(("loss", number), 0, "")
            yield self.run

    # --- backward -----------------------------------------------------------------------------

    def backward(self, dy: Arrays) -> None:
        """Set the gradients of all weights that are trained; dy is that of what `forward` returned."""
        wanted = self._wanted()
        gradients = Gradients(self.run, self._lender)
        for value, given in zip(self.flow.outputs, each_of(dy), strict=True):
            if wanted[value] and given is not None:
                gradients.begin(value, given)
        for number in range(len(self.steps) - 1, -1, -1):
            if gradients.of(self.steps[number].value) is not None:
                self._step_back(number, gradients, wanted)
            else:
                self._without_gradient(number)
            if self._kept[number].read_back:
                self._lend_output(number)
            self._lender.keep_only(gradients.all())
        if self.run.cut is not None and self.run.cut.ranks is not None:
            self.run.call(self.run.cut.ranks.end_sums)
        self.shared.add_gradients(self.run)

    def _wanted(self) -> list[bool]:
        """Return for each value whether its gradient is needed for weights that are trained."""
        wanted = [False] * len(self.flow.readers)
        for entry in self.steps:
            wanted[entry.value] = entry.learns() or any([wanted[value] for value in entry.sources])
        return wanted

    def _step_back(self, number: int, gradients: Gradients, wanted: list[bool]) -> None:
        """Compute the gradients of a step's inputs from that of its output."""
        entry = self.steps[number]
        for value in entry.sources:
            self._recompute(self._step_of.get(value))
        dy = gradients.of(entry.value)
        assert dy is not None
        if not self._kept[number].read_back:
            self._lend_output(number)
            self._lender.keep_only(gradients.all())
        self.run.enter(("backward", number), 0, "")
        self.run.borrow("dx", self._lender)
        if self._kept[number].in_place:
            self.run.offer(gradients.spare(entry.value), "dx")
        need = tuple([wanted[value] for value in entry.sources])
        found = entry.backward(dy, self.run, need if entry.merges else need[0])
        gradients.leave(entry.value)
        coming = zip(entry.sources, each_of(found), strict=True)
        gradients.add([(value, dx) for value, dx in coming if dx is not None])

    def _lend_output(self, number: int) -> None:
        """Lend out the memory of a step's output until the next batch, unless the user may read it."""
        if not self._kept[number].lasts:
            for memory in self.run.written(("forward", number), "y"):
                if not any(np.may_share_memory(memory, y) for y in self._outputs):
                    self._lender.adopt(memory)

    def _without_gradient(self, number: int) -> None:
        """Set the gradients of a step to 0, because no loss depends on it."""
        self.run.enter(("backward", number), 0, "")
        for place, layer in enumerate(self.steps[number].layers):
            for name, param in layer.params.items() if layer.trainable else ():
                gradient = self.run.empty(f"{name} {place}", param.shape, param.dtype)
                self.run.call(np.copyto, gradient, np.zeros((), param.dtype))
                layer.grads[name] = gradient

    def release(self) -> None:
        """Let go of the last batch, which may be the user's own memory; the arena stays."""
        self._given = self._outputs = ()
        for entry in self.steps:
            entry.release()

    def first_not_finite(self) -> int | None:
        """Compute the last batch again; return the number of the first layer whose output is not finite."""
        self.run.begin(self.run.step, self.run.first_sample)
        values, steps = self._begun()
        for number, entry in steps:
            if not np.isfinite(self._step_forward(number, entry, values)).all():
                return entry.computing
        return None


def each_of(x: Any) -> tuple[Any, ...]:
    """Return one or several arrays as a tuple."""
    return x if isinstance(x, tuple) else (x,)


def _turn_again(number: int) -> tuple[str, int]:
    """Return the name of the memory for the output of a step that is computed again."""
    return "again", number % 2


def _bytes_of_output(entry: Step) -> int:
    last = entry.layers[-1]
    return math.prod(last.output_shape) * last.dtype.itemsize
