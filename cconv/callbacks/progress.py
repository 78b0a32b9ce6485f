"""The progress of a training, shown while it runs."""

import sys
import time
from typing import Any, TextIO

from cconv.callbacks.base import Callback
from cconv.callbacks.monitors import Logs

# From the longest line to the one for narrow screens; the first one with enough room for its bar is used.
FORMATS = (
    "{desc}{n_fmt}/{total_fmt} |{bar}| {elapsed}<{remaining}{postfix}",
    "{desc}{n_fmt}/{total_fmt} |{bar}| {elapsed}{postfix}",
    "{desc}{percentage:3.0f}% |{bar}| {unit}",
    "{desc}{percentage:3.0f}%{postfix}",
)
# tqdm puts a comma before its `postfix`; without a time in front of it, the figures are passed as the `unit`.
ENDLESS = "{desc}{n_fmt}/? {elapsed}{postfix}"  # for an unknown number of batches
LEAST_BAR = 8  # minimum width of a bar, in columns
USUAL_COLUMNS = 80
NOTEBOOK_COLUMNS = 100
SECONDS = 0.1  # minimum time between two updates of a bar in a notebook
MOST_LINES = 100  # maximum number of finished epochs in one cell output, which each update sends as a whole


def format_logs(logs: Logs) -> str:
    """Return losses and metrics as one line: ``loss: 0.1234 - accuracy: 0.9876``.

    Examples
    --------
    >>> format_logs({"loss": 0.12345, "accuracy": 0.98765})
    'loss: 0.1235 - accuracy: 0.9877'
    """
    return " - ".join(
        f"{name}: {value:.4{'e' if 0 < abs(value) < 1e-3 else 'f'}}" for name, value in logs.items()
    )


def _in_notebook(stream: Any) -> bool:
    # A cell's output goes to ipykernel's own stream, unless the user has redirected it.
    return type(stream).__module__.startswith("ipykernel.")


def _format(title: str, steps: int | None, figures: str, columns: int) -> str:
    """Return the longest format of a bar's line that fits into `columns`."""
    count = 2 * len(str(steps or 0)) + 1
    # Title and colon, the count, bars and spaces, times, comma and space before the figures.
    taken = len(title) + 2 + len(figures) + 2
    if steps is None:
        return ENDLESS
    for text, more in zip(FORMATS, (count + 15, count + 9, 6), strict=False):
        if columns - taken - more >= LEAST_BAR:
            return text
    return FORMATS[-1]


def _cut(figures: str, room: int) -> str:
    """Return as many whole figures as fit: a line longer than the screen could not be overwritten."""
    while len(figures) > room and figures:
        figures = figures.rpartition(" - ")[0]
    return figures


def _wrapped(title: str, figures: str, columns: int) -> str:
    """Return the line of a finished epoch; if it is too long, validation figures begin another line.

    Examples
    --------
    >>> print(_wrapped("Epoch 1/2", "loss: 0.5 - accuracy: 0.8 - val_loss: 0.6 - val_accuracy: 0.7", 50))
    Epoch 1/2 - loss: 0.5 - accuracy: 0.8
                val_loss: 0.6 - val_accuracy: 0.7
    """
    line = f"{title} - {figures}"
    if len(line) <= columns:
        return line
    indent, rows = len(title) + 3, [""]
    for figure in figures.split(" - "):
        begins = figure.startswith("val_") and not rows[-1].startswith("val_")
        if not rows[-1]:
            rows[-1] = figure
        elif begins or indent + len(rows[-1]) + 3 + len(figure) > columns:
            rows.append(figure)
        else:
            rows[-1] += f" - {figure}"
    return f"{title} - " + f"\n{' ' * indent}".join(rows)


