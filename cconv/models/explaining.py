"""What each step of a model computes, with which algorithm, and how close to the machine's limits it is."""

import copy
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cconv import arguments, ops
from cconv.arguments.numbers import positive_int
from cconv.arguments.text import columns, fitted
from cconv.engine.flow import Flow
from cconv.engine.growing import GrowingStep
from cconv.engine.memory import Arena, PlanRun
from cconv.engine.plan import Plan, each_of
from cconv.engine.steps import PooledConvolution, Step
from cconv.geometry.algorithms import (
    ROW_TILE,
    Convolution,
    forward_algorithm,
    gradient_tiled,
    input_gradient_algorithm,
    pooled_algorithm,
    weight_gradient_algorithm,
    winograd_tile,
)
from cconv.geometry.shapes import resolve_window
from cconv.layers.base import Layer
from cconv.layers.convolution import Conv2D, DepthwiseConv2D
from cconv.models import Model
from cconv.models.summary import mult_adds
from cconv.threads import get_num_threads

# Passes are timed ROUNDS times; those of a large model until SECONDS seconds have passed.
ROUNDS, SECONDS = 9, 3.0
STREAMED_BYTES = 1 << 26  # size of an array that is larger than any cache
HEADER = ("Step", "Pass", "Algorithm", "GFLOP", "MB", "Floor ms", "Time ms", "Reached")


class Limits(NamedTuple):
    """What this machine reaches with the threads in use: flop/s of products, byte/s of memory."""

    flops: float
    bandwidth: float


class Pass(NamedTuple):
    """One pass of one step: what it computes, and its time in seconds.

    `names` has several entries if layers are computed together. `flops` counts the direct algorithm, `nbytes`
    each byte that must be read or written once.
    """

    names: tuple[str, ...]
    direction: str
    algorithm: str
    flops: int
    nbytes: int
    seconds: float

    @property
    def layers(self) -> str:
        """The names, joined."""
        return " + ".join(self.names)

    def floor(self, limits: Limits) -> float:
        """Return the minimum time in seconds: of arithmetic or of memory, whichever is longer."""
        return max(self.flops / limits.flops, self.nbytes / limits.bandwidth)


class _Watched(Step):
    """A step that records the times of its passes."""

    def __init__(self, step: Step) -> None:
        super().__init__(step.layers, step.first)
        self.sources, self.value = step.sources, step.value
        self.step = step
        self.again = step.again
        self.moves = True  # False if the output is the input or a view of it
        self.forth: list[float] = []
        self.back: list[float] = []

    @property
    def merges(self) -> bool:
        """Whether the step takes several inputs."""
        return self.step.merges

    def forward(self, x: Any, run: PlanRun) -> np.ndarray:
        """Return the output of the last layer."""
        start = time.perf_counter()
        y = self.step.forward(x, run)
        self.forth.append(time.perf_counter() - start)
        # A growing concatenation returns a view of its first input and of what it has written behind that.
        shared = [np.may_share_memory(each, y) for each in each_of(x)]
        self.moves = isinstance(self.step, GrowingStep) or not any(shared)
        return y

    def backward(self, dy: np.ndarray, run: PlanRun, need_dx: Any) -> Any:
        """Set the gradients of the weights; return the gradients of those inputs that `need_dx` asks for."""
        start = time.perf_counter()
        dx = self.step.backward(dy, run, need_dx)
        self.back.append(time.perf_counter() - start)
        return dx

    def recompute(self, run: PlanRun) -> None:
        """Compute the output of the last `forward` again, into its old place."""
        self.step.recompute(run)

    def release(self) -> None:
        """Release the memory that `backward` needs."""
        self.step.release()


