"""Adafactor's step: second moments of matrices, kept for their rows and columns.

Arguments are already checked. An array of two or more axes is a stack of matrices, made of its last two
axes. An array with fewer axes is one row, and keeps a moment for each element.
"""

from functools import cached_property

import numpy as np

from cconv.kernels import adafactor as loops
from cconv.ops.optimizers import Group, square_sums
from cconv.threads import threads_for

Array = np.ndarray
TILE = (128, 1024)  # rows and columns of a tile, whose squares are summed at once


class TiledGroup(Group):
    """Parameters that make Adafactor's steps together.

    Its entries are (param, grad, r, c), with r (…, rows) and c (…, columns); for a param of fewer than two
    axes (param, grad, v).
    """

    @cached_property
    def tiles(self) -> "Tiles":
        """How the parameters are cut into tiles."""
        return Tiles(self)


class Tiles:
    """Matrices cut into tiles, and the memory for the sums over them: see the kernel.

    Parameters
    ----------
    group : TiledGroup
        The parameters.
    """

    def __init__(self, group: TiledGroup) -> None:
        arrays: list[tuple[int, ...]] = []
        matrices: list[tuple[int, ...]] = []
        tiles: list[tuple[int, ...]] = []
        ends: list[int] = []
        place = 0  # in the scratch of sums
        for number, (param, grad, *kept) in enumerate(group.entries):
            stack, rows, columns = _matrices(param.shape)
            r, c = kept if param.ndim > 1 else (None, kept[0])
            places = [0 if array is None else array.ctypes.data for array in (param, grad, r, c)]
            arrays.append((*places, rows, columns))
            row_blocks, column_blocks = range(0, rows, TILE[0]), range(0, columns, TILE[1])
            for matrix in range(stack if rows and columns else 0):
                of_rows, of_columns = place, place + len(column_blocks) * rows
                place = of_columns + len(row_blocks) * columns
                tiles += [
                    (
                        *(len(matrices), row, column),
                        *(min(TILE[0], rows - row), min(TILE[1], columns - column)),
                        of_rows + j * rows + row,
                        of_columns + i * columns + column,
                    )
                    for i, row in enumerate(row_blocks)
                    for j, column in enumerate(column_blocks)
                ]
                blocks = (len(column_blocks), len(row_blocks))
                matrices.append((number, matrix, of_rows, of_columns, *blocks))
            ends.append(len(tiles))
        self.arrays: Array = np.array(arrays, np.int64)
        self.matrices: Array = np.array(matrices, np.int64).reshape(-1, 6)
        self.tiles: Array = np.array(tiles, np.int64).reshape(-1, 7)
        self.ends: Array = np.array(ends, np.int64)
        self.sizes: Array = np.array([max(1, entry[0].size) for entry in group.entries], np.float64)
        self.sums: Array = np.empty(max(place, len(tiles)))
        self.means: Array = np.empty(len(matrices))


def _matrices(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the number of matrices in an array of this shape, and their rows and columns."""
    if len(shape) < 2:
        return 1, 1, shape[0] if shape else 1
    return int(np.prod(shape[:-2], dtype=np.int64)), shape[-2], shape[-1]


def adafactor_update(
    group: TiledGroup,
    lr: float,
    beta_2_decay: float,
    epsilon_1: float,
    epsilon_2: float,
    clip_threshold: float,
    t: int,
) -> None:
    """Step t >= 1 of Adafactor.

    With beta = 1 - t**beta_2_decay: r and c follow the means of grad**2 + epsilon_1 over the columns and the
    rows, r = beta * r + (1 - beta) * mean; u = grad / sqrt(r / mean(r) * c);
    param -= max(epsilon_2, rms(param)) * min(lr, 1 / sqrt(t)) * u / max(1, rms(u) / clip_threshold).
    """
    cut, item = group.tiles, group.itemsize
    threads = threads_for(int(group.table[-1, 6]))
    tables = (cut.arrays, cut.matrices, cut.tiles)
    sizes = np.sqrt(square_sums(group, of_params=True) / cut.sizes)
    loops.moments(*tables, cut.sums, cut.means, 1.0 - t**beta_2_decay, epsilon_1, item, threads)
    updates = np.empty(len(cut.arrays))
    loops.update_sums(*tables, cut.ends, cut.means, cut.sums, updates, item, threads)
    rates = np.maximum(epsilon_2, sizes) * min(lr, 1.0 / t**0.5)
    rates /= np.maximum(1.0, np.sqrt(updates / cut.sizes) / clip_threshold)
    loops.step(*tables, cut.means, rates, item, threads)
