"""The commands and their arguments."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cconv._version import __version__
from cconv.arguments.numbers import LARGEST
from cconv.arguments.text import printable, short

DATA = "mnist|mnist-small|FILE.npz|FOLDER"
Run = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage in front."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {printable(message)}\n")


def runner(command: str) -> Run:
    """Return the function that runs a command; only its own module is imported."""
    if command == "train":
        from cconv.cli.training import train

        return train
    if command == "predict":
        from cconv.cli.predicting import predict

        return predict
    return _info


def _info(arguments: argparse.Namespace) -> int:
    from cconv.utils.config import show_config

    show_config()
    return 0


def whole(least: int, most: int, expected: str, below: str = "") -> Callable[[str], int]:
    """Return a function that converts an argument's text to an int, or raises an error with `expected`.

    `below` is added to it where a number is too large.

    Examples
    --------
    >>> whole(1, 9, "must be from 1 to 9")("7")
    7
    """

    def read(text: str) -> int:
        with_digits = text.strip().lstrip("+-").isdecimal() and len(text) < 100
        number = int(text) if with_digits else least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{expected}{below if number > most else ''}, got {short(text)}")
        return number

    return read


_positive = whole(1, LARGEST, "must be a positive int", " below 2**63")
_pixels = whole(1, 1 << 13, "must be an int from 1 to 8192")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    made = _Parser(prog="cconv", description="Train and use convolutional networks on the CPU.")
    made.add_argument("--version", action="version", version=f"cconv {__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="{train,predict,info}")
    _add_train(
        commands.add_parser(
            "train", help="train LeNet-5 and save it", description="Train LeNet-5 on images and save it."
        )
    )
    _add_predict(
        commands.add_parser(
            "predict",
            help="say what is in images",
            description="Print the class and its probability for each image, a picture (PNG, JPEG, BMP, WebP "
            "by Pillow) or a .npy array of one image or several; of a model that gives numbers or images, "
            "the numbers, or size and range. Pictures are brought to the model's size, grey or colours, and "
            "range of numbers; what is transparent becomes white. Arrays are taken as they are. After a file "
            "that cannot be read come the others; the exit code is then 2.",
        )
    )
    commands.add_parser("info", help="print version, instruction set, threads and compiler")
    return made


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        default="mnist-small",
        metavar=DATA,
        help="MNIST, the 6,000 images of it that come with cconv (default), the arrays x_train, y_train and, "
        "if there, x_test, y_test of a file, or a folder with a folder of pictures for each class (needs "
        "Pillow); uint8 images are scaled to 0...1. Without test images, every tenth picture or the last "
        "tenth of the arrays is kept for the test",
    )
    parser.add_argument(
        "--size",
        type=_pixels,
        metavar="PIXELS",
        help="height and width that pictures of a folder are brought to (default: their own, where they all "
        "have the same of at most 128, else 32)",
    )
    parser.add_argument(
        "--epochs", type=_positive, default=10, help="passes over the training images (default 10)"
    )
    parser.add_argument("--batch-size", type=_positive, default=32, help="images a step (default 32)")
    parser.add_argument(
        "--seed",
        type=whole(0, 2**64 - 1, "must be an int from 0 to 2**64 - 1"),
        default=0,
        help="the same seed gives the same model (default 0)",
    )
    _add_threads(parser)
    parser.add_argument(
        "--shards",
        type=_positive,
        metavar="S",
        help="into how many parts a batch is cut; the model depends on it (default 1, or 8 if --distributed)",
    )
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="one of the ranks of an MPI job that train together: mpiexec -n 4 python -m cconv train "
        "--distributed. Their number, a power of two, divides S, and does not change the model (needs "
        "cconv[mpi])",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("model.safetensors"),
        help="where to save the model, after every epoch (default model.safetensors)",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="also write a page about the trained model: its layers at work on test images, learning curves, "
        "confusion matrix, costs and settings",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on, with the same bits, where a training with these arguments and --out was interrupted: in "
        "the middle of an epoch if that had --resume too, else after the last epoch that OUT has. Until it "
        "ends, OUT.checkpoints has where it stands: at Ctrl-C, after every epoch and every minute",
    )


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="a file of train or Sequential.save")
    parser.add_argument(
        "images", metavar="IMAGE", type=Path, nargs="+", help="a .png, .jpg, .bmp, .webp or .npy file"
    )
    parser.add_argument("--top", type=_positive, metavar="K", help="print the K most probable classes")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print an object of JSON a line: image, index in an array of several, class, probability, and "
        "all outputs",
    )
    parser.add_argument(
        "--invert",
        action="store_true",
        help="turn dark and bright around first, for ink on paper and a model of MNIST, whose ink is bright",
    )
    parser.add_argument(
        "--range",
        type=float,
        nargs=2,
        metavar=("BLACK", "WHITE"),
        help="the numbers that black and white are for the model (default: those it was trained on, as train "
        "saves them, else 0 255)",
    )
    _add_threads(parser)


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads",
        type=_positive,
        help="how many threads (default: all processors, divided among the ranks of a machine)",
    )
