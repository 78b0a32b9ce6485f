"""Fonts for the letters of any script: the names of classes are a user's own."""

import functools
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

# Asked first: fonts that have most of Chinese, Japanese and Korean, as systems name them.
KNOWN = re.compile(
    r"CJK JP|Noto Sans JP|IPA.*Gothic|Hiragino Sans|Yu Gothic|Meiryo|Noto Sans|Gothic|Hei|Unicode"
)
SAYS = r"Glyph \d+ .* missing from font"  # matplotlib, of each letter at each drawing
LATIN = 0x250  # below it lie the letters that every font has
BOXES = "Last Resort"  # matplotlib's font of boxes in the place of letters
HELP = (
    "no font of this machine has {letters}: install one that has, such as Noto Sans CJK "
    "(Debian, Ubuntu: apt install fonts-noto-cjk)"
)


@functools.lru_cache(maxsize=512)
def _letters(path: str) -> frozenset[int]:
    """Return the code points that a font file has pictures of; none if it cannot be read."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def _order(entry: Any) -> tuple[bool, bool]:
    return not KNOWN.search(entry.name), str(entry.weight) not in ("400", "normal", "regular")


def _names() -> Iterator[tuple[str, str]]:
    """Yield the (name, file) of fonts: first those that have many scripts, last those new on this machine."""
    manager = font_manager.fontManager
    upright = [e for e in manager.ttflist if e.style == "normal" and not e.name.startswith(BOXES)]
    yield from ((entry.name, entry.fname) for entry in sorted(upright, key=_order))
    for path in sorted({*font_manager.findSystemFonts()} - {entry.fname for entry in manager.ttflist}):
        if _letters(path):
            manager.addfont(path)
            yield manager.ttflist[-1].name, path


@functools.lru_cache(maxsize=64)
def fonts_for(missing: frozenset[int]) -> tuple[tuple[str, ...], frozenset[int]]:
    """Return the names of fonts that have these code points, and those that none has."""
    found: list[str] = []
    for name, path in _names():
        if missing and missing & _letters(path):
            found.append(name)
            missing -= _letters(path)
    return tuple(found), missing


def _lacking(text: Text) -> frozenset[int]:
    """Return the code points of a text that its fonts have no pictures of."""
    letters = {ord(letter) for letter in text.get_text() if letter.isprintable() and not letter.isspace()}
    if not letters or max(letters) < LATIN:
        return frozenset()
    fonts = [font_manager.findfont(FontProperties(family=[name])) for name in text.get_fontfamily()]
    return frozenset(letters.difference(*map(_letters, fonts)))


@contextmanager
def dress(figure: Any) -> Iterator[None]:
    """Give every text of a figure fonts that have its letters; say it once where there is none."""
    nowhere: set[int] = set()
    for text in figure.findobj(Text):
        if missing := _lacking(text):
            names, without = fonts_for(missing)
            text.set_fontfamily([*text.get_fontfamily(), *names])
            nowhere |= without
    if nowhere:
        _say("".join(map(chr, sorted(nowhere))))
    with warnings.catch_warnings():
        if nowhere:
            warnings.filterwarnings("ignore", SAYS)
        yield


@functools.lru_cache(maxsize=64)
def _say(letters: str) -> None:
    """Warn of these letters, once."""
    shown = repr(letters if len(letters) <= 12 else letters[:12] + "…")
    warnings.warn(HELP.format(letters=shown), stacklevel=5)
