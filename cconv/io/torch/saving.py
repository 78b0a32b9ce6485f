"""Saving the weights of a model for torch."""

import io
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any

import numpy as np

from cconv._version import __version__
from cconv.arguments.control import controlled
from cconv.arguments.paths import as_path
from cconv.files import safetensors
from cconv.files.atomic import naming, replacing
from cconv.io.torch.known import SCHEMES, known_as, shape_there
from cconv.io.torch.loading import checked_names, checked_parts
from cconv.io.torch.matching import SKIPPED, Matcher, full
from cconv.io.torch.parts import BATCH, Part, Slot
from cconv.io.torch.states import state_of

WHERE = "save_state_dict"
SAFETENSORS, ZIPPED = (".safetensors",), (".pth", ".pt")
FOLDER = "archive"
LONG = 2**31
STORAGES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<i8": "LongStorage"}
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip archive: the same model gives the same file


@controlled
def save_state_dict(
    model: Any,
    path: str | os.PathLike[str],
    flatten_order: str | None = None,
    *,
    names: str | Mapping[str, str] | None = None,
    like: Any = None,
) -> None:
    """Write the weights of a model as a torch state dict; torch is not needed.

    Parameters
    ----------
    model : Model or Sequential
        Built.
    path : path
        Must end in ``.safetensors``, or in ``.pth`` or ``.pt``, which ``torch.load(path, weights_only=True)``
        reads.
    flatten_order : str, optional
        As in `load_state_dict`.
    names : dict of str to str or {"torchvision", "timm"}, optional
        Modules' names by layers' names, or the package whose names for the network of `cconv.applications`
        are used; by default the names of the layers.
    like : path or dict of str to array, optional
        A state dict whose names and shapes are used, such as the one that was loaded.

    Raises
    ------
    OSError
        When the file cannot be written.
    ValueError
        For another ending, a network that is unknown in the package, or a `like` that does not fit.
    TypeError
        For arguments of other types.

    Examples
    --------
    >>> import tempfile
    >>> from cconv.io.torch import load_state_dict
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> model = Sequential([Dense(1, input_shape=(2,), name="fc")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state_dict(model, f"{folder}/a.pth")
    ...     load_state_dict(model, f"{folder}/a.pth")
    {'fc/kernel': 'fc.weight', 'fc/bias': 'fc.bias'}
    """
    ending = PurePath(as_path(WHERE, "path", path)).suffix.lower()
    if ending not in (*SAFETENSORS, *ZIPPED):
        raise ValueError(
            f"{WHERE}: path must end in {', '.join((*SAFETENSORS, *ZIPPED))}, got {os.fspath(path)!r}"
        )
    parts = checked_parts(WHERE, model, flatten_order)
    state = _state(parts, *_named(parts, names, like))
    if ending in SAFETENSORS:
        safetensors.write(path, state, {"cconv": __version__}, {"format": "pt"})
    else:
        _write_zip(path, state)


Shape = tuple[int, ...]
Shapes = Callable[[str, Shape], Shape]


def _named(parts: list[Part], names: Any, like: Any) -> tuple[dict[str, str], Shapes]:
    """Return the module of each part, and a function from a tensor's name and shape to its shape there."""
    own = {part.name: part.name for part in parts}
    if isinstance(names, str):
        if names not in SCHEMES:
            raise ValueError(f"{WHERE}: names must be a dict or one of {', '.join(SCHEMES)}, got {names!r}")
        if like is not None:
            raise ValueError(f"{WHERE}: like must be None with names={names!r}, which says them all")
        tables = known_as(list(own), names)
        if not tables:
            raise ValueError(
                f"{WHERE}: names={names!r} is for networks of cconv.applications that it has too"
            )
        return tables[0], partial(shape_there, names)
    said = checked_names(WHERE, names, parts)
    if like is None:
        return own | said, lambda name, shape: shape
    with state_of(WHERE, like) as state:
        matcher = Matcher(parts, state, said, True)
        match = matcher.match()
        shapes = {name: state.given[there].shape for name, there in matcher.names.items()}
    return match.modules, lambda name, shape: shapes.get(name, shape)


def _state(parts: list[Part], modules: Mapping[str, str], shape_of: Shapes) -> dict[str, np.ndarray]:
    """Return the tensors by name."""
    state: dict[str, np.ndarray] = {}
    for part in parts:
        module = modules[part.name]
        owned = [
            slot for slot in part.slots if slot.layer is not None and slot.name in ("", "weight", "bias")
        ]
        for slot in part.slots:
            name = full(module, slot)
            if slot.layer is None and not (owned and part.slots):
                continue
            if name in state:
                raise ValueError(f"{WHERE}: two weights would have the name {name!r}")
            array = _tensor(part, slot)
            state[name] = np.ascontiguousarray(array).reshape(shape_of(name, array.shape))
        if part.kind == BATCH:
            state[f"{module}.{SKIPPED}"] = np.zeros((), np.int64)
    return state


def _tensor(part: Part, slot: Slot) -> np.ndarray:
    if slot.layer is not None:
        return slot.out(slot.place)
    dtype = next(other.place.dtype for other in part.slots if other.layer is not None)
    return np.full(slot.shape, slot.constant, dtype)


# --- the archive ----------------------------------------------------------------------------------


def _write_zip(path: Any, state: Mapping[str, np.ndarray]) -> None:
    """Write a file as torch.save does for a dict of plain tensors."""
    with naming(path):
        pickle = _pickle(state)
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        members = {"data.pkl": pickle, "byteorder": b"little"}
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(f"{FOLDER}/{name}", EARLIEST), data)
        for number, array in enumerate(state.values()):
            member = zipfile.ZipInfo(f"{FOLDER}/data/{number}", EARLIEST)
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            archive.writestr(member, little.reshape(-1).view(np.uint8).data)
        archive.writestr(zipfile.ZipInfo(f"{FOLDER}/version", EARLIEST), b"3\n")


def _pickle(state: Mapping[str, np.ndarray]) -> bytes:
    """Return the pickle of an OrderedDict of tensors; their storages are numbered members."""
    out = io.BytesIO()
    out.write(b"\x80\x02" + _EMPTY + b"(")
    for number, (name, array) in enumerate(state.items()):
        storage = STORAGES[array.dtype.newbyteorder("<").str]
        strides = [stride // array.itemsize for stride in array.strides]
        out.write(_text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((")
        out.write(_text("storage") + f"ctorch\n{storage}\n".encode() + _text(str(number)) + _text("cpu"))
        out.write(_whole(array.size) + b"tQ")  # the tuple that names the storage
        out.write(_whole(0) + _tuple(array.shape) + _tuple(strides) + b"\x89" + _EMPTY + b"tR")
    return out.getvalue() + b"u."


_EMPTY = b"ccollections\nOrderedDict\n)R"


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _whole(number: int) -> bytes:
    if number < LONG:
        return b"J" + struct.pack("<i", number)
    return b"\x8a\x08" + struct.pack("<q", number)


def _tuple(numbers: Any) -> bytes:
    return b"(" + b"".join(map(_whole, numbers)) + b"t"
