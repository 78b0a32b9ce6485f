"""The sources of a model's batches: arrays, arrays on disk, a user's iterators and sequences.

`Feeder` checks the data that a model is given; the sources themselves are in `cconv.inputs`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from cconv.arguments.claims import builders
from cconv.arguments.numbers import positive_int
from cconv.geometry.layout import naming_channels_first
from cconv.inputs.accepted import Boundary, Data, How, read
from cconv.inputs.batches import Source
from cconv.inputs.fed import Fed
from cconv.inputs.feeds import feed_of
from cconv.inputs.front import Front, front_of
from cconv.inputs.kinds import ARRAY, STORED, item_of, kind_of
from cconv.inputs.orders import BLOCKS, EXACT, split_tail
from cconv.inputs.paced import Paced
from cconv.inputs.targets import Exit
from cconv.losses.joint import parts_of
from cconv.models.ends import Ends
from cconv.models.network import Network

# Limits of a batch if the user does not choose its size: bytes of input, outputs and their copies; samples.
INFERENCE_BYTES = 1 << 26
INFERENCE_ROWS = 256


class Given(NamedTuple):
    """The data that a user gives for training: arrays that belong together, or one object with them."""

    x: Any
    y: Any = None
    weight: Any = None
    class_weight: Mapping[int, float] | None = None


class Purpose(NamedTuple):
    """The purpose of data: the name of their argument for steps, and rules that depend on the purpose."""

    steps_name: str = "steps"
    training: bool = False
    labelled: bool = True
    again: bool = False  # every epoch begins with the first batch
    how: How = How()


TRAINING, VALIDATION = Purpose("steps_per_epoch", training=True), Purpose("validation_steps", again=True)
EVALUATION, PREDICTION = Purpose(), Purpose(labelled=False)


class Validation(NamedTuple):
    """The arguments of `fit` for validation."""

    split: float = 0.0
    data: Any = None
    batch_size: int | None = None
    steps: int | None = None

    def given(self, where: str) -> Given:
        """Return the validation data."""
        if kind_of(self.data) not in (ARRAY, STORED):
            return Given(self.data)
        if not isinstance(self.data, tuple | list) or len(self.data) not in (2, 3):
            many = f" of {len(self.data)}" if isinstance(self.data, tuple | list) else ""
            got = f"{type(self.data).__name__}{many}"
            raise ValueError(f"{where}: validation_data must be (x, y) or (x, y, sample_weight), got {got}")
        return Given(*self.data)


class Feeder(Network):
    """The part of a model that handles its data.

    Attributes
    ----------
    _ins, _outs : Ends
        The user's form of the model's inputs and outputs, and of the data for them.
    """

    _ins: Ends
    _outs: Ends

    def __init__(self, *described: Any) -> None:
        super().__init__(*described)
        # The state of training that plans and random draws depend on.
        self.loss: Any = None
        self.steps_done: int = 0
        self._fuse = True

    # --- what the model takes -----------------------------------------------------------------

    def _boundary(self, where: str, x: Any) -> tuple[Boundary, Any]:
        """Return the model's boundary (what it accepts), and x as arrays of those shapes; build if needed."""
        samples = self._read(where, x)
        self._build_if_not(where, samples)
        return self._boundary_of(where, samples)

    def _read(self, where: str, x: Any, may_be_empty: bool = False) -> Any:
        """Return x as rows; for several inputs a tuple of rows."""
        return read(where, self._ins, x, may_be_empty, self._input_shapes if self.built else None)

    def _build_if_not(self, where: str, samples: Any) -> None:
        """Build the model, if it is not built, for samples of this shape."""
        if self.built:
            return
        if samples.ndim < 2:
            raise ValueError(f"{where}: x must have a batch axis and at least one more, got {samples.shape}")
        with builders():
            if not self.built:
                with naming_channels_first(samples.shape, self.data_format):
                    self._build_for(where, samples.shape[1:])

    def _boundary_of(self, where: str, samples: Any) -> tuple[Boundary, Any]:
        """Return the model's boundary, and the samples, checked to have its inputs' shapes."""
        assert self._input_shapes is not None
        row = self._first_row()
        boundary = Boundary(
            where,
            self._first_called(),
            self.dtype,
            self.data_format == "channels_first",
            self._ins,
            self._outs,
            tuple(self._input_shapes),
            tuple(self._exits(where)),
            self._unneeded(),
            front_of(row, self.seed, lambda: self.steps_done) if self._fuse and row else Front(),
        )
        return boundary, boundary.samples(samples)

    def _exits(self, where: str) -> Iterator[Exit]:
        """Yield for each output what its targets are checked against."""
        names, shapes = self._outs.names, self._inner_output_shapes()
        first = self.data_format == "channels_first"
        losses = [None] * len(shapes) if self.loss is None else parts_of(self.loss)
        for name, shape, loss in zip(names, shapes, losses, strict=True):
            of = "" if len(names) == 1 else f"[{name!r}]"
            yield Exit(where, f"y{of}", f"sample_weight{of}", self.dtype, first, shape, loss)

    def _unneeded(self) -> tuple[str, ...]:
        """Return the names of the outputs that need no targets."""
        return ()

    def _inference_batch(self, where: str, batch_size: Any) -> int:
        """Return inference's batch size: as given, else limited by INFERENCE_BYTES and INFERENCE_ROWS."""
        if batch_size is not None:
            return positive_int(where, "batch_size", batch_size)
        assert self._input_shapes is not None
        flow = self._inlined().flow
        numbers = [
            math.prod(shape) for shape in (*self._input_shapes, *(a.output_shape for a in flow.layers))
        ]
        # One batch is gathered while the previous one is computed; a layer needs its inputs and its output.
        most = 2 * sum(numbers[: flow.n_inputs]) + max(
            (
                numbers[flow.value_of(number)] + sum(numbers[value] for value in use.inputs)
                for number, use in enumerate(flow.uses)
            ),
            default=0,
        )
        return min(max(INFERENCE_BYTES // (most * self.dtype.itemsize), 1), INFERENCE_ROWS)

    # --- sources ------------------------------------------------------------------------------

    def _source(
        self, where: str, given: Given, batch_size: int | None, steps: int | None, purpose: Purpose
    ) -> Source:
        """Return the source of batches of a user's data; build the model if needed."""
        steps = optional_count(where, purpose.steps_name, steps)
        if kind_of(given.x) not in (ARRAY, STORED):
            return self._fed(where, given, batch_size, steps, purpose)
        boundary, samples = self._boundary(where, given.x)
        data = boundary.data(samples, *given[1:])
        return self._cut(boundary, data, batch_size, steps, purpose)

    def _cut(
        self, boundary: Boundary, data: Data, batch_size: int | None, steps: int | None, purpose: Purpose
    ) -> Source:
        """Return the source of batches of arrays."""
        rows = self._inference_batch(boundary.where, batch_size)
        batches = boundary.batches(data, rows, purpose.training, purpose.how)
        return batches if steps is None else Paced(batches, steps, boundary.where, purpose.again)

    def _fed(
        self, where: str, given: Given, batch_size: int | None, steps: int | None, purpose: Purpose
    ) -> Fed:
        """Return the source for an object that makes batches."""
        kind = type(given.x).__name__
        rows = "validation_batch_size" if purpose.steps_name == VALIDATION.steps_name else "batch_size"
        if purpose.training:
            _check_how(where, kind, purpose.how)
        for name, value in (("y", given.y), ("sample_weight", given.weight), (rows, batch_size)):
            if value is not None:
                told = "has batches of its own size" if name == rows else f"gives {name} with its batches"
                raise ValueError(f"{where}: {name} must not be given where x is a {kind}, which {told}")
        feed = feed_of(where, "x", given.x, steps, purpose.again)
        if steps is None and feed.endless:
            raise ValueError(
                f"{where}: {purpose.steps_name} must be given where x is a {kind} that never ends"
            )
        x = item_of(where, 0, feed.first(), purpose.labelled).x
        boundary, _ = self._boundary(where, x)
        source = Fed(feed, boundary, purpose.labelled, given.class_weight)
        source.check_first()
        return source

    def _sources(
        self,
        where: str,
        given: Given,
        batch_size: int | None,
        steps: int | None,
        validation: Validation,
        how: How,
    ) -> tuple[Source, Source | None]:
        """Return the batches of the training data and, if there are any, of the validation data."""
        training, seeing = TRAINING._replace(how=how), VALIDATION._replace(how=How(ahead=how.ahead))
        rows = 32 if batch_size is None else batch_size
        if kind_of(given.x) in (ARRAY, STORED):
            boundary, samples = self._boundary(where, given.x)
            data = boundary.data(samples, *given[1:])
            n = kept = data.n
            if validation.data is None:
                kept = split_tail(where, validation.split, n)
            train: Source = self._cut(boundary, data.part(0, kept), rows, steps, training)
            if kept < n:
                # As in Keras, class weights are for training only: validation samples have just their own
                # weights.
                tail = boundary.data(samples, given.y, given.weight).part(kept, n)
                return train, self._cut(
                    boundary, tail, validation.batch_size or rows, validation.steps, seeing
                )
        else:
            if validation.split and validation.data is None:
                raise ValueError(
                    f"{where}: validation_split must be 0 where x is a {type(given.x).__name__}, of which no "
                    f"samples can be set apart: give validation_data"
                )
            train = self._source(where, given, batch_size, steps, training)
        if validation.data is None:
            return train, None
        other, seen = validation.given(where), validation.batch_size
        if seen is None and kind_of(other.x) in (ARRAY, STORED):
            seen = rows
        return train, self._source(f"{where}: validation_data", other, seen, validation.steps, seeing)


def shuffling(where: str, value: Any) -> tuple[bool, str | None]:
    """Return whether `fit` shuffles, and by which way, if one is asked for."""
    if isinstance(value, str) and value in (EXACT, BLOCKS):
        return True, value
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{where}: shuffle must be True or False, {EXACT!r} or {BLOCKS!r}, got {value!r}")
    return bool(value), None


def _check_how(where: str, kind: str, how: How) -> None:
    """Refuse what is for rows of an object that makes batches."""
    if how.mixing is not None:
        raise ValueError(
            f"{where}: shuffle must be True or False where x is a {kind}, which gives batches and no rows, "
            f"got {how.mixing!r}"
        )
    if how.ahead is not None:
        raise ValueError(
            f"{where}: prefetch_bytes must not be given where x is a {kind}, whose batches are made ahead by "
            f"its own workers, got {how.ahead}"
        )


def optional_count(where: str, name: str, value: Any) -> int | None:
    """Return value as an int of at least 1, or None."""
    return None if value is None else positive_int(where, name, value)