def _seconds(call: Callable[[], object], rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def machine_limits(dtype: np.dtype) -> Limits:
    """Return the speed of the library's fastest loops: a convolution in the cache, a ReLU in memory."""
    run = PlanRun(Arena(), False, 0)

    def convolve() -> None:
        run.enter("convolve", 0, "")
        ops.conv2d(x, kernel, None, window, 1, False, run, "direct")

    def stream() -> None:
        run.enter("stream", 0, "")
        ops.relu(wide, run)

    x = np.ones((4 * get_num_threads(), 28, 28, 32), dtype)
    kernel = np.ones((3, 3, 32, 32), dtype)
    window = resolve_window("explain", (28, 28), (3, 3))
    flops = 2 * len(x) * window.output_size[0] * window.output_size[1] * kernel.size
    wide = np.ones(STREAMED_BYTES // dtype.itemsize, dtype)
    # The median: single rounds of a stream can be too fast because of data left in the caches.
    streamed = statistics.median(_seconds(stream, 7))
    return Limits(flops / min(_seconds(convolve, 50)), 2 * wide.nbytes / streamed)


def _shown(chosen: str, what: Convolution, tiled: tuple[int, int]) -> str:
    """Return an algorithm's name with its tile size; `tiled` is the size of the image that is tiled."""
    side = what.window.kernel_size[0]
    if chosen == "along_rows":
        return f"winograd F({ROW_TILE},{side}) along rows"
    if chosen != "winograd":
        return chosen.removeprefix("row_")
    tile = winograd_tile(what.window, tiled)
    return f"winograd F({tile}x{tile},{side}x{side})"


def _algorithm(layer: Layer, pooled: bool, batch: int, backward: bool, need_dx: bool) -> str:
    """Return the name of the layer's algorithm; forward and backward of a convolution may differ."""
    if not isinstance(layer, Conv2D | DepthwiseConv2D):
        return "product" if mult_adds(layer) else ""
    what = layer.convolution
    size = what.window.output_size
    if not backward:
        chosen = pooled_algorithm(what) if pooled else forward_algorithm(what, batch)
        return _shown(chosen, what, size)
    shown = [_shown(weight_gradient_algorithm(what), what, size)]
    if need_dx:
        tiled = gradient_tiled(what.window, what.channels, what.filters)
        shown.insert(0, _shown(input_gradient_algorithm(what, batch), what, tiled))
    return ", ".join(dict.fromkeys(shown))


def _shapes(step: Step) -> tuple[list[Any], list[Any]]:
    """Return a sample's shapes of what a step reads, and of what it writes."""
    first, made = step.layers[0], [step.layers[-1].output_shape]
    given: Any = first.input_shape if first._merges else [first.input_shape]
    if isinstance(step, GrowingStep) and step.goes_on:
        return given[1:], given[1:]
    # A convolution that also does the addition behind it reads another value of that shape.
    return [*given, *made * (len(step.sources) - len(given))], made


def pass_of(
    step: Step, batch: int, backward: bool, need_dx: bool, seconds: float, moves: bool = True
) -> Pass:
    """Return the pass of a step: backward are the gradients of the weights and, if needed, of the input.

    `moves` is False if the output is the input or a view of it.
    """
    item = step.layers[0].dtype.itemsize
    given, made = (batch * item * sum(map(math.prod, shapes)) for shapes in _shapes(step))
    pooled = isinstance(step, PooledConvolution)
    algorithms = [_algorithm(layer, pooled, batch, backward, need_dx) for layer in step.layers]
    weights = sum(array.nbytes for layer in step.layers for array in layer.params.values())
    flops = 2 * batch * sum(map(mult_adds, step.layers))
    nbytes = (given + made if moves else 0) + weights
    if backward:
        # dy, x and the weights are read; dx and the gradients of the weights are written.
        flops *= 1 + need_dx
        nbytes += (given if need_dx and moves else 0) + weights
    return Pass(
        tuple(layer.shown for layer in step.layers),
        "backward" if backward else "forward",
        " ".join(filter(None, algorithms)),
        flops,
        nbytes,
        seconds,
    )


def _input_shapes(flow: Flow) -> list[tuple[int, ...]]:
    """Return one sample's shape for each input, channels last, as the first layer that reads it sees it."""
    shapes: dict[int, tuple[int, ...]] = {}
    for use in reversed(flow.uses):
        given: Any = use.layer.input_shape if use.layer._merges else [use.layer.input_shape]
        for value, shape in zip(use.inputs, given, strict=True):
            shapes[value] = use.layer._inner(shape)
    # No layer reads an input that is only an output.
    return [shapes.get(value, (1,)) for value in range(flow.n_inputs)]


def measure(
    layers: Sequence[Layer] | Flow,
    batch_size: int,
    training: bool,
    seed: int,
    fuse: bool = True,
) -> list[Pass]:
    """Return the timed passes, in order, of a batch of random numbers through built layers."""
    flow = Flow.of(layers)
    rng = np.random.default_rng(seed)
    xs = tuple(
        [
            rng.standard_normal((batch_size, *shape), np.float32).astype(flow.layers[0].dtype, copy=False)
            for shape in _input_shapes(flow)
        ]
    )
    plan = Plan(flow, training=training, seed=seed, fuse=fuse)
    watched = [_Watched(step) for step in plan.steps]
    plan.steps = list(watched)
    dy = None
    start = time.perf_counter()
    # The first round is not counted: it touches new memory.
    while len(watched[0].forth) <= ROUNDS and (
        len(watched[0].forth) < 2 or time.perf_counter() - start < SECONDS
    ):
        y = plan.forward(xs if len(xs) > 1 else xs[0])
        if training:
            dy = tuple([np.full_like(each, 1 / batch_size) for each in each_of(y)]) if dy is None else dy
            plan.backward(dy)
    passes = [
        pass_of(entry.step, batch_size, False, False, statistics.median(entry.forth[1:]), entry.moves)
        for entry in watched
    ]
    learning = [number for number, step in enumerate(watched) if step.back]
    for number in reversed(learning):
        entry = watched[number]
        seconds, need_dx = statistics.median(entry.back[1:]), number > learning[0]
        passes.append(pass_of(entry.step, batch_size, True, need_dx, seconds, entry.moves))
    return passes


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines in columns: text left-aligned, numbers right-aligned."""
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            fitted(field, width) if column < 3 else field.rjust(width)
            for column, (field, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def report(passes: Sequence[Pass], limits: Limits) -> list[str]:
    """Return the lines of a table of the passes."""
    total = Pass(("in all",), "", "", *(sum(values) for values in zip(*(p[3:] for p in passes), strict=True)))
    floors = [entry.floor(limits) for entry in passes]
    rows: list[Sequence[str]] = [HEADER]
    for entry, floor in zip([*passes, total], [*floors, sum(floors)], strict=True):
        figures = (entry.flops / 1e9, entry.nbytes / 1e6, floor * 1e3, entry.seconds * 1e3)
        reached = f"{floor / entry.seconds:.0%}" if floor else ""
        rows.append((entry.layers, *entry[1:3], *(f"{figure:.3f}" for figure in figures), reached))
    return _table(rows)


def explain(
    model: Model,
    batch_size: int = 32,
    *,
    training: bool = False,
    print_fn: Callable[[str], object] = print,
) -> None:
    """Print how each step of a model is computed, and how close to this machine's limits it is.

    Layers that are computed in one sweep are one step. The floor of a step is the time for its arithmetic at
    the speed of this library's fastest loop, or for its bytes at the speed of memory, whichever is longer.
    Both speeds are measured first, with the threads in use. "Reached" may exceed 100 %: Winograd's algorithm
    needs fewer products than are counted here, and data in the caches need not be read from memory.

    Parameters
    ----------
    model : Sequential or Model
        Built; its weights and its optimizer are not changed.
    batch_size : int
        Number of samples in the batch of random numbers.
    training : bool
        Also show the backward passes; forward then stores what they need. Loss and optimizer are not shown.
    print_fn : callable
        Called with each line.

    Raises
    ------
    TypeError, ValueError
        When `model` is not a built model, or `batch_size` is not positive.

    Examples
    --------
    >>> import cconv
    >>> model = cconv.Sequential([cconv.Conv2D(8, 3, input_shape=(12, 12, 1)), cconv.MaxPooling(2)])
    >>> cconv.explain(model, batch_size=16)  # doctest: +ELLIPSIS
    float32, 16 samples, ... threads: ... GFLOP/s, ... GB/s
    Step ...
    """
    where = "explain"
    if not isinstance(model, Model):
        raise TypeError(f"{where}: model must be a Sequential or a Model, got {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"{where}: the model is not built: call build(input_shape), or give its first layer "
            "input_shape=..."
        )
    count = positive_int(where, "batch_size", batch_size)
    backward = arguments.flag(where, "training", training)
    limits = machine_limits(model.dtype)
    # Training has effects, such as moving averages, so a copy is used.
    subject = copy.deepcopy(model) if backward else model
    passes = measure(subject._flow(), count, backward, model.seed, model.fuse)
    print_fn(
        f"{model.dtype}, {count} samples, {get_num_threads()} threads: "
        f"{limits.flops / 1e9:.0f} GFLOP/s, {limits.bandwidth / 1e9:.0f} GB/s"
    )
    for line in report(passes, limits):
        print_fn(line)
