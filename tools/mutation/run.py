"""How many small faults of a module the tests notice: mutation testing.

    python tools/mutation/run.py cconv/geometry/shapes.py cconv/optimizers        score and survivors
    python tools/mutation/run.py cconv/geometry/shapes.py --only "_same:"       those whose name holds it
    python tools/mutation/run.py cconv/geometry/shapes.py --every 5             one in five: a first look
    python tools/mutation/run.py cconv/geometry/shapes.py --list                their names; nothing is run

`mutants.py` makes the mutants. For each of them a fork of this process, which has NumPy, pytest and
Hypothesis in memory but not yet cconv, loads the module with its fault and runs the tests that
`modules.toml` names for it, up to the first that fails. A mutant that no test can tell from the module
stands there as well, with the reason. The exit status is 1 where less than 90 % of the others are noticed.

Why a tool of our own: those that exist either start Python anew for each mutant, or mutate only what stands
in functions without decorators, while the thresholds of `algorithms.py` are constants of the module.
"""

import argparse
import ast
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
import tomllib
import traceback
from dataclasses import dataclass
from pathlib import Path

from mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
SETTINGS = Path(__file__).with_name("modules.toml")
LEAST_SCORE = 90.0
# A mutant may loop for ever: it may take so many times as long as the module itself, and so many seconds
# more.
PATIENCE, GRACE = 10, 20
NOT_IMPORTED = 99  # exit status of tests that pass without having imported the module


@dataclass(frozen=True)
class Module:
    """A file whose mutants are tried, the tests for it, and its equivalent mutants with the reasons."""

    path: Path
    tests: list[str]
    equivalent: dict[str, str]

    @property
    def name(self) -> str:
        """The name that it is imported by."""
        return ".".join(self.path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


class Faulty(importlib.abc.MetaPathFinder):
    """Finds one module with other code than its file's."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name, self.tree = name, tree

    def find_spec(self, fullname, path, target=None):
        """Return where the module is found, if it is this one."""
        if fullname != self.name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        loader = importlib.machinery.SourceFileLoader(fullname, spec.origin)
        loader.get_code = lambda _: compile(self.tree, spec.origin, "exec")
        spec.loader = loader
        return spec


def prepare() -> None:
    """Import what all tests need, but not cconv; make Hypothesis draw the same examples every time."""
    os.environ.setdefault("CCONV_TEST_EXAMPLES", "25")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    os.chdir(ROOT)
    for name in ("numpy.testing", "pytest", "unittest.mock"):
        importlib.import_module(name)
    hypothesis = importlib.import_module("hypothesis")
    # What fails need not be made smaller: that it fails is all we want to know.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, phases=phases)
    hypothesis.settings.load_profile("mutants")


def start(module: Module, tree: ast.Module, log: Path) -> int:
    """Run the tests on the module with this code, in a process of its own; return its number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.meta_path.insert(0, Faulty(module.name, tree))
    status = 2
    try:
        pytest = importlib.import_module("pytest")
        # Hypothesis is imported before pytest could watch it: of this alone it warns.
        options = [
            "-x",
            "-p",
            "no:cacheprovider",
            "--tb=short",
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
        ]
        status = int(pytest.main([*options, *module.tests]))
        if status == 0 and module.name not in sys.modules:
            print(f"{module.name} is not imported by its tests")
            status = NOT_IMPORTED
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def finish(child: int, began: float, most: float) -> int | None:
    """Return the exit status of a run, -1 if it had to be ended, or None if it goes on."""
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        return os.waitstatus_to_exitcode(status)
    if time.monotonic() - began < most:
        return None
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def alone(module: Module, logs: Path) -> float:
    """Return the seconds that the tests take on the module as it is; they must pass."""
    began, log = time.monotonic(), logs / "unchanged.log"
    child = start(module, ast.parse(module.path.read_text()), log)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(
            f"{module.path.relative_to(ROOT)}: its tests fail without a fault, or do not import it: {log}"
        )
    return time.monotonic() - began


def survivors(module: Module, mutants: list[Mutant], jobs: int, logs: Path) -> list[Mutant]:
    """Return the mutants that no test notices."""
    most = PATIENCE * alone(module, logs) + GRACE
    waiting, running, found = list(enumerate(mutants)), {}, []
    while waiting or running:
        while waiting and len(running) < jobs:
            place, mutant = waiting.pop(0)
            child = start(module, mutant.tree, logs / f"{place}.log")
            running[child] = mutant, time.monotonic()
        for child, (mutant, began) in list(running.items()):
            status = finish(child, began, most)
            if status is not None:
                del running[child]
                if status in (0, NOT_IMPORTED):
                    found.append(mutant)
                    print(f"  {module.path.relative_to(ROOT)}:{mutant.line} {mutant.key}", flush=True)
        time.sleep(0.01)
    return found


def chosen(paths: list[str], more_tests: list[str] | None) -> list[Module]:
    """Return the modules that the arguments name."""
    table = tomllib.loads(SETTINGS.read_text())
    files = []
    for path in map(Path, paths):
        whole = path.resolve()
        files += sorted(whole.glob("*.py")) if whole.is_dir() else [whole]
    modules = []
    for file in files:
        entry = table.get(str(file.relative_to(ROOT)))
        if entry is not None:
            modules.append(Module(file, more_tests or entry["tests"], entry.get("equivalent", {})))
        elif mutants_of(file.read_text()):
            sys.exit(f"{SETTINGS.name} names no tests for {file.relative_to(ROOT)}")
    return modules


def judge(module: Module, only: str, every: int, jobs: int, logs: Path) -> bool:
    """Print what becomes of the mutants of a module; return whether its score is high enough."""
    mutants = mutants_of(module.path.read_text())
    unknown = set(module.equivalent) - {mutant.key for mutant in mutants}
    if unknown:
        sys.exit(f"{SETTINGS.name}: no mutants of {module.name}, or none any more: {sorted(unknown)}")
    tried = [mutant for mutant in mutants if mutant.key not in module.equivalent and only in mutant.key][
        ::every
    ]
    began = time.monotonic()
    missed = len(survivors(module, tried, jobs, logs))
    score = 100.0 * (len(tried) - missed) / max(len(tried), 1)
    print(
        f"{module.path.relative_to(ROOT)}: {score:.1f} % of {len(tried)} mutants noticed, {missed} not; "
        f"{len(mutants) - len(tried)} left out as equivalent or not asked for; "
        f"{time.monotonic() - began:.0f} s",
        flush=True,
    )
    return score >= LEAST_SCORE


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="+", help="files or folders of cconv")
    parser.add_argument("--only", default="", help="mutants whose name holds this text")
    parser.add_argument("--every", type=int, default=1, help="one mutant in so many")
    parser.add_argument("--list", action="store_true", help="print the names of the mutants, run nothing")
    parser.add_argument("--tests", nargs="+", help="other tests than those of modules.toml")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--logs", type=Path, default=ROOT / "build" / "mutation", help="where outputs go")
    arguments = parser.parse_args()
    modules = chosen(arguments.paths, arguments.tests)
    if arguments.list:
        for module in modules:
            for mutant in mutants_of(module.path.read_text()):
                if arguments.only in mutant.key:
                    print(f"{module.path.relative_to(ROOT)}:{mutant.line} {mutant.key}")
        return 0
    logs = arguments.logs.resolve()
    logs.mkdir(parents=True, exist_ok=True)
    prepare()
    good = [judge(module, arguments.only, arguments.every, arguments.jobs, logs) for module in modules]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
