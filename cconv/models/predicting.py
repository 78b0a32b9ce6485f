"""`predict`, with plans that are kept between calls.

`Predictor` is a model without training: its boundary, and plans that are made when they are first needed. Of
the layers it uses only what a plan needs.
"""

import sys
from collections.abc import Iterable
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.arguments.numbers import positive_int
from cconv.callbacks import Callback
from cconv.callbacks.listed import Calls
from cconv.engine.plan import each_of
from cconv.engine.replaying import PlanCache, RecordedPlan
from cconv.inputs.accepted import Data
from cconv.inputs.batches import Source
from cconv.inputs.columns import is_plain
from cconv.inputs.fed import Fed
from cconv.inputs.kinds import ARRAY, STORED, kind_of
from cconv.layers.symbolic import is_symbolic
from cconv.models import nesting
from cconv.models.feeding import PREDICTION, Feeder, Given, optional_count
from cconv.models.frozen import Frozen

# Limit of the outputs collected from a source of unknown length, since an iterator may never end.
COLLECTED_BYTES = 1 << 30


class Predictor(Feeder):
    """Predict, for every model."""

    _frozen = False  # whether the weights are read-only

    def __init__(self, *described: Any) -> None:
        super().__init__(*described)
        self._plans = PlanCache()

    @property
    def fuse(self) -> bool:
        """Whether layers in a row may be computed together; set it to False to look for errors.

        The results have the same bits, except for a batch normalisation folded into the weights at inference:
        these agree within rounding.
        """
        return self._fuse

    @fuse.setter
    def fuse(self, value: bool) -> None:
        self._fuse = arguments.flag(self.kind, "fuse", value)
        self._forget_plans()

    # --- plans --------------------------------------------------------------------------------

    def _current_plans(self) -> PlanCache:
        """Return the plans, none of which is for layers that the model no longer has."""
        self._follow_inner()
        return self._plans

    def _forget_plans(self) -> None:
        self._plans = PlanCache()

    def _plain_shape(self) -> tuple[int, ...] | None:
        """Return the sample shape for which `_predict_directly` works; None if it does not for this model."""
        one = len(self._outputs) == 1 and self._outs.form != "dict" and len(self._input_shapes or ()) == 1
        return self._input_shape if one and self.data_format == "channels_last" else None

    def _is_plain(self, x: ArrayLike, plans: PlanCache) -> TypeGuard[np.ndarray]:
        """Whether the kernels can use these samples without conversion; False if no plan exists yet."""
        if type(x) is not np.ndarray or x.shape[1:] != plans.plain or x.dtype != self.dtype:
            return False
        return len(x) > 0 and is_plain(x)

    def _inference_plan(self, plans: PlanCache) -> RecordedPlan:
        """Return an idle plan, up to date with the weights; the caller must put it back."""
        plan = plans.take()
        if plan is None:
            plan = self._new_plan(training=False)
            plans.rows = self._inference_batch(f"{self.kind}.predict", None)
            plans.plain = self._plain_shape()
        elif not self._frozen:
            plan.prepare()
        return plan

    def _new_plan(self, training: bool) -> RecordedPlan:
        """Return a plan of the layers; ValueError if one was built for another input or dtype."""
        flow = self._flow()
        plan = RecordedPlan(flow, training=training, seed=self.seed, loss=self.loss, fuse=self.fuse)
        plan.run.lasting = self._frozen
        return plan

    # --- predict ------------------------------------------------------------------------------

    @controlled
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
    ) -> Any:
        """Return the model's outputs, in inference mode.

        Several threads may call this at once, also while one trains; callbacks and signal handlers may too.

        Parameters
        ----------
        x : array of shape (n, h, w, c), or of the model's other input shape
            Any real dtype, converted batch by batch. n = 0 is allowed. Or any other input that `fit` takes;
            for several inputs a list or dict. Of batches (x, y) only x is used.
        batch_size : int, optional
            Samples computed at a time; by default at most 256, fewer if they need more than 64 MB. The result
            does not depend on it.
        verbose : {"auto", 0, 1, 2}
            Accepted for Keras' sake; nothing is printed.
        steps : int, optional
            Number of batches; by default all. Required for data that never end.
        callbacks : Callback or iterable of Callback, optional
            Their `on_predict_…` methods are called.

        Returns
        -------
        ndarray of shape (n, *output_shape)
            A new array of the model's dtype. For several outputs a list, or a dict if the model was given
            one.

        Raises
        ------
        TypeError, ValueError
            When the model does not take such an `x`.
        MemoryError
            When the outputs of an iterator without a length exceed 1 GB.
        """
        where = f"{self.kind}.predict"
        verbosity = verbosity_of(where, verbose)
        if callbacks is None and steps is None:
            y = self._predict_directly(x, batch_size)
            if y is not None:
                return y
        return self._predict(where, x, batch_size, verbosity, callbacks, steps)

    def _predict(
        self, where: str, x: Any, batch_size: int | None, verbosity: int, callbacks: Any, steps: int | None
    ) -> Any:
        """Return the outputs, computed batch by batch."""
        batches = self._unlabelled(where, x, batch_size, steps)
        expected = batches.steps if batches is not None else 0
        n = batches.n if batches is not None else 0
        params = {"verbose": verbosity, "epochs": 1, "steps": expected, "samples": n}
        calls = Calls(callbacks, self, params, where)
        outputs = [
            _Collected(where, n, shape, self.dtype, limited=expected is None)
            for shape in self._inner_output_shapes()
        ]
        try:
            calls.call("on_predict_begin", {})
            if batches is not None:
                self._fill(outputs, batches, calls)
            calls.call("on_predict_end", {})
        finally:
            calls.close()
        return self._outs.given_out([self._as_outside(output.all()) for output in outputs])

    def _unlabelled(self, where: str, x: Any, batch_size: int | None, steps: int | None) -> Source | None:
        """Return a source of samples without targets; None if there are no samples."""
        if kind_of(x) not in (ARRAY, STORED):
            return self._source(where, Given(x), batch_size, steps, PREDICTION)
        samples = self._read(where, x, may_be_empty=True)
        self._build_if_not(where, samples)
        boundary, samples = self._boundary_of(where, samples)
        if batch_size is not None:
            positive_int(where, "batch_size", batch_size)
        steps = optional_count(where, "steps", steps)
        data = Data(samples)
        return self._cut(boundary, data, batch_size, steps, PREDICTION) if data.n else None

    def _fill(self, outputs: "list[_Collected]", batches: Source, calls: Calls) -> None:
        """Compute all batches, and collect each sample's output, channels last."""
        plans = self._current_plans()
        plan = self._inference_plan(plans)
        with batches:
            for number, batch in enumerate(batches.epoch()):
                calls.call("on_predict_batch_begin", number, {})
                self._prepare_again(plan, number, batches, calls)
                found = each_of(plan.predict(batch.x, batch.done))
                rows = [output.put(y) for output, y in zip(outputs, found, strict=True)]
                if calls.callbacks:
                    seen = self._outs.given_out([self._as_outside(y).copy() for y in rows])
                    calls.call("on_predict_batch_end", number, {"outputs": seen})
        plans.put_back(plan)

    def _prepare_again(self, plan: RecordedPlan, number: int, batches: Source, calls: Calls) -> None:
        """Follow changes of weights by those who were called since the first batch: callbacks, generators."""
        if not self._frozen and (calls.callbacks or (number and isinstance(batches, Fed))):
            plan.prepare()

    def _as_outside(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs in the model's data format."""
        if self.data_format == "channels_first" and outputs.ndim == 4:
            return np.ascontiguousarray(np.moveaxis(outputs, 3, 1))
        return outputs

    def _predict_directly(
        self, x: ArrayLike, batch_size: int | None, out: np.ndarray | None = None
    ) -> np.ndarray | None:
        """Return the outputs for one batch that needs no conversion; None for all other inputs.

        The result is a new array, or `out`.

        This saves a few microseconds, which are most of a small network's latency.
        """
        plans = self._current_plans()
        rows = plans.rows if batch_size is None else batch_size
        if not self._is_plain(x, plans) or type(rows) is not int or len(x) > rows:
            return None
        idle = plans.idle.plans  # `take` and `put_back` written out, to save the calls
        try:
            plan = idle.pop()
        except IndexError:
            return None
        if not self._frozen:
            if not plan.is_current():
                return None
            plan.prepare()
        y = plan.predict(x)
        if out is None:
            out = y.copy()
        else:
            np.copyto(out, y)
        idle.append(plan)
        return out

    @controlled
    def freeze(self) -> Frozen:
        """Return the model in its current state as a `Frozen`, with a copy of the weights that never changes.

        It predicts the same bits, and small batches faster: values that depend on the weights are computed
        once. `predict` checks at every call whether the weights were changed.

        Raises
        ------
        ValueError
            For a model that is not built.

        Examples
        --------
        >>> from cconv.layers import Dense
        >>> from cconv.models import Sequential
        >>> Sequential([Dense(2, input_shape=(3,))], name="small").freeze()
        <Frozen 'small': 8 weights>
        """
        self._need_built("freeze")
        return Frozen(self)

    @controlled
    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """Return the model's outputs for one batch; for symbolic tensors use the model as a layer.

        Parameters
        ----------
        x : array of shape (n, h, w, c), or of the model's other input shape
            As for `predict`. With KerasTensors the model becomes a layer of another model.
        training : bool, optional
            True: layers act as in training: dropout is applied, and batch normalisation uses the batch's mean
            and updates its moving averages. No weights change. None: layers that augment images do so, as
            Keras' do, and all others act as at inference. In a graph only None and False are allowed; with
            False the model acts as at inference even while the other model trains.

        Raises
        ------
        RuntimeError
            With ``training=True`` while the model is training.
        TypeError, ValueError
            When the model does not take such an `x`.
        """
        where = f"{self.kind}.__call__"
        if is_symbolic(x):
            return nesting.call(self, x, training)
        trains = arguments.flag(where, "training", False if training is None else training)
        if not trains and (training is not None or not self._augments()):
            return self.predict_on_batch(x)
        if trains:
            self._not_in_training(where)
            self._number_layers()
        else:
            self._tell_layers_apart()
        boundary, samples = self._boundary(where, x)
        data = Data(samples)
        (batch,) = boundary.batches(data, data.n).epoch()
        outputs = self._layer_by_layer(each_of(batch.x), batch.done, trains)
        return self._outs.given_out([self._as_outside(y) for y in outputs])

    def _layer_by_layer(self, xs: tuple[np.ndarray, ...], done: int, trains: bool) -> list[np.ndarray]:
        """Return the outputs of a batch, in training or as layers give them that are called.

        The first `done` layers were applied before.
        """
        flow = self._flow()
        values = {(flow.value_of(done - 1) if done else 0) + number: x for number, x in enumerate(xs)}
        for number, use in enumerate(flow.uses[done:], start=done):
            given: Any = [use.layer._to_outer(values[value]) for value in use.inputs]
            if not use.layer._merges:
                (given,) = given
            if use.at_inference:
                y = use.layer.forward(given)
            else:
                y = use.layer.forward(given, training=True) if trains else use.layer._called(given)
            values[flow.value_of(number)] = use.layer._to_inner(y)
        return [values[value] for value in flow.outputs]

    @controlled
    def predict_on_batch(self, x: Any) -> Any:
        """Return the model's outputs for one batch; see `predict`."""
        y = self._predict_directly(x, sys.maxsize)
        return (
            y
            if y is not None
            else self._predict(f"{self.kind}.predict_on_batch", x, sys.maxsize, 0, (), None)
        )


class _Collected:
    """The outputs of all batches, one after another: in one array if their number is known."""

    def __init__(
        self, where: str, n: int | None, shape: tuple[int, ...], dtype: np.dtype, limited: bool
    ) -> None:
        self._where, self._limited = where, limited
        self._rows = None if n is None else np.empty((n, *shape), dtype)
        self._parts: list[np.ndarray] = []
        self._done = self._nbytes = 0

    def put(self, y: np.ndarray) -> np.ndarray:
        """Store the outputs of a batch; return the array that holds them."""
        if self._rows is not None:
            rows = self._rows[self._done : self._done + len(y)]
            rows[...] = y
        else:
            self._nbytes += y.nbytes
            if self._limited and self._nbytes > COLLECTED_BYTES:
                raise MemoryError(
                    f"{self._where}: steps must be given where the outputs of an iterator take more than "
                    f"{COLLECTED_BYTES} bytes, got {self._done} samples and no end"
                )
            rows = y.copy()
            self._parts.append(rows)
        self._done += len(y)
        return rows

    def all(self) -> np.ndarray:
        """Return all outputs."""
        return np.concatenate(self._parts) if self._rows is None else self._rows


def verbosity_of(where: str, verbose: Any) -> int:
    """Return `verbose` as a number; "auto" means 1."""
    if verbose == "auto" or verbose is True:
        return 1
    if verbose not in (0, 1, 2):
        raise ValueError(f"{where}: verbose must be 'auto', 0, 1 or 2, got {verbose!r}")
    return int(verbose)
