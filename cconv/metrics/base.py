"""The base of metrics: a state to which batches are added, and a figure computed from it."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, initializers
from cconv.arguments.arrays import as_array
from cconv.arguments.control import controlled
from cconv.arguments.text import snake_case
from cconv.losses import Loss
from cconv.metrics.variables import Variable

Function = Callable[..., Any]
RISING: list[tuple[Function, bool]] = []  # functions, and whether a higher value is better


class Metric(arguments.Configured):
    """Base of the metrics: they accumulate over batches, so that a figure is that of all samples.

    Your own class defines `update_state`, `result` and `reset_state`. It stores its state in plain attributes
    (then its constructor ends with `reset_state`), or in variables from `add_variable`, as in Keras (then it
    need not define `reset_state`).

    Parameters
    ----------
    name : str, optional
        In the logs; by default the class' name in lower case.

    Attributes
    ----------
    rising : bool or None
        Whether a higher value is better; None if this is not known.
    gives_number : bool
        Whether `result` is one number, which a model can put into its logs.

    Examples
    --------
    >>> import numpy as np
    >>> class Largest(Metric):
    ...     def __init__(self, name="largest"):
    ...         super().__init__(name=name)
    ...         self.reset_state()
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.most = max(self.most, float(np.abs(y_pred - y_true).max()))
    ...     def result(self):
    ...         return self.most
    ...     def reset_state(self):
    ...         self.most = 0.0
    >>> metric = Largest()
    >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> metric(np.array([1.0]), np.array([2.0]))
    2.0
    """

    not_called: ClassVar[Mapping[str, str]] = {
        "call": "define update_state and result",
        "reset_states": "define reset_state",
    }
    name: str = ""
    rising: bool | None = None
    gives_number = True
    _variables: list[Variable] = []  # noqa: RUF012  (never changed in place)

    def __init__(self, *, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{type(self).__name__}: name must be a string, got {name!r}")
        self.name = name or snake_case(type(self).__name__)

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch.

        Parameters
        ----------
        y_true, y_pred : array
            Targets and predictions.
        sample_weight : array, optional
            Weights of the samples.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self) -> Any:
        """Return the figure for all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def add_variable(
        self, shape: Any = (), initializer: Any = "zeros", dtype: None = None, name: str | None = None
    ) -> Variable:
        """Return a new float64 variable of the metric's state, with Keras' `assign` and `assign_add`.

        Parameters
        ----------
        shape : tuple of int
            Empty for a single number.
        initializer : str or Initializer
            For the first value; `reset_state` sets zeros, as in Keras.
        dtype : None
            Must be None or a float dtype; sums are always float64.
        name : str, optional
            For messages.
        """
        where = type(self).__name__
        if dtype is not None and np.dtype(dtype).kind != "f":
            raise TypeError(f"{where}: dtype must be None or of floats, got {dtype!r}")
        make = initializers.get(initializer, where, "initializer")
        extents = arguments.as_shape(where, "shape", shape, len(shape)) if shape else ()
        variable = Variable(make(extents, np.dtype(np.float64), seed=0), name or "variable")
        self._variables = [*self._variables, variable]
        return variable

    add_weight = add_variable

    def reset_state(self) -> None:
        """Reset the state."""
        if not self._variables:
            raise NotImplementedError(f"{type(self).__name__} must define reset_state")
        for variable in self._variables:
            variable.assign(np.zeros(variable.shape))

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Add a batch, as `update_state`, and return `result`."""
        self.update_state(*args, **options)
        return self.result()


class _Total(Metric):
    """Sums over samples, in float64 and in their order."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.reset_state()

    def reset_state(self) -> None:
        """Reset the sums."""
        self.total: float = 0.0
        self.count: float = 0.0

    def _add(self, values: ArrayLike, sample_weight: ArrayLike | None, reduce: Function) -> None:
        found, weight = samplewise(self.name, values, sample_weight, reduce)
        self.total = self.total + float(found.sum(dtype=np.float64))
        self.count = self.count + (float(np.size(found)) if weight is None else float(weight.sum()))


class Mean(_Total):
    """The mean of values.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> mean = Mean()
    >>> mean.update_state([1.0, 0.0])
    >>> mean.update_state(1.0, sample_weight=2)
    >>> mean.result()
    0.75
    """

    def __init__(self, name: str = "mean") -> None:
        super().__init__(name)

    @controlled
    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:  # type: ignore[override]
        """Add values whose first axis is the samples, or one number.

        Parameters
        ----------
        values : array
            Each sample counts with the mean of its values.
        sample_weight : array, optional
            One per sample, or one per value.
        """
        self._add(values, sample_weight, np.mean)

    @controlled
    def result(self) -> float:
        """Return the mean over all samples since the last reset; 0 without samples."""
        return self.total / self.count if self.count else 0.0


