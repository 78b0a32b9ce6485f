"""Models: `Sequential`, layers in a row, as Keras has it."""

from cconv.arguments.keras_names import METHODS, refusing
from cconv.models.sequential import Sequential, load_model

__all__ = ["Sequential", "load_model"]

refusing(globals(), functions=["load_model"], methods=METHODS)
