"""The layers that ``+ - * /`` between symbolic tensors, and between tensors and numbers, make."""

from typing import Any

from cconv.layers.elementwise import Add, Divide, Multiply, Subtract
from cconv.layers.rescaling import Rescaling
from cconv.layers.symbolic import KerasTensor, plain_number

_MERGING = {"+": Add, "-": Subtract, "*": Multiply, "/": Divide}


def _scaled(symbol: str, x: KerasTensor, number: float, reflected: bool) -> Any:
    """Return x plus a number, or times a number."""
    if symbol == "/" and reflected:
        raise TypeError(f"{x!r}: a number cannot be divided by a tensor, only by a number")
    if symbol == "/" and not number:
        raise ZeroDivisionError(f"{x!r}: cannot be divided by 0")
    scale, offset = {
        "+": (1.0, number),
        "-": (-1.0, number) if reflected else (1.0, -number),
        "*": (number, 0.0),
        "/": (1.0 / number if symbol == "/" else 0.0, 0.0),
    }[symbol]
    return Rescaling(scale, offset)(x)


def _operate(symbol: str, x: KerasTensor, other: Any, reflected: bool) -> Any:
    if isinstance(other, KerasTensor):
        return _MERGING[symbol]()([other, x] if reflected else [x, other])
    number = plain_number(other)
    if number is None:
        raise TypeError(f"{x!r} {symbol}: expected another tensor or a number, got {other!r:.80}")
    return _scaled(symbol, x, number, reflected)


def _operator(symbol: str) -> Any:
    return lambda x, other, reflected: _operate(symbol, x, other, reflected)


def define() -> None:
    """Register the operators with `KerasTensor`."""
    for symbol in _MERGING:
        KerasTensor.operators[symbol] = _operator(symbol)
