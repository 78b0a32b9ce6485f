"""`Frozen`: a model in its current state, for inference only."""

import copy
import os
from typing import Any, Self

import numpy as np

from cconv.arguments.control import controlled
from cconv.arguments.text import short


class Frozen:
    """A model as it was when ``model.freeze()`` was called; later changes of the model do not matter.

    Its weights are a read-only copy, so values that depend on them are computed once: batch normalisations
    are folded into the weights in front of them, kernels of 3x3 convolutions are kept as Winograd's algorithm
    multiplies them, four times as large, and those of 1x1 convolutions and dense layers, if they have at most
    4 MB, in the order in which they are multiplied. Several threads may call it at once; each has its own
    buffers, such kernels included. Pickled copies are frozen too.

    Attributes
    ----------
    name : str
        The model's name.
    dtype : dtype
        Dtype of the outputs.
    input_shape, output_shape : tuple of int or None, or list of them
        With None for the batch in front.

    Examples
    --------
    >>> from cconv.layers import BatchNormalization, Conv2D
    >>> from cconv.models import Sequential
    >>> model = Sequential([Conv2D(4, 3, input_shape=(8, 8, 1)), BatchNormalization()], seed=0)
    >>> frozen = model.freeze()
    >>> x = np.ones((2, 8, 8, 1), np.float32)
    >>> y = frozen.predict(x)
    >>> np.array_equal(y, model.predict(x))
    True
    >>> out = np.empty_like(y)
    >>> frozen.predict_into(x, out) is out
    True
    """

    __slots__ = ("_model", "_sample_shape")
    _model: Any
    _sample_shape: tuple[int, ...] | None  # of the only output

    def __init__(self, model: Any) -> None:
        # The optimizer's state, perhaps twice as large as the weights, is not copied.
        optimizer = getattr(model, "optimizer", None)
        own = copy.deepcopy(model, {} if optimizer is None else {id(optimizer): None})
        own._uncompile()
        object.__setattr__(self, "_model", own)
        self._close()

    def _close(self) -> None:
        """Make the weights read-only, and let plans use them without checking for changes."""
        for layer in self._model._layers:
            for array in (*layer.params.values(), *layer.state.values()):
                array.flags.writeable = False
        self._model._frozen = True
        # A model finds its shapes by a walk over its layers, which takes longer than a small network.
        shape = self._model.output_shape
        object.__setattr__(self, "_sample_shape", shape[1:] if isinstance(shape, tuple) else None)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"Frozen: {name} cannot be set: freeze the model anew")

    def __reduce__(self) -> tuple[Any, ...]:
        return _closed, (type(self), self._model)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # it is immutable

    def __repr__(self) -> str:
        return f"<Frozen {short(self.name)!r}: {self.count_params():,} weights>"

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self._model.name)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the outputs."""
        return np.dtype(self._model.dtype)

    @property
    def input_shape(self) -> Any:
        """Shape of the inputs, with None for the batch."""
        return self._model.input_shape

    @property
    def output_shape(self) -> Any:
        """Shape of the outputs, with None for the batch."""
        return self._model.output_shape

    def count_params(self) -> int:
        """Return the number of weights."""
        return int(self._model.count_params())

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the weights, as ``model.get_weights()`` does."""
        return list(self._model.get_weights())

    @controlled
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file, as ``model.save(path)`` does; `load_model` returns it uncompiled."""
        self._model.save(path)

    @controlled
    def predict(self, x: Any, batch_size: int | None = None, verbose: str | int = "auto") -> Any:
        """Return the outputs, bit for bit those of the model's own `predict`.

        Parameters
        ----------
        x : array of shape (n, h, w, c), or whatever else the model's `predict` takes
        batch_size : int, optional
            Samples computed at a time; by default at most 256, fewer if they need more than 64 MB.
        verbose : {"auto", 0, 1, 2}
            As for the model's own `predict`.

        Returns
        -------
        ndarray of shape (n, *output_shape)
            A new array. For several outputs a list, or a dict if the model was given one.

        Raises
        ------
        TypeError, ValueError
            When the model does not take such an `x`.
        """
        y = self._model._predict_directly(x, batch_size)
        return self._model.predict(x, batch_size, verbose) if y is None else y

    @controlled
    def __call__(self, x: Any) -> Any:
        """Return the outputs for one batch."""
        return self._model.predict_on_batch(x)

    @controlled
    def predict_into(self, x: Any, out: np.ndarray) -> np.ndarray:
        """Write the outputs for one batch into `out`, and return it; no other memory is allocated.

        Parameters
        ----------
        x : array of shape (n, h, w, c), or of the model's other input shape
        out : ndarray of shape (n, *output_shape)
            With the model's dtype; any writable view is allowed.

        Raises
        ------
        TypeError, ValueError
            For an `out` of another type, shape or dtype, for a model with several outputs, or when the model
            does not take such an `x`.
        """
        where = "Frozen.predict_into"
        if self._sample_shape is None:
            raise ValueError(f"{where}: the model must have one output, got {len(self.output_shape)}")
        if not isinstance(out, np.ndarray):
            raise TypeError(f"{where}: out must be an ndarray, got {type(out).__name__}")
        # The usual case: nothing is computed if `out` does not fit. A sample alone is refused below.
        if type(x) is np.ndarray and x.ndim == len(self._model._input_shapes[0]) + 1:
            self._check_out(where, out, (len(x), *self._sample_shape))
            if self._model._predict_directly(x, len(x), out) is not None:
                return out
        y = self._model.predict_on_batch(x)
        if isinstance(y, dict):
            (y,) = y.values()
        self._check_out(where, out, y.shape)
        out[...] = y
        return out

    def _check_out(self, where: str, out: np.ndarray, shape: tuple[int, ...]) -> None:
        if out.shape != shape or out.dtype != self.dtype or not out.flags.writeable:
            kind = "" if out.flags.writeable else ", which cannot be written to"
            raise ValueError(
                f"{where}: out must be a writeable {self.dtype} array of shape {shape}, "
                f"got {out.dtype} of shape {out.shape}{kind}"
            )


def _closed(kind: type[Frozen], model: Any) -> Frozen:
    """Return the `Frozen` of a pickle."""
    found = object.__new__(kind)
    object.__setattr__(found, "_model", model)
    found._close()
    return found
