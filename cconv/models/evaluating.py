"""`evaluate`: loss and metrics of a model, in inference mode."""

from collections.abc import Iterable
from typing import Any

from cconv.arguments.control import controlled
from cconv.callbacks import Callback, format_logs
from cconv.callbacks.listed import Calls
from cconv.engine.replaying import RecordedPlan
from cconv.inputs.batches import Batch, Source
from cconv.metrics.meter import Meter
from cconv.models.compiling import Compiler
from cconv.models.feeding import EVALUATION, Given
from cconv.models.predicting import verbosity_of
from cconv.models.sharding import WHOLE, Sharding


class Evaluator(Compiler):
    """Evaluate, for every model."""

    _progress: Any = None  # of the current `fit`, which `Trainer` sets

    @controlled
    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss and the metrics on these samples, in inference mode.

        Parameters
        ----------
        x, y, sample_weight
            As for `fit`.
        batch_size : int, optional
            Samples computed at a time; by default at most 256, fewer if they need more than 64 MB.
        verbose : {"auto", 0, 1, 2}
            0 prints nothing; all other values print the figures.
        steps : int, optional
            Number of batches; by default all. Required for data that never end.
        callbacks : Callback or iterable of Callback, optional
            Their `on_test_…` methods are called.
        return_dict : bool
            Return the figures by name.

        Returns
        -------
        float, list of float, or dict
            The loss, followed by the metrics if there are any.

        Examples
        --------
        See `Sequential`.
        """
        where = f"{self.kind}.evaluate"
        self._need_compiled(where)
        verbosity = verbosity_of(where, verbose)
        batches = self._source(where, Given(x, y, sample_weight), batch_size, steps, EVALUATION)
        params = {"verbose": verbosity, "epochs": 1, "steps": batches.steps, "samples": batches.n}
        calls = Calls(callbacks, self, params, where)
        try:
            figures = self._evaluate(batches, calls)
        finally:
            calls.close()
        if verbosity:
            print(f"{'' if batches.n is None else f'{batches.n} samples - '}{format_logs(figures)}")
        return self._told(figures, return_dict)

    @controlled
    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Return the loss and the metrics on one batch, in inference mode; see `evaluate`."""
        where = f"{self.kind}.test_on_batch"
        self._need_compiled(where)
        given = self._read(where, x)
        n = len(given[0] if isinstance(given, tuple) else given)
        batch = self._source(where, Given(given, y, sample_weight), max(n, 1), None, EVALUATION)
        return self._told(self._evaluate(batch, Calls(None, self, {}, where)), return_dict)

    def _evaluate(self, batches: Source, calls: Calls, sharding: Sharding = WHOLE) -> dict[str, float]:
        progress = self._progress
        if progress is None or progress.meter is None or progress.ended:
            return self._evaluated(batches, calls, sharding)
        with progress.meter.paused():  # a callback evaluates in the middle of an epoch
            return self._evaluated(batches, calls, sharding)

    def _evaluated(self, batches: Source, calls: Calls, sharding: Sharding) -> dict[str, float]:
        calls.call("on_test_begin", {})
        plans = self._current_plans()
        plan = self._inference_plan(plans)
        meter, penalty = self._meter(), self._penalty()

        def figures() -> dict[str, float]:
            found = meter.means()
            return found | {"loss": found["loss"] + penalty}

        with batches:
            for number, batch in enumerate(batches.epoch()):
                assert batch.y is not None
                calls.call("on_test_batch_begin", number, {})
                self._prepare_again(plan, number, batches, calls)
                y = sharding.whole(plan.forward(sharding.own(batch)[0], done=batch.done), batch.n)
                loss, _ = plan.loss_of(batch.y, y, batch.weight)
                self._measure(meter, loss, loss, batch, y, plan)
                calls.call("on_test_batch_end", number, figures())
        plans.put_back(plan)
        meter.close()
        found = figures()
        self._latest = dict(found)
        calls.call("on_test_end", found)
        return found

    def _measure(
        self, meter: Meter, loss: float, found: float, batch: Batch, y: Any, plan: RecordedPlan
    ) -> None:
        """Add a batch's loss to the meter (`found` is the part without penalties), and update the metrics."""
        assert batch.y is not None
        if self.metrics or self.weighted_metrics:
            meter.update(batch.y, plan.finish(y), batch.weight)
        meter.add(loss, batch.n, getattr(found, "parts", ()))

    def _told(self, figures: dict[str, float], by_name: bool) -> Any:
        """Return figures in the user's form: by name, or in a list in the order of `metrics_names`."""
        if by_name:
            return figures
        values = [figures[name] for name in self._figure_names()]
        return values[0] if len(values) == 1 else values
