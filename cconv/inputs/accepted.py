"""What a model accepts: the checks of samples, targets and weights, once, before the first batch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from cconv.engine.plan import each_of
from cconv.geometry.layout import channels_hint
from cconv.inputs import orders
from cconv.inputs.batches import Batches
from cconv.inputs.columns import Column
from cconv.inputs.front import Front
from cconv.inputs.joined import Columns, joined
from cconv.inputs.mapped import map_of
from cconv.inputs.rows import Rows, rows_of
from cconv.inputs.stored import Stored
from cconv.inputs.targets import Exit
from cconv.inputs.windows import StoredColumn


class Data(NamedTuple):
    """Samples with their targets and weights, checked but not copied.

    With several inputs or outputs each is a tuple, with None for an output without targets or weights.
    """

    x: Any
    y: Any = None
    weight: Any = None

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(each_of(self.x)[0])

    def part(self, start: int, stop: int) -> "Data":
        """Return the samples from `start` to `stop`, as views."""

        def rows_of(column: Any) -> Any:
            if column is None:
                return None
            if isinstance(column, tuple):
                return tuple([rows_of(each) for each in column])
            return column.part(start, stop) if isinstance(column, Stored) else column[start:stop]

        return Data(rows_of(self.x), rows_of(self.y), rows_of(self.weight))

    def stored(self) -> list[Stored]:
        """Return all that is not in memory."""
        return [rows for column in self for rows in each_of(column) if isinstance(rows, Stored)]

    def read_by_slices(self, where: str) -> "Data":
        """Return the same with files that are mapped read slice by slice."""

        def read_of(column: Any) -> Any:
            if isinstance(column, tuple):
                return tuple([read_of(each) for each in column])
            mapped = isinstance(column, np.ndarray) and map_of(column) is not None
            return Stored(where, "x", column) if mapped else column

        return Data(*map(read_of, self))


class How(NamedTuple):
    """How rows are shuffled, and how many bytes of those that are not in memory are read ahead.

    Without `mixing` all samples are mixed; those that are not in memory by blocks.
    """

    mixing: str | None = None
    ahead: int | None = None


class Structure(Protocol):
    """How the inputs, or outputs, of a model are given: see `models.ends.Ends`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return one name for each."""

    def parted(self, where: str, what: str, given: Any, may_lack: tuple[str, ...] = ...) -> tuple[Any, ...]:
        """Return the given values, one for each, in order."""

    def weights(self, where: str, what: str, given: Any) -> tuple[Any, ...]:
        """Return the given weights, one for each, in order."""


@dataclass(frozen=True)
class Boundary:
    """What one model accepts.

    Attributes
    ----------
    where, layer : str
        Prefix of error messages, and their name for the first layer.
    dtype : numpy.dtype
        Dtype of the model's computations.
    channels_first : bool
        Layout of the images that the user gives.
    inputs, outputs : Structure
        How inputs and outputs are given.
    input_shapes : tuple of tuples of int
        Shape of one sample of each input, as the user gives it.
    exits : tuple of Exit
        Each output's requirements.
    unneeded : tuple of str
        The outputs that need no targets.
    front : Front
        The first layers, as far as they may be computed while a batch is gathered.
    """

    where: str
    layer: str
    dtype: np.dtype
    channels_first: bool
    inputs: Structure
    outputs: Structure
    input_shapes: tuple[tuple[int, ...], ...]
    exits: tuple[Exit, ...]
    unneeded: tuple[str, ...]
    front: Front

    def at(self, where: str) -> "Boundary":
        """Return the same boundary with another prefix of error messages."""
        return replace(self, where=where, exits=tuple([replace(exit, where=where) for exit in self.exits]))

    def read(self, x: Any) -> Any:
        """Return the user's samples as `samples` of arrays."""
        return self.samples(read(self.where, self.inputs, x, shapes=self.input_shapes))

    def samples(self, x: Any) -> Any:
        """Return x; ValueError if its shape is not the model's.

        As in Keras, a last axis of length 1, such as the channel of grey images, may be missing or
        superfluous.
        """
        if len(self.input_shapes) == 1:
            return self._of_shape(x, self.input_shapes[0], self.layer)
        names = self.inputs.names
        found = tuple(
            [
                self._of_shape(rows, shape, f"input {name!r}")
                for rows, shape, name in zip(x, self.input_shapes, names, strict=True)
            ]
        )
        counts = [len(rows) for rows in found]
        if len(set(counts)) > 1:
            got = ", ".join(f"{count} for {name!r}" for name, count in zip(names, counts, strict=True))
            raise ValueError(f"{self.where}: x must have as many samples for each input, got {got}")
        return found

    def _of_shape(self, x: Rows, shape: tuple[int, ...], called: str) -> Rows:
        """Return the samples of one input, in the input's shape."""
        if isinstance(x, np.ndarray) and shape[-1:] == (1,) and x.shape[1:] == shape[:-1]:
            x = x[..., np.newaxis]
        elif isinstance(x, np.ndarray) and x.shape[1:] == (*shape, 1):
            x = x[..., 0]
        if x.shape[1:] != shape:
            expected = ", ".join(map(str, shape))
            data_format = "channels_first" if self.channels_first else "channels_last"
            raise ValueError(
                f"{self.where}: {called} expects x of shape (n, {expected}), got {x.shape}"
                f"{channels_hint(x.shape, data_format, shape)}"
            )
        return x

    def data(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> Data:
        """Return samples, targets and weights; TypeError or ValueError if they do not fit each other."""
        n = Data(x).n
        if len(self.exits) == 1:
            return self._data_of_one(x, y, n, sample_weight, class_weight)
        if class_weight is not None:
            raise ValueError(
                f"{self.where}: class_weight is only for models with one output, got a model of "
                f"{len(self.exits)}: give sample_weight"
            )
        if y is None:
            raise ValueError(f"{self.where}: y must be given")
        given = self.outputs.parted(self.where, "y", y, self.unneeded)
        ys = [
            None if rows is None and name in self.unneeded else exit.targets(rows, n)
            for exit, rows, name in zip(self.exits, given, self.outputs.names, strict=True)
        ]
        weights = self.outputs.weights(self.where, "sample_weight", sample_weight)
        found = [
            exit.weights(rows, n, weight) for exit, rows, weight in zip(self.exits, ys, weights, strict=True)
        ]
        return Data(x, tuple(ys), joined(found))

    def _data_of_one(
        self, x: Any, y: Any, n: int, sample_weight: Any, class_weight: Mapping[int, float] | None
    ) -> Data:
        """Return samples with the targets and weights of the one output."""
        (exit,) = self.exits
        (y,) = self.outputs.parted(self.where, "y", y)
        (sample_weight,) = self.outputs.weights(self.where, "sample_weight", sample_weight)
        y, sample_weight = _of_samples(y, n), _of_samples(sample_weight, n)
        targets = exit.targets(y, n)
        return Data(x, targets, exit.weights(targets, n, sample_weight, class_weight))

    def batches(self, data: Data, batch_size: int, training: bool = False, how: How | None = None) -> Batches:
        """Return the data cut into batches."""
        how = how or How()
        if how.mixing == orders.BLOCKS:
            data = data.read_by_slices(self.where)
        stored = data.stored()
        in_blocks = how.mixing == orders.BLOCKS or (stored and how.mixing is None)
        blocks = _blocks_of(data, batch_size) if in_blocks else None
        budget = _budget(stored, how.ahead, blocks)

        def column(rows: Rows, dtype: np.dtype, channels_first: bool = self.channels_first) -> Column:
            if isinstance(rows, Stored):
                return StoredColumn(rows, batch_size, dtype, channels_first, budget)
            return Column(rows, batch_size, dtype, channels_first)

        def columns(rows: Any, make: Any) -> Any:
            if not isinstance(rows, tuple):
                return None if rows is None else make(rows)
            if all(each is None for each in rows):
                return None
            return Columns([None if each is None else make(each) for each in rows])

        return Batches(
            columns(data.x, lambda rows: column(rows, self.dtype)),
            columns(data.y, lambda rows: column(rows, self.exits[0].target_dtype(rows))),
            columns(data.weight, lambda rows: column(rows, self.dtype, False)),
            batch_size=batch_size,
            front=self.front if training else Front(self.front.rescaling),
            blocks=blocks,
        )


def read(
    where: str,
    inputs: Structure,
    x: Any,
    may_be_empty: bool = False,
    shapes: Sequence[tuple[int, ...]] | None = None,
) -> Any:
    """Return the user's samples as rows; a tuple of rows for several inputs.

    The only input may be the one entry of a list. If the `shapes` of a sample are known, an entry of such a
    shape is the only sample.
    """
    parts = inputs.parted(where, "x", x)
    if len(parts) == 1:
        part = parts[0]
        if _is_alone(part):
            axes = len(part[0].shape)
            part = part[0] if (axes == 1 + len(shapes[0]) if shapes else axes > 1) else part
        return rows_of(where, "x", part, may_be_empty)
    return tuple(
        [
            rows_of(where, f"x[{name!r}]", part, may_be_empty)
            for name, part in zip(inputs.names, parts, strict=True)
        ]
    )


def _is_alone(given: Any) -> bool:
    """Whether an array is the one entry of a list, as Keras takes data for the only input or output."""
    return isinstance(given, list | tuple) and len(given) == 1 and bool(getattr(given[0], "shape", ()))


def _of_samples(given: Any, n: int) -> Any:
    """Return targets or weights of n samples; if they are the one entry of a list, the entry."""
    return given[0] if n > 1 and _is_alone(given) and given[0].shape[0] == n else given


def _blocks_of(data: Data, batch_size: int) -> orders.Blocks:
    """Return how samples are shuffled by blocks: where they and their targets are is no part of it."""
    inputs = each_of(data.x)
    sample_bytes = sum(math.prod(rows.shape[1:]) * rows.dtype.itemsize for rows in inputs)
    chunks = [rows.chunks for rows in inputs if isinstance(rows, Stored) and rows.chunks is not None]
    return orders.Blocks(
        data.n, max(min(batch_size, data.n), 1), max(sample_bytes, 1), chunks[0] if chunks else None
    )


def _budget(stored: list[Stored], ahead: int | None, blocks: orders.Blocks | None) -> int:
    """Return how many samples are read ahead: whole blocks, if there are blocks and one fits."""
    if ahead is None and blocks is not None:
        return blocks.size
    sample_bytes = sum(column.sample_bytes for column in stored)
    budget = (orders.BLOCK_BYTES if ahead is None else ahead) // max(sample_bytes, 1)
    return budget if blocks is None or budget < blocks.size else budget // blocks.size * blocks.size
