"""`cconv.schedules` under Keras' path: ``from keras.optimizers.schedules import CosineDecay``."""

from cconv.arguments.keras_names import refusing
from cconv.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    Schedule,
    get,
)

LearningRateSchedule = Schedule  # Keras' name

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "Schedule",
    "get",
]


refusing(globals())
