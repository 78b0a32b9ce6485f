"""Models: `Sequential`, layers in a row, as Keras has it."""

from cconv.arguments.keras_names import METHODS, refusing
from cconv.models.sequential import Sequential, load_model
from cconv.models.training import NonFiniteLossError

__all__ = ["NonFiniteLossError", "Sequential", "load_model"]

refusing(globals(), functions=["load_model"], methods=METHODS)
