"""The mutants of a Python file: copies of it with one small fault each.

What is changed, one place at a time: comparisons, arithmetic, `and` and `or` (also without one of their
parts), `not`, signs, numbers (± 1, floats by a quarter), flags, strings, conditions, what is returned, the
order of two arguments, and statements, which are left out. What is left alone: annotations, docstrings,
`__all__`, imports, the text of messages and all that stands in a `raise`, and `strict=` of `zip`, which
only checks ourselves.
"""

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv, ast.Add),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
LEFT_OUT = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Raise, ast.Expr, ast.If, ast.For)


@dataclass(frozen=True)
class Mutant:
    """One fault: its name, the file that it is made in, the way to the place, and what then stands there.

    `key` is what the list of equivalents names it by. It holds no line number: it stays the same while other
    places of the file change.
    """

    key: str
    line: int
    original: ast.Module
    path: tuple
    changed: ast.AST

    @property
    def tree(self) -> ast.Module:
        """The file with the fault."""
        return ast.fix_missing_locations(_replaced(self.original, self.path, self.changed))


def mutants_of(source: str) -> list[Mutant]:
    """Return all mutants of a file, in the order of its lines."""
    tree = ast.parse(source)
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for path, scope in _places(tree, (), ()):
        node = _at(tree, path)
        for changed in _changes(node):
            shown = _shown(tree, path)
            before = _at(tree, shown)
            after = _replaced(before, path[len(shown) :], changed)
            name = _parameter(tree, path)
            key = f"{'.'.join(scope) or 'module'}: {name}{_text(before)} -> {name}{_text(after)}"
            seen[key] += 1
            if seen[key] > 1:
                key += f" ({seen[key]})"
            found.append(Mutant(key, node.lineno, tree, path, changed))
    return sorted(found, key=lambda mutant: mutant.line)


def _text(node: ast.AST) -> str:
    """Return the source of a node, of a statement with a body its first line, in one line."""
    text = ast.unparse(node)
    return text.partition("\n")[0] if hasattr(node, "body") else " ".join(text.split())


def _at(tree: ast.AST, path: tuple) -> ast.AST:
    for step in path:
        tree = tree[step] if isinstance(step, int) else getattr(tree, step)
    return tree


def _parameter(tree: ast.Module, path: tuple) -> str:
    """Return "name=" where the way leads to the default of a parameter, else nothing."""
    for end, step in enumerate(path):
        if step in ("defaults", "kw_defaults"):
            arguments = _at(tree, path[:end])
            those = arguments.kwonlyargs
            if step == "defaults":
                those = (arguments.posonlyargs + arguments.args)[-len(arguments.defaults) :]
            return f"{those[path[end + 1]].arg}="
    return ""


def _shown(tree: ast.Module, path: tuple) -> tuple:
    """Return the way to what names a mutant: the node itself; of a number what it stands in."""
    node = _at(tree, path)
    if isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)):
        for end in range(len(path) - 1, 0, -1):
            around = _at(tree, path[:end])
            # A number with its sign, or in a slice, would still say little.
            if isinstance(around, ast.expr | ast.Assign | ast.AnnAssign | ast.Return) and not isinstance(
                around, ast.UnaryOp | ast.Slice
            ):
                return path[:end]
    return path


def _replaced(tree: ast.AST, path: tuple, changed: ast.AST) -> ast.AST:
    if not path:
        return changed
    result = copy.deepcopy(tree)
    *parents, last = path
    parent = _at(result, tuple(parents))
    if isinstance(last, int):
        parent[last] = changed
    else:
        setattr(parent, last, changed)
    return result


def _places(node: ast.AST, path: tuple, scope: tuple) -> Iterator[tuple[tuple, tuple]]:
    """Yield the way to every node that may be changed, and the names of what it stands in."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr) or _is_docstring(node) or _is_all(node):
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        scope = (*scope, node.name)
    if path and hasattr(node, "lineno"):
        yield path, scope
    if isinstance(node, ast.Raise):
        return
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "ctx", "ops", "op"):
            continue
        if isinstance(value, ast.AST):
            yield from _places(value, (*path, field), scope)
        elif isinstance(value, list):
            for place, entry in enumerate(value):
                if isinstance(entry, ast.AST) and not (
                    isinstance(entry, ast.keyword) and entry.arg == "strict"
                ):
                    yield from _places(entry, (*path, field, place), scope)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_all(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and _text(node.targets[0]) == "__all__"


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a node."""
    if isinstance(node, LEFT_OUT) and not _is_spared(node):
        yield ast.Pass()
    if isinstance(node, ast.Compare):
        yield from _other_comparisons(node)
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        for operator in ARITHMETIC.get(type(node.op), ()):
            yield _with(node, op=operator())
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for place in range(len(node.values)):
            rest = node.values[:place] + node.values[place + 1 :]
            yield _with(node, values=rest) if len(rest) > 1 else rest[0]
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node)
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.If | ast.IfExp) and isinstance(node.test, ast.Name | ast.Attribute | ast.Call):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Call):
        yield from _swapped(node)


def _is_spared(node: ast.AST) -> bool:
    """Whether a statement is not left out.

    It puts an error's text together, declares a field, or holds nothing but a `raise`, itself left out.
    """
    if isinstance(node, ast.If):
        return len(node.body) == 1 and isinstance(node.body[0], ast.Raise) and not node.orelse
    value = getattr(node, "value", None)
    return isinstance(node, ast.Assign | ast.AnnAssign) and (
        value is None or isinstance(value, ast.JoinedStr)
    )


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _with(node: ast.AST, **fields: object) -> ast.AST:
    result = copy.copy(node)
    for name, value in fields.items():
        setattr(result, name, value)
    return result


def _other_comparisons(node: ast.Compare) -> Iterator[ast.AST]:
    for place, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            yield _with(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])


def _other_constants(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield from (ast.Constant(v) for v in ((value * 1.25, value * 0.75) if value else (0.5,)))
    elif isinstance(value, str):
        yield ast.Constant(value + "?")


def _swapped(node: ast.Call) -> Iterator[ast.AST]:
    """Yield the call with two positional arguments that stand side by side in each other's place."""
    args = node.args
    for place in range(len(args) - 1):
        first, second = args[place], args[place + 1]
        if ast.dump(first) != ast.dump(second) and not isinstance(second, ast.Starred):
            yield _with(node, args=[*args[:place], second, first, *args[place + 2 :]])
