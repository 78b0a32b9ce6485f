"""Parameters of an estimator's parts, such as ``optimizer__beta_1`` and ``layers__0__filters``."""

from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator

from cconv import optimizers
from cconv.arguments.parameters import SEPARATOR, Parametrised, changed, copied, invalid, nested
from cconv.estimators.graphs import with_layers
from cconv.estimators.pages import Documented
from cconv.layers import InputLayer, Layer
from cconv.models import Model
from cconv.optimizers import Optimizer

OPTIMIZERS = (
    *("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta"),
    *("adam", "adamw", "adamax", "nadam", "lion"),
)
RATES = ("learning_rate", "lr")  # an optimizer given by its name takes these from the estimator
# Names of parameters in scikit-learn's networks, and here.
IN_SKLEARN = {
    "max_iter": "max_epochs",
    "learning_rate_init": "learning_rate",
    "solver": "optimizer",
    "hidden_layer_sizes": "layers",
}


class NestedParameters(Documented, BaseEstimator):
    """`get_params` and `set_params` that reach into optimizers, schedules, layers and dicts.

    A part is never changed in place: the estimator gets a changed copy, so that others with the same object,
    such as clones, are not affected.
    """

    _dicts: ClassVar[tuple[str, ...]] = ()  # parameters that are dicts whose entries can be set

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse scikit-learn's names of parameters that have other names here."""
        for name in kwargs.keys() & IN_SKLEARN.keys():
            cls._refuse_other(name)
        return super().__new__(cls)

    @classmethod
    def _refuse_other(cls, name: str) -> None:
        """Refuse scikit-learn's name of a parameter that has another name here."""
        known, ours = cls._get_param_names(), IN_SKLEARN.get(name)
        if name not in known and ours in known:
            raise TypeError(f"{cls.__name__}: there is no parameter {name!r}, it is {ours!r} here")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool
            Whether to include the parts' parameters: ``optimizer__…`` of an optimizer, also of one given by
            its name, ``learning_rate__…`` of a schedule, ``layers__0`` and ``layers__0__…`` of layers in a
            list, ``layers__conv1`` and ``layers__conv1__…`` of a model's layers, by name.

        Returns
        -------
        dict of str to object
        """
        own = super().get_params(deep=False)
        return {**self._parts(own), **own} if deep else own

    def _parts(self, own: dict[str, Any]) -> dict[str, Any]:
        found = nested(own)
        for name, value in own.items():
            entries = self._entries(value)
            if entries is not None:
                within = {f"{name}{SEPARATOR}{entry}": part for entry, part in entries.items()}
                found |= nested(within) | within
        by_name = own.get("optimizer")
        if isinstance(by_name, str) and by_name in OPTIMIZERS and "learning_rate" in own:
            inner = optimizers.get(by_name).get_params() | {"learning_rate": own["learning_rate"]}
            inner |= nested({"learning_rate": inner["learning_rate"]})
            found |= {f"optimizer{SEPARATOR}{name}": value for name, value in inner.items()}
        return found

    @staticmethod
    def _entries(value: Any) -> dict[str, Any] | None:
        """Return the layers of a list by number, or of a model by name; None for other values."""
        if isinstance(value, Model):
            return {name: layer for name, layer in value._named if _has_parameters(name, layer)}
        if isinstance(value, list | tuple) and any(isinstance(entry, Layer) for entry in value):
            return {str(place): entry for place, entry in enumerate(value)}
        return None

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of parts.

        Parameters
        ----------
        **params
            Values by the names of ``get_params(deep=True)``. An optimizer given by its name stays a name if
            only ``optimizer__learning_rate`` is set (it is `learning_rate`); other settings make it an
            object.

        Returns
        -------
        Self
            The estimator itself.

        Raises
        ------
        ValueError
            For an unknown name; for a `learning_rate` beside an optimizer object, which has its own.
        TypeError, ValueError
            When a part refuses a setting.
        """
        own = {name: value for name, value in params.items() if SEPARATOR not in name}
        inner: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            outer, separator, rest = name.partition(SEPARATOR)
            if separator:
                inner.setdefault(outer, {})[rest] = value
        known, where = self._get_param_names(), type(self).__name__
        for name in (*own, *inner):
            if name not in known:
                self._refuse_other(name)
                raise invalid(where, name, known)
        self._refuse_unseen_rate(own)
        super().set_params(**own)
        for name, values in inner.items():
            self._set_part(where, name, values)
        return self

    def _refuse_unseen_rate(self, own: dict[str, Any]) -> None:
        """Refuse another learning_rate if the optimizer is an object, which has its own."""
        optimizer = getattr(self, "optimizer", None)
        if "optimizer" in own or not isinstance(optimizer, Optimizer) or "learning_rate" not in own:
            return
        if own["learning_rate"] != getattr(self, "learning_rate", None):
            raise ValueError(
                f"{type(self).__name__}: learning_rate is for an optimizer given by its name: "
                f"set optimizer__learning_rate of {optimizer!r}"
            )

    def _set_part(self, where: str, name: str, values: dict[str, Any]) -> None:
        value = getattr(self, name)
        entries = self._entries(value)
        if name == "optimizer" and isinstance(value, str):
            self._set_named_optimizer(where, value, values)
        elif name in self._dicts and isinstance(value, dict):
            setattr(self, name, value | values)
        elif entries is not None:
            made = _changed_entries(where, name, entries, values)
            if isinstance(value, Model):
                other = {key: layer for key, layer in made.items() if layer is not entries[key]}
                setattr(self, name, with_layers(value, other))
            else:
                setattr(self, name, type(value)(made.values()))
        elif hasattr(value, "set_params") and not isinstance(value, Parametrised):
            value.set_params(**values)  # the user's own part, set as in scikit-learn
        else:
            setattr(self, name, changed(where, name, value, values))

    def _set_named_optimizer(self, where: str, name: str, values: dict[str, Any]) -> None:
        if name not in OPTIMIZERS:
            raise ValueError(f"{where}: optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}")
        rates = {key: value for key, value in values.items() if key.partition(SEPARATOR)[0] in RATES}
        for key, value in rates.items():
            _, separator, rest = key.partition(SEPARATOR)
            self.set_params(**{f"learning_rate{separator}{rest}": value})
        others = {key: value for key, value in values.items() if key not in rates}
        if others:
            plain = named_optimizer(name, self.learning_rate)
            made = copied(plain).set_params(**others)
            if made != plain:
                self.optimizer = made


def named_optimizer(name: str, learning_rate: Any) -> Optimizer:
    """Return a new optimizer by its name."""
    return optimizers.get({"class_name": name, "config": {"learning_rate": learning_rate}})


def _has_parameters(name: str, layer: Layer) -> bool:
    """Whether a model's layer can be set by its name."""
    return SEPARATOR not in name and not isinstance(layer, InputLayer)


def _changed_entries(
    where: str, name: str, entries: dict[str, Any], values: dict[str, Any]
) -> dict[str, Any]:
    """Return the entries of a list or a model, with some of them, or their parameters, changed."""
    made, inner = dict(entries), dict[str, dict[str, Any]]()
    for key, value in values.items():
        place, separator, rest = key.partition(SEPARATOR)
        if place not in made:
            raise invalid(where, f"{name}{SEPARATOR}{place}", [f"{name}{SEPARATOR}{e}" for e in entries])
        if separator:
            inner.setdefault(place, {})[rest] = value
        else:
            made[place] = value
    for place, settings in inner.items():
        made[place] = changed(where, f"{name}{SEPARATOR}{place}", made[place], settings)
    return made
