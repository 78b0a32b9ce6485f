"""The module of `plot_model` in the Keras of 2018, as imported in courses of that time."""

from cconv.utils import plot_model

__all__ = ["plot_model"]
