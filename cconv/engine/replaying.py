"""A plan that remembers: it repeats what it did for a batch of the same shape, kernel call by kernel call.

Between the kernels of a small network, Python takes as long as the kernels themselves. So the kernel calls of
the second batch of a shape are recorded (the first one still allocates memory). Later batches, forward and in
training also backward, only make these calls, with their own input. The calls are kept under a key that holds
all they depend on besides arrays. They are forgotten when memory has moved.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from cconv.arguments.claims import Claims
from cconv.engine.memory import Call
from cconv.engine.plan import Arrays, Plan, each_of
from cconv.engine.program import Program
from cconv.layers.base import Layer
from cconv.threads import get_num_threads

# Batch shapes whose kernel calls are kept.
MOST_PROGRAMS = 8

Key = tuple[Any, ...]
Gradients = list[tuple[Layer, dict[str, np.ndarray]]]


class _Recording(NamedTuple):
    """A forward pass in training that was recorded, and waits for its backward pass."""

    key: Key
    xs: tuple[np.ndarray, ...]
    y: Arrays
    calls: list[Call]


class _Repeat(NamedTuple):
    """The programs that repeat a training step, and the gradients that they set."""

    forward: Program
    backward: Program
    gradients: Gradients


class _Preparation(NamedTuple):
    """The program that prepares a plan, and how often memory had grown when it was recorded."""

    program: Program
    growths: int


class RecordedPlan(Plan):
    """A `Plan` that repeats what it has done before; its results have the same bits as those of `Plan`.

    Layers that do more than call kernels, such as a random augmentation, always run normally.

    Attributes
    ----------
    replays : bool
        Whether the passes consist only of kernel calls.
    """

    def __init__(self, layers: Any, **options: Any) -> None:
        super().__init__(layers, **options)
        self.replays: bool = all(entry.replays(self.training) for entry in self.steps)
        # By key: the program; None if the batch was seen once; False if it cannot be repeated.
        self._programs: dict[Key, Any] = {}
        self._growths = 0
        self._recording: _Recording | None = None
        self._repeat: tuple[_Repeat, tuple[np.ndarray, ...]] | None = None
        self._held = False  # whether layers keep what their backward passes need

    @property
    def repeated(self) -> object | None:
        """What repeats the current training step, or None; the same object means the same arrays."""
        return None if self._repeat is None else self._repeat[0]

    def prepare(self) -> None:
        """Prepare for the weights as they are now, as `Plan.prepare` does."""
        known = self.__dict__.get("_preparation")  # there is none while `Plan` is made
        if known is not None and known.growths == self.arena.growths:
            known.program()
            return
        with self._taped() as calls:
            super().prepare()
        program = Program.of(calls, [])
        assert program is not None
        self._preparation = _Preparation(program, self.arena.growths)

    def predict(self, x: Arrays, done: int = 0) -> Any:
        """Return the model's output for a batch, as `Plan.predict` does."""
        xs = each_of(x)
        key = _shape_of(x), done, get_num_threads()
        program = self._known(key)
        if program:
            return program(*xs)
        if not self._may_record(key):
            y = super().predict(x, done)
            self._seen(key)
            return y
        x = _copied(x)
        with self._taped() as calls:
            y = super().predict(x, done)
        self._keep(key, Program.of(calls, each_of(x), y))
        return y

    def forward(self, x: Arrays, step: int = 0, first_sample: int = 0, done: int = 0) -> Any:
        """Return the output, or the logits, of a batch, as `Plan.forward` does."""
        if not self.training:
            return super().forward(x, step, first_sample, done)
        self._recording = self._repeat = None
        settings = tuple([layer._settings() for layer in self.layers])
        key = _shape_of(x), done, get_num_threads(), settings, self.run.cut
        known = self._known(key)
        if known:
            self._repeat = known, each_of(x)
            self._done = done
            self.run.begin(step, first_sample)
            return known.forward(*each_of(x))
        self._held = True
        if not self._may_record(key):
            y = super().forward(x, step, first_sample, done)
            self._seen(key)
            return y
        x = _copied(x)
        with self._taped() as calls:
            y = super().forward(x, step, first_sample, done)
        self._recording = _Recording(key, each_of(x), y, calls)
        return y

    def backward(self, dy: Arrays) -> None:
        """Set the gradients of all weights that are trained, as `Plan.backward` does."""
        if self._repeat is not None:
            known, xs = self._repeat
            known.backward(*xs, *_there(dy))
            for layer, gradients in known.gradients:
                layer.grads.update(gradients)
            return
        recording, self._recording = self._recording, None
        if recording is None:
            super().backward(dy)
            return
        with self._taped() as calls:
            super().backward(dy)
        forward = Program.of(recording.calls, recording.xs, recording.y)
        backward = Program.of(calls, [*recording.xs, *_there(dy)])
        repeat: _Repeat | None = None
        if forward is not None and backward is not None:
            learning = [layer for layer in self.layers if layer.trainable and layer.params]
            repeat = _Repeat(forward, backward, [(layer, dict(layer.grads)) for layer in learning])
        self._keep(recording.key, repeat)
        super().release()  # layers would keep the copy of the batch

    def release(self) -> None:
        """Let go of the last batch, which may be the user's own memory; the arena stays."""
        self._recording = self._repeat = None
        self.run.tape = None  # an interrupt may have come before `_taped` did this
        if self._held:
            self._held = False
            super().release()

    def first_not_finite(self) -> int | None:
        """Compute the last batch again; return the number of the first layer whose output is not finite."""
        if self._repeat is not None:
            _, self._given = self._repeat
        self._held = True
        return super().first_not_finite()

    @contextmanager
    def _taped(self) -> Iterator[list[Call]]:
        """Record the kernel calls that are made in the ``with`` block."""
        calls: list[Call] = []
        self.run.tape = calls
        try:
            yield calls
        finally:
            self.run.tape = None

    def _known(self, key: Key) -> Any:
        """Return what repeats a batch with this key, or None."""
        return self._programs.get(key) if self._growths == self.arena.growths else None

    def _may_record(self, key: Key) -> bool:
        """Whether this batch is seen for the second time, and no memory has grown since."""
        seen = self._programs.get(key, False) is None
        return seen and self.replays and self._growths == self.arena.growths

    def _seen(self, key: Key) -> None:
        """Note a batch that was not recorded."""
        full = len(self._programs) == MOST_PROGRAMS and key not in self._programs
        if full or self._growths != self.arena.growths:
            self._growths = self.arena.growths
            self._programs.clear()
        self._programs.setdefault(key, None)

    def _keep(self, key: Key, program: Any) -> None:
        """Keep the program of a recorded batch; None: it cannot be repeated."""
        if self._growths == self.arena.growths:
            self._programs[key] = program or False
        else:  # memory grew in this pass, so not all of it was recorded at its final place
            self._seen(key)


