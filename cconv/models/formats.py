"""The data format of a model's images, from the formats that its layers were given.

A layer with a given format keeps it; a layer without one takes the model's. Two given formats must not
differ. A `Flatten` or a normalisation with ``axis=1`` names a format only if its input is an image.
"""

from collections.abc import Sequence
from typing import Any

from cconv.layers.base import Layer
from cconv.layers.spatial import Spatial

SEQUENCE, IMAGE = 2, 3  # their axes, without the batch


class _ModelAsLayer:
    """A model among layers, with the attributes of a layer that are needed here."""

    ranks: tuple[int, ...] = ()

    def __init__(self, model: Any) -> None:
        self.model = model
        self.name: str = model.name
        self.built: bool = model.built
        self.params: list[Layer] = [layer for layer in model._layers if layer.params]

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        return self.model._input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.model._inner_output_shape()

    def _rank_behind(self, rank: int | None) -> int | None:
        return None

    def _named_format(self) -> str | None:
        return self.model._agreed_format()


def _as_layers(items: Sequence[Any]) -> list[Any]:
    """Return layers, with models among them wrapped as `_ModelAsLayer`."""
    return [_ModelAsLayer(item) if hasattr(item, "_items") else item for item in items]


def _passages(layers: Sequence[Layer], rank: int | None) -> list[tuple[int | None, list[int]]]:
    """Return the numbers of layers in a row between which the rank does not change, with that rank."""
    passages: list[tuple[int | None, list[int]]] = []
    numbers: list[int] = []
    for number, layer in enumerate(layers):
        if layer.input_shape is not None:
            rank = len(layer.input_shape)
        elif layer.ranks == (IMAGE,):
            rank = IMAGE
        numbers.append(number)
        behind = len(layer.output_shape) if layer.built else layer._rank_behind(rank)
        if behind != rank:
            passages.append((rank, numbers))
            rank, numbers = behind, []
    return [*passages, (rank, numbers)]


def named_formats(layers: Sequence[Layer], rank: int | None) -> list[tuple[int, str]]:
    """Return the numbers of the layers that name a format of their images, each with that format.

    Parameters
    ----------
    layers : sequence of Layer
        In order, built or not.
    rank : int or None
        Number of axes of the first layer's input, without the batch, if it is known.
    """
    layers = _as_layers(layers)
    return [
        (number, named)
        for rank, numbers in _passages(layers, rank)
        for number in numbers
        if rank == IMAGE and (named := layers[number]._named_format()) is not None
    ]


def agreed_format(
    layers: Sequence[Layer], rank: int | None, given: str | None, settled: str | None
) -> str | None:
    """Return the format of the images; None if nothing names one.

    Parameters
    ----------
    layers, rank
        As for `named_formats`.
    given : str or None
        The format that was given to the model.
    settled : str or None
        The format that the model was built for.

    Raises
    ------
    ValueError
        If the model or its layers were given different formats, or one that differs from the format of the
        existing weights; if a model of sequences has channels_first, which is a format of its layers.
    """
    layers = _as_layers(layers)
    if given == "channels_first" and rank == SEQUENCE:
        _check_sequences(layers)
    told = [(given, "the model was given")] if given is not None else []
    for number, name in named_formats(layers, rank):
        layer = layers[number]
        called = f"layer {number} ({layer.name}, {type(layer).__name__})"
        told.append((name, f"{called} was told"))
        other, who = told[0]
        if other != name:
            raise ValueError(f"Sequential: {called} has {_told(layer, name)}, but {who} {other}")
    if not told:
        return settled
    agreed, who = told[0]
    if settled not in (None, agreed) and _has_weights_behind_images(layers, rank):
        raise ValueError(
            f"Sequential: {who} {agreed}, but the weights that are there were made for {settled}: "
            f"give the model its format when it is made, Sequential(data_format={agreed!r})"
        )
    return agreed


def _check_sequences(layers: Sequence[Any]) -> None:
    """Refuse layers of sequences that were given no format: they would take the channels for steps."""
    for number, layer in enumerate(layers):
        if isinstance(layer, Spatial) and layer.ranks == (SEQUENCE,) and not layer._format_given:
            raise ValueError(
                "Sequential: data_format is that of images; of sequences each layer has its own: layer "
                f"{number} ({layer.name}, {type(layer).__name__}) must be given data_format='channels_first'"
            )


def _has_weights_behind_images(layers: Sequence[Layer], rank: int | None) -> bool:
    """Whether there are built weights from the first layer of images on, which fix the format."""
    first = next((numbers[0] for rank, numbers in _passages(layers, rank) if rank == IMAGE and numbers), None)
    return first is not None and any(layer.built and layer.params for layer in layers[first:])


def _told(layer: Layer, name: str) -> str:
    axis = getattr(layer, "axis", None)
    return f"data_format={name!r}" if axis is None else f"axis={axis}, the channels of {name} images,"
