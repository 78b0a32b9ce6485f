"""The base of the initializers, and the numbers that they depend on."""

import math

import numpy as np
from numpy.typing import DTypeLike

from cconv import arguments
from cconv.arguments.arrays import aligned_empty
from cconv.arguments.control import controlled
from cconv.seeds import new_seed


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a kernel `(…, in, out)`: the terms an output and a dx sum.

    Examples
    --------
    >>> fans((5, 5, 3, 8)), fans((100, 10))
    ((75, 200), (100, 10))
    """
    if len(shape) < 2:
        only = shape[0] if shape else 1
        return only, only
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


class Initializer(arguments.Configured):
    """Base of the initializers; a subclass fills chunks of the new array."""

    seed: int | None = None

    @controlled
    def __call__(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike = "float32",
        *,
        seed: int | None = None,
        stream: int = 0,
    ) -> np.ndarray:
        """Return a new array.

        Parameters
        ----------
        shape : tuple of int
            For a kernel ``(kh, kw, in, out)`` or ``(in, out)``.
        dtype : dtype
            float32 or float64: the same draws, rounded.
        seed : int, optional
            Key of the draws, unless the initializer was made with a seed of its own.
        stream : int
            Names the array among those of one seed.

        Returns
        -------
        ndarray
            C-contiguous, 64-byte aligned.
        """
        array = aligned_empty(tuple(shape), dtype)
        if self.seed is not None:
            seed = self.seed
        self._fill(array.reshape(-1), tuple(shape), new_seed() if seed is None else seed, stream)
        return array

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        raise NotImplementedError
