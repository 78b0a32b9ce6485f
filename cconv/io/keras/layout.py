"""Where Keras 3 stores the arrays of layers: ``layers/conv2d_1/vars/0``, numbered by class."""

from collections.abc import Iterable, Iterator
from typing import Any

from cconv.arguments.text import snake_case


def folders(listed: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the name of each layer and the folder of its arrays, for classes and names in Keras' order."""
    counts: dict[str, int] = {}
    for class_name, name in listed:
        base = snake_case(class_name)
        number = counts.get(base, -1) + 1
        counts[base] = number
        yield name, f"{base}_{number}" if number else base


def in_order(names: Iterable[Any]) -> list[str]:
    """Return the names of a layer's arrays in numerical order: HDF5 sorts ``10`` before ``2``."""
    return sorted(
        map(str, names), key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
    )
