"""The class scores of a model, and their gradients with respect to a layer's output.

A score is the input of the softmax or sigmoid at the model's end. These functions map every number to the
range from 0 to 1, so their gradients vanish where the model is certain.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.numbers import is_int
from cconv.engine.flow import Flow
from cconv.engine.places import Gradients, Values
from cconv.engine.plan import Plan
from cconv.engine.steps import Step
from cconv.geometry.layout import to_channels_last
from cconv.layers.base import Layer
from cconv.layers.pooling import AveragePooling2D, MaxPooling2D
from cconv.models.feeding import Feeder
from cconv.models.flowing import Entry, Inliner
from cconv.models.network import Network

WATCHED_ROWS = 32  # samples at a time for which the outputs of all layers are kept


class Attention(NamedTuple):
    """The output of a layer for a batch, and the gradient of a class' score with respect to it.

    Attributes
    ----------
    output : ndarray of shape (n, h, w, c)
        Output of the layer, channels last.
    gradient : ndarray of shape (n, h, w, c)
        Gradient of the score of each sample's class with respect to it.
    """

    output: np.ndarray
    gradient: np.ndarray


class _Logits:
    """Takes a loss' place in a plan, so that the plan ends in front of a softmax or sigmoid."""

    def from_logits_of(self, activation: str) -> bool:
        """Whether the plan's output should be the input of that activation."""
        return True


class _Watching(Plan):
    """A plan that goes back as far as one value, and returns this value and its gradient."""

    def __init__(self, flow: Flow, watched: int) -> None:
        self._watched = watched
        # Each layer is a step of its own, so every value exists, and none is computed again.
        super().__init__(flow, training=True, seed=0, loss=_Logits(), fuse=False)

    def attention(self, dy: np.ndarray) -> Attention:
        """Return copies of the value that the last `forward` watched, and of its gradient."""
        y = self._value
        self._gradient = np.zeros_like(y)  # stays if the score does not depend on y
        self.backward(dy)
        return Attention(y, self._gradient)

    def _step_forward(self, number: int, entry: Step, values: Values) -> np.ndarray:
        y = super()._step_forward(number, entry, values)
        if entry.value == self._watched:
            self._value = y.copy()
        return y

    def _wanted(self) -> list[bool]:
        wanted = [False] * len(self.flow.readers)
        wanted[self._watched] = True
        for entry in self.steps:
            wanted[entry.value] |= any([wanted[value] for value in entry.sources])
        return wanted

    def _step_back(self, number: int, gradients: Gradients, wanted: list[bool]) -> None:
        if self.steps[number].value != self._watched:
            super()._step_back(number, gradients, wanted)
            return
        dy = gradients.of(self._watched)
        assert dy is not None
        self._gradient = dy.copy()


