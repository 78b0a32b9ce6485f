"""What a file needs and the other side lacks: collected, and reported in one message."""

from typing import Any


class Problems:
    """Collects what cannot be translated."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, where: str, what: str) -> None:
        """Record what is missing, and where."""
        self._found.setdefault(what, []).append(where)

    def text(self) -> str:
        """Return everything that is missing, how often, and where it occurs first."""
        lines = []
        for what, places in self._found.items():
            times = f"{len(places)} times, first " if len(places) > 1 else ""
            lines.append(f"{what} ({times}in {places[0][:80]})")
        return "; ".join(lines)

    def check(self, begin: str) -> None:
        """Raise ValueError with all problems, if there are any."""
        if self:
            raise ValueError(f"{begin}: {self.text()}")


def shown(value: Any) -> str:
    """Return a value of a file, cut for messages."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} …"
