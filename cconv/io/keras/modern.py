"""The arrays in Keras 3's files: ``.weights.h5``, and the HDF5 file inside a ``.keras`` file."""

from collections.abc import Mapping

from cconv.files.hdf5 import Reader
from cconv.io.keras.layout import folders, in_order
from cconv.io.keras.source import Finder

Listed = Mapping[str, list[tuple[str, str]]]  # for each model, by path: classes and names of its layers


def places(layers: Listed) -> dict[str, str]:
    """Return the folder of each layer's arrays, by the layer's name in the whole model."""
    found: dict[str, str] = {}
    todo = [("", "")]
    while todo:
        path, folder = todo.pop()
        for name, own in folders(layers[path]):
            below = f"{path}{name}/"
            found[f"{path}{name}"] = f"{folder}layers/{own}"
            if below in layers:
                todo.append((below, f"{folder}layers/{own}/"))
    return found


def finder(reader: Reader, layers: Listed) -> Finder:
    """Return a function that finds a layer's arrays by its name."""
    known = places(layers)

    def find(name: str) -> list[str]:
        return variables(reader, known[name]) if name in known else []

    return find


def variables(reader: Reader, folder: str) -> list[str]:
    """Return the paths of the arrays in a folder, in their order."""
    group = f"{folder}/vars"
    return [
        path
        for name in in_order(reader.groups.get(group, ()))
        if (path := f"{group}/{name}") in reader.arrays
    ]


def optimizer_variables(reader: Reader) -> list[str]:
    """Return the paths of the optimizer's arrays, in their order."""
    return variables(reader, "optimizer")
