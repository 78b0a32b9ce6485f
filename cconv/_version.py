"""The version: the only place from which everything reads it."""

__version__ = "0.2.0"