def _shape_of(x: Arrays) -> tuple[Any, ...]:
    """Return the shape of a batch, or of each of its inputs."""
    return tuple([array.shape for array in x]) if isinstance(x, tuple) else x.shape


def _copied(x: Arrays) -> Arrays:
    """Return copies; no other array lies in their memory."""
    return tuple([array.copy() for array in x]) if isinstance(x, tuple) else x.copy()


def _there(dy: Any) -> list[np.ndarray]:
    """Return the gradients of the outputs that have a loss."""
    return [each for each in each_of(dy) if each is not None]


class _Idle(threading.local):
    """The plans that a thread may enter."""

    def __init__(self) -> None:
        self.plans: list[RecordedPlan] = []


class PlanCache:
    """The plans of a model: one for training, and for each thread those for inference that are not in use.

    To predict, a thread takes a plan off its list, and puts it back when it has the result. Meanwhile a
    signal handler, or a function of the user's that the plan calls, finds no plan there and makes its own.
    So a thread has as many plans as predictions were nested. A plan in which an exception was raised
    is not put back. The plan for training belongs to the caller who has claimed the model
    (`models/training.py`).

    A copy or a pickle of the cache is empty: memory is no part of a model.

    Attributes
    ----------
    training : RecordedPlan or None
        The plan for training.
    plain : tuple of int or None
        Shape of a sample that a plan can take just as the user gives it, or None.
    rows : int
        Samples that are predicted at once if the user does not choose.
    places : tuple of Claims or None
        The claims to the layers, each once, in the order of their addresses.
    """

    def __init__(self) -> None:
        self.training: RecordedPlan | None = None
        self.plain: tuple[int, ...] | None = None
        self.rows = 0
        self.places: tuple[Claims, ...] | None = None
        self.idle: _Idle = _Idle()

    @property
    def inference(self) -> RecordedPlan | None:
        """The plan that the calling thread would take next, or None."""
        plans = self.idle.plans
        return plans[-1] if plans else None

    def take(self) -> RecordedPlan | None:
        """Take a plan of the calling thread that is up to date, or return None."""
        plans = self.idle.plans
        while True:
            try:  # not `while plans`: a signal handler may take the last one in between
                plan = plans.pop()
            except IndexError:
                return None
            if plan.is_current():
                return plan

    def put_back(self, plan: RecordedPlan) -> None:
        """Put the plan back, so that the calling thread can take it again."""
        self.idle.plans.append(plan)

    def __reduce__(self) -> tuple[type["PlanCache"], tuple[()]]:
        return PlanCache, ()
