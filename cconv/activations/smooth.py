"""SiLU, GELU, ELU and other smooth activations.

Stated errors are the largest found on all instruction sets, in units in the last place of y, where exp(x) is
a normal number. Errors of derivatives are at most two units in the last place of 1; for infinite x
derivatives have their limits.
"""

import numpy as np

from cconv import arguments, ops
from cconv.activations.base import Activation
from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite
from cconv.ops.run import Run, replayable


class SiLU(Activation):
    """``y = x / (1 + exp(-x))``, "swish" (Elfwing et al. 2018); errors up to 3.5 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(SiLU()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.2689,  0.    ,  1.7616]])
    """

    key = "silu"
    keeps = "input"


class GELU(Activation):
    """``y = x Φ(x)`` with the normal distribution function Φ; errors up to 4.5 units in the last place.

    Hendrycks & Gimpel 2016. With `approximate`, Φ is ``(1 + tanh(√(2/π) (x + 0.044715 x³))) / 2``; errors are
    up to 3.5 units, and below zero up to 3.5 (1 + w) units with ``w = 1.6 |x| + 0.07 |x|³``, because the
    relative error of exp(-w) is w times that of w.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(GELU()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.1587,  0.    ,  1.9545]])
    """

    key = "gelu"
    keeps = "input"

    def __init__(self, approximate: bool = False) -> None:
        self.approximate: bool = arguments.flag("GELU", "approximate", approximate)

    @replayable
    @controlled
    def __call__(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the function's values, of x's shape and dtype."""
        return ops.gelu_tanh(x, run) if self.approximate else ops.gelu(x, run)

    @replayable
    @controlled
    def backward(self, dy: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        """Return dx for the input, here called `y`, and the output's gradient `dy`."""
        return ops.gelu_tanh_backward(dy, y, run) if self.approximate else ops.gelu_backward(dy, y, run)


class ELU(Activation):
    """``y = x`` where x > 0, else ``alpha · (exp(x) - 1)``; errors up to 2 units in the last place.

    Clevert, Unterthiner, Hochreiter 2016. For other alpha than 1 errors are up to 2.5 units.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(ELU()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.6321,  0.    ,  2.    ]])
    """

    key = "elu"
    keeps = "input"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha: float = finite("ELU", "alpha", alpha)

    @replayable
    @controlled
    def __call__(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the function's values, of x's shape and dtype."""
        return ops.elu(x, self.alpha, run)

    @replayable
    @controlled
    def backward(self, dy: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        """Return dx for the input, here called `y`, and the output's gradient `dy`."""
        return ops.elu_backward(dy, y, self.alpha, run)


class SELU(Activation):
    """``y = 1.0507… · elu(x, 1.6733…)`` (Klambauer et al. 2017); errors up to 2.5 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(SELU()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-1.1113,  0.    ,  2.1014]])
    """

    key = "selu"
    keeps = "input"


class Softplus(Activation):
    """``y = log(1 + exp(x))`` (Dugas et al. 2001); errors up to 2 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(Softplus()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[0.3133, 0.6931, 2.1269]])
    """

    key = "softplus"
    keeps = "input"


class Softsign(Activation):
    """``y = x / (1 + |x|)`` (Turian, Bergstra, Bengio 2009); errors up to 1.5 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(Softsign()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.5   ,  0.    ,  0.6667]])
    """

    key = "softsign"
    keeps = "input"


class Mish(Activation):
    """``y = x tanh(log(1 + exp(x)))`` (Misra 2019); errors up to 4 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(Mish()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.3034,  0.    ,  1.944 ]])
    """

    key = "mish"
    keeps = "input"


class HardSigmoid(Activation):
    """``y = min(max(x + 3, 0), 6) / 6`` (Howard et al. 2019, section 5.2).

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(HardSigmoid()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[0.3333, 0.5   , 0.8333]])
    """

    key = "hard_sigmoid"
    keeps = "input"


class HardSiLU(Activation):
    """``y = x · hard_sigmoid(x)`` (Howard et al. 2019, section 5.2); also "hard_swish".

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(HardSiLU()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.3333,  0.    ,  1.6667]])
    """

    key = "hard_silu"
    keeps = "input"


class Exponential(Activation):
    """``y = exp(x)``, with errors up to 1.1 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(Exponential()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[0.3679, 1.    , 7.3891]])
    """

    key = "exponential"
