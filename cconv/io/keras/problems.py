"""What a file holds, or would have to hold, that the other side has not: collected, and said once."""

from typing import Any


class Problems:
    """Collects what cannot be translated."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, where: str, what: str) -> None:
        """Note what is missing, and where it was met."""
        self._found.setdefault(what, []).append(where)

    def text(self) -> str:
        """Return all that is missing, how often, and where each was met first."""
        lines = []
        for what, places in self._found.items():
            times = f"{len(places)} times, first " if len(places) > 1 else ""
            lines.append(f"{what} ({times}in {places[0][:80]})")
        return "; ".join(lines)

    def check(self, begin: str) -> None:
        """Raise ValueError with all of them, if there are any."""
        if self:
            raise ValueError(f"{begin}: {self.text()}")


def shown(value: Any) -> str:
    """Return a value of a file as messages show it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} …"