class Sum(_Total):
    """The sum of values.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> Sum()([1.0, 2.0], sample_weight=[1, 3])
    7.0
    """

    def __init__(self, name: str = "sum") -> None:
        super().__init__(name)

    @controlled
    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:  # type: ignore[override]
        """Add values; see `Mean.update_state`."""
        self._add(values, sample_weight, np.sum)

    @controlled
    def result(self) -> float:
        """Return the sum of all values since the last reset."""
        return self.total


class MeanMetricWrapper(Mean):
    """The mean of a function's values over the samples.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_pred, **kwargs)`` returns one or more values per sample, or one number for the whole
        batch, which counts once whatever the number of samples, as in Keras.
    name : str, optional
        By default the function's.
    dtype : None
        Sums are float64.
    **kwargs
        Passed to the function.

    Examples
    --------
    >>> import numpy as np
    >>> far = MeanMetricWrapper(lambda t, p: np.abs(np.subtract(p, t)), name="far")
    >>> far([1.0, 2.0], [1.0, 5.0])
    1.5
    """

    def __init__(self, fn: Function, name: str | None = None, dtype: None = None, **kwargs: Any) -> None:
        kind = type(self).__name__
        if not callable(fn):
            raise TypeError(f"{kind}: fn must be callable, got {fn!r}")
        if isinstance(fn, Loss):
            raise TypeError(
                f"{kind}: fn must return values of samples, got the loss {fn!r}, which returns a value and a "
                "gradient: give the metric, or the function, of that name"
            )
        if dtype is not None:
            raise TypeError(f"{kind}: dtype must be None, sums are float64; got {dtype!r}")
        super().__init__(str(name or getattr(fn, "__name__", type(fn).__name__)))
        self._fn, self._options = fn, kwargs
        # Compared by identity: a user's function need not be hashable.
        self.rising = next((rising for known, rising in RISING if known is fn), None)

    @controlled
    def update_state(  # type: ignore[override]
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch; see `Metric.update_state`."""
        true, pred = as_array(self.name, "y_true", y_true), as_array(self.name, "y_pred", y_pred)
        values = as_array(self.name, "values", self._fn(true, pred, **self._options))
        if values.ndim:
            return super().update_state(values, sample_weight)
        if sample_weight is not None:
            raise ValueError(
                f"{self.name}: sample_weight needs a function that returns one value a sample; "
                f"this one returns one number for the whole batch"
            )
        return super().update_state(values)

    def _given(self) -> dict[str, Any]:
        return {"fn": self._fn, "name": self.name, **self._options}

    def get_config(self) -> dict[str, Any]:
        """Return function, name and the function's options; the function cannot be written as data."""
        return self._given()


def same_rank(values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both with the same number of axes, if they differ by a last axis of length 1, as in Keras."""
    if weight.ndim == values.ndim + 1 and weight.shape[-1] == 1:
        return (values[:, np.newaxis], weight) if values.ndim == 1 else (values, weight[..., 0])
    if values.ndim == weight.ndim + 1 and values.shape[-1] == 1:
        return (values, weight[:, np.newaxis]) if weight.ndim == 1 else (values[..., 0], weight)
    return values, weight


def samplewise(
    where: str, values: ArrayLike, sample_weight: ArrayLike | None, reduce: Function
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return one value and one weight per sample; several are reduced, as in Keras.

    Raises
    ------
    TypeError, ValueError
        When they are not numbers, or do not fit together.
    """
    found = _numbers(where, "values", values)
    weight = None
    if sample_weight is not None:
        found, weight = same_rank(found, _numbers(where, "sample_weight", sample_weight))
        inner = weight.ndim
        if found.ndim > inner:
            found = reduce(found, axis=tuple(range(inner, found.ndim)))
        try:
            weight = np.broadcast_to(weight, found.shape)
        except ValueError as error:
            text = f"{where}: sample_weight must have shape {found.shape}, got {weight.shape}"
            raise ValueError(text) from error
        found = found * weight
        if inner > 1:
            weight = reduce(weight, axis=tuple(range(1, inner)))
    if found.ndim > 1:
        found = reduce(found, axis=tuple(range(1, found.ndim)))
    return np.asarray(found), weight


def _numbers(where: str, name: str, value: Any) -> np.ndarray:
    array = as_array(where, name, value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{where}: {name} must hold real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)
