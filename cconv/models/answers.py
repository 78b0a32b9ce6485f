"""The outputs of a model for an image in words: a class, numbers, or an image.

The activation at the model's end decides; if it is linear, a loss with ``from_logits`` decides.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cconv.layers import Dropout, Flatten, GlobalAveragePooling2D, Reshape
from cconv.losses import BinaryCrossentropy
from cconv.losses.joint import parts_of
from cconv.models import Model, Sequential

THRESHOLD = 0.5  # a probability above it means yes, as in the metrics

Say = Callable[[np.ndarray], str]
Function = Callable[[np.ndarray], np.ndarray]


def answers(model: Sequential) -> Say:
    """Return a function that describes a model's outputs for one image in a few words.

    Parameters
    ----------
    model : Sequential
        Built.

    Returns
    -------
    callable
        Takes the outputs for one image, a finite array of the model's output shape, and returns a string. For
        a softmax: the class and its probability. For one sigmoid: the class, 0 or 1, and its probability. For
        several sigmoids trained with binary cross-entropy: every class above one half. For other vectors: the
        numbers. For an image: its size and range.

    Raises
    ------
    ValueError
        For a softmax over a single output: it is 1 for every image.

    Examples
    --------
    >>> from cconv.layers import Dense
    >>> say = answers(Sequential([Dense(1, activation="sigmoid", input_shape=(4,))]))
    >>> say(np.array([0.25])), say(np.array([0.75]))
    ('0 0.7500', '1 0.7500')
    """
    meant = meaning(model)
    return lambda y: _SAY[meant.kind](meant.values(y))


class Meaning(NamedTuple):
    """The kind of a model's outputs for one image.

    Attributes
    ----------
    kind : str
        "class", "yes or no" (class 0 or 1, by one probability), "classes" (all classes above one half),
        "numbers" or "image".
    values : callable
        Converts the outputs: to a float64 vector of probabilities, to numbers, or returns the image
        unchanged.
    """

    kind: str
    values: Function

    def probabilities(self, y: np.ndarray) -> np.ndarray | None:
        """Return the probability of each class; None for numbers and images."""
        if self.kind in ("numbers", "image"):
            return None
        p = self.values(y)
        return np.array([1 - p[0], p[0]]) if self.kind == "yes or no" else p


def meaning(model: Model, output: int = 0) -> Meaning:
    """Return the kind of what a built model gives for one image, in the output with that number.

    Raises
    ------
    ValueError
        For a softmax over a single output: it is 1 for every image.

    Examples
    --------
    >>> from cconv.layers import Dense
    >>> meant = meaning(Sequential([Dense(3, activation="softmax", input_shape=(4,))]))
    >>> meant.kind, meant.probabilities(np.array([0.25, 0.5, 0.25]))
    ('class', array([0.25, 0.5 , 0.25]))
    """
    shape = model._inner_output_shapes()[output]
    size = shape[-1]
    if math.prod(shape) != size:
        return Meaning("image", np.asarray)
    parts = parts_of(model.loss)
    loss: Any = parts[output] if output < len(parts) else None
    kind, probabilities = _activation(model, output, size, loss)
    if kind == "softmax" and size == 1:
        raise ValueError(
            "the model ends in a softmax over a single output, which is 1 for every image; "
            "for two classes it must be a sigmoid"
        )
    said = "numbers"
    if kind == "softmax":
        said = "class"
    elif kind == "sigmoid":
        several = isinstance(loss, BinaryCrossentropy)
        said = "yes or no" if size == 1 else "classes" if several else "class"
    return Meaning(said, lambda y: probabilities(np.asarray(y, np.float64).reshape(-1)))


def _activation(model: Model, output: int, size: int, loss: Any) -> tuple[str, Function]:
    """Return "softmax", "sigmoid" or "", and the function from the outputs to that activation's values."""
    flow = model._inlined().flow
    value, last = flow.outputs[output], None
    while value >= flow.n_inputs:
        last = flow.uses[value - flow.n_inputs].layer
        # These layers move or average probabilities; the results are still probabilities.
        if not isinstance(last, Flatten | Reshape | Dropout | GlobalAveragePooling2D):
            break
        value = flow.uses[value - flow.n_inputs].inputs[0]
    key = getattr(getattr(last, "activation", None), "key", "linear")
    if key == "linear" and getattr(loss, "from_logits", False):
        return loss.activation, _softmax if loss.activation == "softmax" else _sigmoid
    if key in ("softmax", "log_softmax") and last is not None and last._inner(last.output_shape)[-1] == size:
        return "softmax", np.exp if key == "log_softmax" else np.asarray
    return (key if key == "sigmoid" else ""), np.asarray


def _softmax(y: np.ndarray) -> np.ndarray:
    powers = np.exp(y - y.max())
    return powers / powers.sum()


def _sigmoid(y: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -y))


def _best(y: np.ndarray) -> str:
    best = int(np.argmax(y))
    return f"{best} {y[best]:.4f}"


def _yes_or_no(y: np.ndarray) -> str:
    probability = float(y[0])
    return f"1 {probability:.4f}" if probability > THRESHOLD else f"0 {1 - probability:.4f}"


def _all(y: np.ndarray) -> str:
    found = [f"{number} {y[number]:.4f}" for number in np.flatnonzero(y > THRESHOLD)]
    return ", ".join(found) or "none of the classes"


def _numbers(y: np.ndarray) -> str:
    return " ".join(f"{number:.6g}" for number in y)


def _image(y: np.ndarray) -> str:
    return f"an image of {'x'.join(map(str, y.shape))}, from {y.min():.6g} to {y.max():.6g}"


_SAY: dict[str, Say] = {
    "class": _best,
    "yes or no": _yes_or_no,
    "classes": _all,
    "numbers": _numbers,
    "image": _image,
}
