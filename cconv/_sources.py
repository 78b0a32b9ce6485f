"""Refuses to be imported from sources whose kernels are not compiled."""

import os
from collections.abc import Iterable
from importlib.machinery import PathFinder


def refuse_sources(folders: Iterable[str]) -> None:
    """Raise ImportError if the package's folders have the source of the kernels, and not what is made of it.

    Python prefers the folder that it is started in to what is installed: after ``pip install .`` in a
    checkout, it finds the sources there.
    """
    places = list(folders)
    source = os.path.join(places[0], "_kernels.pyx")
    if PathFinder.find_spec("cconv._kernels", places) is None and os.path.exists(source):
        raise ImportError(
            f"cconv must be imported with its kernels compiled, got its sources in {places[0]}: leave this "
            "folder (cd ..) and use the cconv that is installed, or compile them here: pip install -e ."
        )
