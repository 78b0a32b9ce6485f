"""`compile`: how a model is trained, and what a saved model stores of it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cconv import optimizers
from cconv.arguments.configured import config_of
from cconv.arguments.control import controlled
from cconv.arguments.overrides import check_object
from cconv.losses.joint import parts_of
from cconv.metrics.meter import Meter, figure_names
from cconv.metrics.outputs import OutputsMeter, Places, names_in_order
from cconv.models.compiled import Outputs, left_out, loss_config, loss_of, metrics_config, metrics_of
from cconv.models.predicting import Predictor


class Compiler(Predictor):
    """Compile, for every model."""

    _latest: dict[str, float] | None = None  # the last figures

    def __init__(self, *described: Any) -> None:
        super().__init__(*described)
        self.optimizer: Any = None
        self.metrics: list[Any] = []
        self.weighted_metrics: list[Any] = []
        # The output numbers of `metrics`, and those of `weighted_metrics`.
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
        """Set loss, metrics and optimizer for training.

        A model with several outputs takes losses, their weights and metrics in lists, one entry for each
        output, or in dicts by the outputs' names; a single loss is used for each output. The total loss is
        the sum of the outputs' losses, each times its weight.

        Parameters
        ----------
        optimizer : str or Optimizer
            See `cconv.optimizers`.
        loss : str, Loss or callable
            See `cconv.losses`; a function of ``(y_true, y_pred)`` returns the value and its gradient, see
            `cconv.losses.from_function`. None in a list or dict: that output has no loss.
        metrics : sequence of str, Metric or callable, optional
            See `cconv.metrics`; ``"accuracy"`` becomes the kind that fits targets and output. For several
            outputs a list has a metric, or a list of metrics, for each; a dict may leave outputs out.
        loss_weights : float, list or dict of float, optional
            The factor of each output's loss; by default 1.
        weighted_metrics : sequence of str, Metric or callable, optional
            Metrics that use the sample weights; in the same forms as `metrics`.

        Raises
        ------
        TypeError, ValueError
            For an unknown name, or if there is not one entry for each output.
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
        self._latest = None
        self._of_outputs = tuple(places), tuple(weighted_places)
        for part in (self.optimizer, *parts_of(found), *plain, *weighted):
            if part is not None:
                check_object(part)
        self._forget_plans()

    @property
    def metrics_names(self) -> list[str]:
        """The names of the figures that `evaluate` returns: "loss", the outputs' losses, the metrics."""
        return self._figure_names()

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self.loss is not None

    @property
    @controlled
    def losses(self) -> list[float]:
        """The penalties of the weights that learn, one for each regularizer: they are part of the loss."""
        return [
            float(regularizer(layer.params[name]))
            for _, layer in self._learning() or ()
            for name, regularizer in layer.regularizers.items()
        ]

    def reset_metrics(self) -> None:
        """Reset the state of the metrics; every method of the model begins with new counts anyway."""
        for metric in (*self.metrics, *self.weighted_metrics):
            metric.reset_state()
        self._latest = dict.fromkeys(self._figure_names(), 0.0)

    def _forget_layers(self, names: list[str]) -> None:
        """Forget the optimizer's state for the weights of layers that are no longer there."""
        if self.optimizer is not None:
            self.optimizer._forget(names)

    def _uncompile(self) -> None:
        """Undo `compile`."""
        self.loss = self.optimizer = None
        self.metrics, self.weighted_metrics, self._of_outputs = [], [], ((), ())
        self._forget_plans()

    def _need_compiled(self, where: str) -> None:
        if self.loss is None:
            raise RuntimeError(f"{where}: call compile first")

    # --- figures ------------------------------------------------------------------------------

    def _figure_names(self) -> list[str]:
        """Return the names of loss and metrics, in the order of `evaluate`'s list."""
        if len(self._outputs) > 1:
            return names_in_order(self._places_of_figures(), self.metrics, self.weighted_metrics)
        return figure_names(self.metrics, self.weighted_metrics)

    def _places_of_figures(self) -> Places:
        """Return which of several outputs have a loss, and the outputs of the metrics."""
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
        """Return `compile`'s arguments and the counts of steps and epochs as plain data; None before it."""
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

    def _metrics_left_out(self) -> list[str]:
        """Return the names of metrics that `_training_config` does not have."""
        return [] if self.loss is None else left_out([*self.metrics, *self.weighted_metrics])

    def _compile_as(self, config: Mapping[str, Any]) -> None:
        """Compile with the arguments that `_training_config` returned."""
        options = {name: config.get(name) for name in ("loss_weights", "weighted_metrics")}
        self.compile(config["optimizer"], config["loss"], config["metrics"], **options)

    def _resume(self, config: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> None:
        """Compile with the arguments that `_training_config` returned, and restore optimizer and counts."""
        self._compile_as(config)
        self.optimizer.set_state(state)
        self.steps_done, self.epochs_done = int(config["steps"]), int(config["epochs"])
