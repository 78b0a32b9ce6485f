"""One training step: the weights change once, by the gradient of one batch."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments.claims import Claim, Claims, alone
from cconv.arguments.control import controlled
from cconv.arguments.interrupts import Interrupts
from cconv.arguments.numbers import positive_int
from cconv.engine.plan import each_of
from cconv.engine.replaying import RecordedPlan
from cconv.inputs.batches import Batch
from cconv.inputs.columns import is_plain
from cconv.layers.base import Layer
from cconv.losses.joint import parts_of
from cconv.losses.own import is_own
from cconv.metrics.meter import Meter
from cconv.models.evaluating import Evaluator
from cconv.models.files import named_params
from cconv.models.memory import Memory, memory_of
from cconv.models.sharding import WHOLE, Sharding

T = TypeVar("T")
Named = list[tuple[str, Layer]]  # layers, each with its name


class NonFiniteLossError(ValueError, FloatingPointError):
    """The loss became NaN or infinite; weights and states are those from before the named step.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import NonFiniteLossError, Sequential
    >>> model = Sequential([Dense(1, input_shape=(2,))], seed=0)
    >>> model.compile("sgd", "mse")
    >>> try:
    ...     model.fit([[np.nan, 1.0]], [1.0], verbose=0)
    ... except NonFiniteLossError as error:
    ...     print(type(error).__name__, error.loss)
    NonFiniteLossError nan
    """

    loss: float = math.nan
    parts: tuple[float, ...] = ()  # the losses of several outputs


class Stepper(Evaluator):
    """Learn from one batch, for every model."""

    steps_done: int

    def __init__(self, *described: Any) -> None:
        super().__init__(*described)
        self._interrupts = Interrupts()
        self._sharding: Sharding = WHOLE  # of the current `fit`

    @controlled
    def memory(self, batch_size: int = 32) -> Memory:
        """Return how many bytes training and prediction need, besides the program and the data.

        No batch is computed and no memory is used: a plan requests all its memory without touching it. Layers
        that `fit` computes while a batch is gathered are counted too.

        Parameters
        ----------
        batch_size : int
            Samples computed at a time.

        Raises
        ------
        ValueError
            For a model that is not built.
        RuntimeError
            While it is training.

        Examples
        --------
        >>> from cconv.layers import Dense
        >>> from cconv.models import Sequential
        >>> model = Sequential([Dense(1000, input_shape=(1000,))])
        >>> model.compile("adam", "mse")
        >>> model.memory(batch_size=64).optimizer  # two float32 arrays as large as the weights
        8008000
        """
        where = f"{self.kind}.memory"
        self._need_built("memory")
        self._not_in_training(where)
        return memory_of(self, positive_int(where, "batch_size", batch_size))

    # --- one training at a time ---------------------------------------------------------------

    def _train_alone(self, where: str, work: Callable[[], T]) -> T:
        """Return ``work()``, a training, while no one else trains the model, its layers or its optimizer."""

        def train() -> T:
            # Layers that another model has built, or trained, have their numbers there: their draws here are
            # of the places that they have here, which no two of them share.
            self._number_layers()
            try:
                with self._interrupts:
                    return work()
            finally:
                plan = self._plans.training
                if plan is not None:
                    plan.release()

        return alone(where, self._name_of_taken, self._places(), train, "training")

    def _places(self) -> list[Claims]:
        """Return the claims of the model and of all that its training writes to, in a fixed global order."""
        layers = self._plans.places
        if layers is None:
            apart = {id(layer._claims): layer._claims for layer in self._layers}
            layers = self._plans.places = tuple(apart[place] for place in sorted(apart))
        return [self._claims, *layers, self.optimizer._claims]

    def _name_of_taken(self, other: Claim) -> str:
        """Return the name of what another caller trains: the model, or what it shares."""
        if self._claims.owner() is other:
            return f"the model {self.name!r}"
        shared = [layer.name for layer in self._layers if layer._claims.owner() is other]
        return (
            f"the layer {shared[0]!r}, which another model has too,"
            if shared
            else "its optimizer, which another model has too,"
        )

    # --- one step -----------------------------------------------------------------------------

    def _swap_averages(self) -> None:
        """Exchange the weights and the averages of the weights that the optimizer keeps."""
        self.optimizer._swap_averages(named_params(self._named))

    def _training_plan(self) -> RecordedPlan:
        plans = self._current_plans()
        plan = plans.training
        if plan is None or not plan.is_current():
            plan = plans.training = self._new_plan(training=True)
            plans.plain = self._plain_shape()
        return plan

    @controlled
    def _train_step(self, batch: Batch, position: str, meter: Meter) -> float:
        """Change the weights once; return the batch's loss before the change, and add it to `meter`."""
        assert batch.y is not None
        plan, learning = self._training_plan(), self._learning()
        kept = [(array, array.copy()) for layer in self._layers for array in layer.state.values()]
        try:
            sharding = self._sharding
            plan.run.cut = sharding.cut(batch.n)
            x, first = sharding.own(batch)
            y = sharding.whole(plan.forward(x, self.steps_done, first, batch.done), batch.n)
            found, dy = plan.loss_of(batch.y, y, batch.weight)
            loss = found + self._penalty()
            if not math.isfinite(loss):
                error = NonFiniteLossError(self._explain(plan, batch, loss, position))
                error.loss, error.parts = loss, getattr(found, "parts", ())
                raise error
            self._measure(meter, loss, found, batch, y, plan)
            if learning is not None:
                plan.backward(sharding.rows(dy, batch.n))
            # Weights, the optimizer and the number of the step change together, or not at all.
            self._interrupts.held += 1
            self._update(plan, learning)
            self.steps_done += 1
        except BaseException:
            # A step that fails before it changes the weights also leaves the layers' states unchanged.
            for array, before in kept:
                array[...] = before
            raise
        self._interrupts.release()
        return loss

    def _update(self, plan: RecordedPlan, learning: Named | None) -> None:
        """Change the weights of `learning`, the trainable layers at the step's begin, if still trainable."""
        constrained = [layer for _, layer in learning or () if layer.constraints and layer.trainable]
        if not constrained:
            self._step(plan, learning)
            return
        # Constraints need memory. If there is none, the weights become what they were before the step.
        kept = [(array, array.copy()) for _, layer in learning or () for array in layer.params.values()]
        undo = self.optimizer._undo()
        try:
            self._step(plan, learning)
            for layer in constrained:
                layer.constrain()
        except BaseException:
            for array, before in kept:
                array[...] = before
            undo()
            raise

    def _step(self, plan: RecordedPlan, learning: Named | None) -> None:
        """Make the optimizer's step."""
        repeated, learning = (None, []) if learning is None else (plan.repeated, learning)
        # `apply` must see the penalties, which may have changed.
        if not any([layer.regularizers for _, layer in learning]) and self.optimizer._repeat(repeated):
            return
        params, grads, regularizers = {}, {}, {}
        for path, layer in learning:
            for name, param in layer.params.items():
                # Another thread, or a signal handler, may have frozen the layer in the meantime.
                if layer.trainable and name in layer.grads:
                    entry = f"{path}/{name}"
                    params[entry], grads[entry] = param, layer.grads[name]
                    if name in layer.regularizers:
                        regularizers[entry] = layer.regularizers[name]
        self.optimizer.apply(grads, params, regularizers)
        self.optimizer._remember(repeated)

    def _explain(self, plan: RecordedPlan, batch: Batch, loss: float, position: str) -> str:
        """Return a message about where a loss that is not finite came from."""
        assert batch.y is not None
        message = f"{self.kind}.fit: the loss became {loss} in {position}"
        if self._sharding.ranks is not None:
            return f"{message}: train in one process to be told which layer is the first"
        if not _is_finite(batch.x):
            given = batch.given()
            if not _is_finite(given):
                return f"{message}: the input of this batch is not finite"
            # A layer was applied where the batch was gathered: the plan computes it again, to find it.
            plan.forward(given, self.steps_done, batch.start)
        number = plan.first_not_finite()
        if number is None:
            if not (_is_finite(batch.y) and _is_finite(batch.weight)):
                return f"{message}: the targets or weights of this batch are not finite"
            finite = "the output of every layer is finite, but too large for the loss"
            if any(is_own(part) for part in parts_of(plan.loss)):
                finite = "the output of every layer is finite"
                return f"{message}: {finite}, but not what the loss function returned: {loss}"
            return f"{message}: {finite}, or 0 throughout where it takes shares of a sum"
        layer = plan.flow.layers[number]
        kind = type(layer).__name__
        message += f": layer {number} ({layer.shown}, {kind}) is the first whose output is not finite"
        if not all(np.isfinite(array).all() for array in layer.params.values()):
            return f"{message}, nor are its weights"
        return f"{message}; a lower learning rate or smaller inputs may help"

    @controlled
    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Change the weights once, by the gradient of this batch.

        Random draws differ at each call: they depend on the seed, the number of steps so far, and the
        samples' numbers, which count from 0 here and through the epoch in `fit`.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As for `fit`.
        return_dict : bool
            Return the figures by name.

        Returns
        -------
        float, list of float, or dict
            The batch's loss before the change, followed by the metrics if there are any.

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
                batch = next(boundary.batches(data, data.n).epoch())
            try:
                return self._train_step(batch, f"step {self.steps_done + 1}", meter)
            except NonFiniteLossError:
                raise
            except (TypeError, ValueError):
                # If the loss refuses a plain batch, the error is raised with the usual checks' message.
                boundary, samples = self._boundary(where, x)
                boundary.data(samples, y, sample_weight, class_weight)
                raise

        loss = self._train_alone(where, train_alone)
        meter.close()
        figures = meter.means() | {"loss": loss}
        self._latest = dict(figures)
        return self._told(figures, return_dict)

    def _plain_batch(self, x: ArrayLike, y: ArrayLike) -> Batch | None:
        """Return a batch that the kernels can use as it is, if the model only calls kernels; else None.

        The loss may then be the first to check the targets, since nothing has been changed before.
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


def _is_finite(arrays: Any) -> bool:
    """Whether all numbers are finite; None counts as finite."""
    return all([each is None or bool(np.isfinite(each).all()) for each in each_of(arrays)])
