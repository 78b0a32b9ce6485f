"""The page itself: its contents, within the limit of MOST bytes, and the file."""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from cconv._version import __version__
from cconv.arguments.control import controlled
from cconv.arguments.numbers import positive_int
from cconv.arguments.paths import as_path
from cconv.arguments.text import short
from cconv.files.atomic import destination, naming, replacing
from cconv.reporting import graph, results, seeing
from cconv.reporting.packing import block, numbers, picture, smaller
from cconv.reporting.settings import epochs_of_figures, figures_of, settings
from cconv.reporting.subject import CLASSES, Output, Subject, subject

MOST = 3_000_000  # maximum number of bytes of the file
NUMBERS = 700_000  # of these, for the numbers of explained sums
SPARE = 2_000  # of these, for parts that are not counted
CONFIGURATION = 100_000
MISTAKES, FEWEST = 24, 8  # number of mistakes with pictures, of all outputs and at least of each
# Maximum height and width of pictures of samples, and bytes of all: of followed samples, and of mistakes.
FOLLOWED, SMALL = (128, 400_000), (64, 200_000)
SCRIPTS = ("page", "maps", "charts", "results", "network", "inspector", "start")
WHERE = "report"


@controlled
def report(
    model: Any,
    x_test: Any,
    y_test: Any,
    path: str | os.PathLike[str] = "report.html",
    *,
    history: Any = None,
    classes: Sequence[Any] | Mapping[str, Any] | None = None,
    title: str | None = None,
    images: int = 12,
    command: str | None = None,
) -> Path:
    """Write a page about a trained model: one HTML file of at most 3 MB, usable without a network connection.

    It shows the layers, their outputs for some images, and the sums behind single pixels; learning curves,
    the confusion matrix and the most confident mistakes, or for regressions truth and prediction; kernels;
    parameters, multiply-adds and time of each layer; and what is needed to reproduce the model. The page
    lists what is left out because of the limit.

    Parameters
    ----------
    model : Sequential, Model or fitted estimator
        It is not changed.
    x_test : array of shape (n, h, w, c), or of the model's other input shape; list or dict of them
        As `predict` takes it: also uint8, also channels_first if the model is. For several inputs a list, or
        a dict by `Model.input_names`.
    y_test : array of shape (n,), (n, 1) or (n, classes); list or dict of them
        Class numbers or one-hot rows; labels if `model` is a classifier; numbers for a regression. For
        several outputs a list, or a dict by `Model.output_names`; those that are None, or missing in the
        dict, have no results on the page.
    path : path
        The file to write, in an existing folder. An existing file is replaced.
    history : History or dict of lists, optional
        What `fit` returned; by default the history of the model's last `fit`, or of the estimator.
    classes : sequence of str, or list or dict of them, optional
        Names of the classes, or of the regression's numbers; for several outputs as `y_test`.
    title : str, optional
        Title of the page; by default the model's name.
    images : int
        Maximum number of samples whose maps are shown; half of them are the most confident mistakes.
    command : str, optional
        Command line that makes the model; by default that of this program.

    Returns
    -------
    pathlib.Path
        The path of the file.

    Raises
    ------
    TypeError, ValueError
        For anything else than a built model, or data that do not fit it.
    OSError
        If the file cannot be written; an existing file is then unchanged.

    Examples
    --------
    >>> import tempfile
    >>> from cconv.layers import Conv2D, Dense, Flatten
    >>> from cconv.models import Sequential
    >>> layers = [Conv2D(2, 3, input_shape=(8, 8, 1)), Flatten(), Dense(3, activation="softmax")]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = report(Sequential(layers, seed=0), np.ones((2, 8, 8, 1)), [0, 2], f"{folder}/page.html")
    ...     file.read_text()[:15]
    '<!doctype html>'
    """
    images = positive_int(WHERE, "images", images)
    as_path(WHERE, "path", path)
    with naming(path):
        destination(path)
    about = subject(WHERE, model, x_test, y_test, classes)
    trained = about.history if history is None else history
    figures = figures_of(WHERE, trained)
    name = title if title is not None else f"{type(about.model).__name__} {about.model.name}"
    data = _contents(about, figures, short(name), images, command)
    text = _page(short(name), data | {"epochs": epochs_of_figures(trained)})
    with naming(path), replacing(path) as file:
        file.write(text.encode())
    return Path(path)


