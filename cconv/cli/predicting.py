"""``cconv predict``."""

import argparse
import math
import sys
import warnings
from pathlib import Path

import numpy as np

from cconv.arguments.text import printable
from cconv.cli import trained as training
from cconv.cli.images import BYTES, Form, looks_inverted, read_images
from cconv.cli.messages import EXPECTED, sentence
from cconv.cli.saying import Speaker
from cconv.cli.trained import Trained
from cconv.layers import BatchNormalization, Rescaling
from cconv.models import Sequential, load_model
from cconv.threads import set_num_threads

SOME_FAILED = 2


def predict(arguments: argparse.Namespace) -> int:
    """Print a model's prediction for each image; return 2 if one of the files could not be used, else 0."""
    set_num_threads(arguments.threads)
    model = load_model(arguments.model)
    trained = training.read(arguments.model, math.prod(size or 0 for size in model.output_shape[1:]))
    form = _form(model, trained, arguments.range)
    speaker = Speaker(model, trained.classes, arguments.top, arguments.json)
    unknown = arguments.range is None and trained.scale is None and not _adapts(model)
    code = 0
    for path in arguments.images:
        try:
            # Instead of packages' warnings, e.g. of overflow, a single sentence is printed below.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                images = read_images(path, form, arguments.invert)
                lines = _lines(model, speaker, path, images)
        except ImportError:
            raise
        except EXPECTED as error:
            _say(sentence(error))
            code = SOME_FAILED
            continue
        print(*lines, sep="\n")
        if unknown and path.suffix.lower() != ".npy":
            _say("hint: nothing tells what black and white were in training; they are taken as --range 0 255")
            unknown = False
        if path.suffix.lower() == ".npy" and (told := _other_range(path, images, trained)):
            _say(told)
        if looks_inverted(images, form, trained):
            _say(_inverted(path, trained, arguments.invert))
    return code


def _form(model: Sequential, trained: Trained, scale: list[float] | None) -> Form:
    shape = tuple(size for size in model.input_shape if size is not None)  # without the batch
    if scale is not None:
        black, white = scale
        if not all(map(math.isfinite, scale)) or black == white:
            raise ValueError(f"--range must be two different finite numbers, got {black:g} {white:g}")
        return Form(shape, model.data_format == "channels_first", (black, white))
    return Form(shape, model.data_format == "channels_first", trained.scale or BYTES)


def _adapts(model: Sequential) -> bool:
    """Whether the first layer normalises the range of the inputs."""
    return isinstance(model.layers[0], Rescaling | BatchNormalization)


def _lines(model: Sequential, speaker: Speaker, path: Path, images: np.ndarray) -> list[str]:
    """Return the lines to print about a file's images; a ValueError names the image that is invalid."""
    name = _encodable(str(path)) if not speaker.as_json else str(path)
    places = [None] if len(images) == 1 else list(range(len(images)))
    shown = [str(path) if place is None else f"{path}[{place}]" for place in places]
    _check_images(shown, images, model.dtype)
    lines = []
    for image, place, outputs in zip(shown, places, model.predict(images, verbose=0), strict=True):
        if not np.isfinite(outputs).all():
            raise ValueError(f"{image}: what the model gives for this image is not finite")
        lines.append(speaker.line(name, place, outputs))
    return lines


def _check_images(names: list[str], images: np.ndarray, dtype: np.dtype) -> None:
    """Raise ValueError, naming the image, if numbers are not finite in the model's dtype."""
    if images.dtype.kind != "f":
        return
    for name, image in zip(names, images, strict=True):
        if not np.isfinite(image).all():
            raise ValueError(f"{name}: the image is not finite: it holds NaN or infinite numbers")
        if not np.isfinite(image.astype(dtype)).all():
            raise ValueError(f"{name}: the image holds numbers that are too large for {dtype}")


def _encodable(name: str) -> str:
    """Return a file's name in printable characters of the output's encoding."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return printable(name).encode(encoding, "backslashreplace").decode(encoding)


def _inverted(path: Path, trained: Trained, inverted: bool) -> str:
    other = "dark" if trained.ground == training.BRIGHT else "bright"
    do = "leave out --invert" if inverted else "try --invert"
    return f"hint: {path} is {other} at its edges, the images of the training were not: {do}"


def _other_range(path: Path, images: np.ndarray, trained: Trained) -> str | None:
    """Return a hint if an array's numbers have another scale than the training images; else None."""
    found = training.look_at(images).scale if images.any() else None
    if found is None or trained.scale is None or found[1] == trained.scale[1]:
        return None
    (black, white), (low, high) = found, trained.scale
    return (
        f"hint: the numbers of {path} look like {black:g} to {white:g}, those of the training like "
        f"{low:g} to {high:g}: an array is taken as it is"
    )


def _say(text: str) -> None:
    """Print a line on stderr, after flushing the output so far."""
    sys.stdout.flush()
    print(f"cconv predict: {printable(text)}", file=sys.stderr)
