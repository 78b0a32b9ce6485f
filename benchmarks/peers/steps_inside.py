"""The kernel calls of recorded predictions and training steps, each timed and put down to its step."""

import ctypes
import statistics
import time
from contextlib import contextmanager

import numpy as np

from benchmarks.peers import with_cconv
from cconv.engine.plan import each_of
from cconv.engine.replaying import RecordedPlan
from cconv.kernels import merging
from cconv.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GroupNormalization,
    LayerNormalization,
    SeparableConv2D,
)
from cconv.layers.transposed import TransposedConvolution
from cconv.models import predicting
from cconv.models.explaining import Pass, pass_of

TRIALS = 1000  # of what watching a call takes
RECORDED = 5  # batches, after which one has been recorded
MOST_LOOPS = 1 << 12
PAIR = 2 * 8192  # elements of two tasks of an element-by-element kernel
NORMALIZATIONS = (BatchNormalization, GroupNormalization, LayerNormalization)
ADAM_ARRAYS = 7  # read or written: weights, gradients and both moments; all but the gradients twice

_library = None
_modes: dict = {}


class _Tape(list):
    """Recorded calls; `places` says which step each belongs to."""

    def __init__(self, run):
        super().__init__()
        self._run, self.places = run, []

    def append(self, call):
        super().append(call)
        self.places.append(self._run._place)


class NotedPlan(RecordedPlan):
    """A plan that knows which step each of its recorded calls belongs to.

    Attributes
    ----------
    noted : list of (str, Program, list)
        Of the last batch that was recorded: direction, calls, and the place of each.
    """

    noted: tuple = ()

    @contextmanager
    def _taped(self):
        with super()._taped():
            self.tapes = [*self.__dict__.get("tapes", [])[-1:], _Tape(self.run)]
            self.run.tape = self.tapes[-1]
            yield self.tapes[-1]

    def _keep(self, key, program):
        super()._keep(key, program)
        if not program:
            return
        if self.training:
            programs = {"forward": program.forward, "backward": program.backward}
            tapes = self.tapes
        else:
            programs, tapes = {"forward": program}, self.tapes[-1:]
        self.noted = [
            (name, program, tape.places)
            for (name, program), tape in zip(programs.items(), tapes, strict=True)
        ]


class _Watch:
    """A kernel, or anything else that is called; notes its seconds, and its loops if they are counted."""

    def __init__(self, called):
        self._called, self.seconds, self.loops, self.regions = called, [], [], 0

    def __call__(self, *args, **options):
        if _library is not None:
            _loops()  # those of calls that nobody watches
        start = time.perf_counter()
        found = self._called(*args, **options)
        self.seconds.append(time.perf_counter() - start)
        if _library is not None:
            self.regions, loops = _loops()
            self.loops.append(loops)
        return found


_tasks, _seconds = (ctypes.c_long * MOST_LOOPS)(), (ctypes.c_double * MOST_LOOPS)()


def _loops():
    """Return the number of regions since the last call, and the tasks and seconds of their loops."""
    opened = ctypes.c_int()
    count = _library.noted_loops(_tasks, _seconds, ctypes.byref(opened))
    return opened.value, list(zip(_tasks[:count], _seconds[:count], strict=True))


def prepare(library, threads, dtype):
    global _library
    _library = library
    predicting.RecordedPlan = NotedPlan
    return with_cconv.prepare("", threads, dtype)


def network(task):
    model, x, y = with_cconv.model_of(task)
    _modes.clear()
    steps = {}
    if "predict" in task["modes"]:
        frozen = model.freeze()
        steps["predict"] = lambda: frozen(x)
        _modes["predict"] = frozen._model, len(x), steps["predict"]
    if "train" in task["modes"]:
        steps["train"] = lambda: model.train_on_batch(x, y)
        _modes["train"] = model, len(x), steps["train"]
    return steps


def team(task):
    """The same two tasks, on one thread and by a team of two."""
    a, b, y = (np.zeros(PAIR, np.float32) for _ in range(3))
    add = merging.add["float"]
    return {"alone": lambda: add(a, b, y, 1), "team": lambda: add(a, b, y, 2)}


def kind_of(layers):
    """Return what kind of work a step is."""
    kinds = [type(layer) for layer in layers]
    if any(issubclass(kind, DepthwiseConv2D | SeparableConv2D) for kind in kinds):
        return "depthwise"
    for layer in layers:
        if isinstance(layer, Conv2D):
            return "1×1" if layer.kernel_size == (1, 1) else "3×3"
        if isinstance(layer, TransposedConvolution):
            return "3×3"
        if isinstance(layer, Dense):
            return "dense"
    return "normalisation" if any(issubclass(kind, NORMALIZATIONS) for kind in kinds) else "other"


