"""The layers of several inputs as functions: each makes a layer and calls it."""

from collections.abc import Sequence
from typing import Any

from cconv.layers.elementwise import Add, Average, Divide, Maximum, Minimum, Multiply, Subtract
from cconv.layers.joining import Concatenate, Dot
from cconv.layers.merge import Merge

__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Divide",
    "Dot",
    "Maximum",
    "Merge",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Add(**kwargs)(inputs)``, the sum of the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> add([np.array([[1.0]]), np.array([[2.0]])])
    array([[3.]])
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Subtract(**kwargs)(inputs)``, the difference of two inputs.

    Examples
    --------
    >>> import numpy as np
    >>> subtract([np.array([[1.0]]), np.array([[2.0]])])
    array([[-1.]])
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Multiply(**kwargs)(inputs)``, the product of the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> multiply([np.array([[3.0]]), np.array([[2.0]])])
    array([[6.]])
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Average(**kwargs)(inputs)``, the mean of the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> average([np.array([[3.0]]), np.array([[2.0]])])
    array([[2.5]])
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Maximum(**kwargs)(inputs)``, the largest of the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> maximum([np.array([[3.0]]), np.array([[2.0]])])
    array([[3.]])
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Minimum(**kwargs)(inputs)``, the smallest of the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> minimum([np.array([[3.0]]), np.array([[2.0]])])
    array([[2.]])
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Return ``Concatenate(axis, **kwargs)(inputs)``, the inputs joined along an axis.

    Examples
    --------
    >>> import numpy as np
    >>> concatenate([np.array([[3.0]]), np.array([[2.0]])])
    array([[3., 2.]])
    """
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: Any = -1, **kwargs: Any) -> Any:
    """Return ``Dot(axes, **kwargs)(inputs)``, the inner products of two inputs.

    Examples
    --------
    >>> import numpy as np
    >>> dot([np.array([[3.0, 1.0]]), np.array([[2.0, 4.0]])])
    array([[10.]])
    """
    return Dot(axes, **kwargs)(inputs)