class ProgressBar(Callback):
    """Shows the progress of training: a bar in a terminal or notebook, a line per epoch in a file or pipe.

    Parameters
    ----------
    lines : bool
        One plain line per epoch everywhere, as Keras' ``verbose=2``.
    file : text stream, optional
        The file to write to; by default `sys.stdout` at the beginning of training.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> x, y = np.eye(4), np.arange(4.0)
    >>> model = Sequential([Dense(1, input_shape=(4,))], seed=0)
    >>> model.compile("sgd", "mse")
    >>> text = io.StringIO()
    >>> _ = model.fit(x, y, epochs=2, verbose=0, callbacks=[ProgressBar(lines=True, file=text)])
    >>> text.getvalue().splitlines()[0][:9]
    'Epoch 1/2'
    """

    def __init__(self, lines: bool = False, file: TextIO | None = None) -> None:
        super().__init__()
        self.lines = lines
        self.file = file
        self._bar: Any = None
        self._cell: _Cell | None = None

    def _stream(self) -> TextIO:
        return self.file if self.file is not None else sys.stdout

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin a new output, if it is a notebook's cell."""
        self._cell = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin a bar."""
        stream, title = self._stream(), f"Epoch {epoch + 1}/{self.params['epochs']}"
        isatty = getattr(stream, "isatty", None)
        if self.lines:
            self._bar = _Line(title, stream)
        elif _in_notebook(stream):
            self._cell = self._cell or _Cell()
            self._bar = _CellBar(title, self.params["steps"], self._cell)
        elif isatty and isatty():
            self._bar = _TerminalBar(title, self.params["steps"], stream)
        else:
            self._bar = _Line(title, stream)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Advance the bar."""
        self._bar.step(logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """End the bar, or write the line."""
        self._bar.end(format_logs(logs or {}))
        self._bar = None

    def close(self) -> None:
        """Release the screen's line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_bar": None, "_cell": None, "file": None}


class _Line:
    """A plain line at the end of an epoch."""

    def __init__(self, title: str, stream: TextIO) -> None:
        self.title, self.stream = title, stream

    def step(self, logs: Logs) -> None:
        pass

    def end(self, figures: str) -> None:
        print(f"{self.title} - {figures}", file=self.stream, flush=True)

    def close(self) -> None:
        pass


class _TerminalBar:
    """A tqdm bar, with as much text around it as fits on the screen."""

    def __init__(self, title: str, steps: int | None, stream: TextIO) -> None:
        from tqdm.std import tqdm

        self.title, self.steps, self.stream = title, steps, stream
        self.bar = tqdm(
            total=steps,
            desc=f"{title}: ",
            file=stream,
            dynamic_ncols=True,
            bar_format=_format(title, steps, "", USUAL_COLUMNS),
        )
        self.columns = self.bar.format_dict["ncols"] or USUAL_COLUMNS
        self.length = -1

    def step(self, logs: Logs) -> None:
        # The figures are only formatted when the bar is drawn, a few times per second.
        self._set(format_logs(logs))
        self.bar.update()

    def _set(self, figures: str) -> None:
        if len(figures) != self.length:
            self.length = len(figures)
            self.bar.bar_format = _format(self.title, self.steps, figures, self.columns)
        if self.bar.bar_format in (ENDLESS, FORMATS[-1]):
            figures = _cut(figures, self.columns - len(self.title) - LEAST_BAR - len(f"{self.bar.n}/? 00:00"))
        self.bar.unit = figures
        self.bar.set_postfix_str(figures, refresh=False)

    def end(self, figures: str) -> None:
        if self.steps is None:
            self.steps = self.bar.total = self.bar.n  # known at the end of the first epoch
            self.length = -1
        self._set(figures)
        if self.bar.bar_format != FORMATS[-1]:
            self.bar.refresh()
            self.bar.close()
            return
        # There is no room for a bar beside the figures: print plain lines.
        self.bar.leave = False
        self.bar.close()
        print(_wrapped(self.title, figures, self.columns), file=self.stream, flush=True)

    def close(self) -> None:
        self.bar.close()


class _Cell:
    """One output of a notebook's cell, whose text is updated in place; it needs no widgets."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.handle: Any = None

    def show(self, last: str) -> None:
        from IPython.display import display

        data = {"text/plain": "\n".join([*self.lines, last])}
        if self.handle is None:
            self.handle = display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)

    def keep(self, line: str) -> None:
        self.show(line)
        self.lines.append(line)
        if len(self.lines) >= MOST_LINES:
            self.lines, self.handle = [], None


class _CellBar:
    """A bar as the last line of a cell's output."""

    def __init__(self, title: str, steps: int | None, cell: _Cell) -> None:
        self.title, self.steps, self.cell = title, steps, cell
        self.begin = self.shown = time.monotonic()
        self.done = 0
        self.cell.show(self._line(""))

    def _line(self, figures: str) -> str:
        from tqdm.std import tqdm

        text = tqdm.format_meter(
            self.done,
            self.steps,
            time.monotonic() - self.begin,
            ncols=NOTEBOOK_COLUMNS,
            prefix=f"{self.title}: ",
            bar_format=_format(self.title, self.steps, figures, NOTEBOOK_COLUMNS),
            postfix=figures,
            unit=figures,
        )
        return str(text).rstrip()

    def step(self, logs: Logs) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.shown >= SECONDS:
            self.shown = now
            self.cell.show(self._line(format_logs(logs)))

    def end(self, figures: str) -> None:
        if self.steps is None:
            self.steps = self.done  # known at the end of the first epoch
        fits = _format(self.title, self.steps, figures, NOTEBOOK_COLUMNS) != FORMATS[-1]
        self.cell.keep(self._line(figures) if fits else _wrapped(self.title, figures, NOTEBOOK_COLUMNS))

    def close(self) -> None:
        pass
