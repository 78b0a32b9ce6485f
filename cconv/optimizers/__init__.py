"""Optimizers: the rules by which gradients change the weights, each as one fused pass over all arrays.

Rules and default values are those of Keras 3. In the formulas w is a weight, g its gradient (including the L2
penalty's), t = 1, 2, … the step; products are elementwise.
"""

from typing import Any

from cconv import arguments
from cconv.arguments.keras_names import refusing
from cconv.optimizers import schedules
from cconv.optimizers.adafactor import Adafactor
from cconv.optimizers.adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from cconv.optimizers.base import Optimizer
from cconv.optimizers.descent import SGD, Momentum, Nesterov
from cconv.optimizers.moments import Adam, Adamax, AdamW, Lamb, Lion, Nadam

__all__ = [
    "SGD",
    "AdaGrad",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Momentum",
    "Nadam",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "RMSprop",
    "adadelta",
    "adagrad",
    "adam",
    "get",
    "rmsprop",
    "schedules",
    "sgd",
]

AdaGrad = Adagrad
RMSProp = RMSprop

# Keras' old names, which courses still use: `keras.optimizers.rmsprop(lr=0.0001, decay=1e-6)`.
sgd = SGD
adagrad = Adagrad
rmsprop = RMSprop
adadelta = Adadelta
adam = Adam

_CLASSES: dict[str, type[Optimizer]] = {
    entry.__name__.lower(): entry
    for entry in (
        *(SGD, Momentum, Nesterov, Adagrad, RMSprop, Adadelta, Adam, AdamW, Nadam, Adamax, Lion),
        *(Adafactor, Ftrl, Lamb),
    )
}


def get(value: Any, where: str = "optimizers.get", name: str = "value") -> Optimizer:
    """Return the optimizer that `value` describes.

    Parameters
    ----------
    value : str, Optimizer or mapping
        ``"adam"`` in upper or lower case, ``Adam(1e-4)`` or its configuration.
    where, name : str
        Used at the beginning of error messages.

    Raises
    ------
    TypeError, ValueError
        When `value` does not describe an optimizer.

    Examples
    --------
    >>> get("Adam")
    Adam()
    """
    return arguments.resolve(where, name, value, Optimizer, _CLASSES)


refusing(globals(), functions=["get"])