def _page(title: str, data: dict[str, Any]) -> str:
    """Return the file's text: the template with its style, scripts and data."""
    folder = files("cconv.reporting") / "page"
    parts = {
        "title": escape(title),
        "style": (folder / "page.css").read_text("utf-8"),
        "script": "".join((folder / f"{name}.js").read_text("utf-8") for name in SCRIPTS),
        "data": block(data),
    }
    template = (folder / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _contents(
    about: Subject, figures: dict[str, Any], title: str, images: int, command: str | None
) -> dict[str, Any]:
    """Return all data of the page."""
    rows = graph.layers_of(about.model)
    batch = graph.timed(about.model, rows)
    flow = about.model._inlined().flow
    data: dict[str, Any] = {
        "title": title,
        "version": __version__,
        "inputs": flow.n_inputs,
        "ends": [
            [value, short(name)] for value, name in zip(flow.outputs, about.model._outs.names, strict=True)
        ],
        "outputs": [_output(output, len(about.outputs)) for output in about.outputs],
        "layers": rows,
        "batch": batch,
        "history": figures,
        "settings": settings(about.model, figures, command),
        "kernels": seeing.kernels(about.model),
        "left": [],
    }
    _cut_configuration(data)
    _untested(data)
    numbers = results.chosen_of_all(about.outputs, images)
    shown = _pictures(about, numbers, *FOLLOWED)
    data["samples"] = [
        {
            "number": number,
            "answers": [results.answer(output, number) for output in about.outputs],
            "pictures": shown[number],
        }
        for number in numbers
    ]
    wrong = dict.fromkeys(mistake["number"] for output in data["outputs"] for mistake in output["mistakes"])
    drawn = [pair for pair in zip(about.outputs, data["outputs"], strict=True) if pair[0].image is not None]
    side, size = SMALL
    data["pictures"] = _pictures(about, wrong, side, size)
    for output, entry in drawn:
        _add_pictures(output, entry["mistakes"], side, size // len(drawn))
    _follow(about, data)
    return data


def _output(output: Output, many: int) -> dict[str, Any]:
    """Return what the page says of one of `many` outputs."""
    wrong = results.errors(output)
    worst = np.argsort(-wrong, kind="stable")[: max(FEWEST, MISTAKES // many)]
    return {
        "name": output.name,
        "value": output.value,
        "kind": output.kind,
        "names": output.names,
        "image": output.image,
        "results": results.results(output),
        "mistakes": [{"number": int(n), **results.answer(output, n)} for n in worst if wrong[n] >= 0],
    }


def _cut_configuration(data: dict[str, Any]) -> None:
    (_, lines) = data["settings"][-1]
    if len(lines[0][1]) > CONFIGURATION:
        lines[0] = ("", "left out: model.get_config() gives it")
        data["left"].append("The configuration of the model is longer than 100 kB.")


def _untested(data: dict[str, Any]) -> None:
    told = [name for _, name in data["ends"]]
    for output in data["outputs"]:
        told.remove(output["name"])
    if told:
        data["left"].append(f"There were no targets for {', '.join(told)}: no results are shown.")


def _pictures(about: Subject, chosen: Iterable[int], side: int, size: int) -> dict[int, list[dict[str, Any]]]:
    """Return pictures of samples, one for each input, with at most `side` pixels and `size` bytes in all."""
    numbers = list(chosen)
    most = _side(side, size, len(numbers) * sum(map(_depth, about.model._inner_input_shapes())))
    scales = [_scale(x) for x in about.xs]
    return {
        number: [_picture(x[0], scale, most) for x, scale in zip(about.sample(number), scales, strict=True)]
        for number in numbers
    }


def _add_pictures(output: Output, mistakes: Sequence[dict[str, Any]], side: int, size: int) -> None:
    """Add pictures of truth and prediction to mistakes of an output that is an image."""
    most, scale = _side(side, size, 2 * len(mistakes) * _depth(output.image or ())), _scale(output.truth)
    for mistake in mistakes:
        pair = output.truth[mistake["number"]], output.answers[mistake["number"]]
        mistake["pictures"] = [_picture(each.reshape(output.image), scale, most) for each in pair]


def _depth(shape: Sequence[int]) -> int:
    """Return the bytes of a picture's pixel; 0 for the strip of a sample that is no image."""
    return 0 if len(shape) < 3 else 3 if shape[2] == 3 else 1


def _side(side: int, size: int, planes: int) -> int:
    """Return the width, at most `side`, of pictures that take `size` bytes, `planes` for a pixel of each."""
    return max(min(side, math.isqrt(int(0.7 * size / max(planes, 1)))), 1)


def _scale(x: np.ndarray) -> tuple[float, float]:
    """Return the values of samples that are black and white in pictures."""
    if x.dtype == np.uint8:
        return 0.0, 255.0
    given = np.asarray(x[:256], np.float64)
    given = given[np.isfinite(given)]
    low, high = (float(given.min()), float(given.max())) if given.size else (0.0, 1.0)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _picture(image: np.ndarray, scale: tuple[float, float], side: int) -> dict[str, Any]:
    """Return a sample as a picture of bytes: in colour for three channels, else the first channel in grey.

    Samples that are not images become a strip, with the first axis from left to right.
    """
    x = np.asarray(image, np.float64)
    x = x if x.ndim == 3 else x.reshape(1, len(x), -1)
    shown, step = smaller(x if x.shape[2] == 3 and x.shape[0] > 1 else x[:, :, :1], side)
    low, high = scale
    levels = np.nan_to_num((shown - low) / ((high - low) or 1.0)).clip(0, 1)
    pixels = np.rint(255 * levels).astype(np.uint8)
    return {
        "png": picture(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]),
        "size": list(x.shape[:2]),
        "step": step,
    }


def _follow(about: Subject, data: dict[str, Any]) -> None:
    """Add the layers' outputs for the samples, as far as there is space; note what was left out."""
    eye, rows, left = seeing.Eye(about.model), data["layers"], data["left"]
    form = seeing.form_of(rows)
    room = MOST - NUMBERS - len(_page("", data).encode()) - 64 * len(data["title"]) - SPARE
    seen: list[list[np.ndarray]] = []
    for sample in data["samples"]:
        values = eye.values(about.sample(sample["number"]))
        maps = seeing.views(values, rows, form)
        room -= len(block(maps)) + SPARE // 10
        if room < 0 and seen:
            left.append(f"{len(seen)} of {len(data['samples'])} samples are shown through the network.")
            break
        sample["maps"] = maps
        seen.append(values)
    del data["samples"][len(seen) :]
    shapes = [row["shape"] for row in rows if len(row["shape"]) == 3]
    if any(shape[2] > form[0] for shape in shapes):
        left.append(f"Of a layer with more than {form[0]} maps the first {form[0]} are shown.")
    if any(max(shape[:2]) > form[1] for shape in shapes):
        left.append(
            f"Maps of more than {form[1]} pixels each way are shown smaller, as means of several pixels."
        )
    data["sums"] = seeing.explained(about.model)
    left += _add_numbers(data, seen, NUMBERS + min(room, 0))
    # First the right ones, then the most confident mistakes.
    data["samples"].sort(key=lambda sample: any(map(_is_wrong, about.outputs, sample["answers"])))


def _is_wrong(output: Output, answer: dict[str, Any]) -> bool:
    return output.kind == CLASSES and answer["guess"] != answer["truth"]


def _add_numbers(data: dict[str, Any], seen: Sequence[Sequence[np.ndarray]], room: int) -> list[str]:
    """Add the inputs of layers with explained sums, first layers first; return notes on what was left out.

    They need at most `room` bytes.
    """
    missing = set()
    for sample in data["samples"]:
        sample["values"] = {}
    for number, entry in data["sums"].items():
        room -= len(block(entry))
        for sample, values in zip(data["samples"], seen, strict=True):
            if entry["from"] not in sample["values"]:
                packed = numbers(values[entry["from"]])
                size = len(block(packed)) + 10
                if size > room:
                    missing.add(data["layers"][number]["name"])
                    continue
                room -= size
                sample["values"][entry["from"]] = packed
    if not missing:
        return []
    return [
        f"The numbers behind the sums of {', '.join(sorted(missing))} are there for some samples, or none."
    ]
