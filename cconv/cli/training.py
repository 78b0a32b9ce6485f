"""``cconv train``."""

import argparse
import hashlib
import io
import shlex
import time
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from cconv.applications import LeNet5
from cconv.arguments.text import short
from cconv.callbacks import BackupAndRestore, Callback, ProgressBar
from cconv.callbacks.backup import checkpoints
from cconv.callbacks.monitors import Logs
from cconv.cli import data
from cconv.cli.messages import INTERRUPTED, interrupted, sentence
from cconv.cli.trained import look_at
from cconv.files import safetensors
from cconv.files.atomic import destination, naming
from cconv.files.names import check_ending
from cconv.models import load_model
from cconv.models.checkpoints import last_of
from cconv.models.files import write_model
from cconv.threads import affinity, get_num_threads, set_num_threads, share

MINUTE = 60.0  # seconds
STEPS = "steps"  # in the JSON document of a model's file
MORE = "give the arguments of that training, or another --out"


class _Saver(Callback):
    """Saves the model after every epoch, so that an interrupt loses at most one epoch."""

    def __init__(self, out: Path, document: dict[str, Any]) -> None:
        super().__init__()
        self.out, self.document = out, document  # which holds, under STEPS, what the weights depend on
        self.epochs = 0  # number of epochs of the saved model
        self.trained = 0  # number of them in this run

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        write_model(self.out, self.model, self.document)
        self.epochs = epoch + 1
        self.trained += 1

    def get_state(self) -> dict[str, Any]:
        return {"epochs": self.epochs, STEPS: self.document[STEPS]}

    def set_state(self, state: dict[str, Any]) -> None:
        self.epochs = state["epochs"]


def train(arguments: argparse.Namespace) -> int:
    """Train LeNet-5 with these arguments, save it after every epoch, and print the results."""
    if not arguments.distributed:
        return _train(arguments, None)
    from cconv.distributed import MPI

    ranks = MPI()
    try:
        with redirect_stdout(io.StringIO()) if ranks.rank else nullcontext():
            return _train(arguments, ranks)
    except KeyboardInterrupt as interrupt:
        if ranks.size > 1 and not ranks.interrupted:
            ranks.end(interrupt)
        if ranks.size == 1:
            raise
        return INTERRUPTED if ranks.rank else interrupted(interrupt)
    except Exception as error:
        if ranks.size == 1:
            raise
        ranks.end(error, sentence(error))


def _train(arguments: argparse.Namespace, ranks: Any) -> int:
    """Train as one of several ranks, or alone if `ranks` is None."""
    leads = ranks is None or not ranks.rank
    set_num_threads(arguments.threads)
    if ranks is not None:
        share(ranks.neighbours(affinity()))
    out = arguments.out
    _check_out(out)
    _check_report(arguments.report)
    found = data.load(arguments.data, arguments.size)
    x_train, y_train = found.train
    model = _network(found, arguments.seed)
    steps = _steps(arguments, found)
    saver = _Saver(out, look_at(x_train, found.classes).document() | {STEPS: steps})
    backup = BackupAndRestore(f"{out}.checkpoints", save_every_seconds=MINUTE)
    if not arguments.resume:
        if leads:
            backup.forget()
    elif (last := last_of(backup.backup_dir) if leads else None) is not None:
        _check_steps(last.path, last.callback_states().get(f"{_Saver.__name__}/0", {}).get(STEPS), steps)
    elif not checkpoints(backup.backup_dir) and out.exists():
        model = _model_of(out, model, steps)
        saver.epochs = model.epochs_done
    begin = time.perf_counter()
    try:
        # An epoch is saved before its line is printed, because printing may end the program.
        history = model.fit(
            x_train,
            y_train,
            batch_size=arguments.batch_size,
            epochs=arguments.epochs,
            initial_epoch=saver.epochs,
            verbose=0,
            callbacks=[saver, ProgressBar(), *([backup] if arguments.resume else [])],
            shards=_shards(arguments),
            distributed=ranks,
        )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"; {_kept(arguments, saver, backup)}") from interrupt
    seconds = time.perf_counter() - begin
    if leads:
        _tell_result(arguments, model, found, len(x_train) * saver.trained / seconds, seconds, ranks)
        _write_report(arguments, model, found, history)
    return 0


