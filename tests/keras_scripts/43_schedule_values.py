"""The schedules of learning rates, called with steps."""

from cconv.optimizers import schedules

RESULT = {}
for name, schedule in {
    "exponential": schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=0.9),
    "staircase": schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=0.9, staircase=True),
    "piecewise": schedules.PiecewiseConstantDecay([5, 20], [0.1, 0.05, 0.01]),
    "polynomial": schedules.PolynomialDecay(0.1, decay_steps=30, end_learning_rate=0.01, power=2.0),
    "cycle": schedules.PolynomialDecay(0.1, decay_steps=12, end_learning_rate=0.01, cycle=True),
    "inverse": schedules.InverseTimeDecay(0.1, decay_steps=5, decay_rate=0.5),
    "cosine": schedules.CosineDecay(0.1, decay_steps=30, alpha=0.1),
    "warmup": schedules.CosineDecay(0.0, decay_steps=30, warmup_target=0.1, warmup_steps=10),
    "restarts": schedules.CosineDecayRestarts(0.1, first_decay_steps=8, t_mul=2.0, m_mul=0.9),
}.items():
    RESULT[name] = [float(schedule(step)) for step in (0, 1, 4, 5, 6, 10, 19, 25, 40)]
