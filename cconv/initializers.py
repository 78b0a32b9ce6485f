"""Initial values of weights, by name or as objects, the same for a seed on every machine.

Draws are counter-based (`seeds.bits`), and normal numbers come from uniform ones by `exactmath`:
no machine-dependent function takes part.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from cconv import arguments
from cconv.arguments.arrays import aligned_empty
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import finite, one_of
from cconv.exactmath import normal_quantile
from cconv.seeds import bits, check_seed, new_seed
from cconv.seeds import uniform as uniform_of

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
]

CHUNK = 1 << 16  # draws made at a time: a large kernel needs no second array of its size
CUT = 0.02275013194817921  # Φ(-2), where the truncated normal distribution ends
# Standard deviation of a normal distribution that is cut at two of its standard deviations.
CUT_STDDEV = 0.87962566103423978


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a kernel `(…, in, out)`: the terms an output and a dx sum.

    Examples
    --------
    >>> fans((5, 5, 3, 8)), fans((100, 10))
    ((75, 200), (100, 10))
    """
    if len(shape) < 2:
        only = shape[0] if shape else 1
        return only, only
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


def _checked(own: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return what is called in place of the `__call__` of a class of the user's own.

    That need not take what does not concern it, and may return any array of the shape that was asked for.
    """
    parameters = inspect.signature(own).parameters
    every = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    @functools.wraps(own)
    def call(self: Any, shape: Any, dtype: DTypeLike = "float32", **options: Any) -> np.ndarray:
        where = type(self).__name__
        given = {"dtype": np.dtype(dtype or "float32"), **options}
        taken = {name: value for name, value in given.items() if every or name in parameters}
        values = arguments.as_array(where, "value", own(self, tuple(shape), **taken))
        if values.dtype.kind not in "biuf":
            raise TypeError(f"{where}: __call__ must return real numbers, got dtype {values.dtype}")
        arguments.same_shape(where, "what __call__ returns", values, tuple(shape))
        array = aligned_empty(values.shape, given["dtype"])
        array[...] = values
        return array

    return call


class Initializer(arguments.Configured):
    """Base of the initializers.

    A class of your own defines ``__call__(self, shape, dtype=None)``, as in Keras, which returns an array of
    that shape; it may also take ``seed``, the model's, and ``stream``, a number that the array alone has.

    Examples
    --------
    >>> class Diagonal(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.eye(*shape)
    >>> Diagonal()((2, 2))
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    seed: int | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__call__" in cls.__dict__:
            cls.__call__ = _checked(cls.__call__)  # type: ignore[method-assign]

    @controlled
    def __call__(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike = "float32",
        *,
        seed: int | None = None,
        stream: int = 0,
    ) -> np.ndarray:
        """Return a new array.

        Parameters
        ----------
        shape : tuple of int
            For a kernel ``(kh, kw, in, out)`` or ``(in, out)``.
        dtype : dtype
            float32 or float64: the same draws, rounded.
        seed : int, optional
            Key of the draws, unless the initializer was made with a seed of its own.
        stream : int
            Names the array among those of one seed.

        Returns
        -------
        ndarray
            C-contiguous, 64-byte aligned.
        """
        array = aligned_empty(tuple(shape), dtype)
        if self.seed is not None:
            seed = self.seed
        self._fill(array.reshape(-1), tuple(shape), new_seed() if seed is None else seed, stream)
        return array

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        raise NotImplementedError


def _draws(flat: np.ndarray, seed: int, stream: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (place, uniform draws for it) until the array is full."""
    generator = bits(seed, stream)
    for start in range(0, flat.size, CHUNK):
        place = slice(start, min(start + CHUNK, flat.size))
        yield place, uniform_of(generator.random_raw(place.stop - place.start))


def _seed(where: str, seed: int | None) -> int | None:
    return None if seed is None else check_seed(where, seed)


class Constant(Initializer):
    """Every element is `value`.

    Examples
    --------
    >>> Constant(2.0)((2,))
    array([2., 2.], dtype=float32)
    """

    def __init__(self, value: float = 0.0):
        self.value: float = finite("Constant", "value", value)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        flat[...] = self.value


class Zeros(Initializer):
    """Every element is 0."""

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        flat[...] = 0


class Ones(Initializer):
    """Every element is 1."""

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        flat[...] = 1


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
        self.seed: int | None = _seed("RandomUniform", seed)

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
        self.seed: int | None = _seed("RandomNormal", seed)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        for place, u in _draws(flat, seed, stream):
            flat[place] = self.mean + self.stddev * normal_quantile(u)


class TruncatedNormal(Initializer):
    """Normal draws, those beyond two standard deviations left out.

    `stddev` is that of the distribution before the cut, as in Keras.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        self.mean: float = finite("TruncatedNormal", "mean", mean)
        self.stddev: float = finite("TruncatedNormal", "stddev", stddev, least=0.0)
        self.seed: int | None = _seed("TruncatedNormal", seed)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        for place, u in _draws(flat, seed, stream):
            flat[place] = self.mean + self.stddev * normal_quantile(CUT + u * (1.0 - 2.0 * CUT))


class VarianceScaling(Initializer):
    """Draws whose variance is `scale` / fan, so that signals keep their size from layer to layer.

    Parameters
    ----------
    scale : float
        Numerator of the variance, above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        Which fan divides it.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        Shape of the distribution.
    seed : int, optional
        Key of the draws; by default the caller's.

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
        self.distribution: str = one_of(where, "distribution", distribution, kinds)
        self.seed: int | None = _seed(where, seed)

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
    """A variance scaling whose three choices are fixed."""

    choice: tuple[float, str, str]

    def __init__(self, seed: int | None = None):
        super().__init__(*self.choice, seed=seed)


class GlorotUniform(_Scaled):
    """Uniform in ±√(6 / (fan_in + fan_out)) (Glorot & Bengio 2010); Keras' default for kernels."""

    choice: tuple[float, str, str] = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010)."""

    choice: tuple[float, str, str] = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform in ±√(6 / fan_in) (He et al. 2015)."""

    choice: tuple[float, str, str] = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in (He et al. 2015)."""

    choice: tuple[float, str, str] = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform in ±√(3 / fan_in) (LeCun et al. 1998)."""

    choice: tuple[float, str, str] = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in (LeCun et al. 1998)."""

    choice: tuple[float, str, str] = (1.0, "fan_in", "truncated_normal")


_CLASSES: dict[str, type[Initializer]] = {
    "constant": Constant,
    "zeros": Zeros,
    "ones": Ones,
    "random_uniform": RandomUniform,
    "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
}


def get(value: Any, where: str = "initializers.get", name: str = "value") -> Initializer:
    """Return the initializer that `value` stands for.

    Parameters
    ----------
    value : str, Initializer or mapping
        ``"glorot_uniform"``, ``GlorotUniform()`` or its configuration.
    where, name : str
        Begin the error message.

    Raises
    ------
    TypeError, ValueError
        When it stands for none.

    Examples
    --------
    >>> get("he_normal")
    HeNormal()
    """
    return arguments.resolve(where, name, value, Initializer, _CLASSES)


refusing(globals(), functions=["get"])
