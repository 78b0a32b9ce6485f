"""What an algorithm's file gets to know about one pass of a convolution, besides the arrays."""

from typing import NamedTuple, Self

from cconv.geometry.algorithms import Convolution
from cconv.geometry.shapes import Window, geometry_of
from cconv.ops.run import SERIAL_WORK, Array, Run, scratch_for
from cconv.threads import threads_for


class Pass(NamedTuple):
    """One forward pass, or one gradient, of a batch.

    Attributes
    ----------
    what : Convolution
        What is computed.
    run : Run
        Where memory comes from, and how kernels are called.
    threads : int
        Number of threads.
    pool : Window, optional
        The pooling behind the convolution, if one kernel does both.
    """

    what: Convolution
    run: Run
    threads: int
    pool: Window | None = None

    @classmethod
    def of(cls, what: Convolution, images: int, run: Run, pool: Window | None = None) -> Self:
        """Return the pass over `images` images, with as many threads as the work is worth."""
        (oh, ow), (kh, kw) = what.window.output_size, what.window.kernel_size
        products = images * oh * ow * kh * kw * (what.channels // what.groups) * what.filters
        return cls(what, run, threads_for(products, SERIAL_WORK), pool)

    @property
    def geometry(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Strides, origin and dilation of the convolution, as kernels take them."""
        return geometry_of(self.what.window)

    @property
    def conv_size(self) -> tuple[int, int]:
        """(height, width) of the convolution's output."""
        return self.what.window.output_size

    @property
    def pooling(self) -> tuple[object, ...]:
        """The pooling's windows, as kernels take them."""
        assert self.pool is not None
        return self.pool.arguments

    def scratch(self, count: int, like: Array) -> Array:
        """Return `count` elements of scratch, of the dtype of `like`."""
        return scratch_for(self.run, count, like.dtype)
