"""The text of an error on the command line: one line."""

import re
import sys

from cconv.arguments.text import printable

INTERRUPTED = 130  # the exit code of Ctrl-C: 128 + SIGINT, what a shell reports

# Faults of a file or an argument. Others are faults of cconv; their message names the error's class.
EXPECTED = (OSError, ValueError, TypeError, MemoryError, ImportError)


def sentence(error: BaseException) -> str:
    r"""Return the text of an error on one line; unexpected errors have their class in front.

    The operating system's error number is left out.

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


def interrupted(error: KeyboardInterrupt) -> int:
    """Say that Ctrl-C has ended the command, and what is left; return the exit code."""
    print(f"\ncconv: interrupted{error}", file=sys.stderr)
    return INTERRUPTED
