"""The module that held `plot_model` in the Keras of 2018, and that courses of that time import."""

from cconv.utils import plot_model

__all__ = ["plot_model"]
