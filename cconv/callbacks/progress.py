"""What a training shows while it runs."""

import sys
from typing import Any, TextIO

from cconv.callbacks.base import Callback
from cconv.callbacks.monitors import Logs


def _in_notebook() -> bool:
    # Only IPython's own module can say that it is there, and it is imported wherever it is in use.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config and "ipywidgets" in sys.modules


def format_logs(logs: Logs) -> str:
    """Return losses and metrics as one line: ``loss: 0.1234 - accuracy: 0.9876``."""
    return " - ".join(
        f"{name}: {value:.4{'e' if 0 < abs(value) < 1e-3 else 'f'}}" for name, value in logs.items()
    )


class ProgressBar(Callback):
    """Shows how far training is: a bar in a terminal or notebook, plain lines in a log file.

    Parameters
    ----------
    lines : bool
        One plain line an epoch everywhere, as Keras' ``verbose=2``.
    file : text stream, optional
        Where to write; by default what `sys.stdout` is when training begins.
    """

    def __init__(self, lines: bool = False, file: TextIO | None = None) -> None:
        super().__init__()
        self.lines = lines
        self.file = file
        self._bar: Any = None

    def _stream(self) -> TextIO:
        return self.file if self.file is not None else sys.stdout

    def _has_bar(self) -> bool:
        if self.lines:
            return False
        isatty = getattr(self._stream(), "isatty", None)
        return bool(isatty and isatty()) or (self.file is None and _in_notebook())

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin a bar."""
        if not self._has_bar():
            return
        if self.file is None and _in_notebook():
            from tqdm.notebook import tqdm
        else:
            from tqdm.std import tqdm
        self._bar = tqdm(
            total=self.params["steps"],
            desc=self._title(epoch),
            file=self._stream(),
            unit="batch",
            dynamic_ncols=True,
            leave=True,
        )

    def _title(self, epoch: int) -> str:
        return f"Epoch {epoch + 1}/{self.params['epochs']}"

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        if self._bar is not None:
            # The figures are only written out when the bar is drawn, a few times a second.
            self._bar.set_postfix_str(format_logs(logs or {}), refresh=False)
            self._bar.update()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """End the bar, or write the line."""
        if self._bar is not None:
            self._bar.set_postfix_str(format_logs(logs or {}), refresh=True)
            self.close()
        else:
            print(f"{self._title(epoch)} - {format_logs(logs or {})}", file=self._stream(), flush=True)

    def close(self) -> None:
        """Give the line of the screen back."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_bar": None, "file": None}
