"""Record true values of the smooth activations and their derivatives in tests/data/activations.npz.

    python tools/activation_truths.py            # needs mpmath

Each is computed to 60 digits and kept as the sum of two float64, so that errors of float64 kernels can be
told in parts of a unit of the last place. The arguments of ``float32`` are numbers of that type.
"""

from pathlib import Path

import mpmath
import numpy as np
from mpmath import mpf

PATH = Path(__file__).parents[1] / "tests/data/activations.npz"
SAMPLES = 300
SELU_SCALE, SELU_ALPHA = mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717")


def sigmoid(x):
    """Return the logistic function."""
    return 1 / (1 + mpmath.exp(-x))


def elu(x, alpha=1):
    """Clevert, Unterthiner, Hochreiter 2016."""
    return x if x > 0 else alpha * mpmath.expm1(x)


def elu_slope(x, alpha=1):
    """Return the derivative of `elu`."""
    return mpf(1) if x > 0 else alpha * mpmath.exp(x)


def normal(x):
    """Return the normal distribution function, to all digits in its tail too."""
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def inner(x):
    """Twice what GELU's approximation takes the tanh of, and its derivative."""
    c, k = 2 * mpmath.sqrt(2 / mpmath.pi), mpf("0.044715")
    return c * (x + k * x**3), c * (1 + 3 * k * x**2)


def gelu_tanh_slope(x):
    """Return the derivative of x sigmoid(inner(x))."""
    w, dw = inner(x)
    return sigmoid(w) * (1 + x * dw * sigmoid(-w))


def mish_tanh(x):
    """tanh(log(1 + exp(x)))."""
    n = mpmath.exp(x) * (mpmath.exp(x) + 2)
    return n / (n + 2)


def mish_slope(x):
    """Return the derivative of x tanh(log(1 + exp(x)))."""
    t = mish_tanh(x)
    return t + x * (1 - t**2) * sigmoid(x)


FUNCTIONS = {
    "silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
    "gelu": (
        lambda x: x * normal(x),
        lambda x: normal(x) + x * mpmath.exp(-(x**2) / 2) / mpmath.sqrt(2 * mpmath.pi),
    ),
    "gelu_tanh": (lambda x: x * sigmoid(inner(x)[0]), gelu_tanh_slope),
    "elu": (elu, elu_slope),
    "selu": (
        lambda x: SELU_SCALE * elu(x, SELU_ALPHA),
        lambda x: SELU_SCALE * elu_slope(x, SELU_ALPHA),
    ),
    "softplus": (lambda x: mpmath.log1p(mpmath.exp(x)), sigmoid),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
    "mish": (lambda x: x * mish_tanh(x), mish_slope),
}


def arguments(dtype, seed):
    """Numbers where the functions bend, and where exp(x) is a normal number still, and tiny ones."""
    rng = np.random.default_rng(seed)
    least = 86.0 if dtype == "float32" else 700.0
    parts = (
        rng.uniform(-3, 3, SAMPLES),
        rng.uniform(-13, 13, SAMPLES // 2),
        rng.uniform(-least, 30, SAMPLES // 2),
        rng.choice((-1, 1), SAMPLES // 4) * 10.0 ** rng.uniform(-30, 0, SAMPLES // 4),
    )
    return np.concatenate(parts).astype(dtype).astype(np.float64)


def halves(values):
    """Return two arrays whose exact sum is the values to about 106 bits."""
    high = np.array([float(v) for v in values])
    return np.stack([high, [float(v - mpf(h)) for v, h in zip(values, high, strict=True)]])


def main():
    """Write the file."""
    mpmath.mp.dps = 60
    found = {}
    for number, dtype in enumerate(("float32", "float64")):
        x = arguments(dtype, number)
        found[f"{dtype}/x"] = x
        exact = [mpf(float(v)) for v in x]
        for name, (value, slope) in FUNCTIONS.items():
            found[f"{dtype}/{name}"] = halves([value(v) for v in exact])
            found[f"{dtype}/{name}_slope"] = halves([slope(v) for v in exact])
    np.savez_compressed(PATH, **found)
    print(f"wrote {PATH}")


if __name__ == "__main__":
    main()
