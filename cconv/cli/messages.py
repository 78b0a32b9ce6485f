"""What the command line says of an error: one line."""

import re

from cconv.arguments.text import printable

# What is wrong with a file or an argument; all else is this library's fault, and the message names its kind.
EXPECTED = (OSError, ValueError, TypeError, MemoryError, ImportError)


def sentence(error: BaseException) -> str:
    r"""Return the text of an error on one line, with its class in front where nobody thought of it.

    The system's number of an error is left out.

    Examples
    --------
    >>> sentence(ValueError("two\nlines")), sentence(KeyError("a")), sentence(MemoryError())
    ('two lines', "KeyError: 'a'", 'MemoryError')
    >>> sentence(FileNotFoundError(2, "there is no file", "a.png"))
    "there is no file: 'a.png'"
    """
    text = re.sub(r"^\[(Errno|WinError) \d+\] ", "", " ".join(str(error).split()))
    if not text or not isinstance(error, EXPECTED):
        text = f"{type(error).__name__}: {text}".removesuffix(": ")
    return printable(text)
