"""Stub of _control.pyx, made by tools/make_stubs.py."""

from typing import Any

def controlled(function: Any) -> Any: ...
