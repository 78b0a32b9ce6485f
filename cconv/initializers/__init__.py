"""Initial values of weights, by name or as objects; the same for a seed on every machine.

Draws are counter-based (`seeds.bits`), and `exactmath` computes normal numbers from uniform ones, so no
machine-dependent function is used.
"""

from typing import Any

from cconv import arguments
from cconv.arguments.keras_names import refusing
from cconv.arguments.serializable import own_object
from cconv.initializers.base import Initializer, OfFunction, fans
from cconv.initializers.constant import Constant, Identity, Ones, Zeros
from cconv.initializers.draws import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from cconv.initializers.orthogonal import Orthogonal

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "fans",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

# Keras' alternative names: `kernel_initializer=initializers.he_normal(seed=1)`.
constant, zeros, ones, identity, orthogonal = Constant, Zeros, Ones, Identity, Orthogonal
random_uniform, random_normal, truncated_normal = RandomUniform, RandomNormal, TruncatedNormal
variance_scaling, IdentityInitializer, OrthogonalInitializer = VarianceScaling, Identity, Orthogonal
glorot_uniform, glorot_normal, he_uniform = GlorotUniform, GlorotNormal, HeUniform
he_normal, lecun_uniform, lecun_normal = HeNormal, LecunUniform, LecunNormal

_CLASSES: dict[str, type[Initializer]] = {
    "constant": Constant,
    "zeros": Zeros,
    "ones": Ones,
    "random_uniform": RandomUniform,
    "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "identity": Identity,
    "orthogonal": Orthogonal,
    **{"normal": RandomNormal, "uniform": RandomUniform, "one": Ones, "zero": Zeros},
    **{"identity_initializer": Identity, "orthogonal_initializer": Orthogonal},
}


def get(value: Any, where: str = "initializers.get", name: str = "value") -> Initializer:
    """Return the initializer for `value`.

    Parameters
    ----------
    value : str, Initializer, function or mapping
        ``"glorot_uniform"``, ``GlorotUniform()``, a function ``f(shape, dtype=None)`` or a configuration.
    where, name : str
        Prefix of the error message.

    Raises
    ------
    TypeError, ValueError
        If there is no such initializer.

    Examples
    --------
    >>> get("he_normal")
    HeNormal()
    """
    if isinstance(value, str):
        own = own_object(value)
        value = value if own is None else own
    if callable(value) and not isinstance(value, Initializer | type):
        return OfFunction(value)
    return arguments.resolve(where, name, value, Initializer, _CLASSES)


def serialize(initializer: Initializer) -> Any:
    """Return ``{"class_name": …, "config": …}`` for an initializer, as plain data.

    Examples
    --------
    >>> serialize(Constant(2.0))
    {'class_name': 'Constant', 'config': {'value': 2.0}}
    """
    return initializer.plain()


def deserialize(config: Any) -> Initializer:
    """Return the initializer of a configuration from `serialize`.

    Raises
    ------
    TypeError, ValueError
        If there is no such initializer.

    Examples
    --------
    >>> deserialize(serialize(Constant(2.0)))
    Constant(value=2.0)
    """
    return get(config, "initializers.deserialize", "config")


refusing(globals(), functions=["deserialize", "get"])
