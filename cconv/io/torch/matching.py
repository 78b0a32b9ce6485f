"""Which tensor of a state dict is which weight: by names, by known networks' names, or by order.

Tried in turn: the names themselves; the names of torchvision and timm for the networks of
`cconv.applications`; the order of the modules of each kind. The first way in which everything fits is used.
If none does, the error lists everything that does not fit.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cconv.arguments.text import short
from cconv.io.torch.known import known_as
from cconv.io.torch.parts import ALONE, BATCH, DENSE, NORM, PRODUCT, SINGLE, Part, Shape, Slot
from cconv.io.torch.states import Given, State

FLOATS = ("float16", "bfloat16", "float32", "float64")
SUFFIXES = ("weight", "bias", "running_mean", "running_var")
SKIPPED = "num_batches_tracked"  # torch uses it only for momentum=None
AUXILIARY = (
    "AuxLogits.",
    "aux1.",
    "aux2.",
)  # classifiers that torchvision's networks use only in training
# Prefixes that wrappers put in front of every name: DataParallel, torch.compile, and enclosing modules.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.")
MOST_LINES = 60


class Match(NamedTuple):
    """One way to match: the module of each part, the mismatches, and a description of the way."""

    modules: dict[str, str]
    problems: list[str]
    how: str
    hint: str = ""


def full(module: str, slot: Slot) -> str:
    """Return a tensor's name in a state dict."""
    return f"{module}.{slot.name}" if slot.name else module


def _trimmed(shape: Shape) -> Shape:
    end = len(shape)
    while end and shape[end - 1] == 1:
        end -= 1
    return shape[:end]


def fits(slot: Slot, shape: Shape) -> bool:
    """Whether a tensor of this shape has the elements of a slot, in the same order.

    A 1x1 convolution is a dense layer, and a dense layer behind a Flatten is a convolution over a whole
    image.
    """
    if _trimmed(slot.shape) == _trimmed(shape):
        return True
    if slot.name != "weight" or len(slot.shape) != 2 or len(shape) < 3:
        return False
    return shape[0] == slot.shape[0] and math.prod(shape[1:]) == slot.shape[1]


def without_prefix(given: Mapping[str, Given], wanted: Iterable[str]) -> dict[str, str]:
    """Return the names in the file, by the names without wrappers' prefixes."""
    found = {name: name for name in given}
    own = {name.split(".", 1)[0] + "." for name in wanted}
    while found:
        begin = next(iter(found)).split(".", 1)[0] + "."
        if begin not in PREFIXES or begin in own or not all(name.startswith(begin) for name in found):
            break
        found = {name.removeprefix(begin): there for name, there in found.items()}
    return found


