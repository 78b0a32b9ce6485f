"""Tensors of torch as described in a file: a storage, and the positions of the elements in it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cconv.arguments.numbers import LARGEST
from cconv.io.torch.pickles import Named, key_of

Shape = tuple[int, ...]

MOST_AXES = 64
BITS = 16  # the lower bits of a float32 that bfloat16 leaves out


class Kind(NamedTuple):
    """The type of a storage's elements: torch's name, and the little-endian dtype in a file.

    `widened` means that they are the upper halves of float32 numbers.
    """

    name: str
    dtype: np.dtype
    widened: bool = False


_KINDS = {
    "float32": ("Float", "<f4"),
    "float64": ("Double", "<f8"),
    "float16": ("Half", "<f2"),
    "bfloat16": ("BFloat16", "<u2"),
    "int64": ("Long", "<i8"),
    "int32": ("Int", "<i4"),
    "int16": ("Short", "<i2"),
    "int8": ("Char", "i1"),
    "uint8": ("Byte", "u1"),
    "bool": ("Bool", "?"),
    "complex64": ("ComplexFloat", "<c8"),
    "complex128": ("ComplexDouble", "<c16"),
    "uint16": ("", "<u2"),
    "uint32": ("", "<u4"),
    "uint64": ("", "<u8"),
}
KINDS = {name: Kind(name, np.dtype(code), name == "bfloat16") for name, (_, code) in _KINDS.items()}
BYTES = KINDS["uint8"]
# Torch's names for the classes of storages, on CPU and GPU, with their kinds.
STORAGES = {
    f"{module} {called}Storage": KINDS[name]
    for name, (called, _) in _KINDS.items()
    if called
    for module in ("torch", "torch.cuda")
} | {"torch.storage UntypedStorage": BYTES}


class Storage(NamedTuple):
    """A row of `length` elements; `key` is its name in the file.

    For a view, `begin` is its first element, and `of` the number of elements of the whole storage.
    """

    key: str
    kind: Kind
    length: int
    begin: int
    of: int


class Tensor(NamedTuple):
    """Elements of a storage: `offset` is the first one's position; `strides` count elements."""

    storage: Storage
    kind: Kind
    offset: int
    shape: Shape
    strides: Shape

    def of(self, elements: np.ndarray) -> np.ndarray:
        """Return the tensor as a new array, given all elements of its storage."""
        size = self.kind.dtype.itemsize
        start, steps = self.offset, [stride * size for stride in self.strides]
        if 0 in self.shape:
            start, steps = 0, [0] * len(steps)
        view = np.lib.stride_tricks.as_strided(elements[start:], self.shape, steps, writeable=False)
        return plain(view, self.kind)


def plain(elements: np.ndarray, kind: Kind) -> np.ndarray:
    """Return the elements of a file as a new array in C order and native byte order."""
    if kind.widened:
        bits = elements.astype(np.uint32, order="C")
        bits <<= BITS
        return bits.view(np.float32)
    return elements.astype(kind.dtype.newbyteorder("="), order="C")


def _sizes(what: str, given: Any) -> Shape:
    if not isinstance(given, tuple | list) or len(given) > MOST_AXES:
        raise ValueError(f"a tensor must have {what} as a tuple of at most {MOST_AXES}")
    if not all(type(n) is int and 0 <= n <= LARGEST for n in given):
        raise ValueError(f"a tensor must have {what} from 0 on")
    return tuple(given)


def _tensor(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    metadata: Any = None,
) -> Tensor:
    """Return a tensor, checked to lie in its storage: torch's `_rebuild_tensor_v2`."""
    if not isinstance(storage, Storage):
        raise ValueError("a tensor must have a storage")
    return _within(storage, storage.kind, storage.length, offset, size, stride)


def _tensor_of_bytes(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    """Return a tensor of a type without its own storage class: torch's `_rebuild_tensor_v3`."""
    name = dtype.name.removeprefix("torch ") if isinstance(dtype, Named) else ""
    if not isinstance(storage, Storage) or storage.kind is not BYTES or name not in KINDS:
        raise ValueError("a tensor must have a storage and a dtype")
    kind = KINDS[name]
    return _within(storage, kind, storage.length // kind.dtype.itemsize, offset, size, stride)


def _within(storage: Storage, kind: Kind, count: int, offset: Any, size: Any, stride: Any) -> Tensor:
    shape, strides = _sizes("sizes", size), _sizes("strides", stride)
    (offset,) = _sizes("an offset", (offset,))
    if len(shape) != len(strides):
        raise ValueError(f"a tensor of shape {shape} must have as many strides, got {strides}")
    if math.prod(shape) * kind.dtype.itemsize > LARGEST:
        raise ValueError(f"a tensor cannot have the shape {shape}")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if 0 not in shape and last >= count:
        raise ValueError(
            f"a tensor of shape {shape}, strides {strides} and offset {offset} must lie in its storage of "
            f"{count} elements"
        )
    return Tensor(storage, kind, offset, shape, strides)


def _parameter(data: Any, requires_grad: Any = True, hooks: Any = None, state: Any = None) -> Tensor:
    """Return the tensor of a parameter: torch's `_rebuild_parameter`, also with a state."""
    if not isinstance(data, Tensor):
        raise ValueError("a parameter must have a tensor")
    return data


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    """Return an empty dict for a new OrderedDict; later opcodes fill it."""
    if pairs != () and pairs != []:
        raise ValueError("an OrderedDict must be made empty, and then filled")
    return {}


def _size(sizes: Any = ()) -> Shape:
    return _sizes("sizes", sizes)


def _device(kind: Any, number: Any = None) -> str:
    return str(kind) if isinstance(kind, str) else ""


def _set(items: Any = ()) -> set[Any]:
    if not isinstance(items, list | tuple):
        raise ValueError("a set must be made of a list")
    return set(map(key_of, items))


def _bytes(text: Any, encoding: Any) -> bytes:
    """Return bytes that old pickles write as text."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("bytes must be text in latin1")
    return text.encode("latin1")


_MAKERS: dict[str, Callable[..., Any] | None] = {
    "collections OrderedDict": _ordered,
    "_codecs encode": _bytes,
    **{f"{module} {name}": _set for module in ("builtins", "__builtin__") for name in ("set", "frozenset")},
    "torch Size": _size,
    "torch device": _device,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_tensor_v3": _tensor_of_bytes,
    "torch._utils _rebuild_parameter": _parameter,
    "torch._utils _rebuild_parameter_with_state": _parameter,
    **dict.fromkeys(STORAGES),
    **{f"torch {name}": None for name in KINDS},
}
NAMED = {name: Named(name, make) for name, make in _MAKERS.items()}


def storage_of(given: Any) -> Storage:
    """Return the storage that a pickle names; ValueError if it names something else."""
    if not isinstance(given, tuple) or len(given) not in (5, 6) or given[0] not in ("storage", b"storage"):
        raise ValueError("its pickle asks for what is no storage of a tensor")
    _, kind, key, _, count, *view = given
    known = STORAGES.get(kind.name) if isinstance(kind, Named) else None
    if known is None or not isinstance(key, str):
        raise ValueError("a storage must have a kind and a name")
    (count,) = _sizes("a number of elements", (count,))
    begin, of = 0, count
    if view and view[0] is not None:
        if not isinstance(view[0], tuple) or len(view[0]) != 3:
            raise ValueError("a view of a storage must have a name, a place and a size")
        _, begin, count = view[0]
        begin, count = _sizes("a place", (begin, count))
        if begin + count > of:
            raise ValueError(f"a view of a storage must lie in its {of} elements")
    return Storage(key, known, count, begin, of)
