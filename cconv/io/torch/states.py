"""State dicts: names and tensors of a file in any of the formats, or of a dict of arrays."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from cconv.arguments.arrays import as_array
from cconv.files import safetensors
from cconv.files.reading import Path, open_regular, reading
from cconv.io.torch.archive import LOCAL
from cconv.io.torch.checkpoints import MAGIC, opened
from cconv.io.torch.tensors import KINDS, Tensor, plain

# Keys of the state dict in checkpoints of torch, Lightning and timm, which also hold epochs and optimizers.
WRAPPERS = ("state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema")
# Kinds by NumPy's names; NumPy has no bfloat16.
_CODES = {kind.dtype.newbyteorder("=").str: kind.name for kind in KINDS.values() if not kind.widened}


def _nothing() -> None:
    """Check nothing: the format has checksums of its own."""


class Given(NamedTuple):
    """A tensor of the source: its shape and the kind of its elements."""

    shape: tuple[int, ...]
    kind: str


class State:
    """The tensors of a state dict.

    Attributes
    ----------
    called : str
        Its name in error messages.
    given : dict of str to Given
        In the order of the file.
    in_order : bool
        Whether this is the order of modules in torch; safetensors sorts by name.
    check : callable
        Compares the file with its digest, if it has one.
    """

    def __init__(
        self,
        called: str,
        given: dict[str, Given],
        read: Callable[[str], np.ndarray],
        *,
        in_order: bool,
        check: Callable[[], None] = _nothing,
    ) -> None:
        self.called = called
        self.given = given
        self.in_order = in_order
        self.check = check
        self._read = read

    def array(self, name: str) -> np.ndarray:
        """Return a tensor as an array; ValueError if its bytes are damaged or missing."""
        return self._read(name)


@contextmanager
def state_of(where: str, source: Any) -> Iterator[State]:
    """Yield the state dict of a file, which is open during use, or of a dict of arrays.

    Raises
    ------
    OSError, ValueError, MemoryError
        When the file cannot be read, or holds something else; the message has the path.
    TypeError
        When the source is neither a path nor a dict.
    """
    if isinstance(source, Mapping):
        yield _of_arrays(where, source)
    elif not isinstance(source, str | os.PathLike):
        raise TypeError(f"{where}: expected the path of a file, or a dict of arrays, got {source!r}")
    elif _is_safetensors(source):
        with safetensors.Reader(source, foreign=True) as reader:
            yield _of_safetensors(source, reader)
    else:
        with open_regular(source) as file:
            with reading(source, "a file of weights that can be read"):
                state = _of_checkpoint(source, file)
            yield state


def _is_safetensors(path: Path) -> bool:
    """Whether to read a file as safetensors; ValueError if its format is unknown."""
    with open_regular(path) as file:
        start = file.read(len(MAGIC))
    if start.startswith(LOCAL) or start == MAGIC:
        return False
    if start[8:9] == b"{":
        return True
    what = "an old tar archive or " if start[:1] not in (b"\x80", b"(", b"c") else "a plain pickle or "
    raise ValueError(
        f"{path}: neither safetensors nor what torch.save wrote since torch 0.4 ({what}something else, "
        f"beginning with {start[:8]!r})"
    )


def _of_checkpoint(path: Path, file: BinaryIO) -> State:
    content = opened(file)
    tensors = _tensors_in(content.content)
    given = {name: Given(tensor.shape, tensor.kind.name) for name, tensor in tensors.items()}

    def read(name: str) -> np.ndarray:
        with reading(path, "a whole file of weights"):
            return content.array(tensors[name])

    return State(os.fspath(path), given, read, in_order=True)


def _tensors_in(content: Any) -> dict[str, Tensor]:
    """Return the state dict in a saved object, which may be a checkpoint."""
    if isinstance(content, dict):
        for candidate in (content, *(content.get(name) for name in WRAPPERS)):
            if isinstance(candidate, dict):
                found = {
                    name: tensor
                    for name, tensor in candidate.items()
                    if isinstance(name, str) and isinstance(tensor, Tensor)
                }
                if found:
                    return found
    raise ValueError(
        f"it must hold a dict of tensors by name, by itself or as one of {', '.join(WRAPPERS)}, got "
        f"a {type(content).__name__} without"
    )


def _of_safetensors(path: Path, reader: safetensors.Reader) -> State:
    given = {
        name: Given(entry.shape, "bfloat16" if entry.code in safetensors.BITS else _CODES[entry.dtype.str])
        for name, entry in reader.entries.items()
    }

    def read(name: str) -> np.ndarray:
        array = reader.array(name)
        return plain(array, KINDS["bfloat16"]) if reader.entries[name].code in safetensors.BITS else array

    return State(os.fspath(path), given, read, in_order=False, check=reader.check)


def _of_arrays(where: str, source: Mapping[Any, Any]) -> State:
    arrays = {}
    for name, value in source.items():
        if not isinstance(name, str):
            raise TypeError(f"{where}: a dict of arrays must have names, got {name!r}")
        arrays[name] = as_array(where, f"the tensor {name!r}", value)
    given = {name: Given(array.shape, array.dtype.name) for name, array in arrays.items()}
    return State("the dict", given, arrays.__getitem__, in_order=True)