def details(mode, seconds, least):
    """Return what each step of a mode is, its seconds, its loops if counted; and Python's seconds between."""
    model, batch, step = _modes[mode]
    for _ in range(RECORDED):
        step()
        plan = model._plans.training if mode == "train" else model._plans.inference
        if plan.noted:
            break
    else:
        raise RuntimeError(f"{model.name}: a step of {mode} is not only kernel calls")
    with _watched(plan, model if mode == "train" else None) as watches:
        whole: list[float] = []
        end = time.perf_counter() + seconds
        while len(whole) < least or time.perf_counter() < end:
            start = time.perf_counter()
            step()
            whole.append(time.perf_counter() - start)
    return {
        "steps": [_described(plan, key, found, batch) for key, found in watches.items()],
        "python": _between(whole, [watch for found in watches.values() for watch in found]),
    }


def _between(whole, watches):
    """Return the seconds of a step that are in no call, without those that watching takes."""
    taken = zip(*(watch.seconds for watch in watches), strict=True)
    between = [all_of_it - sum(calls) for all_of_it, calls in zip(whole, taken, strict=True)]
    nothing = _Watch(lambda: None)
    start = time.perf_counter()
    for _ in range(TRIALS):
        nothing()
    each = (time.perf_counter() - start - sum(nothing.seconds)) / TRIALS
    return max(statistics.median(between) - each * len(watches), 0.0)


@contextmanager
def _watched(plan, model):
    """Watch the calls of a plan, and the loss and the optimizer of a model that learns; yield all by key."""
    watches: dict = {}
    kept = [(program, program._calls) for _, program, _ in plan.noted]

    def watch(key, called):
        watches.setdefault(key, []).append(_Watch(called))
        return watches[key][-1]

    try:
        for direction, program, places in plan.noted:
            program._calls = [
                (watch(_key(direction, place), kernel), args)
                for (kernel, args), place in zip(program._calls, places, strict=True)
            ]
            if direction == "forward" and model is not None:
                plan.loss_of = watch(("loss", None), plan.loss_of)
        if model is not None:
            model.optimizer._step = watch(("optimizer", None), model.optimizer._step)
        yield watches
    finally:
        for program, calls in kept:
            program._calls = calls
        if model is not None:
            plan.__dict__.pop("loss_of", None)
            model.optimizer.__dict__.pop("_step", None)


def _key(direction, place):
    """Return the key of a call's step: its direction and number, or what else it is for."""
    what, number = place if isinstance(place, tuple) else (place, None)
    return ("activation", None) if what == "activation" else (direction, number)


def _described(plan, key, watches, batch):
    """Return what a step's calls in one direction are, as plain data."""
    seconds = sum(statistics.median(watch.seconds) for watch in watches)
    of = _pass(plan, key, batch, seconds)
    kind = "learning" if key[1] is None and key[0] in ("loss", "optimizer") else "other"
    if key[1] is not None:
        kind = kind_of(plan.steps[key[1]].layers)
    found = {"name": of.names[0], "kind": kind, "direction": key[0], "number": key[1]}
    found |= {"flops": of.flops, "nbytes": of.nbytes, "seconds": seconds, "calls": len(watches)}
    return found | (_cut(watches) if _library is not None else {})


def _pass(plan, key, batch, seconds):
    """Return the pass, with its flops and bytes."""
    direction, number = key
    if number is not None:
        step = plan.steps[number]
        wanted = plan._wanted() if plan.training else ()
        need_dx = direction == "backward" and any(wanted[value] for value in step.sources)
        return pass_of(step, batch, direction == "backward", need_dx, seconds)
    if direction == "optimizer":
        weights = sum(array.nbytes for layer in plan.layers for array in layer.params.values())
        return Pass((direction,), direction, "", 0, ADAM_ARRAYS * weights, seconds)
    # The loss reads the outputs and writes their gradients; an activation at the end does likewise.
    outputs = sum(array.nbytes for array in each_of(plan._outputs)) if plan._outputs else 0
    last = plan.flow.layers[-1]
    outputs = outputs or batch * int(np.prod(last.output_shape)) * last.dtype.itemsize
    return Pass((direction,), direction, "", 0, 2 * outputs, seconds)


def _cut(watches):
    """Return how a step's calls are cut into tasks, and how long what is not cut takes."""
    tasks, serial, barriers = {}, 0.0, 0
    for watch in watches:
        loops = [
            (counts[0][0], statistics.median([taken for _, taken in counts]))
            for counts in zip(*watch.loops, strict=True)
        ]
        for count, taken in loops:
            tasks[count] = tasks.get(count, 0.0) + taken
        serial += max(statistics.median(watch.seconds) - sum(taken for _, taken in loops), 0.0)
        barriers += max(len(loops) - watch.regions, 0)
    regions = sum(watch.regions for watch in watches)
    return {"serial": serial, "regions": regions, "barriers": barriers, "tasks": list(tasks.items())}
