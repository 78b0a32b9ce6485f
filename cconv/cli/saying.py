"""The output of ``cconv predict`` for an image: a line of text, or a JSON object."""

import json
from typing import Any

import numpy as np

from cconv.arguments.text import printable
from cconv.models import Sequential
from cconv.models.answers import THRESHOLD, answers, meaning


class Speaker:
    """Describes a model's outputs for an image in words.

    Parameters
    ----------
    model : Sequential
        A built model.
    classes : tuple of str, optional
        Names of the classes; by default their numbers.
    top : int, optional
        Number of the most probable classes to print.
    as_json : bool
        Whether to return a JSON object.

    Raises
    ------
    ValueError
        For `top` and a model without classes, and for a softmax over a single output.
    """

    def __init__(
        self,
        model: Sequential,
        classes: tuple[str, ...] | None = None,
        top: int | None = None,
        as_json: bool = False,
    ) -> None:
        self.meaning = meaning(model)
        self.kind = self.meaning.kind
        self.classes, self.top, self.as_json = classes, top, as_json
        self._say = answers(model)
        if top is not None and self.kind in ("numbers", "image"):
            what = "numbers" if self.kind == "numbers" else "images"
            raise ValueError(f"--top is for models that give classes, and this one gives {what}")

    def line(self, image: str, index: int | None, outputs: np.ndarray) -> str:
        """Return the line about an image; `index` is its number in a file with several images, else None."""
        if self.as_json:
            return json.dumps(self._object(image, index, outputs))
        place = "" if index is None else f"[{index}]"
        return f"{image}{place}: {self._text(outputs)}"

    def _text(self, outputs: np.ndarray) -> str:
        probabilities = self.meaning.probabilities(outputs)
        if probabilities is None or (self.top is None and self.classes is None):
            return self._say(outputs)
        said = [f"{self._name(number)} {probabilities[number]:.4f}" for number in self._chosen(probabilities)]
        return ", ".join(said) or "none of the classes"

    def _name(self, number: int) -> str:
        return str(number) if self.classes is None else printable(self.classes[number])

    def _chosen(self, probabilities: np.ndarray) -> list[int]:
        """Return the classes to print, the most probable first; with `top` that many."""
        if self.kind == "classes" and self.top is None:
            return [int(number) for number in np.flatnonzero(probabilities > THRESHOLD)]
        order = np.argsort(-probabilities, kind="stable")  # of equal ones the first
        return [int(number) for number in order[: self.top or 1]]

    def _object(self, image: str, index: int | None, outputs: np.ndarray) -> dict[str, Any]:
        said: dict[str, Any] = {"image": image}
        if index is not None:
            said["index"] = index
        probabilities = self.meaning.probabilities(outputs)
        if probabilities is not None:
            chosen = [self._entry(number, probabilities) for number in self._chosen(probabilities)]
            if self.kind != "classes":
                said |= chosen[0]
            if self.kind == "classes" or self.top is not None:
                said["top" if self.top is not None else "classes"] = chosen
        return said | {"outputs": outputs.astype(np.float64).tolist()}

    def _entry(self, number: int, probabilities: np.ndarray) -> dict[str, Any]:
        name = {} if self.classes is None else {"name": self.classes[number]}
        return {"class": number, **name, "probability": float(probabilities[number])}
