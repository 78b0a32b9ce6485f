"""The inputs or outputs of a model: one, several in a list, or several by name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cconv.layers.symbolic import KerasTensor


class Ends(NamedTuple):
    """How a user gave a model's inputs or outputs, and gets or gives what belongs to them.

    Attributes
    ----------
    names : tuple of str
        One for each: the keys of a dict, else the names of the layers.
    form : str
        "one", "list" or "dict".
    """

    names: tuple[str, ...]
    form: str

    def outside(self, values: Sequence[Any]) -> Any:
        """Return one value for each end as the user has them."""
        if self.form == "one":
            return values[0]
        return dict(zip(self.names, values, strict=True)) if self.form == "dict" else list(values)

    def inside(self, where: str, what: str, given: Any) -> tuple[Any, ...]:
        """Return what a user gave for each end, in order: by name, or in a list.

        Raises
        ------
        TypeError, ValueError
            When there is not one for each.
        """
        expected = (
            f"{where}: {what} must be a list of {len(self.names)}, or a dict of {', '.join(self.names)}"
        )
        if isinstance(given, Mapping):
            if set(given) != set(self.names):
                raise ValueError(f"{expected}, got a dict of {', '.join(map(str, given))}")
            return tuple([given[name] for name in self.names])
        if self.form == "one" and len(self.names) == 1:
            return (given,)
        if not isinstance(given, list | tuple):
            raise TypeError(f"{expected}, got {type(given).__name__}")
        if len(given) != len(self.names):
            raise ValueError(f"{expected}, got a list of {len(given)}")
        return tuple(given)


def ends_of(where: str, what: str, given: Any) -> tuple[list[KerasTensor], str, list[str] | None]:
    """Return the tensors of a model's inputs or outputs, their form, and the keys if they came in a dict.

    Raises
    ------
    TypeError, ValueError
        When they are none.
    """
    keys = [str(key) for key in given] if isinstance(given, Mapping) else None
    form = "dict" if keys is not None else "list" if isinstance(given, list | tuple) else "one"
    tensors: list[Any] = [given] if form == "one" else list(given.values() if keys is not None else given)
    for tensor in tensors:
        if not isinstance(tensor, KerasTensor):
            raise TypeError(
                f"{where}: {what} must be KerasTensors, as Input(shape) and layers called on them give, "
                f"got {tensor!r:.80}"
            )
    if not tensors:
        raise ValueError(f"{where}: {what} must hold at least one tensor, got none")
    return tensors, form, keys
