"""The table of a model's layers as Keras 3 prints it: in boxes, with sizes in bytes."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from cconv.arguments.text import columns, fitted, printable

WIDEST = 88  # the table's width in characters, without the column "Trainable", if the screen is wide enough
TRAINABLE = 12  # additional width of the column "Trainable"
MARGIN = 4  # characters of the screen that the table leaves free
POSITIONS = (0.45, 0.8, 1.0)  # where the columns end, as fractions of the width
GRAPH_WIDEST, GRAPH_POSITIONS = (
    108,
    (0.3, 0.56, 0.74, 1.0),
)  # with the column "Connected to"
LEAST_COLUMN = 4


class Box(NamedTuple):
    """The characters of a table, each line as (left, middle of a column, between columns, right)."""

    top: str
    title: str
    under_title: str
    row: str
    between: str
    bottom: str
    cut: str


HEAVY = Box("┏━┳┓", "┃ ┃┃", "┡━╇┩", "│ ││", "├─┼┤", "└─┴┘", "…")
PLAIN = Box("+-++", "| ||", "|-+|", "| ||", "|-+|", "+-++", "~")  # for screens without box characters


class Sizes(NamedTuple):
    """The counts below the table, each (parameters, bytes)."""

    trainable: tuple[int, int]
    fixed: tuple[int, int]
    optimizer: tuple[int, int] | None = None


def table(
    name: str,
    rows: Sequence[tuple[str, ...]],
    sizes: Sizes,
    line_length: int,
    header: Sequence[str],
    positions: Sequence[float],
    plain: bool = False,
) -> list[str]:
    """Return the lines of the table.

    Parameters
    ----------
    name : str
        Name of the model.
    rows : sequence of tuple of str
        One field for each column.
    sizes : Sizes
        The counts below the table.
    line_length : int
        The table's width in characters.
    header : sequence of str
        The names of the columns.
    positions : sequence of float
        Where the columns, except "Trainable", end, as fractions of the width.
    plain : bool
        Use ASCII characters only.

    Returns
    -------
    list of str
        The lines, without line ends.

    Raises
    ------
    ValueError
        When a column would be narrower than four characters.
    """
    box = PLAIN if plain else HEAVY
    widths = _widths(line_length, positions, len(header))
    lines = [f'Model: "{printable(name)}"', _rule(box.top, widths)]
    lines += _row(header, header, widths, box.title, box.cut, at_bottom=True)
    lines.append(_rule(box.under_title, widths))
    for number, row in enumerate(rows):
        lines += [_rule(box.between, widths)] * (number > 0) + _row(header, row, widths, box.row, box.cut)
    return [*lines, _rule(box.bottom, widths), *_counted(sizes)]


def _widths(line_length: int, positions: Sequence[float], count: int) -> list[int]:
    """Return the columns' widths, including a space on either side.

    Keras requests widths without these spaces. As in rich, an excess over the line is taken from all columns
    equally, and a remainder is added in proportion to the widths.
    """
    if count > len(positions):
        positions = [*(0.9 * position for position in positions), 1.0]
    ends = [int(position * line_length) for position in positions]
    asked = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    widths = [width + 2 for width in asked]
    over = sum(widths) - (line_length - count - 1)
    for place in range(count):
        left = count - place
        if over >= 0:
            change = min(widths[place], round(over / left))
        else:
            change = -math.ceil(widths[place] * -over / sum(widths[place:]))
        widths[place] -= change
        over -= change
    if min(asked) < LEAST_COLUMN or min(widths) < 3:  # a character between two spaces
        raise ValueError(
            f"Sequential.summary: line_length and positions must give {count} columns of at least "
            f"{LEAST_COLUMN} characters, got {asked}"
        )
    return widths


def _rule(characters: str, widths: Sequence[int]) -> str:
    left, middle, between_, right = list(characters)
    return left + between_.join(middle * width for width in widths) + right


def _row(
    header: Sequence[str],
    fields: Sequence[str],
    widths: Sequence[int],
    characters: str,
    cut: str,
    at_bottom: bool = False,
) -> list[str]:
    """Return the lines of a row: fields are broken between words, numbers are right-aligned."""
    left, _, between_, right = list(characters)
    cells = [_broken(field, width - 2, cut) for field, width in zip(fields, widths, strict=True)]
    height = max(map(len, cells))
    cells = [
        [""] * (height - len(cell)) + cell if at_bottom else cell + [""] * (height - len(cell))
        for cell in cells
    ]
    lines = []
    for texts in zip(*cells, strict=True):
        aligned = [
            _aligned(text, width - 2, name) for text, width, name in zip(texts, widths, header, strict=True)
        ]
        lines.append(left + between_.join(f" {text} " for text in aligned) + right)
    return lines


def _aligned(text: str, width: int, name: str) -> str:
    space = width - columns(text)
    before = {"Param #": space, "Trainable": space // 2}.get(name, 0)
    return " " * before + text + " " * (space - before)


def _broken(text: str, width: int, cut: str) -> list[str]:
    """Break a text between words. Of too long words, a class in parentheses is continued, others are cut."""
    lines = [""]
    for match in re.finditer(r"\s*\S+", text):
        word = match[0]
        if columns(lines[-1] + word) <= width:
            lines[-1] += word
            continue
        word = word.lstrip() if lines[-1] else word
        whole = word.startswith("(") and word.endswith(")")
        while whole and columns(word) > width:
            lines.append(fitted(word, width).rstrip())
            word = word[len(lines[-1]) :]
        if columns(word) > width:
            word = fitted(word, width - 1).rstrip() + cut
        lines.append(word)
    return [line for line in lines if line] or [""]


def _counted(sizes: Sizes) -> list[str]:
    every = [sizes.trainable, sizes.fixed, *([sizes.optimizer] if sizes.optimizer else [])]
    total = tuple(map(sum, zip(*every, strict=True)))
    named = {"Total": total, "Trainable": sizes.trainable, "Non-trainable": sizes.fixed}
    if sizes.optimizer:
        named["Optimizer"] = sizes.optimizer
    return [f" {name} params: {count:,} ({_readable(size)})" for name, (count, size) in named.items()]


def _readable(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"
