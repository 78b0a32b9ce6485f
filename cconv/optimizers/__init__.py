"""Optimizers: how gradients change the weights, each one fused pass over all arrays.

The rules and the default numbers are Keras 3's. In the formulas w is a weight, g its gradient
(with the L2 penalty's), t = 1, 2, … the step, and all products are element by element.
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

# As Keras once called them, and courses still do: `keras.optimizers.rmsprop(lr=0.0001, decay=1e-6)`.
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
    """Return the optimizer that `value` stands for.

    Parameters
    ----------
    value : str, Optimizer or mapping
        ``"adam"`` in any case, ``Adam(1e-4)`` or its configuration.
    where, name : str
        Begin the error message.

    Raises
    ------
    TypeError, ValueError
        When it stands for none.

    Examples
    --------
    >>> get("Adam")
    Adam()
    """
    return arguments.resolve(where, name, value, Optimizer, _CLASSES)


refusing(globals(), functions=["get"])
