"""Kernels whose columns, or rows, are orthogonal."""

import numpy as np

from cconv.arguments.numbers import finite
from cconv.exactmath import tree_sum
from cconv.initializers.base import Initializer
from cconv.initializers.draws import RandomNormal, own_seed


class Orthogonal(Initializer):
    """A kernel with orthogonal columns of length `gain`, or with orthogonal rows if it has fewer rows.

    With more than two axes, all but the last are flattened into rows. The matrix is uniformly distributed
    (Saxe, McClelland, Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks").

    Parameters
    ----------
    gain : float
        Factor of all values.
    seed : int, optional
        Seed of the draws; by default the caller's.

    Examples
    --------
    >>> w = Orthogonal(gain=2.0)((3, 3, 4, 5), dtype="float64", seed=1).reshape(36, 5)
    >>> (w.T @ w).round(12) + 0.0
    array([[4., 0., 0., 0., 0.],
           [0., 4., 0., 0., 0.],
           [0., 0., 4., 0., 0.],
           [0., 0., 0., 4., 0.],
           [0., 0., 0., 0., 4.]])
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None):
        self.gain: float = finite("Orthogonal", "gain", gain)
        self.seed: int | None = own_seed("Orthogonal", seed)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: shape must have at least two axes, got {shape}")
        columns = shape[-1]
        rows = flat.size // max(columns, 1)
        vectors = np.empty((min(rows, columns), max(rows, columns)))
        RandomNormal(stddev=1.0)._fill(vectors.reshape(-1), vectors.shape, seed, stream)
        _make_orthonormal(vectors)
        flat.reshape(rows, columns)[...] = self.gain * (vectors if rows < columns else vectors.T)


def _make_orthonormal(vectors: np.ndarray) -> None:
    """Make the rows orthonormal by the Gram-Schmidt process, with two projections for each row.

    Two are enough for full accuracy (Giraud, Langou, Rozložník 2005, "The loss of orthogonality in the
    Gram-Schmidt orthogonalization process"). A row's sign is not changed, so the matrix is uniformly
    distributed. Sums are trees, so that the bits are the same on every machine.
    """
    for number, vector in enumerate(vectors):
        before = vectors[:number]
        for _ in range(2 if number else 0):
            shares = tree_sum((before * vector).T)
            vector -= tree_sum(before * shares[:, np.newaxis])
        vector /= np.sqrt(tree_sum(vector * vector))
