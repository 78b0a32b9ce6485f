"""Loading torch weights into a model."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from cconv.arguments.control import controlled
from cconv.arguments.numbers import flag
from cconv.io.torch.matching import Matcher, full
from cconv.io.torch.ordering import check_order
from cconv.io.torch.parts import Part, Slot, parts_of
from cconv.io.torch.states import state_of
from cconv.layers import Conv2D, DepthwiseConv2D, ZeroPadding2D
from cconv.models.network import Network

WHERE = "load_state_dict"


@controlled
def load_state_dict(
    model: Any,
    source: Any,
    flatten_order: str | None = None,
    *,
    names: Mapping[str, str] | None = None,
    strict: bool = True,
) -> dict[str, str]:
    """Load the weights of a torch state dict into a model; torch is not needed.

    A module belongs to the layer with the same name, or, in a network of `cconv.applications`, with the name
    that torchvision or timm has for it. If names do not help, modules and layers of each kind are matched in
    their order. Common prefixes of all names (``module.`` of DataParallel, ``model.`` of Lightning) and
    ``num_batches_tracked`` are ignored. Kernels are transposed from (out, in, h, w) to (h, w, in, out), and
    features behind a Flatten are reordered from channels first to channels last.

    Values that a state dict lacks are not changed: a batch normalisation's epsilon (1e-5 in torch) and
    momentum (torch's 0.1 is 0.9 here), and the padding of convolutions. The networks of `cconv.applications`
    have torch's values with ``form="torchvision"``.

    Parameters
    ----------
    model : Model or Sequential
        Built. If anything does not fit, it is unchanged.
    source : path or dict of str to array
        A ``.safetensors`` file, or a ``.pth``, ``.pt`` or ``.bin`` file of torch.save, with a state dict or a
        checkpoint that has one. Its pickle is read as data: no code in it is run. Or a dict of arrays by
        torch's names.
    flatten_order : str, optional
        The order in which torch flattens images in front of a dense layer, slowest axis first: ``"chw"`` by
        default, ``"whc"`` behind ``permute(0, 3, 2, 1)``.
    names : dict of str to str, optional
        Modules' names by layers' names, where they differ: ``{"conv2d": "features.0"}``.
    strict : bool
        False ignores tensors for which the model has no layer; the model's own weights must all be there.

    Returns
    -------
    dict of str to str
        The tensors that were loaded: torch's names by "layer/weight".

    Warns
    -----
    UserWarning
        When the weights are torchvision's or timm's but the network pads as in Keras.

    Raises
    ------
    OSError
        When the file cannot be read.
    ValueError
        When it is not such a file, is damaged, contains anything but tensors, numbers, text and containers,
        or does not fit the model; the message lists every mismatch.
    TypeError
        For arguments of other types.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> model = Sequential([Dense(1, input_shape=(2,))])
    >>> load_state_dict(model, {"fc.weight": np.array([[2.0, 3.0]]), "fc.bias": np.array([1.0])})
    {'dense/kernel': 'fc.weight', 'dense/bias': 'fc.bias'}
    >>> model.predict(np.array([[1.0, 1.0]]), verbose=0).tolist()
    [[6.0]]
    """
    parts = checked_parts(WHERE, model, flatten_order)
    said = checked_names(WHERE, names, parts)
    strict = flag(WHERE, "strict", strict)
    with state_of(WHERE, source) as state:
        matcher = Matcher(parts, state, said, strict)
        match = matcher.match()
        weights: list[tuple[Slot, np.ndarray]] = []
        taken: dict[str, str] = {}
        for part in parts:
            for slot in part.slots:
                name = full(match.modules[part.name], slot)
                if name not in matcher.names:
                    continue
                there = matcher.names[name]
                array = _array(state.called, there, state.array(there), slot, model.dtype)
                if slot.layer is not None:
                    weights.append((slot, array))
                    taken[f"{part.name}/{slot.key}"] = there
        state.check()
    model._not_in_training(WHERE)
    for slot, array in weights:
        slot.place[...] = array
    if match.hint and _pads_unevenly(model):
        warnings.warn(
            f"{WHERE}: the weights fit, but this network pads more below and on the right, as Keras' do and "
            f"timm's tf_ ones: predictions will be others; {match.hint}",
            stacklevel=2,
        )
    return taken


def _pads_unevenly(model: Any) -> bool:
    """Whether a layer pads one side more than the other, which torch's convolutions cannot do."""
    layers = [layer for _, layer in model._named]
    around = [layer.padding for layer in layers if isinstance(layer, ZeroPadding2D)]
    around += [layer.window.pads for layer in layers if isinstance(layer, Conv2D | DepthwiseConv2D)]
    return any(before != behind for pads in around for before, behind in pads)


def _array(called: str, name: str, given: np.ndarray, slot: Slot, dtype: np.dtype) -> np.ndarray:
    """Return a tensor as the layer's weight; ValueError if the weight cannot have these values."""
    if slot.layer is None:
        if not np.all(given == slot.constant):
            raise ValueError(
                f"{called} does not fit this model: {name} must be {slot.constant:g} everywhere, since the "
                "layer has no weights for it"
            )
        return given
    with np.errstate(over="ignore"):
        found = given.reshape(slot.shape).astype(dtype)
    if given.dtype.itemsize > dtype.itemsize and not np.array_equal(
        np.isinf(given), np.isinf(found).reshape(given.shape)
    ):
        raise ValueError(f"{called} does not fit this model: {name} has numbers too large for {dtype}")
    return slot.into(found)


def checked_parts(where: str, model: Any, flatten_order: Any) -> list[Part]:
    """Return the modules of a model, which must be built."""
    if not isinstance(model, Network):
        raise TypeError(f"{where}: model must be a Sequential or a Model, got {model!r}")
    model._need_built(where)
    return parts_of(model, check_order(where, flatten_order))


def checked_names(where: str, names: Any, parts: list[Part]) -> dict[str, str]:
    """Return the modules that the user named, for existing layers."""
    if names is None:
        return {}
    known = [part.name for part in parts]
    if not isinstance(names, Mapping) or not all(
        isinstance(name, str) for pair in names.items() for name in pair
    ):
        raise TypeError(
            f"{where}: names must be a dict of names of modules by those of layers, got {names!r}"
        )
    unknown = [layer for layer in names if layer.replace("/", ".") not in known]
    if unknown:
        raise ValueError(f"{where}: names must be of layers with weights, {', '.join(known)}, got {unknown}")
    return {layer.replace("/", "."): module for layer, module in names.items()}
