"""Adafactor, which stores only row and column means of the second moments."""

from typing import Any, ClassVar, Unpack

from cconv import arguments
from cconv.arguments.numbers import at_least_zero, finite
from cconv.ops import adafactor, optimizers
from cconv.optimizers.base import Optimizer
from cconv.optimizers.options import Decayed


class Adafactor(Optimizer):
    """Adafactor (Shazeer & Stern 2018, "Adafactor: adaptive learning rates with sublinear memory cost").

    ``β = 1 - tᵈ``; r and c are moving averages of the means of ``g² + ε₁`` over the last axis and over the
    axis before it, ``r ← β r + (1 - β) mean``; ``u = g / √(r c / mean r)``, or ``g / √v`` for weights with
    fewer than two axes; ``w ← w - max(ε₂, rms w) min(lr, 1/√t) u / max(1, rms u / threshold)``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Upper limit of the step size relative to the weights' root mean square.
    beta_2_decay : float
        The exponent d.
    epsilon_1, epsilon_2 : float
        ε₁ and ε₂, at least 0.
    clip_threshold : float
        Above 0: steps with a larger root mean square are scaled down.
    relative_step : bool
        Whether a learning rate that is a number is limited to ``1/√t``. As in Keras 3 it has no effect: every
        rate is limited.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> Adafactor(1e-2)
    Adafactor(learning_rate=0.01)
    """

    slots: tuple[str, ...] = ("r", "c", "v")
    _grouping: ClassVar[type[optimizers.Group]] = adafactor.TiledGroup
    _penalized: ClassVar[bool] = True

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_2_decay: float = finite("Adafactor", "beta_2_decay", beta_2_decay)
        self.epsilon_1: float = at_least_zero("Adafactor", "epsilon_1", epsilon_1)
        self.epsilon_2: float = at_least_zero("Adafactor", "epsilon_2", epsilon_2)
        self.clip_threshold: float = finite("Adafactor", "clip_threshold", clip_threshold)
        if self.clip_threshold <= 0:
            raise ValueError(f"Adafactor: clip_threshold must be above 0, got {clip_threshold!r}")
        self.relative_step: bool = arguments.flag("Adafactor", "relative_step", relative_step)

    def slot_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Return the names and shapes of the arrays stored for a weight of that shape."""
        own = {"v": shape} if len(shape) < 2 else {"r": shape[:-1], "c": (*shape[:-2], shape[-1])}
        return own | dict.fromkeys(self._extra_slots(), shape)

    def _update(self, group: Any, rate: float) -> None:
        adafactor.adafactor_update(
            group,
            rate,
            self.beta_2_decay,
            self.epsilon_1,
            self.epsilon_2,
            self.clip_threshold,
            self.iterations,
        )
