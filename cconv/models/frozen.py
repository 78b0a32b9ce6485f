"""`Frozen`: a model as it predicts now, for good."""

import copy
import os
from typing import Any, Self

import numpy as np

from cconv.arguments.control import controlled
from cconv.arguments.text import short


class Frozen:
    """What a model predicted when it was frozen, whatever becomes of the model: see ``model.freeze()``.

    Its weights are a copy that cannot be written to, so what follows from them is computed once: batch
    normalisations are folded into the weights in front of them. Any number of threads may call it at once;
    each has buffers of its own. Pickles are frozen too.

    Attributes
    ----------
    name : str
        That of the model.
    dtype : dtype
        Of the outputs.
    input_shape, output_shape : tuple of int or None, or list of them
        With the batch, None, in front.

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

    __slots__ = ("_model",)
    _model: Any

    def __init__(self, model: Any) -> None:
        # Of the optimizer, which may be twice as large as the weights, nothing is needed.
        optimizer = getattr(model, "optimizer", None)
        own = copy.deepcopy(model, {} if optimizer is None else {id(optimizer): None})
        own._uncompile()
        object.__setattr__(self, "_model", own)
        self._close()

    def _close(self) -> None:
        """Let nobody write into the weights, and have plans take notice of them once."""
        for layer in self._model._layers:
            for array in (*layer.params.values(), *layer.state.values()):
                array.flags.writeable = False
        self._model._frozen = True

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"Frozen: {name} cannot be set: freeze the model anew")

    def __reduce__(self) -> tuple[Any, ...]:
        return _closed, (type(self), self._model)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing of it can change

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
        """Write the model to a file, as ``model.save(path)`` does: it is loaded as a model, not compiled."""
        self._model.save(path)

    @controlled
    def predict(self, x: Any, batch_size: int | None = None) -> Any:
        """Return the outputs, with the bits of the model's own `predict`.

        Parameters
        ----------
        x : array of shape (n, h, w, c), or whatever else the model's `predict` takes
        batch_size : int, optional
            Samples computed at a time; by default up to 256, as many as take 64 MB of memory.

        Returns
        -------
        ndarray of shape (n, *output_shape)
            A new array. Of several outputs a list, or a dict if the model was given one.

        Raises
        ------
        TypeError, ValueError
            For an `x` that is not what the model takes.
        """
        return self._model.predict(x, batch_size)

    @controlled
    def __call__(self, x: Any) -> Any:
        """Return the outputs for one batch."""
        return self._model.predict_on_batch(x)

    @controlled
    def predict_into(self, x: Any, out: np.ndarray) -> np.ndarray:
        """Write the outputs for one batch into `out`, and return it: nothing else is allocated.

        Parameters
        ----------
        x : array of shape (n, h, w, c), or of the model's other input shape
        out : ndarray of shape (n, *output_shape)
            Of the model's dtype. It may be any view that can be written to.

        Raises
        ------
        TypeError, ValueError
            For an `out` of another kind, shape or dtype, a model with several outputs, and an `x` that the
            model does not take.
        """
        where = "Frozen.predict_into"
        if not isinstance(self.output_shape, tuple):
            raise ValueError(f"{where}: the model must have one output, got {len(self.output_shape)}")
        if not isinstance(out, np.ndarray):
            raise TypeError(f"{where}: out must be an ndarray, got {type(out).__name__}")
        shape = (len(x), *self.output_shape[1:])
        if out.shape != shape or out.dtype != self.dtype or not out.flags.writeable:
            kind = "" if out.flags.writeable else ", which cannot be written to"
            raise ValueError(
                f"{where}: out must be a writeable {self.dtype} array of shape {shape}, "
                f"got {out.dtype} of shape {out.shape}{kind}"
            )
        y = self._model._predict_directly(x, len(x), out)
        if y is None:
            out[...] = self._model.predict_on_batch(x)
        return out


def _closed(kind: type[Frozen], model: Any) -> Frozen:
    """Return what a pickle describes."""
    found = object.__new__(kind)
    object.__setattr__(found, "_model", model)
    found._close()
    return found
