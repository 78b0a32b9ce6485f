"""Pickles as data: a machine with only the opcodes for plain containers, numbers and text.

Python's `pickle` runs code that a pickle names, and allocates memory for lengths that it claims. This machine
looks up names in a closed table, whose entries only make data; other names are refused, and the error shows
them. Memory is linear in the bytes read: no claimed length, memo index or depth allocates memory. Only the
table's entries are called. The opcodes are those of PEP 307, PEP 3154 and `pickletools`.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from cconv.arguments.text import short

Make = Callable[..., Any]

MOST_STEPS = 1 << 19  # opcodes: enough for about ten thousand tensors
MOST_BYTES = 1 << 26
LONGEST_INT = 16  # bytes
LONGEST_LINE = 1 << 12  # bytes of a name or a number written as text
LARGEST_KEY = 1 << 32
STOP = 0x2E


class Named:
    """The object that a name in a pickle stands for.

    Parameters
    ----------
    name : str
        With the module in front.
    make : callable, optional
        Makes the result if the pickle calls the name; None if it can only be an argument.
    """

    def __init__(self, name: str, make: Make | None = None) -> None:
        self.name = name
        self.make = make


class Machine:
    """Reads one pickle from a file.

    Parameters
    ----------
    file : file
        Read from its position to behind the pickle's last opcode.
    named : mapping of str to Named
        The closed table, by "module name".
    stored : callable
        Makes an object stored outside the pickle, from the tuple that names it.
    """

    def __init__(self, file: BinaryIO, named: Mapping[str, Named], stored: Make) -> None:
        self._file, self._named, self._stored = file, named, stored
        self._left = MOST_BYTES
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return the content of the pickle; ValueError for anything but plain data."""
        for _ in range(MOST_STEPS):
            code = self._take(1)[0]
            if code == STOP:
                return self._pop()
            step = _STEPS.get(code)
            if step is None:
                raise ValueError(f"its pickle has the opcode {code:#04x}, which plain data does not need")
            step(self)
        raise ValueError(f"its pickle has more than {MOST_STEPS} opcodes")

    # --- bytes --------------------------------------------------------------------------------

    def _take(self, count: int) -> bytes:
        self._left -= count
        if self._left < 0:
            raise ValueError(f"its pickle must have at most {MOST_BYTES} bytes")
        data = self._file.read(count)
        if len(data) < count:
            raise ValueError("its pickle ends too early")
        return data

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> bytes:
        data = self._file.readline(LONGEST_LINE)
        self._left -= len(data)
        if not data.endswith(b"\n"):
            raise ValueError(f"its pickle must have lines of at most {LONGEST_LINE} bytes")
        return data[:-1]

    # --- the stack ----------------------------------------------------------------------------

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise ValueError("its pickle takes more than there is")
        return self._stack.pop()

    def _top(self, kind: type) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise ValueError(f"its pickle must have a {kind.__name__} where something is put in")
        return self._stack[-1]

    def _above_mark(self) -> list[Any]:
        if not self._marks:
            raise ValueError("its pickle takes more than there is")
        mark = self._marks.pop()
        found = self._stack[mark:]
        del self._stack[mark:]
        return found

    def _put_in(self, items: list[Any]) -> None:
        """Put alternating keys and values into the dict on top of the stack."""
        found: dict[Any, Any] = self._top(dict)
        if len(items) % 2:
            raise ValueError("its pickle has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            found[key_of(key)] = value

    def _kept(self, place: int) -> Any:
        if place not in self._memo:
            raise ValueError("its pickle asks for what was not kept")
        return self._memo[place]

    def _keep(self, place: int) -> None:
        self._memo[place] = self._top(object)

    # --- names and calls ----------------------------------------------------------------------

    def _look_up(self, module: Any, name: Any) -> Named:
        called = f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else ""
        found = self._named.get(called)
        if found is None:
            raise ValueError(
                f"it needs {short(called.replace(' ', '.'))!r}, and only tensors, numbers, text and "
                "containers are taken: no code of a file is run. Where torch is installed, write the weights "
                "alone: torch.save(model.state_dict(), path)"
            )
        return found

    def _call(self) -> None:
        given, what = self._pop(), self._pop()
        if not isinstance(what, Named) or what.make is None or not isinstance(given, tuple):
            raise ValueError("its pickle calls what is no maker of tensors or containers")
        try:
            made = what.make(*given)
        except TypeError as error:
            raise ValueError(f"its pickle gives {what.name} other arguments than it takes") from error
        self._stack.append(made)

    def _build(self) -> None:
        """Drop a dict's attributes: in a torch state dict these are versions of modules."""
        self._pop()
        self._top(dict)


def key_of(key: Any) -> Any:
    """Return a key, checked to be fast to look up."""
    if key is None or isinstance(key, str | bool | bytes | Named):
        return key
    if isinstance(key, int) and abs(key) < LARGEST_KEY:
        return key
    raise ValueError("its pickle must have text or small numbers as keys")


def _whole(text: bytes) -> Any:
    """Return a number written as text; 00 and 01 mean False and True."""
    if text in (b"00", b"01"):
        return text == b"01"
    if len(text) > 3 * LONGEST_INT:
        raise ValueError("its pickle has a number of too many digits")
    return int(text.removesuffix(b"L"))


def _long(machine: Machine, length: int) -> int:
    if not 0 <= length <= LONGEST_INT:
        raise ValueError(f"its pickle has a number of {length} bytes; at most {LONGEST_INT} are taken")
    return int.from_bytes(machine._take(length), "little", signed=True)


def _pushed(make: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    def step(machine: Machine) -> None:
        machine._stack.append(make(machine))

    return step


def _text(form: str) -> Callable[[Machine], None]:
    return _pushed(lambda m: m._take(m._number(form)).decode("utf-8", "surrogatepass"))


def _old_text(form: str) -> Callable[[Machine], None]:
    return _pushed(lambda m: m._take(max(0, m._number(form))).decode("latin-1"))


def _bytes(form: str) -> Callable[[Machine], None]:
    return _pushed(lambda m: m._take(m._number(form)))


def _tuple(count: int) -> Callable[[Machine], None]:
    return _pushed(lambda m: tuple([m._pop() for _ in range(count)][::-1]))


def _name_of_lines(machine: Machine) -> Named:
    module = machine._line().decode()
    return machine._look_up(module, machine._line().decode())


def _name_of_stack(machine: Machine) -> Named:
    name = machine._pop()
    return machine._look_up(machine._pop(), name)


def _dict(machine: Machine) -> None:
    items = machine._above_mark()
    machine._stack.append({})
    machine._put_in(items)


def _append(machine: Machine) -> None:
    value = machine._pop()
    machine._top(list).append(value)


def _set_item(machine: Machine) -> None:
    value, key = machine._pop(), machine._pop()
    machine._put_in([key, value])


def _appends(machine: Machine) -> None:
    items = machine._above_mark()
    machine._top(list).extend(items)


def _add_items(machine: Machine) -> None:
    items = machine._above_mark()
    machine._top(set).update(map(key_of, items))


def _pop_mark(machine: Machine) -> None:
    machine._above_mark()


_STEPS: dict[int, Callable[[Machine], Any]] = {
    ord(code): step
    for code, step in {
        "\x80": lambda m: m._take(1),  # the protocol
        "\x95": lambda m: m._take(8),  # the length of a frame, which is not needed
        "(": lambda m: m._marks.append(len(m._stack)),
        "0": Machine._pop,
        "1": _pop_mark,
        "2": _pushed(lambda m: m._top(object)),
        "N": _pushed(lambda m: None),
        "\x88": _pushed(lambda m: True),
        "\x89": _pushed(lambda m: False),
        "I": _pushed(lambda m: _whole(m._line())),
        "L": _pushed(lambda m: _whole(m._line())),
        "J": _pushed(lambda m: m._number("<i")),
        "K": _pushed(lambda m: m._number("<B")),
        "M": _pushed(lambda m: m._number("<H")),
        "\x8a": _pushed(lambda m: _long(m, m._number("<B"))),
        "\x8b": _pushed(lambda m: _long(m, m._number("<i"))),
        "F": _pushed(lambda m: float(m._line())),
        "G": _pushed(lambda m: m._number(">d")),
        "X": _text("<I"),
        "\x8c": _text("<B"),
        "\x8d": _text("<Q"),
        "T": _old_text("<i"),
        "U": _old_text("<B"),
        "B": _bytes("<I"),
        "C": _bytes("<B"),
        "\x8e": _bytes("<Q"),
        "]": _pushed(lambda m: []),
        "a": _append,
        "e": _appends,
        "l": _pushed(lambda m: m._above_mark()),
        ")": _pushed(lambda m: ()),
        "t": _pushed(lambda m: tuple(m._above_mark())),
        "\x85": _tuple(1),
        "\x86": _tuple(2),
        "\x87": _tuple(3),
        "}": _pushed(lambda m: {}),
        "d": _dict,
        "s": _set_item,
        "u": lambda m: m._put_in(m._above_mark()),
        "\x8f": _pushed(lambda m: set()),
        "\x90": _add_items,
        "\x91": _pushed(lambda m: set(map(key_of, m._above_mark()))),
        "p": lambda m: m._keep(_whole(m._line())),
        "q": lambda m: m._keep(m._number("<B")),
        "r": lambda m: m._keep(m._number("<I")),
        "\x94": lambda m: m._keep(len(m._memo)),
        "g": _pushed(lambda m: m._kept(_whole(m._line()))),
        "h": _pushed(lambda m: m._kept(m._number("<B"))),
        "j": _pushed(lambda m: m._kept(m._number("<I"))),
        "c": _pushed(_name_of_lines),
        "\x93": _pushed(_name_of_stack),
        "R": Machine._call,
        "\x81": Machine._call,
        "b": Machine._build,
        "Q": _pushed(lambda m: m._stored(m._pop())),
    }.items()
}
