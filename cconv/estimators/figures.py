"""The figures of an estimator's epochs: scores during training, loss and score of validation samples."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cconv import functional, losses
from cconv.estimators import data, networks
from cconv.estimators.data import Samples
from cconv.metrics import MeanMetricWrapper
from cconv.models import Model

# Maps targets and outputs to one number per sample; their mean is the score.
PerSample = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Score(MeanMetricWrapper):
    """The mean of one number per sample; higher is better.

    Parameters
    ----------
    name : str
        Its name in the figures.
    per_sample : callable
        Returns the numbers, for targets and outputs.
    weight : array of float, optional
        Weights of the samples; only if every batch has all of them in one order.
    """

    def __init__(self, name: str, per_sample: PerSample, weight: np.ndarray | None = None) -> None:
        shares = 1.0 if weight is None else weight / np.mean(weight)
        super().__init__(lambda true, out: per_sample(true, out) * shares, name)
        self.per_sample = per_sample
        self.weight = weight
        self.rising = True


def hits(true: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Return for each sample whether the first largest output is at its class; the mean is the accuracy.

    Examples
    --------
    >>> hits(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]])).tolist()
    [True, False]
    """
    return outputs.argmax(axis=-1) == true.reshape(-1)


def explained(y: np.ndarray, weight: np.ndarray | None) -> PerSample:
    """Return a function whose numbers have as mean the R² of outputs for targets y, (n, n_outputs).

    ``1 - mean over outputs of (y - output)² / variance of y``: over all samples the mean is
    ``sklearn.metrics.r2_score``. If a target is constant, only the exact output scores.

    Examples
    --------
    >>> y = np.array([[1.0], [2.0], [3.0]])
    >>> float(explained(y, None)(y, y + 0.5).mean())
    0.625
    """
    mean = np.average(y, axis=0, weights=weight)
    variance = np.average(np.square(y - mean), axis=0, weights=weight)
    varies = variance > 0

    def per_sample(true: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        squares = np.square(outputs.astype(np.float64).reshape(true.shape) - true)
        shares = np.where(varies, squares / np.where(varies, variance, 1.0), squares > 0)
        return 1.0 - shares.mean(axis=1)

    return per_sample


def held_figures(model: Model, loss: str, samples: Samples, per_sample: PerSample) -> tuple[float, float]:
    """Return a model's loss and score on samples that it is not trained on.

    Parameters
    ----------
    model : Model
        Compiled. If its loss is a cross-entropy, it is computed from the logits.
    loss : str
        The name of its loss.
    samples : Samples
        Images (n, *shape), targets in the loss' form, and weights.
    per_sample : callable
        Returns numbers whose mean is the score.
    """
    from_logits = losses.get(loss).activation == "softmax"
    over = networks.with_activation(model, "linear") if from_logits else model
    outputs = over.predict(samples.x, verbose=0)
    weight = data.with_mean_one(samples.weight)
    value, _ = losses.get(loss)(samples.y, outputs, weight, from_logits=from_logits)
    seen = functional.softmax(outputs) if from_logits else outputs
    score = np.average(per_sample(samples.y, seen), weights=samples.weight)
    return value + model._penalty(), float(score)


def extended(
    history: Mapping[str, Sequence[float]], epochs: Sequence[Mapping[str, float]], before: int
) -> dict[str, list[float]]:
    """Return the figures of `before` epochs extended by new ones; NaN if an epoch lacks one.

    Examples
    --------
    >>> extended({"loss": [2.0]}, [{"loss": 1.0, "val_loss": 3.0}], 1)
    {'loss': [2.0, 1.0], 'val_loss': [nan, 3.0]}
    """
    names = dict.fromkeys([*history, *(name for epoch in epochs for name in epoch)])
    return {
        name: [*history.get(name, [math.nan] * before), *(epoch.get(name, math.nan) for epoch in epochs)]
        for name in names
    }


def known_first(score: float) -> float:
    """Return a key for finding the largest score: NaN is smaller than every number.

    Examples
    --------
    >>> max([math.nan, 0.5, 0.25], key=known_first)
    0.5
    """
    return -math.inf if math.isnan(score) else score
