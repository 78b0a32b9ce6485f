"""What the tests of Keras' names share: the tables, the page, and Keras' own names and arguments."""

import importlib
import inspect
import json
import re
from pathlib import Path

from cconv.arguments.keras_names import PAGE

ROOT = Path(__file__).parents[1]
API = json.loads((ROOT / "tests" / "keras_api.json").read_text(encoding="utf-8"))
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
# The names of cconv's own inside that can be seen at its top.
INSIDE = {"ops"}


def module_of(namespace):
    return importlib.import_module(f"cconv.{namespace}" if namespace else "cconv")


def section_in(message):
    """Return the section of the page that a message points at; it exists."""
    (section,) = re.findall(rf"see {re.escape(PAGE)}#(\w+)", str(message))
    assert section in SECTIONS
    return section


def takes(function):
    """Return the names of the arguments of a function; None if it takes any."""
    parameters = inspect.signature(function).parameters.values()
    return None if any(p.kind is p.VAR_KEYWORD for p in parameters) else {p.name for p in parameters}
