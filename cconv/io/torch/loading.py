"""Weights of torch into a model."""

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
    """Give a model the weights of a state dict of torch; torch is not needed.

    A module belongs to the layer of its name, or of the name that torchvision or timm have for it in a
    network of `cconv.applications`; where names say nothing, modules and layers of a kind belong together in
    their order. ``module.`` of DataParallel and ``model.`` of Lightning in front of all names are left out,
    and so is ``num_batches_tracked``. Kernels are brought from (out, in, h, w) to (h, w, in, out), and behind
    a Flatten features from channels first to channels last.

    What a state dict does not hold stays as it is: a batch normalisation's epsilon (1e-5 in torch) and
    momentum (torch's 0.1 is 0.9 here), and how convolutions pad. The networks of `cconv.applications` have
    torch's with ``form="torchvision"``.

    Parameters
    ----------
    model : Model or Sequential
        Built. When anything does not fit, nothing of it has changed.
    source : path or dict of str to array
        Of a ``.safetensors`` file, or a ``.pth``, ``.pt`` or ``.bin`` file that torch.save wrote, of a state
        dict or a checkpoint with one. Its pickle is read as data: no code in it is run. Or the arrays by
        torch's names.
    flatten_order : str, optional
        How torch flattens images in front of a dense layer, the axis that changes slowest first: ``"chw"`` by
        default, ``"whc"`` behind ``permute(0, 3, 2, 1)``.
    names : dict of str to str, optional
        The names of modules by those of layers, where they are others: ``{"conv2d": "features.0"}``.
    strict : bool
        False leaves out what the model has no layer for; all its own weights must be there.

    Returns
    -------
    dict of str to str
        What was taken: torch's names by "layer/weight".

    Warns
    -----
    UserWarning
        When the weights are torchvision's or timm's and the network pads as Keras' do.

    Raises
    ------
    OSError
        When the file cannot be read.
    ValueError
        When it is none of these, is damaged, holds what is no tensor, number, text or container, or does not
        fit the model: then every mismatch is listed.
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
    """Whether a layer pads more on one side than on the other, which torch's convolutions cannot."""
    layers = [layer for _, layer in model._named]
    around = [layer.padding for layer in layers if isinstance(layer, ZeroPadding2D)]
    around += [layer.window.pads for layer in layers if isinstance(layer, Conv2D | DepthwiseConv2D)]
    return any(before != behind for pads in around for before, behind in pads)


def _array(called: str, name: str, given: np.ndarray, slot: Slot, dtype: np.dtype) -> np.ndarray:
    """Return a weight as the layer has it; ValueError for what it cannot hold."""
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
    """Return the modules that the user named, by layers that there are."""
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
