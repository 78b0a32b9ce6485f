"""The module that held `to_categorical` in the Keras of 2018, and that courses of that time import."""

from cconv.utils import to_categorical

__all__ = ["to_categorical"]
