"""Names: how they are compared, and how they may be shown (on one line, valid in XML, not too long)."""

import functools
import re
from collections.abc import Iterable, Mapping, Set

LONGEST = 60  # characters of a name in a picture or a message

# Characters that break a line, are forbidden in XML 1.0 or in UTF-8, or change the text around them: control
# characters, line and paragraph separators, marks that override the direction of writing, surrogates, U+FFFE
# and U+FFFF. The pattern is compiled at first use, because `import cconv` must be quick.
_HIDDEN = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def printable(text: object) -> str:
    r"""Return a text on one line; what cannot be shown is escaped as in Python's strings.

    Examples
    --------
    >>> print(printable("a\nb\x00 <é>"))
    a\nb\x00 <é>
    """
    return re.sub(_HIDDEN, _escaped, str(text))


def short(text: object, longest: int = LONGEST) -> str:
    r"""Return `printable` of a text, cut if it is longer than `longest` characters.

    Examples
    --------
    >>> short("abcdef", 4)
    'abc…'
    """
    shown = printable(str(text)[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


@functools.lru_cache(maxsize=1024)  # the names of a table are compared with whatever somebody asks for
def key_of(name: str) -> str:
    """Return a name in the form in which names are compared: without case, underscores and spaces.

    Examples
    --------
    >>> key_of("mean_squared_error") == key_of("MeanSquaredError")
    True
    """
    return name.replace("_", "").replace(" ", "").lower()


def names_of(where: str, name: str, given: object, count: int | None = None, each: str = "") -> list[str]:
    """Return the entries of a sequence as names, `count` of them, one for each `each`.

    Raises
    ------
    TypeError
        If it is no sequence, as one text is none, or has no order.
    ValueError
        If they are too few or too many.

    Examples
    --------
    >>> names_of("images", "titles", ("cat", 2), 2, "picture")
    ['cat', '2']
    """
    many = "" if count is None else f"{count} "
    expected = f"{where}: {name} must be {many}names" + (f", one for each {each}" if each else "")
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping | Set):
        raise TypeError(f"{expected}, got {given!r:.80}")
    names = [str(entry) for entry in given]
    if count is not None and len(names) != count:
        raise ValueError(f"{expected}, got {given!r:.80}")
    return names


def with_article(noun: str) -> str:
    """Return a noun with its article.

    Examples
    --------
    >>> with_article("Loss"), with_article("Optimizer")
    ('a Loss', 'an Optimizer')
    """
    return f"{'an' if noun[:1] in 'AEIOU' else 'a'} {noun}"


def near(name: str, known: Iterable[str]) -> str:
    """Return what a message adds for the one or two known names that are most like a wrong one; "" for none.

    Examples
    --------
    >>> near("adm", ["adam", "sgd"]), near("x", ["adam", "sgd"])
    ("; did you mean 'adam'?", '')
    """
    import difflib  # slow to import, and seldom needed

    found = difflib.get_close_matches(name, list(known), n=2)
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""


def snake_case(name: str) -> str:
    """Return the name of a class in small letters, as Keras writes it.

    Examples
    --------
    >>> snake_case("KLDivergence"), snake_case("F1Score"), snake_case("MeanIoU")
    ('kl_divergence', 'f1_score', 'mean_io_u')
    """
    apart = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", apart).lower()


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: Chinese characters and emoji two, accents none.

    Examples
    --------
    >>> columns("abc"), columns("畳み")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    return sum(map(_taken, text))


def _taken(character: str) -> int:
    import unicodedata

    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fitted(text: str, size: int) -> str:
    """Return a text that takes `size` columns: cut, or filled with spaces.

    Examples
    --------
    >>> fitted("畳み込み", 5), fitted("ab", 4)
    ('畳み ', 'ab  ')
    """
    if text.isascii():
        return text[:size].ljust(size)
    taken, kept = 0, ""
    for character in text:
        taken += _taken(character)
        if taken > size:
            break
        kept += character
    return kept + " " * (size - columns(kept))
