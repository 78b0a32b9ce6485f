"""cconv: convolutional networks for CPUs."""

from cconv._version import __version__
from cconv.threads import get_num_threads, set_num_threads

__all__ = ["__version__", "get_num_threads", "set_num_threads"]
