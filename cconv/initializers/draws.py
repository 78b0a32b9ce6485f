"""Initial values that are drawn independently of each other."""

import math
from collections.abc import Iterator

import numpy as np

from cconv.arguments.numbers import finite, one_of
from cconv.exactmath import normal_quantile
from cconv.initializers.base import Initializer, fans
from cconv.seeds import bits, check_seed
from cconv.seeds import uniform as uniform_of

CHUNK = 1 << 16  # number of draws at a time, so that a large kernel needs no second array of its size
CUT = 0.02275013194817921  # Φ(-2), the probability of each tail that truncation removes
# Standard deviation of the standard normal distribution truncated at ±2.
CUT_STDDEV = 0.87962566103423978


def _draws(flat: np.ndarray, seed: int, stream: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (slice, uniform draws for it) until the array is full."""
    generator = bits(seed, stream)
    for start in range(0, flat.size, CHUNK):
        place = slice(start, min(start + CHUNK, flat.size))
        yield place, uniform_of(generator.random_raw(place.stop - place.start))


def own_seed(where: str, seed: int | None) -> int | None:
    """Return an initializer's seed, checked, or None."""
    return None if seed is None else check_seed(where, seed)


class RandomUniform(Initializer):
    """Uniform draws from (minval, maxval).

    Examples
    --------
    >>> w = RandomUniform(-1, 1)((1000,), seed=3)
    >>> bool(-1 < w.min() < w.max() < 1)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None):
        self.minval: float = finite("RandomUniform", "minval", minval)
        self.maxval: float = finite("RandomUniform", "maxval", maxval, least=self.minval)
        self.seed: int | None = own_seed("RandomUniform", seed)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        for place, u in _draws(flat, seed, stream):
            flat[place] = self.minval + u * (self.maxval - self.minval)


class RandomNormal(Initializer):
    """Normal draws.

    Examples
    --------
    >>> w = RandomNormal(stddev=0.01)((10000,), seed=3)
    >>> round(float(w.std()), 3)
    0.01
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        self.mean: float = finite("RandomNormal", "mean", mean)
        self.stddev: float = finite("RandomNormal", "stddev", stddev, least=0.0)
        self.seed: int | None = own_seed("RandomNormal", seed)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        for place, u in _draws(flat, seed, stream):
            flat[place] = self.mean + self.stddev * normal_quantile(u)


class TruncatedNormal(Initializer):
    """Normal draws without those beyond two standard deviations.

    `stddev` is that of the distribution before truncation, as in Keras.

    Examples
    --------
    >>> w = TruncatedNormal()((3, 3, 16, 32), seed=0)
    >>> w.shape, round(float(w.std()), 3)
    ((3, 3, 16, 32), 0.044)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        self.mean: float = finite("TruncatedNormal", "mean", mean)
        self.stddev: float = finite("TruncatedNormal", "stddev", stddev, least=0.0)
        self.seed: int | None = own_seed("TruncatedNormal", seed)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        for place, u in _draws(flat, seed, stream):
            flat[place] = self.mean + self.stddev * normal_quantile(CUT + u * (1.0 - 2.0 * CUT))


class VarianceScaling(Initializer):
    """Draws with variance `scale` / fan, so that signals keep their size from layer to layer.

    Parameters
    ----------
    scale : float
        Numerator of the variance, above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        The fan by which to divide.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        Shape of the distribution.
    seed : int, optional
        Seed of the draws; by default the caller's.

    Notes
    -----
    Glorot & Bengio 2010 ("Understanding the difficulty of training deep feedforward neural
    networks"): scale 1, fan_avg. He et al. 2015 ("Delving deep into rectifiers"): scale 2,
    fan_in. LeCun et al. 1998 ("Efficient BackProp"): scale 1, fan_in.

    Examples
    --------
    >>> w = VarianceScaling(2.0, "fan_in", "untruncated_normal")((3, 3, 64, 64), seed=1)
    >>> round(float(w.var()) * 3 * 3 * 64, 1)
    2.0
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ):
        where = type(self).__name__
        self.scale: float = finite(where, "scale", scale, least=0.0)
        self.mode: str = one_of(where, "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        kinds = ("truncated_normal", "untruncated_normal", "uniform")
        kind = "truncated_normal" if distribution == "normal" else distribution  # as in Keras
        self.distribution: str = one_of(where, "distribution", kind, kinds)
        self.seed: int | None = own_seed(where, seed)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(fan, 1))
        source: Initializer
        if self.distribution == "uniform":
            source = RandomUniform(-math.sqrt(3.0) * stddev, math.sqrt(3.0) * stddev)
        elif self.distribution == "truncated_normal":
            source = TruncatedNormal(stddev=stddev / CUT_STDDEV)
        else:
            source = RandomNormal(stddev=stddev)
        source._fill(flat, shape, seed, stream)


class _Scaled(VarianceScaling):
    """A variance scaling with fixed scale, mode and distribution."""

    choice: tuple[float, str, str]

    def __init__(self, seed: int | None = None):
        super().__init__(*self.choice, seed=seed)


class GlorotUniform(_Scaled):
    """Uniform in ±√(6 / (fan_in + fan_out)) (Glorot & Bengio 2010); Keras' default for kernels.

    Examples
    --------
    >>> w = GlorotUniform()((3, 3, 16, 32), seed=0)
    >>> w.shape, round(float(w.std()), 3)
    ((3, 3, 16, 32), 0.068)
    """

    choice: tuple[float, str, str] = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010).

    Examples
    --------
    >>> w = GlorotNormal()((3, 3, 16, 32), seed=0)
    >>> w.shape, round(float(w.std()), 3)
    ((3, 3, 16, 32), 0.068)
    """

    choice: tuple[float, str, str] = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform in ±√(6 / fan_in) (He et al. 2015).

    Examples
    --------
    >>> w = HeUniform()((3, 3, 16, 32), seed=0)
    >>> w.shape, round(float(w.std()), 3)
    ((3, 3, 16, 32), 0.118)
    """

    choice: tuple[float, str, str] = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in (He et al. 2015).

    Examples
    --------
    >>> w = HeNormal()((3, 3, 16, 32), seed=0)
    >>> w.shape, round(float(w.std()), 3)
    ((3, 3, 16, 32), 0.118)
    """

    choice: tuple[float, str, str] = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform in ±√(3 / fan_in) (LeCun et al. 1998).

    Examples
    --------
    >>> w = LecunUniform()((3, 3, 16, 32), seed=0)
    >>> w.shape, round(float(w.std()), 3)
    ((3, 3, 16, 32), 0.083)
    """

    choice: tuple[float, str, str] = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in (LeCun et al. 1998).

    Examples
    --------
    >>> w = LecunNormal()((3, 3, 16, 32), seed=0)
    >>> w.shape, round(float(w.std()), 3)
    ((3, 3, 16, 32), 0.083)
    """

    choice: tuple[float, str, str] = (1.0, "fan_in", "truncated_normal")
