"""`cconv.schedules` where Keras has it: ``from keras.optimizers.schedules import CosineDecay``."""

from cconv.arguments.keras_names import refusing
from cconv.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    Schedule,
    get,
)

__all__ = ["CosineDecay", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay", "Schedule", "get"]


refusing(globals())