def _network(found: data.Data, seed: int | None) -> Any:
    """Return LeNet-5 for these images, compiled."""
    (x_train, y_train), (_, y_test) = found.train, found.test
    classes = max(2, int(max(y_train.max(), y_test.max())) + 1)
    scale = 1 / 255 if x_train.dtype == np.uint8 else None
    try:
        model = LeNet5(x_train.shape[1:], classes, rescale=scale, seed=seed)
    except ValueError as error:
        if found.classes is None:
            raise
        raise ValueError(f"{error}; --size scales the pictures of a folder") from error
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _tell_result(
    arguments: argparse.Namespace, model: Any, found: Any, speed: float, seconds: float, ranks: Any
) -> None:
    """Print how well the model predicts, and how fast (in images a second) it was trained."""
    x, y = found.test
    _, accuracy = model.evaluate(x, y, verbose=0)
    of_ranks = "" if ranks is None else f" on each of {ranks.size} ranks"
    print(f"test accuracy {accuracy:.4f} on {len(x):,} images")
    print(f"trained in {seconds:.1f} s, {speed:,.0f} images/s, {get_num_threads()} threads{of_ranks}")
    print(f"saved {arguments.out}")


def _check_report(path: Path | None) -> None:
    """Refuse a place for the report that could not be written to, before there is anything to report."""
    if path is None:
        return
    with naming(path):
        destination(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--report must be a file that ends in .html, got {path}")


def _write_report(arguments: argparse.Namespace, model: Any, found: Any, history: Any) -> None:
    """Write the page about the trained model that ``--report`` asks for."""
    if arguments.report is None:
        return
    from cconv.reporting import report  # slow to import, and seldom needed

    x, y = found.test
    report(
        model,
        x,
        y,
        arguments.report,
        history=history,
        classes=found.classes,
        title=f"LeNet-5 on {arguments.data}",
        command=_command(arguments),
    )
    print(f"wrote {arguments.report}")


def _shards(arguments: argparse.Namespace) -> int:
    """Return the number of shards, on which the weights depend, whoever computes them."""
    return int(arguments.shards or (8 if arguments.distributed else 1))


def _kept(arguments: argparse.Namespace, saver: _Saver, backup: BackupAndRestore) -> str:
    """Return what is left of a training that Ctrl-C ended."""
    if saver.epochs:
        return f"{arguments.out} holds the model after epoch {saver.epochs} of {arguments.epochs}"
    if arguments.resume and checkpoints(backup.backup_dir):
        return f"{backup.backup_dir} has where it stands: the same command goes on from there"
    return "nothing was saved"


def _command(arguments: argparse.Namespace) -> str:
    """Return the command line that trains the same model again."""
    told = {
        "--data": arguments.data,
        "--size": arguments.size,
        "--epochs": arguments.epochs,
        "--batch-size": arguments.batch_size,
        "--seed": arguments.seed,
        "--shards": None if _shards(arguments) == 1 else _shards(arguments),
        "--out": arguments.out,
        "--report": arguments.report,
    }
    options = [part for name, value in told.items() if value is not None for part in (name, str(value))]
    return shlex.join(["cconv", "train", *options])


def _steps(arguments: argparse.Namespace, given: data.Data) -> dict[str, Any]:
    """Return what the weights depend on besides the network."""
    read = hashlib.blake2b(repr(given.classes).encode(), digest_size=16)
    x, y = given.train
    for array in (x, y.astype(np.int64)):  # labels are the same numbers in any dtype
        read.update(f"{array.dtype.str}{array.shape}".encode())
        read.update(np.ascontiguousarray(array).data)
    return {
        "batch_size": arguments.batch_size,
        "shards": _shards(arguments),
        "seed": arguments.seed,
        "data": read.hexdigest(),
    }


def _check_steps(path: Any, then: Any, now: dict[str, Any]) -> None:
    """Refuse a file of a training with other arguments; the first releases wrote less, or nothing."""
    for name, value in then.items() if isinstance(then, dict) else ():
        if name in now and value != now[name]:
            got = "other data" if name == "data" else f"{name} {short(repr(value))} then and {now[name]} now"
            raise ValueError(f"{_must(path)} {got}: {MORE}")


def _must(path: Any) -> str:
    return f"--resume: {path} must be of a training with the same arguments, got"


def _model_of(out: Path, like: Any, steps: dict[str, Any]) -> Any:
    """Return the model that an earlier training saved; ValueError if that had other arguments."""
    found = load_model(out)
    with safetensors.Reader(out) as file:
        _check_steps(out, file.document.get(STEPS) if isinstance(file.document, dict) else None, steps)
    if found.get_config() != like.get_config() or type(found.optimizer) is not type(like.optimizer):
        raise ValueError(f"{_must(out)} another network or optimizer: {MORE}")
    return found


def _check_out(out: Path) -> None:
    """Raise an error before the training if the model cannot be saved there."""
    check_ending("--out", out)
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ValueError(f"--out must be a file in a folder that exists, got {out}")
    with naming(out):
        destination(out)
