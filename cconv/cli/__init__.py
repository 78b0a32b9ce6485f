"""The command line: ``cconv train``, ``predict`` and ``info``, also as ``python -m cconv``.

An error is one line on stderr, with exit code 2. Ctrl-C ends with exit code 130, a closed output pipe with
141. Only this file is imported outside of `main`'s error handling.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

__all__ = ["main"]

ERROR = 2
UNREAD = 141  # 128 + SIGPIPE


@contextmanager
def _as_rank(argv: Sequence[str]) -> Iterator[None]:
    """End the whole job if one of its ranks ends before it trains: the others would wait for it."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as error:
        if "--distributed" in argv and (isinstance(error, KeyboardInterrupt) or error.code):
            from cconv.distributed import MPI

            ranks = MPI()
            if ranks.size > 1:
                ranks.end(
                    error, "its arguments are wrong" if isinstance(error, SystemExit) else "interrupted"
                )
        raise


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments (by default the process' own); return the exit code.

    Examples
    --------
    >>> main(["info"])  # doctest: +ELLIPSIS
    cconv ...
    0
    """
    if sys.stdout is None:  # closed, as daemons have it: nobody reads
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    for stream in (sys.stdout, sys.stderr):
        # Characters that the terminal's encoding lacks are written as escapes.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    command = ""
    given = sys.argv[1:] if argv is None else argv
    try:
        with _as_rank(given):
            from cconv.cli.commands import parser, runner

            arguments = parser().parse_args(argv)
            command = f" {arguments.command}"
            code = runner(arguments.command)(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would try to write the rest of the buffer once more at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except KeyboardInterrupt as interrupt:
        from cconv.cli.messages import interrupted

        return interrupted(interrupt)
    except Exception as error:
        from cconv.cli.messages import sentence

        print(f"cconv{command}: {sentence(error)}", file=sys.stderr)
        return ERROR
    return code
