"""The argument `callbacks=`, and the calls of all callbacks in order."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from cconv.arguments.control import controlled
from cconv.callbacks.base import Callback, _check_events
from cconv.callbacks.recording import LambdaCallback
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


class CallbackList:
    """Several callbacks, called in order.

    Examples
    --------
    >>> from cconv.callbacks import LambdaCallback
    >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> CallbackList([show], None, {"epochs": 1}).call("on_epoch_end", 0, {"loss": 0.5})
    0 {'loss': 0.5}
    """

    def __init__(self, callbacks: Any, model: Any, params: dict[str, Any], where: str = "fit") -> None:
        self.callbacks: list[Any] = flat(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"{where}: callbacks must be cconv.callbacks.Callback objects, got {callback!r}"
                )
            _check_events(f"{where}: {type(callback).__name__}", callback)
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