class Matcher:
    """Finds out which tensors belong to which parts.

    Parameters
    ----------
    parts : sequence of Part
        The model's modules.
    state : State
        The file's tensors.
    names : mapping of str to str
        Modules of some layers, given by the user.
    strict : bool
        Whether all tensors of the file must be used.

    Attributes
    ----------
    names : dict of str to str
        Names in the file, by the names without wrappers' prefixes.
    """

    def __init__(self, parts: Sequence[Part], state: State, names: Mapping[str, str], strict: bool) -> None:
        self._parts, self._state, self._said, self._strict = parts, state, names, strict
        wanted = [names.get(part.name, part.name) for part in parts]
        self.names: dict[str, str] = without_prefix(state.given, wanted)
        skipped = [name for name in self.names if name.endswith(SKIPPED)]
        self._given: dict[str, Given] = {
            name: state.given[there]
            for name, there in self.names.items()
            if name not in skipped and not name.startswith(AUXILIARY)
        }

    def match(self) -> Match:
        """Return the first way in which everything fits.

        Raises
        ------
        ValueError
            When there is none; the message lists everything that does not fit.
        """
        tried: list[Match] = []
        for match in self._ways():
            if not match.problems:
                return match
            tried.append(match)
        hit = self._hits(tried[0])
        best = tried[0] if hit else min(tried, key=lambda match: len(match.problems))
        raise ValueError(_listed(self._state.called, best))

    def _hits(self, match: Match) -> bool:
        """Whether the names belong to the same network: at least half of the parts are found."""
        there = sum(
            any(full(match.modules[part.name], slot) in self._given for slot in part.slots)
            for part in self._parts
        )
        return 2 * there >= len(self._parts)

    def _ways(self) -> Iterable[Match]:
        own = {part.name: part.name for part in self._parts}
        yield self._checked(own | dict(self._said), "by names")
        for package in ("torchvision", "timm"):
            for table in known_as(list(own), package):
                match = self._checked(table | dict(self._said), f"by {package}'s names")
                yield match._replace(
                    hint="the network takes these weights when it is made with form='torchvision'"
                )
        for kinds in ({}, {DENSE: PRODUCT}):
            in_order = self._by_order(kinds)
            if in_order is not None:
                yield in_order

    def _checked(self, modules: dict[str, str], how: str) -> Match:
        """Compare shapes and kinds, and record missing and unused tensors."""
        problems, used = [], set()
        for part in self._parts:
            for slot in part.slots:
                name = full(modules[part.name], slot)
                given = self._given.get(name)
                used.add(name)
                if given is None and slot.layer is not None:
                    problems.append(f"missing: {short(name)} {slot.shape}, for {_place(part, slot)}")
                elif given is not None and not fits(slot, given.shape):
                    wanted = f"{_place(part, slot)}: expected {short(name)} to be {slot.shape}"
                    problems.append(f"{wanted}, got {short(given.shape)}")
                elif given is not None and given.kind not in FLOATS:
                    problems.append(f"{_place(part, slot)}: {short(name)} must hold floats, got {given.kind}")
        if self._strict:
            problems += [
                f"unexpected: {short(name)} {short(given.shape)}"
                for name, given in self._given.items()
                if name not in used
            ]
        return Match(modules, problems, how)

    # --- by order -----------------------------------------------------------------------------

    def _by_order(self, same: Mapping[str, str]) -> Match | None:
        """Match the modules of each kind in their order; None if names contradict it."""
        modules = _modules(self._given)
        if not self._state.in_order:
            modules = dict(sorted(modules.items(), key=lambda item: _natural(item[0])))
        kinds: dict[str, list[str]] = {}
        for module, tensors in modules.items():
            kind = _kind(tensors, self._given, module)
            kinds.setdefault(same.get(kind, kind), []).append(module)
        rows = {kind: iter(found) for kind, found in kinds.items()}
        taken = set(self._said.values())
        found: dict[str, str] = {}
        for part in self._parts:
            row = rows.get(same.get(part.kind, part.kind), iter(()))
            said = self._said.get(part.name)
            left = next((each for each in row if each not in taken), None) if said is None else said
            found[part.name] = left or f"(no more modules of this kind, {part.kind})"
        if any(part.name in modules and found[part.name] != part.name for part in self._parts):
            return None
        match = self._checked(found, "by order within kinds, since the names are others")
        if not match.problems and not self._state.in_order:
            match.problems.extend(self._doubts(found))
        return match

    def _doubts(self, found: Mapping[str, str]) -> list[str]:
        """Return the modules whose order is uncertain: it was sorted by names here, and may not be torch's.

        Numbers in names define an order; other names of similar modules do not.
        """
        alike: dict[Any, dict[str, str]] = {}
        for part in self._parts:
            shapes = tuple(slot.shape for slot in part.slots)
            pattern = re.sub(r"\d+", "#", found[part.name])
            alike.setdefault((part.kind, shapes), {})[pattern] = found[part.name]
        return [
            "not to be told apart, in a file that does not keep their order: "
            f"{', '.join(short(name) for name in modules.values())}; say which is which with names="
            for modules in alike.values()
            if len(modules) > 1
        ]


def _place(part: Part, slot: Slot) -> str:
    return f"{short(part.name)} {slot.key}".rstrip()


def _modules(given: Mapping[str, Given]) -> dict[str, list[str]]:
    """Return the tensors of each module, in the order of the file."""
    found: dict[str, list[str]] = {}
    for name in given:
        module, _, last = name.rpartition(".")
        if last in SUFFIXES and module:
            found.setdefault(module, []).append(last)
        else:
            found.setdefault(name, []).append("")
    return found


def _kind(tensors: Sequence[str], given: Mapping[str, Given], module: str) -> str:
    """Return the kind of a module, from its tensors."""
    if "running_mean" in tensors:
        return BATCH
    if "weight" not in tensors:
        return SINGLE
    axes = len(given[f"{module}.weight"].shape)
    if axes == 1:
        return NORM if "bias" in tensors else ALONE
    return DENSE if axes == 2 else PRODUCT


def _natural(name: str) -> list[Any]:
    """Return a key that sorts conv10 behind conv2."""
    return [
        (0, int(text), "") if text.isdigit() else (1, 0, text) for text in re.findall(r"\d{1,18}|\D+", name)
    ]


def _listed(called: str, match: Match) -> str:
    lines = match.problems[:MOST_LINES]
    if len(match.problems) > MOST_LINES:
        lines.append(f"and {len(match.problems) - MOST_LINES} more")
    if match.hint and any(line.startswith("missing") for line in lines):
        lines.append(match.hint)
    begin = f"{called} does not fit this model (matched {match.how}):"
    return "\n".join([begin, *(f"  {line}" for line in lines)])
