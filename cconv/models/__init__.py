"""Models: `Sequential`, layers in a row, as Keras has it."""

from cconv.arguments.keras_names import METHODS, refusing
from cconv.models.sequential import Sequential, clone_model, load_model, model_from_json
from cconv.models.training import NonFiniteLossError

__all__ = ["NonFiniteLossError", "Sequential", "clone_model", "load_model", "model_from_json"]

refusing(globals(), functions=["clone_model", "load_model", "model_from_json"], methods=METHODS)
