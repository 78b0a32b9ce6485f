"""Tensors of torch as a file describes them: a storage, and how the elements lie in it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cconv.arguments.numbers import LARGEST
from cconv.io.torch.pickles import Named, key_of

Shape = tuple[int, ...]

MOST_AXES = 64
BITS = 16  # by which a bfloat16 is shorter than the float32 that it begins


class Kind(NamedTuple):
    """What the elements of a storage are: torch's name, and how they lie in a file, little-endian.

    `widened` says that they are the upper halves of floats of 32 bits.
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
# What torch calls the class of a storage of each kind, on the processor and on a graphics card.
STORAGES = {
    f"{module} {called}Storage": KINDS[name]
    for name, (called, _) in _KINDS.items()
    if called
    for module in ("torch", "torch.cuda")
} | {"torch.storage UntypedStorage": BYTES}


class Storage(NamedTuple):
    """A row of `length` elements, of which `key` is the name in the file.

    `begin` and `of` are those of a view: where it begins, and in how many elements.
    """

    key: str
    kind: Kind
    length: int
    begin: int
    of: int


class Tensor(NamedTuple):
    """Elements of a storage: `offset` is that of the first, `strides` count elements."""

    storage: Storage
    kind: Kind
    offset: int
    shape: Shape
    strides: Shape

    def of(self, elements: np.ndarray) -> np.ndarray:
        """Return the tensor, given the elements of its storage as a row: a new array of NumPy's kind."""
        size = self.kind.dtype.itemsize
        start, steps = self.offset, [stride * size for stride in self.strides]
        if 0 in self.shape:
            start, steps = 0, [0] * len(steps)
        view = np.lib.stride_tricks.as_strided(elements[start:], self.shape, steps, writeable=False)
        return plain(view, self.kind)


def plain(elements: np.ndarray, kind: Kind) -> np.ndarray:
    """Return elements as a file has them as a new array in C order and native byte order."""
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
    """Return a tensor that lies in its storage: torch's `_rebuild_tensor_v2`."""
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
    """Return a tensor of a kind that has no class of storages: torch's `_rebuild_tensor_v3`."""
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
    """Return the tensor that a parameter is: torch's `_rebuild_parameter`, also with a state."""
    if not isinstance(data, Tensor):
        raise ValueError("a parameter must have a tensor")
    return data


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    """Return an empty dict, for a new OrderedDict; what is in it comes by opcodes of its own."""
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
    """Return bytes, which old pickles write as text."""
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
    """Return the storage that a pickle names; ValueError where that is something else."""
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
