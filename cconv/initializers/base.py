"""The base of the initializers, and the fans of a kernel."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from cconv import arguments
from cconv.arguments.arrays import aligned_empty
from cconv.arguments.control import controlled
from cconv.arguments.serializable import name_of, own_object
from cconv.seeds import new_seed


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a kernel `(…, in, out)`: the terms in the sum of an output, and of a dx.

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


def _called(own: Callable[..., Any], shape: tuple[int, ...], options: Mapping[str, Any]) -> Any:
    """Return what a function of the user's gives, which need not take all options."""
    try:
        parameters = inspect.signature(own).parameters
    except ValueError:  # of some functions of NumPy's
        return own(shape, dtype=options["dtype"])
    every = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return own(shape, **{name: value for name, value in options.items() if every or name in parameters})


def _checked(own: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return a wrapper of a user-defined `__call__`, which may return any real array of the given shape."""

    @functools.wraps(own)
    def call(self: Any, shape: Any, dtype: DTypeLike = "float32", **options: Any) -> np.ndarray:
        where = self._where
        given = {"dtype": np.dtype(dtype or "float32"), **options}
        values = arguments.as_array(where, "value", _called(partial(own, self), tuple(shape), given))
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
    that shape. It may also take ``seed``, the model's seed, and ``stream``, a number that identifies the
    array.

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

    @property
    def _where(self) -> str:
        return type(self).__name__

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
            Seed of the draws, unless the initializer has a seed of its own.
        stream : int
            Identifies the array among all arrays with the same seed.

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


class OfFunction(Initializer):
    """A function of the user's own, in place of an initializer.

    Parameters
    ----------
    function : callable
        ``function(shape, dtype=None)`` returns an array of that shape. It may also take ``seed`` and
        ``stream``, as a class.

    Examples
    --------
    >>> OfFunction(lambda shape, dtype=None: np.eye(*shape))((2, 2))
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    @property
    def _where(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    @controlled
    def __call__(self, shape: Any, dtype: Any = "float32", **options: Any) -> Any:
        """Return the result of the function."""
        return _called(self.function, shape, {"dtype": dtype, **options})

    def plain(self) -> Any:
        """Refuse: a function is not data, unless it is registered by name."""
        name = name_of(self.function) if hasattr(self.function, "__name__") else self._where
        if own_object(name) is not self.function:
            raise TypeError(
                f"{name}: an initializer that is a function is saved by its name alone, and this one is not "
                "registered: see cconv.utils.register_keras_serializable"
            )
        return name
