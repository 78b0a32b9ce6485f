"""How a model learns: compile, fit, evaluate, batch by batch.

`Trainer` is what `Sequential` inherits. Losses and metrics are summed in float64 over the batches in order,
so they too are the same on any number of threads.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, losses, optimizers
from cconv import metrics as known_metrics
from cconv.arguments.arrays import as_array
from cconv.arguments.claims import Claim, Claims, alone
from cconv.arguments.configured import config_of
from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int, positive_int
from cconv.arguments.overrides import check_object
from cconv.callbacks import Callback, CallbackList, History, ProgressBar, format_logs
from cconv.engine.replaying import RecordedPlan
from cconv.inputs.batches import Batch, Source
from cconv.inputs.columns import is_plain
from cconv.layers.base import Layer
from cconv.metrics.meter import Meter, figure_names
from cconv.models.feeding import EVALUATION, Given, Validation, optional_count
from cconv.models.files import named_params
from cconv.models.predicting import Predictor, verbosity_of

T = TypeVar("T")
Named = list[tuple[str, Layer]]  # layers, each with its name


class NonFiniteLossError(ValueError, FloatingPointError):
    """The loss became NaN or infinite; the weights are those before the step that the message names."""

    loss: float = math.nan


class Trainer(Predictor):
    """Compile, fit and evaluate, for a model that is layers in a row."""

    steps_done: int

    def __init__(self, *described: Any) -> None:
        super().__init__(*described)
        self.optimizer: Any = None
        self.metrics: list[Any] = []
        self.weighted_metrics: list[Any] = []
        self.stop_training = False
        self.history: History | None = None
        self.epochs_done: int = 0

    # --- one training at a time ---------------------------------------------------------------

    def _train_alone(self, where: str, work: Callable[[], T]) -> T:
        """Return ``work()``, a training, while nobody else trains the model, its layers or its optimizer."""

        def train() -> T:
            try:
                return work()
            finally:
                plan = self._plans.training
                if plan is not None:
                    plan.release()

        return alone(where, self._name_of_taken, self._places(), train, "training")

    def _places(self) -> list[Claims]:
        """Return the claims to the model and all that its training writes to, in one order for all models."""
        layers = self._plans.places
        if layers is None:
            apart = {id(layer._claims): layer._claims for layer in self._layers}
            layers = self._plans.places = tuple(apart[place] for place in sorted(apart))
        return [self._claims, *layers, self.optimizer._claims]

    def _name_of_taken(self, other: Claim) -> str:
        """Return the name of what somebody else trains: the model, or what it shares."""
        if self._claims.owner() is other:
            return f"the model {self.name!r}"
        shared = [layer.name for layer in self._layers if layer._claims.owner() is other]
        return (
            f"the layer {shared[0]!r}, which another model has too,"
            if shared
            else "its optimizer, which another model has too,"
        )

    # --- compile ------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        *,
        weighted_metrics: Sequence[Any] | None = None,
    ) -> None:
        """Say how the model learns.

        Parameters
        ----------
        optimizer : str or Optimizer
            See `cconv.optimizers`.
        loss : str, Loss or callable
            See `cconv.losses`; a function of ``(y_true, y_pred)`` returns the value and its gradient, see
            `cconv.losses.from_function`.
        metrics : sequence of str, Metric or callable, optional
            See `cconv.metrics`; ``"accuracy"`` becomes the kind that fits targets and output.
        weighted_metrics : sequence of str, Metric or callable, optional
            Those in which samples count by their weights.

        Raises
        ------
        TypeError, ValueError
            For a name that is not known.
        RuntimeError
            While the model is training.
        """
        where = f"{self.kind}.compile"
        check_object(self)
        self._not_in_training(where)
        if loss is None:
            raise ValueError(f"{where}: loss must be given, for example 'categorical_crossentropy'")
        plain, weighted = (
            _metrics(where, name, given)
            for name, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics))
        )
        ready = optimizers.get(optimizer, where, "optimizer")
        if ready._calls and ready is not self.optimizer:
            raise ValueError(f"{where}: optimizer has trained another model: make a new one, or reset() it")
        self.optimizer = ready
        self.loss: Any = losses.get(loss, where, "loss")
        self.metrics, self.weighted_metrics = plain, weighted
        for part in (self.optimizer, self.loss, *plain, *weighted):
            check_object(part)
        self._forget_plans()

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns: "loss", then those of the metrics."""
        return self._figure_names()

    def reset_metrics(self) -> None:
        """Let the metrics forget what they counted; every method of the model begins anew in any case."""
        for metric in (*self.metrics, *self.weighted_metrics):
            metric.reset_state()

    def _need_compiled(self, where: str) -> None:
        if self.loss is None:
            raise RuntimeError(f"{where}: call compile first")

    # --- fit ----------------------------------------------------------------------------------

    @controlled
    def fit(
        self,
        x: Any,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train the model.

        Parameters
        ----------
        x : array of shape (n, h, w, c), or of the model's other input shape
            Any real dtype; converted batch by batch, never copied whole. Bytes are not scaled. Must not
            change while `fit` runs: a batch may be prepared before its step begins. Or what gives batches
            ``(x, y)`` or ``(x, y, sample_weight)``, or is read slice by slice: see *data from anywhere* in
            docs/data.md.
        y : array of n targets
            As the loss wants them. Not given where `x` gives batches.
        batch_size : int, optional
            Samples a step, by default 32. Not given where `x` gives batches.
        epochs : int
            Number of the epoch to end at; with `initial_epoch` 0, how many passes over the data.
        verbose : {"auto", 0, 1, 2}
            0 is silent, 1 (the same as "auto") a progress bar, 2 a line an epoch. Where output is
            neither a terminal nor a notebook, 1 writes lines too.
        callbacks : Callback or iterable of Callback, optional
            Called in this order, `History` and the bar after them.
        validation_split : float
            In [0, 1): the share of samples, the last ones, that are set apart for validation.
        validation_data : (x, y) or (x, y, sample_weight), or what gives batches, optional
            Evaluated after every epoch; comes before `validation_split`.
        shuffle : bool
            Visit the samples, or the batches that have numbers, in another order each epoch, which depends on
            the model's seed and on how many epochs it has seen.
        class_weight : dict of int to float, optional
            Weight of each class in the loss; 1 for those not named.
        sample_weight : array of shape (n,), or (n, h, w) for images of outputs, optional
            Finite weight of each sample, or pixel, in the loss.
        initial_epoch : int
            Number of the first epoch: where a training that is taken up again stands.
        steps_per_epoch : int, optional
            Batches an epoch; the next one goes on where the last one ended. By default all.
        validation_steps : int, optional
            Batches of the validation data that are used, the first ones. By default all.
        validation_batch_size : int, optional
            By default `batch_size`.
        validation_freq : int
            Validate after every so many epochs.

        Returns
        -------
        History
            Its `history` holds the mean loss and metrics of each epoch.

        Raises
        ------
        RuntimeError
            Before `compile`; when the model, one of its layers or its optimizer is already training.
        TypeError, ValueError
            For arguments that do not fit.
        NonFiniteLossError
            When the loss is NaN or infinite: names epoch, step, and the first layer whose output is.
            With `TerminateOnNaN` among the callbacks training ends instead.
        """
        where = f"{self.kind}.fit"
        self._need_compiled(where)
        batch_size = optional_count(where, "batch_size", batch_size)
        first, last = _numbers(where, initial_epoch, epochs)
        pace = optional_count(where, "steps_per_epoch", steps_per_epoch)
        frequency = positive_int(where, "validation_freq", validation_freq)
        told = Validation(
            validation_split,
            validation_data,
            optional_count(where, "validation_batch_size", validation_batch_size),
            optional_count(where, "validation_steps", validation_steps),
        )
        shuffle, verbosity = arguments.flag(where, "shuffle", shuffle), verbosity_of(where, verbose)
        for thing in (self, *self._items, *self._layers):
            check_object(thing)

        def train_alone() -> History:
            given = Given(x, y, sample_weight, class_weight)
            train, validation = self._sources(where, given, batch_size, pace, told)
            bar = [ProgressBar(lines=verbosity == 2)] if verbosity else []
            history, names = History(), self._figure_names()
            params = {
                "verbose": verbosity,
                "epochs": last,
                "steps": train.steps,
                "samples": train.n,
                "metrics": names + [f"val_{name}" for name in names if validation is not None],
            }
            # As in Keras they hear what the user's callbacks have added to the logs.
            calls = CallbackList([callbacks, history, *bar], self, params, where)
            self.history, self.stop_training = history, False
            try:
                self._epochs(range(first, last), train, validation, frequency, shuffle, calls)
            finally:
                calls.close()
            return history

        return self._train_alone(where, train_alone)

    def _epochs(
        self,
        epochs: range,
        train: Source,
        validation: Source | None,
        frequency: int,
        shuffle: bool,
        calls: CallbackList,
    ) -> None:
        """Train for these epochs, with all that callbacks are told."""
        with train:
            calls.call("on_train_begin", {})
            logs: dict[str, float] = {}
            for epoch in epochs:
                if not train.more():
                    break
                logs = self._epoch(train, epoch, shuffle, calls)
                if validation is not None and (epoch + 1) % frequency == 0 and validation.more():
                    figures = self._evaluate(validation, calls)
                    logs |= {f"val_{name}": value for name, value in figures.items()}
                self.epochs_done += 1
                calls.call("on_epoch_end", epoch, logs)
                if self.stop_training:
                    break
            self.optimizer.finalize_variable_values(named_params(self._learning() or []))
            calls.call("on_train_end", logs)

    def _epoch(self, train: Source, epoch: int, shuffle: bool, calls: CallbackList) -> dict[str, float]:
        """Train on every batch once; return the means of loss and metrics."""
        calls.call("on_epoch_begin", epoch, {})
        order = train.order(self.seed, self.epochs_done) if shuffle else None
        of = "" if train.steps is None else f" of {train.steps}"
        meter = self._meter()
        for number, batch in enumerate(train.epoch(order)):
            calls.call("on_train_batch_begin", number, {})
            failure = None
            try:
                self._train_step(batch, f"epoch {epoch + 1}, step {number + 1}{of}", meter)
            except NonFiniteLossError as error:
                if not calls.hear_of_nan:
                    raise
                failure = error
                meter.add(error.loss, len(batch.x))
            calls.call("on_train_batch_end", number, meter.means())
            if self.stop_training:
                break
            if failure is not None:
                raise failure
        meter.close()
        return meter.means()

    def _swap_averages(self) -> None:
        """Let the weights and the means that the optimizer keeps of them change places."""
        self.optimizer._swap_averages(named_params(self._named))

    def _training_plan(self) -> RecordedPlan:
        plans = self._plans
        plan = plans.training
        if plan is None or not plan.is_current():
            plan = plans.training = self._new_plan(training=True)
            plans.plain = self._plain_shape()
        return plan

    @controlled
    def _train_step(self, batch: Batch, position: str, meter: Meter) -> float:
        """Change the weights once; return the loss of the batch before, which `meter` counts too."""
        assert batch.y is not None
        plan, learning = self._training_plan(), self._learning()
        y = plan.forward(batch.x, self.steps_done, batch.start, batch.done)
        loss, dy = plan.loss_of(batch.y, y, batch.weight)
        loss += self._penalty()
        if not math.isfinite(loss):
            error = NonFiniteLossError(self._explain(plan, batch, loss, position))
            error.loss = loss
            raise error
        self._measure(meter, loss, batch, y, plan)
        if learning is not None:
            plan.backward(dy)
        self._update(plan, learning)
        self.steps_done += 1
        return loss

    def _penalty(self) -> float:
        return math.fsum([layer.penalty() for _, layer in self._learning() or ()])

    def _update(self, plan: RecordedPlan, learning: Named | None) -> None:
        """Change the weights of the layers that were to learn when the step began, as far as they may."""
        self._step(plan, learning)
        for _, layer in learning or ():
            if layer.constraints and layer.trainable:
                layer.constrain()

    def _step(self, plan: RecordedPlan, learning: Named | None) -> None:
        """Let the optimizer make its step."""
        repeated, learning = (None, []) if learning is None else (plan.repeated, learning)
        # A penalty may have been changed, which `apply` notices.
        if not any([layer.regularizers for _, layer in learning]) and self.optimizer._repeat(repeated):
            return
        params, grads, regularizers = {}, {}, {}
        for path, layer in learning:
            for name, param in layer.params.items():
                # Another thread, or a signal handler, may have frozen it meanwhile.
                if layer.trainable and name in layer.grads:
                    entry = f"{path}/{name}"
                    params[entry], grads[entry] = param, layer.grads[name]
                    if name in layer.regularizers:
                        regularizers[entry] = layer.regularizers[name]
        self.optimizer.apply(params, grads, regularizers)
        self.optimizer._remember(repeated)

    def _explain(self, plan: RecordedPlan, batch: Batch, loss: float, position: str) -> str:
        """Say where a loss that is not finite came from."""
        assert batch.y is not None
        message = f"{self.kind}.fit: the loss became {loss} in {position}"
        if not np.isfinite(batch.x).all():
            given = batch.given()
            if not np.isfinite(given).all():
                return f"{message}: the input of this batch is not finite"
            # One of the layers that were done where the batch was gathered: the plan does them again.
            plan.forward(given, self.steps_done, batch.start)
        number = plan.first_not_finite()
        if number is None:
            if not (np.isfinite(batch.y).all() and (batch.weight is None or np.isfinite(batch.weight).all())):
                return f"{message}: the targets or weights of this batch are not finite"
            finite = "the output of every layer is finite, but too large for the loss"
            return f"{message}: {finite}, or 0 throughout where it takes shares of a sum"
        layer = plan.flow.layers[number]
        kind = type(layer).__name__
        message += f": layer {number} ({layer.shown}, {kind}) is the first whose output is not finite"
        if not all(np.isfinite(array).all() for array in layer.params.values()):
            return f"{message}, nor are its weights"
        return f"{message}; a lower learning rate or smaller inputs may help"

    def _figure_names(self) -> list[str]:
        return figure_names(self.metrics, self.weighted_metrics)

    def _meter(self) -> Meter:
        return Meter(self._figure_names(), self.metrics, self.weighted_metrics)

    def _measure(self, meter: Meter, loss: float, batch: Batch, y: np.ndarray, plan: RecordedPlan) -> None:
        """Count the loss of a batch, and the metrics of what `forward` returned."""
        assert batch.y is not None
        if self.metrics or self.weighted_metrics:
            meter.update(batch.y, plan.finish(y), batch.weight)
        meter.add(loss, len(batch.x))

    @controlled
    def train_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Change the weights once, by the gradient of this batch.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As for `fit`.
        return_dict : bool
            Return the figures by name.

        Returns
        -------
        float, list of float, or dict
            The loss, followed by the metrics if there are any, of this batch before the change.

        Raises
        ------
        RuntimeError
            Before `compile`; when the model, one of its layers or its optimizer is already training.
        """
        where = f"{self.kind}.train_on_batch"
        self._need_compiled(where)

        meter = self._meter()

        def train_alone() -> float:
            batch = self._plain_batch(x, y) if sample_weight is None and class_weight is None else None
            if batch is None:
                boundary, samples = self._boundary(where, x)
                data = boundary.data(samples, y, sample_weight, class_weight)
                batch = next(boundary.batches(data, len(samples)).epoch())
            try:
                return self._train_step(batch, f"step {self.steps_done + 1}", meter)
            except NonFiniteLossError:
                raise
            except (TypeError, ValueError):
                # What the loss refuses of a plain batch is refused in the words of all others.
                boundary, samples = self._boundary(where, x)
                boundary.data(samples, y, sample_weight, class_weight)
                raise

        loss = self._train_alone(where, train_alone)
        meter.close()
        figures = meter.means() | {"loss": loss}
        return _figures(list(figures), list(figures.values()), return_dict)

    def _plain_batch(self, x: ArrayLike, y: ArrayLike) -> Batch | None:
        """Return the batch of what the kernels can be given as it is, for a model that only calls kernels.

        Then the loss may be the first to look at the targets: nothing has been changed before. None for
        all else.
        """
        plan = self._plans.training
        if (
            plan is None
            or not plan.replays
            or not self._is_plain(x, self._plans)
            or type(y) is not np.ndarray
        ):
            return None
        if y.shape[:1] != x.shape[:1] or not (y.dtype.kind in "iu" or y.dtype == self.dtype):
            return None
        return Batch(0, x, y, None, 0, lambda: x) if is_plain(y) else None

    # --- evaluate -----------------------------------------------------------------------------

    @controlled
    def evaluate(
        self,
        x: Any,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: ArrayLike | None = None,
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
            Samples computed at a time; by default up to 256, as many as take 64 MB of memory.
        verbose : {"auto", 0, 1, 2}
            All but 0 print the figures.
        steps : int, optional
            Batches; by default all. What is known never to end needs it.
        callbacks : Callback or iterable of Callback, optional
            Whose `on_test_…` methods are called.
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
        calls = CallbackList(callbacks, self, params, where)
        try:
            figures = self._evaluate(batches, calls)
        finally:
            calls.close()
        if verbosity:
            print(f"{'' if batches.n is None else f'{batches.n} samples - '}{format_logs(figures)}")
        return _figures(list(figures), list(figures.values()), return_dict)

    @controlled
    def test_on_batch(
        self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, return_dict: bool = False
    ) -> Any:
        """Return the loss and the metrics on one batch, in inference mode; see `evaluate`."""
        samples = as_array(f"{self.kind}.test_on_batch", "x", x)
        n = len(samples) if samples.ndim else 1
        return self.evaluate(samples, y, max(n, 1), 0, sample_weight, return_dict=return_dict)

    def _evaluate(self, batches: Source, calls: CallbackList) -> dict[str, float]:
        calls.call("on_test_begin", {})
        plans = self._plans
        plan = self._inference_plan(plans)
        meter = self._meter()
        with batches:
            for number, batch in enumerate(batches.epoch()):
                assert batch.y is not None
                calls.call("on_test_batch_begin", number, {})
                y = plan.forward(batch.x, done=batch.done)
                loss, _ = plan.loss_of(batch.y, y, batch.weight)
                self._measure(meter, loss, batch, y, plan)
                calls.call("on_test_batch_end", number, meter.means())
        plans.put_back(plan)
        meter.close()
        figures = meter.means()
        figures["loss"] += self._penalty()
        calls.call("on_test_end", figures)
        return figures

    # --- what a saved model keeps -------------------------------------------------------------

    def _training_config(self) -> dict[str, Any] | None:
        """Return how the model was compiled and how far it has come, as plain data; None before `compile`."""
        if self.loss is None:
            return None
        return {
            "optimizer": config_of(self.optimizer),
            "loss": config_of(self.loss),
            "metrics": _described(self.metrics),
            "weighted_metrics": _described(self.weighted_metrics),
            "steps": self.steps_done,
            "epochs": self.epochs_done,
        }

    def _resume(self, config: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> None:
        """Compile as `_training_config` says and go on from there."""
        weighted = config.get("weighted_metrics")
        self.compile(config["optimizer"], config["loss"], config["metrics"], weighted_metrics=weighted)
        self.optimizer.set_state(state)
        self.steps_done, self.epochs_done = int(config["steps"]), int(config["epochs"])


def _metrics(where: str, name: str, given: Any) -> list[known_metrics.Metric]:
    """Return the metrics that an argument of `compile` stands for."""
    if given is not None and not isinstance(given, list | tuple):
        raise TypeError(f"{where}: {name} must be a list, got {given!r}")
    found = [known_metrics.get(metric, where, name) for metric in given or ()]
    for metric in found:
        if not metric.gives_number:
            raise ValueError(
                f"{where}: {name} must each give one number, got {metric!r}: use it on what predict returns"
            )
    return found


def _described(metrics: Iterable[known_metrics.Metric]) -> list[Any]:
    """Return names or configurations by which metrics are found again; without those of the user's own."""
    found: list[Any] = []
    for metric in metrics:
        for value in (metric.name, config_of(metric)):
            try:
                same = known_metrics.get(value) == metric
            except (TypeError, ValueError):
                continue
            if same:
                found.append(value)
                break
    return found


def _figures(names: Sequence[str], values: Sequence[float], by_name: bool) -> Any:
    if by_name:
        return dict(zip(names, values, strict=True))
    return values[0] if len(values) == 1 else list(values)


def _numbers(where: str, initial: Any, epochs: Any) -> tuple[int, int]:
    last = positive_int(where, "epochs", epochs)
    if not is_int(initial):
        raise TypeError(f"{where}: initial_epoch must be an int of at least 0, got {initial!r}")
    if initial < 0:
        raise ValueError(f"{where}: initial_epoch must be an int of at least 0, got {initial!r}")
    return int(initial), last
