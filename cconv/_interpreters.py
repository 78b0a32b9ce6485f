"""Refuses subinterpreters: what is compiled, here and in NumPy, is loaded once in a process."""


def refuse_subinterpreters() -> None:
    """Raise ImportError in an interpreter that is not the main one; called before anything else is imported.

    NumPy ends the second import in a process with an error that does not say why, or warns and goes on.
    """
    try:
        import _interpreters as known  # type: ignore[import-not-found]
    except ImportError:  # before Python 3.13
        try:
            import _xxsubinterpreters as known  # type: ignore[import-not-found]
        except ImportError:
            return
    if known.get_current() != known.get_main():
        raise ImportError(
            "cconv must be imported in the main interpreter of a process, got a subinterpreter: neither "
            "NumPy nor cconv's kernels can be loaded in several. Use threads or processes; with mod_wsgi, "
            "WSGIApplicationGroup %{GLOBAL}"
        )
