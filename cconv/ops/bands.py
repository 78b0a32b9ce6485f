"""A depthwise convolution with the 1x1 convolutions around it, in one sweep by bands of rows."""

from typing import NamedTuple

from cconv.geometry.shapes import Window, geometry_of
from cconv.kernels import bands as loops
from cconv.ops.behind import NOTHING, Behind
from cconv.ops.run import SERIAL_WORK, Array, Run, scratch_for
from cconv.threads import threads_for


class Part(NamedTuple):
    """One of the convolutions: its kernel, what its outputs are scaled by (f), a bias (f), what follows."""

    kernel: Array
    scale: Array | None
    bias: Array | None
    last: Behind = NOTHING

    @property
    def products(self) -> int:
        """Multiply-adds of a pixel."""
        return self.kernel.size

    @property
    def pointwise(self) -> tuple[Array | None, ...]:
        """What kernels take of a 1x1 convolution: (inputs, outputs), scale, bias."""
        return self.kernel.reshape(self.kernel.shape[-2:]), self.scale, self.bias


MISSING: tuple[None, None, None] = None, None, None

# Rows of outputs, of all images, that keep several threads busy.
FEWEST_ROWS = 8


def forward(
    x: Array, expand: Part | None, depthwise: Part, project: Part | None, window: Window, run: Run
) -> Array:
    """x (n, h, w, ci) -> y (n, oh, ow, f); only the last part may add an array, only 1x1 ones have a scale.

    The kernels are (1, 1, ci, c), or x has c channels; (kh, kw, 1, c), with this `window`; and (1, 1, c, f),
    or f is c.
    """
    parts = [part for part in (expand, depthwise, project) if part is not None]
    y = run.empty("y", (len(x), *window.output_size, parts[-1].kernel.shape[3]), x.dtype)
    pixels = max(x.size // x.shape[3], y.size // y.shape[3])
    threads = threads_for(pixels * sum(part.products for part in parts), SERIAL_WORK)
    before = MISSING if expand is None else expand.pointwise
    behind = MISSING if project is None else project.pointwise
    last = NOTHING if project is None else project.last
    around = [None if array is None else array.shape for array in (before[0], behind[0])]
    shapes = x.shape, around[0], depthwise.kernel.shape, around[1], y.shape
    sizes = *shapes, geometry_of(window), x.itemsize
    kept = run.kept(("bands", shapes[1:4]), loops.kept_size(*sizes), x.dtype) if run.lasting else None
    count = loops.forward_scratch(*sizes, kept is not None, threads)
    _, *expanded = (NOTHING if expand is None else expand.last).arguments(x)
    _, *convolved = depthwise.last.arguments(y)
    middle = depthwise.kernel, depthwise.bias, *convolved
    how = geometry_of(window), kept, scratch_for(run, count, x.dtype), threads
    run.call(loops.forward, x, *before, *expanded, *middle, *behind, *last.arguments(y), y, *how)
    return y


def pays(images: int, rows: int, between: int, weights: int) -> bool:
    """Whether the sweep takes less time than one convolution after the other.

    It reads all `weights` of the 1x1 convolutions for every few rows, and saves writing and reading the
    `between` values of each image that lie between the convolutions. A task is some of an image's `rows`.
    """
    return images * between >= weights and images * rows >= FEWEST_ROWS
