"""Batches of a data set with augmented images and mixed labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.arguments.numbers import positive_int
from cconv.inputs.feeds import has_state
from cconv.inputs.kinds import NUMBERED, item_of, kind_of
from cconv.inputs.orders import epoch_order
from cconv.layers.augmentation import Augmentation
from cconv.layers.base import Layer
from cconv.layers.mixing import Mixing
from cconv.ops.run import Run
from cconv.seeds import check_seed, new_seed
from cconv.utils.py_dataset import PyDataset


class Augmented(PyDataset):
    """A data set's batches with augmented images and mixed labels, e.g. to use MixUp in `fit`.

    A batch depends only on the seed, the epoch and the number of the batch, not on the number of threads and
    workers. It replaces layers that Keras code maps over a ``tf.data.Dataset``.

    Parameters
    ----------
    data : (x, y), (x, y, sample_weight) or PyDataset
        Arrays, which are shuffled before each epoch and divided into batches; or an object whose ``data[i]``
        is batch i, such as the result of `image_dataset_from_directory`. Weights are not changed.
    layers : layer or list of layers
        `MixUp`, `CutMix`, `RandomFlip` and other augmenting layers, applied in this order. Copies are used,
        always in training mode.
    batch_size : int, optional
        Batch size for arrays; by default 32.
    shuffle : bool
        Whether arrays are shuffled.
    seed : int, optional
        Seed of the orders, and of the draws of layers without a seed of their own; by default a new one.
    workers, max_queue_size
        As in `PyDataset`: threads that make batches ahead of the training.

    Raises
    ------
    TypeError, ValueError
        For data, layers or shapes that do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.layers import Dense, Flatten, MixUp, RandomFlip
    >>> from cconv.models import Sequential
    >>> from cconv.utils import to_categorical
    >>> x = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1), np.uint8)
    >>> y = to_categorical(np.arange(100) % 4)
    >>> batches = Augmented((x, y), [RandomFlip("horizontal"), MixUp(0.2)], batch_size=25, seed=1)
    >>> len(batches), batches[0][0].shape, batches[0][1].shape
    (4, (25, 8, 8, 1), (25, 4))
    >>> model = Sequential([Flatten(), Dense(4, "softmax")])
    >>> model.compile("sgd", "categorical_crossentropy")
    >>> len(model.fit(batches, epochs=2, verbose=0).history["loss"])
    2
    """

    def __init__(
        self,
        data: Any,
        layers: Layer | Sequence[Layer],
        batch_size: int | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        workers: int = 1,
        max_queue_size: int = 10,
    ) -> None:
        super().__init__(workers=workers, max_queue_size=max_queue_size)
        self.layers: list[Augmentation | Mixing] = _copies(layers)
        self.shuffle: bool = arguments.flag("Augmented", "shuffle", shuffle)
        self.seed: int = new_seed() if seed is None else check_seed("Augmented", seed)
        self._epoch = 0
        self._order: tuple[int, np.ndarray] | None = None
        self._columns: tuple[np.ndarray, ...] = ()
        self._data: Any = None
        if isinstance(data, tuple | list):
            self.batch_size: int | None = positive_int(
                "Augmented", "batch_size", 32 if batch_size is None else batch_size
            )
            self._columns = _columns(data)
            self._check(self._columns[0])
        elif kind_of(data) != NUMBERED:
            raise TypeError(
                f"Augmented: data must be (x, y), or batches by number, got {type(data).__name__}"
            )
        elif batch_size is not None:
            raise ValueError(f"Augmented: batch_size must be None for data in batches, got {batch_size!r}")
        else:
            self.batch_size, self._data = None, data

    def __len__(self) -> int:
        if self.batch_size is not None:
            return -(-len(self._columns[0]) // self.batch_size)
        count = self._data.num_batches if hasattr(self._data, "num_batches") else len(self._data)
        if count is None:
            raise TypeError("Augmented: data must have an end, got num_batches None")
        return int(count)

    @controlled
    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        """Return batch `index` of the current epoch: ``(x, y)`` or ``(x, y, sample_weight)``."""
        epoch, count = self._epoch, len(self)
        if not -count <= index < count:
            raise IndexError(f"Augmented: index must lie in [0, {count}), got {index}")
        number = int(index) % count
        x, y, *weight = self._given(number, epoch)
        images, labels = self._augmented(
            x, y, Run(training=True, seed=self.seed, step=epoch * count + number)
        )
        return (images, labels, *weight)

    def get_state(self) -> dict[str, Any]:
        """Return the number of the epoch, the seed of all draws, and the data's own state if any."""
        data = self._data.get_state() if has_state(self._data) else None
        return {"epoch": self._epoch, "seed": self.seed, "data": data}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a state of `get_state`."""
        self._epoch, self.seed, self._order = state["epoch"], state["seed"], None
        if state["data"] is not None:
            self._data.set_state(state["data"])

    def on_epoch_begin(self) -> None:
        """Call the data's `on_epoch_begin`, if any."""
        if hasattr(self._data, "on_epoch_begin"):
            self._data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Begin the next epoch, with another order and other draws."""
        self._epoch += 1
        if hasattr(self._data, "on_epoch_end"):
            self._data.on_epoch_end()

    def _given(self, number: int, epoch: int) -> tuple[Any, ...]:
        """Return a batch in front of all layers."""
        if self.batch_size is None:
            item = item_of("Augmented", number, self._data[number], labelled=True)
            x = arguments.real_array("Augmented", "x", item.x, None)
            self._check(x)
            return (x, item.y) if item.weight is None else (x, item.y, item.weight)
        rows = slice(number * self.batch_size, (number + 1) * self.batch_size)
        if not self.shuffle:
            return tuple(column[rows] for column in self._columns)
        kept = self._order
        if kept is None or kept[0] != epoch:
            kept = self._order = epoch, epoch_order(self.seed, epoch, len(self._columns[0]))
        return tuple(column[kept[1][rows]] for column in self._columns)

    def _augmented(self, x: np.ndarray, y: Any, run: Run) -> tuple[np.ndarray, Any]:
        """Return images and labels after all layers."""
        images = arguments.ready(x, np.dtype(np.float64 if x.dtype == np.float64 else np.float32))
        for layer in self.layers:
            if isinstance(layer, Mixing):
                labels = layer._checked_labels(y, images)
                images, y = layer.mix(images, labels, run)
            else:
                images = layer._to_outer(layer.augment(layer._to_inner(images), run))
        return np.ascontiguousarray(images), y

    def _check(self, x: np.ndarray) -> None:
        """Raise an error for images that the layers cannot take."""
        shape: tuple[int, ...] = x.shape[1:]
        for layer in self.layers:
            shape = layer.compute_output_shape(shape)


def _copies(layers: Any) -> list[Augmentation | Mixing]:
    """Return copies of the layers, each with a key of its own for its draws."""
    copies: list[Augmentation | Mixing] = []
    for layer in [layers] if isinstance(layers, Layer) else list(layers):
        if not isinstance(layer, Augmentation | Mixing):
            raise TypeError(
                "Augmented: layers must be made of layers that augment, such as RandomFlip and MixUp, "
                f"got {layer!r}"
            )
        copy = layer.clone()
        copy.key = len(copies)
        copies.append(copy)
    return copies


def _columns(data: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """Return x, y and weights as arrays of the same length."""
    if not 2 <= len(data) <= 3:
        raise ValueError(f"Augmented: data must be (x, y) or (x, y, sample_weight), got {len(data)} arrays")
    names = ("x", "y", "sample_weight")
    columns = tuple(
        arguments.real_array("Augmented", name, column, None)
        for name, column in zip(names, data, strict=False)
    )
    for name, column in zip(names, columns, strict=False):
        if len(column) != len(columns[0]):
            raise ValueError(
                f"Augmented: {name} must have one row for each of the {len(columns[0])} samples, "
                f"got {len(column)}"
            )
    return columns
