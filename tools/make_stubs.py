"""Write the stubs of the compiled modules in cconv/, *.pyi, from the definitions in *.pyx.

    python tools/make_stubs.py            # write them
    python tools/make_stubs.py --check    # say which are out of date, exit code 1 if any

Cython's own types say what Python sees: a memoryview is an array, `bint` a bool. A parameter whose
comment says "None" may be None.
"""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "cconv"
HEAD = '''"""Stub of {name}.pyx, made by tools/make_stubs.py."""

from typing import Any

import numpy as np

'''
DEFINITION = re.compile(r"^(?:cp)?def (?P<name>[a-z]\w*)\(", re.MULTILINE)
CONSTANT = re.compile(r"^(?P<name>[A-Z][A-Z_]*) = \d+$", re.MULTILINE)
# What a function that returns something returns, unless it is a number of elements.
RETURNS = {
    "available_isas": "list[str]",
    "controlled": "Any",
    "compiler": "str",
    "dense_in_place": "bool",
    "has_openmp": "bool",
    "isa": "str",
    "processor_answers": "bytes",
    "total": "float",
    "tuning": "tuple[str, int, int]",
    "tuning_said": "tuple[str, int, int]",
    "tunings": "list[str]",
    "view": "Any",
}
INTEGERS = {"int", "long", "size", "size_t", "Py_ssize_t", "unsigned", "uint32_t", "uint64_t", "int64_t"}


def parameters(text):
    """Return [(name, type)] of a parameter list with its comments."""
    found = []
    for line in text.splitlines():
        code, _, comment = line.partition("#")
        depth, part = 0, ""
        for character in code + ",":
            depth += (character in "[(") - (character in ")]")
            if character == "," and not depth:
                if part.strip():
                    found.append(parameter(part.strip(), comment))
                part = ""
            else:
                part += character
    return found


def parameter(code, comment):
    """Return (name, type) of one parameter."""
    *kind, name = code.replace("const ", "").split()
    if not kind:
        return name, "Any"
    kind = " ".join(kind)
    if "[" in kind:
        return name, "np.ndarray | None" if "None" in comment else "np.ndarray"
    if kind == "bint":
        return name, "bool"
    if kind.split()[-1] in INTEGERS:
        return name, "int"
    if kind in ("float", "double", "cython.floating"):
        return name, "float"
    if kind in ("tuple", "list", "dict", "str", "bytes", "object"):
        return name, "Any" if kind == "object" else kind
    raise ValueError(f"no Python type is known for {kind!r}, that of {name}")


def stub(path):
    """Return the text of the stub of a .pyx file."""
    source = path.read_text()
    lines = [f"{match['name']}: int" for match in CONSTANT.finditer(source)]
    lines += [""] if lines else []
    for match in DEFINITION.finditer(source):
        end = re.compile(r"\)(?: ->[^\n]*)?:\s*(?:#[^\n]*)?$", re.MULTILINE).search(source, match.end())
        found = parameters(source[match.end() : end.start()])
        body = re.match(r"(?:\n|\s+[^\n]*\n)*", source[end.end() :])[0]
        returns = "None"
        if re.search(r"^\s+return \S", body, re.MULTILINE):
            returns = RETURNS.get(match["name"], "int")
        one_line = f"def {match['name']}({', '.join(f'{n}: {t}' for n, t in found)}) -> {returns}: ..."
        if len(one_line) <= 110:
            lines.append(one_line)
        else:
            lines += [f"def {match['name']}(", *(f"    {n}: {t}," for n, t in found), f") -> {returns}: ..."]
    text = "\n".join(lines) + "\n"
    head = HEAD.format(name=path.stem)
    for module, use in [("from typing import Any\n\n", "Any"), ("import numpy as np\n\n", "np.")]:
        if not re.search(rf"\b{re.escape(use)}", text):
            head = head.replace(module, "")
    return head + text


def main(arguments):
    """Write or check the stubs; return the exit code."""
    stale = [path for path in sorted(FOLDER.rglob("*.pyx")) if read(path.with_suffix(".pyi")) != stub(path)]
    for path in stale:
        target = path.with_suffix(".pyi")
        if "--check" in arguments:
            print(f"out of date: {target}; run tools/make_stubs.py")
        else:
            target.write_text(stub(path))
            print(f"wrote {target}")
    return int("--check" in arguments and bool(stale))


def read(path):
    """Return the text of a file, "" when there is none."""
    return path.read_text() if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
