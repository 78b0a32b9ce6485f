"""The tool that makes small faults: which it makes, and that its list of tests and equivalents is true."""

import ast
import importlib.util
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tools" / "mutation"

SOURCE = '''
"""A docstring."""
from m import g, h
LIMIT: int = 4

def f(a: int, b=1, *, flag=False) -> int:
    """Another."""
    text = f"{a + 1} of them"
    if a < b and flag:
        raise ValueError(f"not {a - 1}")
    for x, y in zip(a, b, strict=True):
        a += -x
    return g(a, b) if flag else "no"
'''


def mutants_module():
    spec = importlib.util.spec_from_file_location("mutants", FOLDER / "mutants.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_faults_of_a_small_module():
    mutants = mutants_module().mutants_of(SOURCE)
    assert [mutant.key for mutant in mutants] == [
        "module: LIMIT: int = 4 -> pass",
        "module: LIMIT: int = 4 -> LIMIT: int = 5",
        "module: LIMIT: int = 4 -> LIMIT: int = 3",
        "f: flag=False -> flag=True",
        "f: b=1 -> b=2",
        "f: b=1 -> b=0",
        "f: a < b and flag -> a < b or flag",
        "f: a < b and flag -> flag",
        "f: a < b and flag -> a < b",
        "f: a < b -> a <= b",
        "f: a < b -> a >= b",
        "f: raise ValueError(f'not {a - 1}') -> pass",
        "f: for x, y in zip(a, b, strict=True): -> pass",
        "f: zip(a, b, strict=True) -> zip(b, a, strict=True)",
        "f: a += -x -> pass",
        "f: a += -x -> a -= -x",
        "f: -x -> x",
        "f: return g(a, b) if flag else 'no' -> return None",
        "f: g(a, b) if flag else 'no' -> g(a, b) if not flag else 'no'",
        "f: g(a, b) -> g(b, a)",
        "f: g(a, b) if flag else 'no' -> g(a, b) if flag else 'no?'",
    ]
    unchanged = ast.unparse(ast.parse(SOURCE))
    changed = [ast.unparse(mutant.tree) for mutant in mutants]
    assert unchanged not in changed
    assert len(set(changed)) == len(changed)
    assert ast.unparse(mutants[0].original) == unchanged


def test_the_settings_name_tests_and_mutants_that_there_are():
    make = mutants_module().mutants_of
    settings = tomllib.loads((FOLDER / "modules.toml").read_text())
    for path, entry in settings.items():
        for test in entry["tests"]:
            file, _, name = test.partition("::")
            assert f"def {name}" in (ROOT / file).read_text(), test
        keys = {mutant.key for mutant in make((ROOT / path).read_text())}
        equivalent = entry.get("equivalent", {})
        assert set(equivalent) <= keys, path
        assert len(equivalent) <= len(keys) / 10, path
        assert all(reason.endswith(".") for reason in equivalent.values())
    for folder in ("functional", "optimizers"):
        files = (ROOT / "cconv" / folder).glob("*.py")
        named = {f"cconv/{folder}/{file.name}" for file in files if make(file.read_text())}
        assert named <= set(settings)
