"""The house: an import goes down, to a floor below or along its own, and never in a circle."""

import ast
from pathlib import Path

import cconv

ROOT = Path(cconv.__file__).parent
# From the top; what stands beside each other may not import each other in a circle either.
FLOORS = (
    ("__init__", "__main__", "cli"),
    ("estimators", "applications", "io", "plotting", "reporting", "utils"),
    ("models",),
    ("engine", "inputs"),
    ("layers",),
    (
        *("functional", "activations", "losses", "metrics", "optimizers", "schedules", "initializers"),
        "regularizers",
    ),
    ("ops",),
    ("kernels", "reference", "threads"),
    ("_kernels", "_blocks", "_passes", "_pools", "_rows", "_sizes"),
    ("geometry", "datasets", "files", "callbacks", "constraints", "seeds", "distributed"),
    ("arguments", "exactmath", "_interpreters", "_sources", "_version"),
)
FLOOR = {room: len(FLOORS) - number for number, rooms in enumerate(FLOORS) for room in rooms}
# Who may know of a large package.
MAY_IMPORT = {
    "sklearn": {"estimators", "datasets.digits", "distributed.searching"},
    "matplotlib": {"plotting"},
    "onnx": {"io.onnx"},
    "h5py": {"io.keras"},
    "mpi4py": {"distributed.mpi"},
    "dask": {"distributed.predicting"},
    "distributed": {"distributed.searching"},
    "joblib": {"distributed.searching", "distributed.tasks"},
    "pyarrow": {"files.parquet"},
}


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") or "__init__"


def parsed(path):
    """The imports of a file: what Cython adds to Python is left out."""
    if path.suffix in (".py", ".pyi"):
        return ast.parse(path.read_text(encoding="utf-8"))
    text, lines = path.read_text(encoding="utf-8").replace("cimport", "import"), []
    for statement in text.replace("(\n", "(").split("\n"):
        if statement.startswith(("from cconv", "import cconv")):
            lines.append(
                statement.split("import")[0] + "import x" if statement.startswith("from") else statement
            )
    return ast.parse("\n".join(lines))


def imports(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


FILES = {name_of(path): path for ending in ("py", "pyx") for path in sorted(ROOT.rglob(f"*.{ending}"))}
OTHERS = [path for ending in ("pyi", "pxd") for path in sorted(ROOT.rglob(f"*.{ending}"))]


def room_of(module):
    return module.split(".")[0]


def own(module):
    """The file of the library that is meant, or None: a.b.c is c of a.b unless there is a file a.b.c."""
    parts = module.split(".")
    if parts[0] != "cconv":
        return None
    names = [".".join(parts[1:end]) for end in range(len(parts), 1, -1)]
    return next((name for name in names if name in FILES or name in FLOOR), "__init__")


def test_every_room_has_a_floor():
    shared = {path.stem for path in ROOT.glob("_*.pxd")} - {"_kernels"}
    assert {room_of(name) for name in FILES} == set(FLOOR) - shared


def test_every_import_goes_down():
    wrong = []
    for path in [*FILES.values(), *OTHERS]:
        room = room_of(name_of(path))
        for module in imports(path):
            target = own(module)
            if target and FLOOR[room_of(target)] > FLOOR[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_no_circles():
    graph = {name: {own(module) for module in imports(path)} - {None, name} for name, path in FILES.items()}
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, " -> ".join([*open_[open_.index(name) :], name])
        if name in done or name not in graph:
            return
        open_.append(name)
        for target in sorted(graph[name]):
            visit(target)
        done.add(open_.pop())

    for name in graph:
        visit(name)


def test_large_packages_stay_where_they_are_needed():
    for name, path in FILES.items():
        for module in imports(path):
            places = MAY_IMPORT.get(module.split(".")[0])
            assert places is None or any(f"{name}.".startswith(f"{place}.") for place in places), (
                f"{name} imports {module}"
            )
