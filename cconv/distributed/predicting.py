"""Prediction over the chunks of a Dask array, wherever they are."""

import pickle
from hashlib import blake2b
from typing import Any

import numpy as np


def predict(model: Any, x: Any) -> Any:
    """Return a model's outputs for a Dask array, chunk by chunk, as Dask arrays.

    Nothing is computed before ``compute()``, or a ``store``, asks for it. The weights are those of now: a
    frozen copy, without the optimizer, is one node of the graph, which each worker is sent once. If a worker
    is lost, others compute its chunks.

    Parameters
    ----------
    model : Model, Sequential, or what ``model.freeze()`` returned
        With one input.
    x : dask.array.Array of shape (n, h, w, c), or of the model's other input shape
        Chunks that cut samples are joined. The number of samples need not be known.

    Returns
    -------
    dask.array.Array of shape (n, *output_shape)
        With the chunks of `x` along the samples, the dtype and the bits of ``model.predict(x)``. Of several
        outputs a list of them, or a dict if the model was given one.

    Raises
    ------
    ImportError
        Without Dask.
    TypeError, ValueError
        For what is no such model or array, before anything is computed.

    Examples
    --------
    >>> import dask.array as da  # doctest: +SKIP
    >>> x = da.from_zarr("images.zarr")  # doctest: +SKIP
    >>> cconv.distributed.predict(model, x).to_zarr("predictions.zarr")  # doctest: +SKIP
    """
    where = "distributed.predict"
    try:
        import dask.array as da
        from dask import delayed
    except ImportError as error:
        raise ImportError(f"{where} needs Dask: pip install 'cconv[dask]' ({error})") from error
    frozen = model.freeze() if hasattr(model, "freeze") else model
    if not hasattr(frozen, "predict_into"):
        raise TypeError(f"{where}: model must be a Model, a Sequential or a frozen one, got {model!r}")
    if not isinstance(frozen.input_shape, tuple):
        raise ValueError(f"{where}: model must have one input, got {len(frozen.input_shape)}")
    if not isinstance(x, da.Array):
        raise TypeError(f"{where}: x must be a dask.array.Array, got {type(x).__name__}")
    if not x.ndim or any(size != size for size in x.shape[1:]):
        raise ValueError(f"{where}: x must be samples of a known shape, got {x.shape}")
    # Of no sample the model says what it returns, or why it does not take such samples.
    like = frozen.predict(np.empty((0, *x.shape[1:]), x.dtype))
    x = x.rechunk(dict.fromkeys(range(1, x.ndim), -1))
    packed = pickle.dumps(frozen)
    name = f"cconv-model-{blake2b(packed, digest_size=16).hexdigest()}"
    shipped = delayed(pickle.loads)(packed, dask_key_name=name)
    if isinstance(like, np.ndarray):
        return _mapped(x, _predicted, like, model=shipped)
    every = _mapped(x, _predicted, np.empty(0, object), model=shipped)  # a chunk is what `predict` returns
    named = like.items() if isinstance(like, dict) else enumerate(like)
    found = {key: _mapped(every, _one_of, output, key=key) for key, output in named}
    return found if isinstance(like, dict) else list(found.values())


def _mapped(x: Any, function: Any, like: np.ndarray, **given: Any) -> Any:
    """Return a Dask array whose chunks `function` makes of those of `x`, for each sample one like these."""
    return x.map_blocks(
        function,
        drop_axis=list(range(1, x.ndim)),
        new_axis=list(range(1, like.ndim)),
        chunks=(x.chunks[0], *like.shape[1:]),
        dtype=like.dtype,
        meta=like,
        **given,
    )


def _predicted(x: np.ndarray, model: Any) -> Any:
    return model.predict(x)


def _one_of(outputs: Any, key: Any) -> np.ndarray:
    found: np.ndarray = outputs[key]
    return found
