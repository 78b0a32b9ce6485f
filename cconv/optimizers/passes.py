"""The passes around an optimizer's rule, in Keras' order.

Gradients are accumulated and clipped; weights decay; the rule makes its step; weights are averaged.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.arrays import aligned_empty
from cconv.ops import optimizers
from cconv.optimizers.options import Options

Array = np.ndarray


class Entry:
    """A weight with its gradient, the arrays stored for it, and the factor of its L2 penalty's gradient."""

    def __init__(self, w: Array, g: Array, slots: dict[str, Array], l2: float, decays: bool) -> None:
        self.w, self.g, self.slots, self.l2, self.decays = w, g, slots, l2, decays
        self.used = g  # the gradient for the rule


class Passes:
    """The passes around the rule over weights of one dtype.

    Parameters
    ----------
    entries : sequence of Entry
        The weights; their `used` is set here.
    options : Options
        The optimizer.
    """

    def __init__(self, entries: Sequence[Entry], options: Options) -> None:
        self.steps: int = options.gradient_accumulation_steps or 1
        clips = options.clipnorm or options.clipvalue or options.global_clipnorm
        sources = []  # inputs of the clipping passes
        for entry in entries:
            if self.steps > 1:
                entry.used = entry.slots["gradient_accumulator"]
            elif clips or entry.l2:
                entry.used = aligned_empty(entry.w.shape, entry.w.dtype)
            sources.append(entry.used if self.steps > 1 or entry.l2 else entry.g)
        self._used = [entry.used for entry in entries]
        self._sum = _group([(e.used, e.g) for e in entries]) if self.steps > 1 else None
        penalized = [e for e in entries if e.l2]
        # An accumulated gradient is changed in place.
        self._penalize = _group(
            [(e.used, e.used if self.steps > 1 else e.g, e.w) for e in penalized], [e.l2 for e in penalized]
        )
        self._clip = _group(list(zip(self._used, sources, strict=True)))
        if self._clip is not None and (options.clipnorm or options.global_clipnorm):
            self._clip.partial  # noqa: B018 — made now, and not when gradients have been accumulated
        self._decay = _group([(e.w, e.w) for e in entries if e.decays and options.weight_decay])
        self._average = _group([(e.slots["average"], e.w) for e in entries if options.use_ema])

    def gather(self) -> None:
        """Accumulate the gradients of a step, and add the penalties."""
        if self._sum is not None:
            optimizers.accumulate(self._sum)
        if self._penalize is not None:
            optimizers.penalize(self._penalize)

    def square_norms(self) -> Array:
        """Return the squared norms of the gradients; accumulated gradients are averaged."""
        assert self._clip is not None
        return optimizers.square_sums(self._clip) / self.steps**2

    def scale(self, factors: Array | float) -> None:
        """Multiply each gradient by its factor; accumulated gradients are averaged."""
        assert self._clip is not None
        optimizers.scale(self._clip, factors / self.steps)

    def clip_values(self, limit: float) -> None:
        """Clip the values of the gradients."""
        assert self._clip is not None
        if self.steps > 1:
            self.scale(1.0)
        optimizers.clip(self._clip, limit)

    def decay(self, factor: float) -> None:
        """Multiply the weights by a factor, except those that are excluded."""
        if self._decay is not None:
            optimizers.scale(self._decay, factor)

    def forget_sums(self) -> None:
        """Reset the accumulated gradients."""
        if self.steps > 1:
            for array in self._used:
                array[...] = 0.0

    def average(self, momentum: float) -> None:
        """Update the weights' averages."""
        if self._average is not None:
            optimizers.average(self._average, momentum)

    def overwrite(self) -> None:
        """Replace the weights by their averages."""
        if self._average is not None:
            for average, w, *_ in self._average.entries:
                w[...] = average


def _group(arrays: list[tuple[Array, ...]], numbers: Sequence[float] | None = None) -> Any:
    """Return the arrays as a group; None if there are none."""
    return optimizers.Group(arrays, numbers) if arrays else None


def clip(passes: Sequence[Passes], options: Options) -> None:
    """Clip the gradients of all dtypes by the optimizer's options."""
    if options.clipnorm:
        for each in passes:
            norms = np.sqrt(each.square_norms())
            each.scale(options.clipnorm / np.maximum(norms, options.clipnorm))
    elif options.global_clipnorm:
        norm = np.sqrt(sum(float(square) for each in passes for square in each.square_norms()))
        factor = options.global_clipnorm / max(norm, options.global_clipnorm)
        for each in passes:
            # As in Keras everything becomes NaN if the norm is not finite.
            each.scale(factor if np.isfinite(norm) else np.nan)
    elif options.clipvalue:
        for each in passes:
            each.clip_values(options.clipvalue)
    else:
        for each in passes:
            if each.steps > 1:
                each.scale(1.0)


def before(passes: Sequence[Passes], options: Options, rate: float, calls: int) -> bool:
    """Do the passes before the rule in step `calls` (from 1); False if the step only accumulates."""
    for each in passes:
        each.gather()
    if calls % (options.gradient_accumulation_steps or 1):
        return False
    clip(passes, options)
    for each in passes:
        each.decay(1.0 - rate * (options.weight_decay or 0.0))
    return True


def after(passes: Sequence[Passes], options: Options, calls: int) -> None:
    """Do the passes after the rule, or after a step that only accumulated."""
    steps = options.gradient_accumulation_steps or 1
    if calls % steps == 0:
        for each in passes:
            each.forget_sums()
    if not options.use_ema:
        return
    done, every = (calls - 1) // steps, options.ema_overwrite_frequency
    for each in passes:
        each.average(options.ema_momentum if done else 0.0)
        if every is not None and (done + 1) % every == 0:
            each.overwrite()
