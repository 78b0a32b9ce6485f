"""Write the tables of docs/coming-from-keras.md: what of Keras is here, what is not, and what to use instead.

    python tools/make_keras_page.py            # write them
    python tools/make_keras_page.py --check    # say whether they are out of date, exit code 1 if so

They stand between two comments in each section and come from the tables of
cconv/arguments/keras_names, from what can be imported from cconv, and from tests/keras_api.json. All else on
the page is written by hand.
"""

import importlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from cconv.arguments.keras_names import NEEDLESS, section_of
from cconv.arguments.keras_names.arguments import ARGUMENTS, OWN_NAME, Argument
from cconv.arguments.keras_names.missing import MISSING

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "coming-from-keras.md"
API = ROOT / "tests" / "keras_api.json"
BLOCK = re.compile(r"<!-- tables of (\w+) -->\n.*?<!-- end of tables -->", re.DOTALL)


def code(names: Iterable[str]) -> str:
    """Return names as Markdown code, with commas between."""
    return ", ".join(f"`{name}`" for name in names)


def advice(instead: str) -> str:
    """Return what stands in the column "Instead"."""
    return instead.removeprefix(NEEDLESS).replace("|", "\\|") or "–"


def names_of(namespace: str, api: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the lines of the tables of a module's names."""
    module = importlib.import_module(f"cconv.{namespace}" if namespace else "cconv")
    prefix = f"{namespace.split('.')[1]}." if "." in namespace else ""
    missing = MISSING.get(namespace, {})
    # At the top other modules, such as cconv.ops, can be seen once they are loaded; they are no part of it.
    public = set(dir(module)) if namespace else {*module.__all__, *module._MODULES}
    here = [name for name in api[namespace] if name not in missing and name in public]
    groups: dict[str, list[str]] = {}
    for name, instead in missing.items():
        groups.setdefault(instead, []).append(prefix + name)
    lines = ["| Here |", "| --- |", f"| {code(prefix + name for name in here)} |", ""]
    lines += ["| Not here | Instead |", "| --- | --- |"] if groups else []
    for instead in sorted(groups, key=lambda instead: (not instead, groups[instead][0])):
        lines.append(f"| {code(groups[instead])} | {advice(instead)} |")
    return [*lines, ""] if groups else lines


def accepted(argument: Argument) -> str:
    """Return what stands in the column "Accepted"."""
    if argument.then:
        return "all"
    if argument.same:
        return f"all, as `{argument.same}`"
    names = ["its own name" if value is OWN_NAME else f"`{value!r}`" for value in argument.accepted]
    return ", ".join(names)


def arguments_of(section: str) -> list[str]:
    """Return the lines of the table of the arguments that a section's classes and functions do not take."""
    owners: dict[tuple[str, str, str], list[str]] = {}
    for key, table in ARGUMENTS.items():
        module, name = key.split(".")
        if section_of("models" if module == "Sequential" else module) != section:
            continue
        owner = f"`{key}`" if module == "Sequential" else "all" if name == "*" else f"`{name}`"
        for argument, entry in table.items():
            owners.setdefault((argument, accepted(entry), advice(entry.instead)), []).append(owner)
    # Arguments of the same owners of which the same is to be said share a row.
    rows: dict[tuple[str, ...], list[str]] = {}
    for (argument, allowed, instead), of in owners.items():
        rows.setdefault((", ".join(of), allowed, instead), []).append(argument)
    if not rows:
        return []
    lines = ["| Argument | of | Accepted | Instead |", "| --- | --- | --- | --- |"]
    lines += [f"| {code(names)} | {' | '.join(row)} |" for row, names in rows.items()]
    return [*lines, ""]


def tables(section: str) -> str:
    """Return the tables of one section."""
    api = json.loads(API.read_text(encoding="utf-8"))
    namespaces = [name for name in api if name in MISSING and section_of(name) == section]
    lines = [line for name in namespaces for line in names_of(name, api)] + arguments_of(section)
    return f"<!-- tables of {section} -->\n\n" + "\n".join(lines) + "\n<!-- end of tables -->"


def page() -> str:
    """Return the page with its tables as they should be."""
    return BLOCK.sub(lambda match: tables(match[1]), PAGE.read_text(encoding="utf-8"))


def main() -> int:
    """Write the page, or check it; return the exit code."""
    made = page()
    if sys.argv[1:] == ["--check"]:
        if made != PAGE.read_text(encoding="utf-8"):
            print(f"{PAGE.name} is out of date: run python tools/make_keras_page.py")
            return 1
        return 0
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
