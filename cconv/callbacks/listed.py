"""The argument `callbacks=`, and the calls of all callbacks in order."""

from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from inspect import signature
from typing import Any

from cconv.arguments.control import controlled
from cconv.arguments.numbers import flag
from cconv.callbacks.base import EVENTS, Callback, _check_events
from cconv.callbacks.progress import ProgressBar
from cconv.callbacks.recording import History, LambdaCallback
from cconv.callbacks.stopping import TerminateOnNaN

ROOM = "cconv.callbacks."  # classes of this package declare the figures that they add


def flat(callbacks: Any) -> list[Any]:
    """Return callbacks as one flat list; given are one, several, nested lists, or None.

    Examples
    --------
    >>> one = Callback()
    >>> flat(one) == flat([one]) == flat([[], [one]]), flat(None)
    (True, [])
    """
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable) or isinstance(callbacks, str):
        return [callbacks]
    return [callback for entry in callbacks for callback in flat(entry)]


def _checked(callbacks: Any, where: str) -> list[Any]:
    """Return the callbacks in one list; TypeError for anything else."""
    found = flat(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"{where}: callbacks must be cconv.callbacks.Callback objects, got {callback!r}")
        _check_events(f"{where}: {type(callback).__name__}", callback)
    return found


class Calls:
    """Several callbacks of one training, called in order.

    Parameters
    ----------
    callbacks : Callback, or list of Callback
    model : Model
    params : dict
        See `Callback`.
    where : str
        Begins the message of an error.

    Examples
    --------
    >>> from cconv.callbacks import LambdaCallback
    >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> Calls([show], None, {"epochs": 1}).call("on_epoch_end", 0, {"loss": 0.5})
    0 {'loss': 0.5}
    """

    def __init__(self, callbacks: Any, model: Any, params: dict[str, Any], where: str = "fit") -> None:
        self.callbacks: list[Any] = _checked(callbacks, where)
        if any(not type(c).__module__.startswith(ROOM) or type(c) is LambdaCallback for c in self.callbacks):
            params = {**params, "metrics": None}  # it may add figures to the logs
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)
            if params.get("metrics") is not None and callback.adds:
                # The callbacks after it see these figures.
                params = {**params, "metrics": [*dict.fromkeys([*params["metrics"], *callback.adds])]}
        # Whether a NaN loss ends the training without an error.
        self.hear_of_nan: bool = any(isinstance(c, TerminateOnNaN) for c in self.callbacks)

    @controlled
    def call(self, event: str, *args: Any) -> None:
        """Call the method named `event` of every callback."""
        for callback in self.callbacks:
            getattr(callback, event)(*args)

    def close(self) -> None:
        """Close every callback, even if others raise errors."""
        with ExitStack() as stack:
            for callback in reversed(self.callbacks):
                stack.callback(callback.close)


class CallbackList(Calls):
    """Several callbacks for a training loop of your own, with Keras' arguments and methods.

    It has the methods of a callback, such as ``on_train_begin()`` and ``on_epoch_end(epoch, logs)``, which
    call those of all.

    Parameters
    ----------
    callbacks : Callback, or list of Callback, optional
    add_history, add_progbar : bool
        Whether to add a `History`, and a `ProgressBar`, if there is none.
    model : Model, optional
        For `Callback.set_model`; the list's `History` becomes ``model.history``.
    **params
        For `Callback.set_params`, such as ``epochs=3, steps=10, verbose=1``.

    Examples
    --------
    >>> from cconv.callbacks import LambdaCallback
    >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> calls = CallbackList([show], epochs=1)
    >>> calls.on_epoch_end(0, {"loss": 0.5})
    0 {'loss': 0.5}
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        given = flat(callbacks)
        for kind, name, wanted in (
            (ProgressBar, "add_progbar", add_progbar),
            (History, "add_history", add_history),
        ):
            if flag("CallbackList", name, wanted) and not any(isinstance(one, kind) for one in given):
                given.append(kind())
        super().__init__(given, model, {"metrics": None, **params}, "CallbackList")
        self._give_history(model)

    def __getattr__(self, name: str) -> Any:
        event = name.replace("on_batch_", "on_train_batch_")  # Keras' other names
        if event not in EVENTS:
            raise AttributeError(f"CallbackList has no attribute {name!r}")
        return partial(self._heard, event)

    def _heard(self, event: str, *args: Any, **named: Any) -> None:
        """Call an event with the arguments that a callback's method of that name takes."""
        given = signature(getattr(Callback, event)).bind(self, *args, **named)
        _, *numbers = given.args
        logs = numbers.pop() if len(numbers) > ("epoch" in event or "batch" in event) else None
        self.call(event, *numbers, {} if logs is None else logs)

    def append(self, callback: Any) -> None:
        """Add a callback, or those of a list."""
        self.callbacks += _checked(callback, "CallbackList.append")

    def set_model(self, model: Any) -> None:
        """Tell all callbacks their model, and the model its history."""
        for callback in self.callbacks:
            callback.set_model(model)
        self._give_history(model)

    def _give_history(self, model: Any) -> None:
        for callback in self.callbacks if model is not None else ():
            if isinstance(callback, History):
                model.history = callback

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all callbacks the numbers of epochs and steps."""
        for callback in self.callbacks:
            callback.set_params(params)
