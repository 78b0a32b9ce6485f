"""The arrays in Keras 2's files: a group for each layer, with a list of its arrays."""

from typing import Any

from cconv.files.hdf5 import Reader
from cconv.io.keras.source import Finder, numbers

MODEL = "model_weights"  # the group of the layers in a file of a whole model
# Groups of the optimizer's arrays. If Keras 3 finds its own group in such a file, it builds the optimizer
# without weights, and cannot train then; so cconv uses another group, and Keras' optimizer begins anew.
THEIRS, OURS = "optimizer_weights", "cconv_optimizer_weights"


def texts(reader: Reader, group: str, name: str) -> list[str]:
    """Return a list of strings that is a group's attribute; a long list is stored in several attributes."""
    found = reader.attribute(group, name)
    if found is None:
        pieces: list[Any] = []
        while (piece := reader.attribute(group, f"{name}{len(pieces)}")) is not None:
            pieces.append(piece if isinstance(piece, list) else [piece])
        found = [text for piece in pieces for text in piece]
    return [found] if isinstance(found, str) else list(found)


def root_of(reader: Reader) -> str:
    """Return the group of the layers: that of a whole model, or the file's root."""
    return MODEL if MODEL in reader.groups else ""


def arrays_of(reader: Reader, layer: str) -> list[str]:
    """Return the paths of a layer's arrays, in order."""
    root = root_of(reader)
    group = f"{root}/{layer}" if root else layer
    names = texts(reader, group, "weight_names")
    return numbers(reader, [f"{group}/{name.strip('/')}" for name in names], f"the layer {layer!r}")


def layers_of(reader: Reader) -> list[tuple[str, list[str]]]:
    """Return the layers that have arrays, each with its arrays' paths, in order."""
    names = texts(reader, root_of(reader), "layer_names")
    found = [(name, arrays_of(reader, name)) for name in names]
    return [(name, paths) for name, paths in found if paths]


def finder(reader: Reader) -> Finder:
    """Return a function that finds a layer's arrays by its name; inside nested models by the arrays' own."""
    known = dict(layers_of(reader))

    def find(name: str) -> list[str]:
        outer, _, inner = name.partition("/")
        paths = known.get(outer, [])
        if not inner:
            return paths
        wanted = name.rpartition("/")[2]
        return [path for path in paths if path.split("/")[-2] == wanted]

    return find


def optimizer_variables(reader: Reader) -> list[str]:
    """Return the paths of the optimizer's arrays, in order."""
    group = OURS if OURS in reader.groups else THEIRS
    names = texts(reader, group, "weight_names")
    return [path for name in names if (path := f"{group}/{name.strip('/')}") in reader.arrays]
