"""Estimators made from trained models."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from cconv.estimators import graphs
from cconv.estimators.exported import Exported
from cconv.estimators.training import TrainedEstimator
from cconv.layers import Activation, Dense, Layer
from cconv.models import Model


class AroundModels(Exported, TrainedEstimator):
    """Makes a `CNNClassifier` or `CNNRegressor` from a trained model."""

    @classmethod
    def _around(cls, model: Any, parameters: dict[str, Any]) -> Self:
        """Return a fitted estimator that still lacks its network, and classes or the targets' scale."""
        where = f"{cls.__name__}.from_model"
        if not isinstance(model, Model):
            raise TypeError(f"{where}: model must be a Sequential or a Model, got {model!r}")
        graphs.single(where, "model", model)
        shape = model.input_shape[1:]
        if len(shape) not in (1, 3) or len(model.output_shape) != 2:
            raise ValueError(
                f"{where}: model must take images, or rows of numbers, and give a row of numbers for each, "
                f"got {model.input_shape} and {model.output_shape}"
            )
        if "layers" in parameters:
            raise ValueError(f"{where}: layers is the model, got {parameters['layers']!r} too")
        told: dict[str, Any] = {"dtype": model.dtype.name, "data_format": None}
        if len(shape) == 3:
            told["data_format"] = model.data_format
        for name, value in told.items():
            if parameters.get(name, value) != value:
                raise ValueError(f"{where}: {name} must be the model's, {value!r}, got {parameters[name]!r}")
        made = cls(**{"layers": model, **told, **parameters})
        made._validate_params()
        made.input_shape_ = shape
        made.n_features_in_ = math.prod(shape)
        return made

    def _take(self, model: Model) -> Self:
        """Take this trained network as the estimator's."""
        self.model_ = model
        self._begin()
        self._compile()
        return self


class Ending(NamedTuple):
    """How a model's outputs become probabilities of sorted classes.

    Attributes
    ----------
    classes : ndarray
        Sorted.
    order : ndarray or None
        The number of each class' unit; None if the units are sorted already.
    units : int
        Number of the model's units; 1 for two classes.
    """

    classes: np.ndarray
    order: np.ndarray | None
    units: int


def ending(where: str, model: Model, classes: Any) -> Ending:
    """Return the ending for a classifier's units; `classes` are its labels in the order of the units."""
    units = model.output_shape[1]
    count = max(units, 2)
    labels = np.arange(count) if classes is None else np.asarray(classes)
    if labels.ndim != 1 or len(labels) != count:
        raise ValueError(f"{where}: classes must be {count} labels, one for each output, got {classes!r}")
    found, order = np.unique(labels, return_index=True)
    if len(found) != count:
        raise ValueError(f"{where}: classes must be different from each other, got {classes!r}")
    return Ending(found, None if np.array_equal(order, np.arange(count)) else order, units)


def classifying(where: str, model: Model, end: Ending) -> Model:
    """Return a copy of a trained model with its weights, whose outputs are probabilities of sorted classes.

    A softmax is kept; scores get one. One sigmoid, or one score, belongs to the second of two classes.
    """
    flow = model._inlined().flow
    layer = flow.uses[flow.outputs[0] - 1].layer
    kind = getattr(getattr(layer, "activation", None), "key", "linear")
    if kind not in ("softmax", "linear", "sigmoid") or (kind == "sigmoid" and end.units > 1):
        raise ValueError(
            f"{where}: model must end in a softmax, in scores without an activation, or in one sigmoid, "
            f"got {kind}"
        )
    if kind == "softmax" and end.units == 1:
        raise ValueError(f"{where}: model must give several shares: a softmax of one unit is always 1")
    turned = end.units == 1 or end.order is not None
    if turned and not isinstance(layer, Dense):
        raise ValueError(
            f"{where}: model must end in a dense layer unless it has an output for each class, and these are "
            f"sorted, got {layer!r}"
        )
    if not isinstance(layer, Dense) or not (turned or kind == "linear"):
        return copied(where, model, softmax=kind == "linear")
    last = Dense.from_config({**layer.get_config(), "units": len(end.classes), "activation": "softmax"})
    return copied(where, model, layer, last, weights_of(layer, end))


def weights_of(layer: Dense, end: Ending) -> list[np.ndarray]:
    """Return the weights of the last layer, with units in the order of the classes.

    One unit z becomes (0, z), for which softmax returns 1 - sigmoid(z) and sigmoid(z).
    """
    arrays = layer.get_weights()
    if end.units == 1:
        arrays = [np.concatenate([np.zeros_like(array), array], axis=-1) for array in arrays]
    return arrays if end.order is None else [array[..., end.order] for array in arrays]


def copied(
    where: str,
    model: Model,
    old: Layer | None = None,
    new: Layer | None = None,
    weights: Sequence[np.ndarray] = (),
    *,
    softmax: bool = False,
) -> Model:
    """Return a copy of a trained model with its weights; optionally replace one layer, or add a softmax."""
    x = graphs.image(model.input_shape[1:], model.data_format)
    instead = {path: new for path, layer in model._named if layer is old and new is not None}
    y, copies = graphs.grafted(where, model, x, instead)
    y = Activation("softmax")(y) if softmax else y
    made = Model(x, y, seed=model.seed, dtype=model.dtype, data_format=model.data_format)
    for path, layer in model._named:
        copies[path].set_weights(weights if path in instead else layer.get_weights())
    return made
