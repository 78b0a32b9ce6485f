"""The inputs or outputs ("ends") of a model: one, several in a list, or several by name."""

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any, NamedTuple

from cconv.layers.symbolic import KerasTensor


class Ends(NamedTuple):
    """The form in which a user gave a model's inputs or outputs; data for them have the same form.

    Attributes
    ----------
    names : tuple of str
        One name for each end: the keys of a dict, else the names of the layers.
    form : str
        "one", "list" or "dict".
    """

    names: tuple[str, ...]
    form: str

    def outside(self, values: Sequence[Any]) -> Any:
        """Return one value for each end in the user's form."""
        if self.form == "one":
            return values[0]
        return dict(zip(self.names, values, strict=True)) if self.form == "dict" else list(values)

    def inside(self, where: str, what: str, given: Any) -> tuple[Any, ...]:
        """Return the user's entry for each end, in order; given by name, or in a list.

        Raises
        ------
        TypeError, ValueError
            When there is not one entry for each end.
        """
        expected = (
            f"{where}: {what} must be a list of {len(self.names)}, or a dict of {', '.join(self.names)}"
        )
        if isinstance(given, Mapping):
            if set(given) != set(self.names):
                raise ValueError(f"{expected}, got a dict of {', '.join(map(str, given))}")
            return tuple([given[name] for name in self.names])
        if len(self.names) == 1 and (self.form == "one" or not isinstance(given, list | tuple)):
            return (given,)
        if not isinstance(given, list | tuple):
            raise TypeError(f"{expected}, got {type(given).__name__}")
        if len(given) != len(self.names):
            raise ValueError(f"{expected}, got a list of {len(given)}")
        return tuple(given)

    def given_out(self, values: Sequence[Any]) -> Any:
        """Return the model's results in the user's form; a single one, even in a list, by itself."""
        return values[0] if len(values) == 1 and self.form != "dict" else self.outside(values)

    def parted(self, where: str, what: str, given: Any, may_lack: tuple[str, ...] = ()) -> tuple[Any, ...]:
        """Return the user's data for each end, in order; given by name, or in a list.

        Data for a single end are used as they are, unless they are a dict, or the end and its data are each
        in a list. As in Keras, a dict of inputs may have more entries than the model uses.

        Parameters
        ----------
        where, what : str
            Prefix of the error messages.
        given : array, list or dict
        may_lack : tuple of str
            Names of ends that may be missing in a dict.

        Raises
        ------
        TypeError, ValueError
            When there is not one entry for each end.

        Examples
        --------
        >>> Ends(("a", "b"), "list").parted("f", "x", {"b": 2, "a": 1})
        (1, 2)
        >>> Ends(("a",), "one").parted("f", "x", [3])
        ([3],)
        """
        single = len(self.names) == 1
        if isinstance(given, Mapping):
            missing = [name for name in self.names if name not in given and name not in may_lack]
            unknown = [] if what in ("x", "x_test") else [key for key in given if key not in self.names]
            if missing or unknown:
                raise ValueError(
                    f"{self._expected(where, what)}, got a dict of {', '.join(map(str, given)) or 'nothing'}"
                )
            return tuple([given.get(name) for name in self.names])
        if single and not self._is_listed(given):
            return (given,)
        if not isinstance(given, list | tuple):
            raise TypeError(f"{self._expected(where, what)}, got {type(given).__name__}")
        if len(given) != len(self.names):
            raise ValueError(f"{self._expected(where, what)}, got a list of {len(given)}")
        return tuple(given)

    def weights(self, where: str, what: str, given: Any) -> tuple[Any, ...]:
        """Return the user's weights for each end: none, the same for all, or by name or in a list.

        Examples
        --------
        >>> ends = Ends(("a", "b"), "list")
        >>> ends.weights("f", "w", {"b": 2}), ends.weights("f", "w", [0.5, 1.0])
        ((None, 2), ([0.5, 1.0], [0.5, 1.0]))
        """
        if isinstance(given, Mapping):
            return self.parted(where, what, given, self.names)
        listed = isinstance(given, list | tuple) and len(given) == len(self.names) > 1
        if self._is_listed(given) or (listed and not any(isinstance(each, Number) for each in given)):
            return tuple(given)
        return (given,) * len(self.names)

    def _is_listed(self, given: Any) -> bool:
        """Whether there is one end, given in a list, and its data are in a list of one array too."""
        if self.form != "list" or not isinstance(given, list | tuple) or len(self.names) != 1:
            return False
        return len(given) == 1 and len(getattr(given[0], "shape", ())) > 0

    def _expected(self, where: str, what: str) -> str:
        names = ", ".join(self.names)
        if len(self.names) == 1:
            return f"{where}: {what} must be an array, or a dict of {names}"
        return f"{where}: {what} must be a list of {len(self.names)}, or a dict of {names}"


def ends_of(where: str, what: str, given: Any) -> tuple[list[KerasTensor], str, list[str] | None]:
    """Return the tensors of a model's inputs or outputs, their form, and the keys if they are in a dict.

    Raises
    ------
    TypeError, ValueError
        When they are not symbolic tensors.
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
