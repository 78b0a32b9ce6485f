"""How a model is told to learn: `compile`, and what a saved model keeps of it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cconv import optimizers
from cconv.arguments.configured import config_of
from cconv.arguments.overrides import check_object
from cconv.losses.joint import parts_of
from cconv.metrics.meter import Meter, figure_names
from cconv.metrics.outputs import OutputsMeter, Places, names_in_order
from cconv.models.compiled import Outputs, loss_config, loss_of, metrics_config, metrics_of
from cconv.models.predicting import Predictor


class Compiler(Predictor):
    """Compile, for every model."""

    def __init__(self, *described: Any) -> None:
        super().__init__(*described)
        self.optimizer: Any = None
        self.metrics: list[Any] = []
        self.weighted_metrics: list[Any] = []
        # The output that each metric without, and each with weights, is of.
        self._of_outputs: tuple[tuple[int, ...], tuple[int, ...]] = (), ()
        self.epochs_done: int = 0

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        *,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        """Say how the model learns.

        A model with several outputs takes losses, their weights and metrics in lists, one entry for each
        output, or in dicts by the outputs' names; one loss by itself is that of each. The loss is then the
        sum of the outputs' losses, each times its weight.

        Parameters
        ----------
        optimizer : str or Optimizer
            See `cconv.optimizers`.
        loss : str, Loss or callable
            See `cconv.losses`; a function of ``(y_true, y_pred)`` returns the value and its gradient, see
            `cconv.losses.from_function`. In a list or dict None: that output has no loss.
        metrics : sequence of str, Metric or callable, optional
            See `cconv.metrics`; ``"accuracy"`` becomes the kind that fits targets and output. Of several
            outputs a list has a metric, or a list of them, for each; a dict may leave outputs out.
        loss_weights : float, list or dict of float, optional
            The factor of each output's loss; by default 1.
        weighted_metrics : sequence of str, Metric or callable, optional
            Those in which samples count by their weights; given as `metrics` are.

        Raises
        ------
        TypeError, ValueError
            For a name that is not known; when there is not an entry for each output.
        RuntimeError
            While the model is training.
        """
        where = f"{self.kind}.compile"
        check_object(self)
        self._not_in_training(where)
        outputs = Outputs(where, len(self._outputs), lambda: self._outs.names)
        found = loss_of(outputs, loss, loss_weights)
        plain, places = metrics_of(outputs, "metrics", metrics)
        weighted, weighted_places = metrics_of(outputs, "weighted_metrics", weighted_metrics)
        ready = optimizers.get(optimizer, where, "optimizer")
        if ready._calls and ready is not self.optimizer:
            raise ValueError(f"{where}: optimizer has trained another model: make a new one, or reset() it")
        self.optimizer = ready
        self.loss: Any = found
        self.metrics, self.weighted_metrics = plain, weighted
        self._of_outputs = tuple(places), tuple(weighted_places)
        for part in (self.optimizer, *parts_of(found), *plain, *weighted):
            if part is not None:
                check_object(part)
        self._forget_plans()

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns: "loss", the outputs' losses, the metrics."""
        return self._figure_names()

    def reset_metrics(self) -> None:
        """Let the metrics forget what they counted; every method of the model begins anew in any case."""
        for metric in (*self.metrics, *self.weighted_metrics):
            metric.reset_state()

    def _uncompile(self) -> None:
        """Be as before `compile`."""
        self.loss = self.optimizer = None
        self.metrics, self.weighted_metrics, self._of_outputs = [], [], ((), ())
        self._forget_plans()

    def _need_compiled(self, where: str) -> None:
        if self.loss is None:
            raise RuntimeError(f"{where}: call compile first")

    # --- figures ------------------------------------------------------------------------------

    def _figure_names(self) -> list[str]:
        """Return the names of loss and metrics, as `evaluate` gives them in a list."""
        if len(self._outputs) > 1:
            return names_in_order(self._places_of_figures(), self.metrics, self.weighted_metrics)
        return figure_names(self.metrics, self.weighted_metrics)

    def _places_of_figures(self) -> Places:
        """Return which of several outputs has which loss and metrics."""
        with_loss = [number for number, part in enumerate(parts_of(self.loss)) if part is not None]
        return Places(self._outs.names, tuple(with_loss), *self._of_outputs)

    def _meter(self) -> Meter:
        if len(self._outputs) > 1:
            return OutputsMeter(self._places_of_figures(), self.metrics, self.weighted_metrics)
        return Meter(self._figure_names(), self.metrics, self.weighted_metrics)

    def _unneeded(self) -> tuple[str, ...]:
        measured = {*self._of_outputs[0], *self._of_outputs[1]}
        if len(self._outputs) == 1 or self.loss is None:
            return ()
        return tuple(
            [
                name
                for number, (name, part) in enumerate(zip(self._outs.names, parts_of(self.loss), strict=True))
                if part is None and number not in measured
            ]
        )

    def _penalty(self) -> float:
        return math.fsum([layer.penalty() for _, layer in self._learning() or ()])

    # --- what a saved model keeps -------------------------------------------------------------

    def _training_config(self) -> dict[str, Any] | None:
        """Return how the model was compiled and how far it has come, as plain data; None before `compile`."""
        if self.loss is None:
            return None
        return {
            "optimizer": config_of(self.optimizer),
            **loss_config(self.loss),
            "metrics": metrics_config(self.metrics, self._of_outputs[0], len(self._outputs)),
            "weighted_metrics": metrics_config(
                self.weighted_metrics, self._of_outputs[1], len(self._outputs)
            ),
            "steps": self.steps_done,
            "epochs": self.epochs_done,
        }

    def _compile_as(self, config: Mapping[str, Any]) -> None:
        """Compile as `_training_config` says."""
        options = {name: config.get(name) for name in ("loss_weights", "weighted_metrics")}
        self.compile(config["optimizer"], config["loss"], config["metrics"], **options)

    def _resume(self, config: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> None:
        """Compile as `_training_config` says and go on from there."""
        self._compile_as(config)
        self.optimizer.set_state(state)
        self.steps_done, self.epochs_done = int(config["steps"]), int(config["epochs"])
