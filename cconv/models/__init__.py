"""Models: `Sequential`, a row of layers, and `Model`, a graph of layers, as in Keras."""

from cconv.arguments.keras_names import METHODS, refusing
from cconv.models.frozen import Frozen
from cconv.models.loading import clone_model, load_model, model_from_json
from cconv.models.model import Model
from cconv.models.sequential import Sequential
from cconv.models.stepping import NonFiniteLossError

__all__ = [
    "Frozen",
    "Model",
    "NonFiniteLossError",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
]

refusing(globals(), functions=["clone_model", "load_model", "model_from_json"], methods=METHODS)