class Scores:
    """A model as a function from images to class scores; the model itself is not changed.

    Parameters
    ----------
    where : str
        The beginning of error messages.
    model : Sequential or Model
        Built, with one input of images, and one output: a score for each class.

    Attributes
    ----------
    classes : int
        Number of classes.

    Raises
    ------
    TypeError, ValueError
        For any other model.
    """

    def __init__(self, where: str, model: Any) -> None:
        if not isinstance(model, Feeder):
            raise TypeError(f"{where}: model must be a Sequential or a Model, got {model!r}")
        if not model.built:
            raise ValueError(f"{where}: model must be built")
        inputs, outputs = model._input_shapes or [], model._inner_output_shapes()
        if len(inputs) != 1 or len(inputs[0]) != 3:
            raise ValueError(f"{where}: model must have one input, of images, got the shapes {inputs}")
        if len(outputs) != 1 or len(outputs[0]) != 1:
            raise ValueError(
                f"{where}: model must have one output, of a score for each class, got the shapes {outputs}"
            )
        self._where, self._model, self._shape = where, model, tuple(inputs[0])
        self.classes: int = outputs[0][0]
        entry = Entry(model, (0,), at_inference=True)
        flow = Inliner([entry], 1, [1]).flow
        self._layers: list[Layer] = flow.layers
        self._flow = flow.with_layers(_frozen(flow.layers))
        self._rows = model._inference_batch(where, None)

    def batch(self, x: ArrayLike) -> np.ndarray:
        """Return one image, or several, as a batch; as in `fit`, grey images may lack the channel axis.

        Raises
        ------
        TypeError, ValueError
            When x has another shape.
        """
        expected = self._shape
        given = arguments.real_array(self._where, "x", x, None)
        grey = expected[-1] == 1 and given.shape != expected and given.shape[-2:] == expected[:-1]
        batch = given[..., np.newaxis] if grey and given.ndim < 4 else given
        batch = batch[np.newaxis] if batch.ndim == 3 else batch
        if batch.ndim != 4 or batch.shape[1:] != expected or not len(batch):
            raise ValueError(
                f"{self._where}: x must be images of the shape {expected}, one or more, got {given.shape}"
            )
        return batch

    def images(self, x: ArrayLike) -> np.ndarray:
        """Return the result of `batch` in the model's dtype, channels last."""
        last = to_channels_last(self.batch(x), self._model.data_format)
        return np.ascontiguousarray(last, dtype=self._model.dtype)

    def of(self, images: np.ndarray) -> np.ndarray:
        """Return the scores (n, classes) of a batch from `images`."""
        plan = Plan(self._flow, training=False, seed=0, loss=_Logits())
        rows = self._rows
        parts = [images[begin : begin + rows] for begin in range(0, len(images), rows)]
        return np.concatenate([plan.forward(part).copy() for part in parts])

    def chosen(self, images: np.ndarray, class_index: Any) -> np.ndarray:
        """Return the class of each image: the given ones, or those with the highest scores.

        Raises
        ------
        TypeError, ValueError
            When a class is not one of the model's, or there is not one for each image.
        """
        if class_index is None:
            return self.of(images).argmax(axis=1)
        one = is_int(class_index)
        given: list[Any] = [class_index] if one else list(class_index) if np.iterable(class_index) else [None]
        expected = f"{self._where}: class_index must be an int from 0 to {self.classes - 1}"
        if isinstance(class_index, str) or not all(is_int(index) for index in given):
            raise TypeError(f"{expected}, or one for each image, got {class_index!r}")
        if not all(0 <= index < self.classes for index in given):
            raise ValueError(f"{expected}, got {class_index!r}")
        if not one and len(given) != len(images):
            raise ValueError(f"{expected}, or one for each of {len(images)} images, got {len(given)}")
        return np.array(given * len(images) if one else given, np.intp)

    def attention(self, images: np.ndarray, layer: Any, classes: np.ndarray) -> Attention:
        """Return a layer's output for a batch, and the gradient of each sample's class score.

        Parameters
        ----------
        images : ndarray
            The result of `images`.
        layer : Layer, str, int or None
            The layer, its name or number; by default the last one that returns images and is not a pooling.
        classes : ndarray of int
            The result of `chosen`.

        Raises
        ------
        TypeError, ValueError
            For a layer that is not the model's, or does not return images.
        """
        plan = _Watching(self._flow, self._flow.value_of(self._number(layer)))
        wanted = np.eye(self.classes, dtype=images.dtype)[classes]
        rows, parts = min(self._rows, WATCHED_ROWS), []
        for begin in range(0, len(images), rows):
            plan.forward(images[begin : begin + rows])
            parts.append(plan.attention(wanted[begin : begin + rows]))
        return Attention(*map(np.concatenate, zip(*parts, strict=True)))

    def _number(self, layer: Any) -> int:
        """Return the number of the last use of a layer."""
        shapes = [entry._inner(entry.output_shape) for entry in self._layers]
        if layer is None:
            kinds = (MaxPooling2D, AveragePooling2D)
            found = [
                number
                for number, entry in enumerate(self._layers)
                if len(shapes[number]) == 3 and max(shapes[number][:2]) > 1 and not isinstance(entry, kinds)
            ]
            if not found:
                raise ValueError(f"{self._where}: model must have a layer that gives images")
            return found[-1]
        wanted = self._named(layer)
        found = [number for number, entry in enumerate(self._layers) if entry is wanted]
        if not found or len(shapes[found[-1]]) != 3:
            shape = wanted.output_shape
            raise ValueError(
                f"{self._where}: layer must be one that computes images at inference, "
                f"but {wanted.shown} gives the shape {shape}"
            )
        return found[-1]

    def _named(self, layer: Any) -> Layer:
        """Return the layer given by itself, by name or by number; for a nested model its last layer."""
        named, items = list(_all_of(self._model._items)), self._model.layers
        if isinstance(layer, Layer | Network):
            found = [(name, entry) for name, entry in named if entry is layer]
        elif isinstance(layer, str):
            found = [(name, entry) for name, entry in named if layer == name]
            found = found or [(name, entry) for name, entry in named if layer == entry.name]
        elif is_int(layer):
            found = [("", items[layer])] if -len(items) <= layer < len(items) else []
        else:
            raise TypeError(
                f"{self._where}: layer must be a layer of the model, its name or number, got {layer!r}"
            )
        if len({id(entry) for _, entry in found}) > 1:
            names = " or ".join(repr(name) for name, _ in found)
            raise ValueError(f"{self._where}: layer must be {names}, got {layer!r}, which all of them are")
        if not found:
            known = ", ".join(name for name, _ in named)
            raise ValueError(f"{self._where}: layer must be one of {known}, got {layer!r}")
        return _giving(found[0][1])


def _all_of(items: Sequence[Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every layer and model among the items, and inside nested models, with its name in files."""
    for item in items:
        yield f"{path}{item.name if isinstance(item, Network) else item.shown}", item
        if isinstance(item, Network):
            yield from _all_of(item._items, f"{path}{item.name}/")


def _giving(item: Any) -> Layer:
    """Return the layer whose output is the item's output."""
    while isinstance(item, Network):
        item = item._entries[item._outputs[0] - len(item._input_shapes or ())].item
    return item


def _frozen(layers: Sequence[Layer]) -> list[Layer]:
    """Return copies that share the weights and keep no gradients, one for each layer."""
    twins: dict[int, Layer] = {}
    for layer in layers:
        if id(layer) not in twins:
            twin = copy.copy(layer)
            twin.trainable, twin.grads = False, {}
            twins[id(layer)] = twin
    return [twins[id(layer)] for layer in layers]
