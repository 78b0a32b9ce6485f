"""The module of `to_categorical` in the Keras of 2018, as imported in courses of that time."""

from cconv.utils import to_categorical

__all__ = ["to_categorical"]
