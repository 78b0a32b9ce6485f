"""The version: the only place from which everything reads it."""

__version__ = "0.1.0"
