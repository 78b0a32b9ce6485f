"""A Keras file with the interface of `cconv.models.files.Source`: arrays by the layers' names for them."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from cconv.files.hdf5 import Reader
from cconv.files.reading import Path, reading, short
from cconv.files.safetensors import Entry
from cconv.io.keras.optimizer_state import places_of_slots
from cconv.models import described
from cconv.models.files import ITERATIONS, OPTIMIZER, WEIGHTS

Finder = Callable[[str], list[str]]


class Source:
    """A model in a Keras file: see `cconv.models.files.Source`.

    A layer's arrays have numbers in the file and names in cconv: names are given in the order in which the
    layer requests them when it is built.

    Parameters
    ----------
    path : path
        The file's path, for error messages.
    document : dict
        As in cconv's own files.
    reader : Reader
        The reader of the HDF5 file.
    find : callable
        Returns the paths of a layer's arrays, in order, for the layer's name in the model.
    variables : list of str
        The paths of the optimizer's arrays, in order.
    compile : bool
        Whether the model will be compiled.
    """

    digest: str | None = ""  # not None: every array of the optimizer must belong to a weight

    def __init__(
        self,
        path: Path,
        document: dict[str, Any],
        reader: Reader,
        find: Finder,
        variables: list[str],
        compile: bool,
    ) -> None:
        self._path = path
        self.document, self._reader, self._find = document, reader, find
        self._variables, self._compile = variables, compile
        self._model: Any = None
        self._asked: dict[str, dict[str, str]] = {}  # for each layer: paths by the names of its arrays
        self._slots: dict[str, str] | None = None
        self.entries: Mapping[str, Entry] = _Entries(self)

    def make(self, where: str, class_name: Any, config: Any) -> Any:
        """Return the unbuilt model, and store it."""
        self._model = described.model_of(where, class_name, config)
        return self._model

    def place(self, name: str) -> str | None:
        """Return the path of the array with that name, None if there is none."""
        if name.startswith(OPTIMIZER):
            return self._optimizer_places().get(name)
        layer, _, weight = name.removeprefix(WEIGHTS).rpartition("/")
        known = self._asked.setdefault(layer, {})
        if weight not in known:
            paths = self._find(layer)
            if len(known) == len(paths):
                return None
            known[weight] = paths[len(known)]
        return known[weight]

    def entry(self, name: str) -> Entry:
        """Return the description of an array, with the model's dtype, to which it is converted."""
        place = self.place(name)
        if place is None:
            raise KeyError(name)
        if name == ITERATIONS:
            return Entry("I64", (), 0, 8)
        found = self._reader.arrays[place]
        code = "F64" if self._model.dtype == np.float64 else "F32"
        return Entry(code, found.shape, 0, math.prod(found.shape) * self._model.dtype.itemsize)

    def names(self) -> Iterator[str]:
        """Yield the names of all arrays; arrays that no layer requested appear under their numbers."""
        for path, _ in self._model._named:
            known = self._asked.get(path, {})
            yield from (f"{WEIGHTS}{path}/{name}" for name in known)
            for number in range(len(known), len(self._find(path))):
                yield f"{WEIGHTS}{path}/array {number}"
        if self._compile:
            yield from self._optimizer_places()

    def _optimizer_places(self) -> dict[str, str]:
        if self._model.optimizer is None or not self._model.built:
            return {}
        if self._slots is None:
            shapes = {path: self._reader.arrays[path].shape for path in self._variables}
            self._slots = places_of_slots(self._model, shapes)
        return self._slots

    def array(self, name: str) -> np.ndarray:
        """Return a new array of the model's dtype."""
        place = self.place(name)
        if name == ITERATIONS and not place:
            return np.array(0, np.int64)
        assert place is not None
        with reading(self._path, "a Keras file"):
            array = self._reader.array(place)
        if name == ITERATIONS:
            return array.astype(np.int64)
        return array if array.dtype == self._model.dtype else array.astype(self._model.dtype)

    def check(self) -> None:
        """Do nothing: everything was checked when it was read."""


class _Entries(Mapping[str, Entry]):
    """The arrays of a source by name."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, name: str) -> Entry:
        return self._source.entry(name)

    def __iter__(self) -> Iterator[str]:
        return self._source.names()

    def __len__(self) -> int:
        return sum(1 for _ in self)


def numbers(reader: Reader, paths: list[str], where: str) -> list[str]:
    """Return the paths; ValueError if one is not an array of numbers."""
    for path in paths:
        if path not in reader.arrays:
            raise ValueError(f"{where}: there is no array of numbers {short(repr(path))}")
    return paths
