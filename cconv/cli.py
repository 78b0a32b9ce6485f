"""The command line: ``python -m cconv train``, ``predict`` and ``info``.

An error is one line on stderr and exit code 2; Ctrl-C ends with exit code 130, a reader of the output that
goes away with 141.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import numpy as np

from cconv._version import __version__
from cconv.arguments.numbers import positive_int
from cconv.arguments.text import printable
from cconv.callbacks import Callback
from cconv.callbacks.monitors import Logs
from cconv.datasets import mnist, mnist_small
from cconv.files.atomic import destination, naming
from cconv.files.names import check_ending
from cconv.files.numpyfiles import Check, read_npy, read_npz
from cconv.files.png import read_png
from cconv.files.reading import short
from cconv.threads import get_num_threads, set_num_threads
from cconv.utils.config import show_config

Split = tuple[np.ndarray, np.ndarray]

MOST_CLASSES = 100_000  # a network for more is not what a mistaken label should make

ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, what a shell reports
UNREAD = 141  # 128 + SIGPIPE
# What is wrong with a file or an argument; all else is this library's fault, and the message names its kind.
EXPECTED = (OSError, ValueError, TypeError, MemoryError, ImportError)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage in front."""

    def error(self, message: str) -> NoReturn:
        self.exit(ERROR, f"{self.prog}: {printable(message)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="cconv", description="Train and use convolutional networks on the CPU.")
    parser.add_argument("--version", action="version", version=f"cconv {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{train,predict,info}")

    train = commands.add_parser(
        "train", help="train LeNet-5 and save it", description="Train LeNet-5 on images and save it."
    )
    train.set_defaults(run=_train)
    train.add_argument(
        "--data",
        default="mnist-small",
        metavar="mnist|mnist-small|FILE.npz",
        help="MNIST, the 6,000 images of it that come with cconv (default), or the arrays x_train, y_train "
        "and, if there, x_test, y_test of a file; uint8 images are scaled to 0...1",
    )
    train.add_argument("--epochs", type=int, default=10, help="passes over the training images (default 10)")
    train.add_argument("--batch-size", type=int, default=32, help="images a step (default 32)")
    train.add_argument("--seed", type=int, default=0, help="the same seed gives the same model (default 0)")
    _add_threads(train)
    train.add_argument(
        "--out",
        type=Path,
        default=Path("model.safetensors"),
        help="where to save the model, after every epoch (default model.safetensors)",
    )

    predict = commands.add_parser(
        "predict",
        help="say what is in images",
        description="Print the class and its probability for each image, a PNG (needs Pillow) or a .npy "
        "array of one image or several; of a model that gives numbers or images, the numbers, or size and "
        "range. Pixels go to the model as they are, 0...255 for a PNG; MNIST has bright ink on dark paper.",
    )
    predict.set_defaults(run=_predict)
    predict.add_argument("model", metavar="MODEL", type=Path, help="a file that train saved")
    predict.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="a .png or .npy file")
    _add_threads(predict)

    info = commands.add_parser("info", help="print version, instruction set, threads and compiler")
    info.set_defaults(run=lambda arguments: show_config())
    return parser


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, help="how many threads (default: all processors)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments (by default the process' own); return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left unwritten would be tried once more when Python ends.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except KeyboardInterrupt as interrupt:
        print(f"\ncconv: interrupted{interrupt}", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        text = " ".join(str(error).split())
        if not text or not isinstance(error, EXPECTED):
            text = f"{type(error).__name__}: {text}".removesuffix(": ")
        print(f"cconv {arguments.command}: {printable(text)}", file=sys.stderr)
        return ERROR
    return 0


# train


class _Saver(Callback):
    """Saves the model after every epoch, so that an interrupt loses at most one."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self.out = out
        self.epochs = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.model.save(self.out)
        self.epochs = epoch + 1


def _train(arguments: argparse.Namespace) -> None:
    from cconv.applications import LeNet5

    for name in ("epochs", "batch_size"):
        positive_int("train", "--" + name.replace("_", "-"), getattr(arguments, name))
    set_num_threads(arguments.threads)
    out = arguments.out
    check_ending("--out", out)
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ValueError(f"--out must be a file in a folder that exists, got {out}")
    with naming(out):
        destination(out)
    (x_train, y_train), (x_test, y_test) = _load(arguments.data)
    classes = max(2, int(max(y_train.max(), y_test.max())) + 1)
    scale = 1 / 255 if x_train.dtype == np.uint8 else None
    model = LeNet5(x_train.shape[1:], classes, rescale=scale, seed=arguments.seed)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    saver = _Saver(out)
    begin = time.perf_counter()
    try:
        model.fit(
            x_train,
            y_train,
            batch_size=arguments.batch_size,
            epochs=arguments.epochs,
            verbose=1,
            callbacks=[saver],
        )
    except KeyboardInterrupt as interrupt:
        kept = f"{out} holds the model after epoch {saver.epochs} of {arguments.epochs}"
        raise KeyboardInterrupt(f"; {kept if saver.epochs else 'nothing was saved'}") from interrupt
    seconds = time.perf_counter() - begin
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    speed = len(x_train) * arguments.epochs / seconds
    print(f"test accuracy {accuracy:.4f} on {len(x_test):,} images")
    print(f"trained in {seconds:.1f} s, {speed:,.0f} images/s, {get_num_threads()} threads")
    print(f"saved {out}")


def _load(data: str) -> tuple[Split, Split]:
    """Return the images as (n, h, w, c) and the labels of a data set by name, or of a file."""
    if data == "mnist":
        train, test = mnist.load_data()
    elif data == "mnist-small":
        train, test = mnist_small.load_data()
    elif data.lower().endswith(".npz"):
        train, test = _load_npz(Path(data))
    else:
        raise ValueError(f"--data must be mnist, mnist-small or a .npz file, got {data!r}")
    x_train, y_train = _with_channels(data, "train", *train)
    x_test, y_test = _with_channels(data, "test", *test)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"{data}: x_test must have the images of x_train, {x_train.shape[1:]}, got {x_test.shape[1:]}"
        )
    if x_train.dtype != x_test.dtype:
        raise ValueError(
            f"{data}: x_test must have the dtype of x_train, {x_train.dtype}, got {x_test.dtype}"
        )
    return (x_train, y_train), (x_test, y_test)


def _load_npz(path: Path) -> tuple[Split, Split]:
    """Read the arrays of a file; without x_test and y_test, the last tenth is the test set."""
    found, names = read_npz(path, ("x_train", "y_train", "x_test", "y_test"))
    for name in ("x_train", "y_train"):
        if name not in found:
            raise ValueError(f"{path}: expected an array {name}, got {_list(names)}")
    train = found["x_train"], found["y_train"]
    if "x_test" in found and "y_test" in found:
        return train, (found["x_test"], found["y_test"])
    if "x_test" in found or "y_test" in found:
        raise ValueError(f"{path}: expected x_test and y_test together, got {_list(names)}")
    kept = min(map(len, train)) // 10 if all(array.ndim for array in train) else 0
    if not kept:
        raise ValueError(f"{path}: without x_test, expected at least 10 images in x_train")
    print(f"{path} has no x_test: its last {kept:,} images are kept for the test")
    return (train[0][:-kept], train[1][:-kept]), (train[0][-kept:], train[1][-kept:])


def _list(names: Sequence[str]) -> str:
    """Return names found in a file as a text that is not too long."""
    return short(", ".join(names) or "none")


def _with_channels(where: str, split: str, x: np.ndarray, y: np.ndarray) -> Split:
    """Check the images and labels of a split and return them, the images as (n, h, w, c)."""
    if x.ndim not in (3, 4) or not x.size:
        raise ValueError(f"{where}: x_{split} must have the shape (n, h, w) or (n, h, w, c), got {x.shape}")
    if x.dtype.kind not in "uif":
        raise ValueError(f"{where}: x_{split} must hold numbers, got dtype {x.dtype}")
    if y.shape != (len(x),):
        raise ValueError(f"{where}: y_{split} must be {len(x)} class numbers, got the shape {y.shape}")
    if y.dtype.kind not in "ui":
        raise ValueError(f"{where}: y_{split} must hold class numbers, got dtype {y.dtype}")
    if y.min() < 0:
        raise ValueError(f"{where}: y_{split} must hold class numbers from 0, got {y.min()}")
    if y.max() >= MOST_CLASSES:
        raise ValueError(f"{where}: y_{split} must hold class numbers below {MOST_CLASSES}, got {y.max()}")
    return (x[..., np.newaxis] if x.ndim == 3 else x), y


# predict


def _predict(arguments: argparse.Namespace) -> None:
    from cconv.models import load_model
    from cconv.models.answers import answers

    set_num_threads(arguments.threads)
    model = load_model(arguments.model)
    say = answers(model)
    shape = tuple(size for size in model.input_shape if size is not None)  # without the batch
    lines = []
    # What a package warns of, such as a number that is too large, is said in one sentence below.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = [
            (path, _read_images(path, shape, model.data_format == "channels_first"))
            for path in arguments.images
        ]
        for path, images in loaded:
            names = [str(path)] if len(images) == 1 else [f"{path}[{i}]" for i in range(len(images))]
            _check_images(names, images, model.dtype)
            for name, outputs in zip(names, model.predict(images, verbose=0), strict=True):
                if not np.isfinite(outputs).all():
                    raise ValueError(f"{name}: what the model gives for this image is not finite")
                lines.append(f"{_encodable(name)}: {say(outputs)}")
    for line in lines:
        print(line)


def _check_images(names: Sequence[str], images: np.ndarray, dtype: np.dtype) -> None:
    """Look at the numbers of each image; ValueError when a model that computes in dtype cannot take them."""
    if images.dtype.kind != "f":
        return
    for name, image in zip(names, images, strict=True):
        if not np.isfinite(image).all():
            raise ValueError(f"{name}: the image is not finite: it holds NaN or infinite numbers")
        if not np.isfinite(image.astype(dtype)).all():
            raise ValueError(f"{name}: the image holds numbers that are too large for {dtype}")


def _encodable(name: str) -> str:
    """Return a file's name as it can be printed, whatever its bytes are and what the output can hold."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return printable(name).encode(encoding, "backslashreplace").decode(encoding)


def _read_images(path: Path, shape: tuple[int, ...], channels_first: bool = False) -> np.ndarray:
    """Return the image or images of a file as (n, *shape), where `shape` is that of one of the model's."""
    place = 0 if channels_first and len(shape) == 3 else len(shape) - 1
    # One channel may go without its axis.
    accepted = (shape, shape[:place] + shape[place + 1 :] if shape[place] == 1 else shape)

    def check(found: tuple[int, ...]) -> None:
        # The pictures of a PNG are one each; those of an array, one or several.
        if found not in accepted and not (found and found[0] and found[1:] in accepted):
            raise ValueError(f"{path}: the model wants images of {_size(shape)}, got {_size(found)}")

    suffix = path.suffix.lower()
    if suffix == ".png":
        array = _read_picture(path, shape, channels_first, check)
    elif suffix == ".npy":
        array = read_npy(path, check)
    else:
        raise ValueError(f"{path}: an image must be a .png or .npy file")
    return array.reshape(-1, *shape)


def _read_picture(path: Path, shape: tuple[int, ...], channels_first: bool, check: Check) -> np.ndarray:
    """Read a PNG as uint8, in the layout of the model's `shape`: (h, w, c), (c, h, w) or (h, w)."""
    if len(shape) == 3:
        channels = shape[0] if channels_first else shape[-1]
        pixels = read_png(path, channels, lambda size: check(_turned(size) if channels_first else size))
        return np.moveaxis(pixels, 2, 0) if channels_first else pixels
    if len(shape) == 2:
        return read_png(path, 1, lambda size: check(size[:2]))[..., 0]
    raise ValueError(f"{path}: the model takes {_size(shape)} numbers and no picture; use .npy")


def _turned(size: tuple[int, ...]) -> tuple[int, ...]:
    """(h, w, c) -> (c, h, w)."""
    return (size[-1], *size[:-1])


def _size(shape: Sequence[int | None]) -> str:
    return "x".join(map(str, shape)) or "no axes"
