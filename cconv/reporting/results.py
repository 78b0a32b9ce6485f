"""An output's test results: numbers, tables and points of the page, and the choice of samples to show."""

import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from cconv.reporting.packing import rounded
from cconv.reporting.subject import CLASSES, Output

BEST = 5  # number of classes that are named for a sample
PAIRS = 20_000  # maximum number of pairs of confused classes, the most frequent ones
POINTS = 1_000  # maximum number of points of truth and prediction
OUTPUTS = 4  # maximum number of numbers of a regression
Z = 1.959964  # the normal distribution's 97.5 % quantile, for 95 % intervals


def guesses(output: Output) -> np.ndarray:
    """Return the predicted class of each sample; -1 if a prediction is not finite."""
    known = np.isfinite(output.answers).all(axis=1)
    return np.where(known, np.where(known[:, np.newaxis], output.answers, 0).argmax(axis=1), -1)


def errors(output: Output) -> np.ndarray:
    """Return the error of each prediction.

    For classes this is the probability of a wrong prediction, and -1 for a right one; otherwise the mean
    absolute error, in standard deviations of each number, or for images as it is.
    Infinite if a prediction is not finite.
    """
    known = np.isfinite(output.answers).all(axis=1)
    if output.kind == CLASSES:
        sure = np.where(guesses(output) == output.truth, -1.0, output.answers.max(axis=1))
    else:
        spread = output.truth.std(axis=0) if output.image is None else np.ones(1)
        sure = (np.abs(output.answers - output.truth) / np.where(spread > 0, spread, 1)).mean(axis=1)
    return np.where(known, sure, np.inf)


def chosen(output: Output, count: int) -> list[int]:
    """Return samples whose maps are worth a look: the worst, and others of all classes."""
    wrong = errors(output)
    worst = np.argsort(-wrong, kind="stable")
    if output.kind != CLASSES:
        return [int(n) for n in dict.fromkeys([*worst[: count // 2], *range(len(wrong))])][:count]
    worst = worst[wrong[worst] >= 0]
    right = np.flatnonzero(wrong < 0)
    # First one right sample of each class, then the second of each, ….
    turn = np.zeros(len(right), np.int64)
    for label in np.unique(output.truth[right]):
        turn[output.truth[right] == label] = np.arange(np.sum(output.truth[right] == label))
    right = right[np.lexsort((output.truth[right], turn))]
    half = max(count // 2, count - len(right))
    # Right and wrong in turn, because there may be no space for the last ones.
    taken = [right[: count - min(half, len(worst))], worst[:half]]
    wanted = [n for pair in zip_longest(*taken) for n in pair if n is not None]
    return [int(n) for n in wanted]


def chosen_of_all(outputs: Sequence[Output], count: int) -> list[int]:
    """Return the samples whose maps the page shows: those of each output in turn."""
    turns = zip_longest(*(chosen(output, count) for output in outputs))
    return list(dict.fromkeys(n for turn in turns for n in turn if n is not None))[:count]


def answer(output: Output, number: int) -> dict[str, Any]:
    """Return a sample's truth and prediction; for classes the most probable ones, for images the error."""
    row = output.answers[number]
    if output.image is not None:
        return {"error": rounded(np.abs(row - output.truth[number]).mean())}
    if output.kind != CLASSES:
        return {"truth": rounded(output.truth[number][:OUTPUTS]), "answer": rounded(row[:OUTPUTS])}
    guess = int(guesses(output)[number])
    best = np.argsort(-row, kind="stable")[: BEST if guess >= 0 else 0]
    return {
        "truth": int(output.truth[number]),
        "guess": guess,
        "best": [[int(n), rounded(row[n])] for n in best],
    }


def interval(right: int, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a fraction (Wilson 1927, "Probable inference").

    Examples
    --------
    >>> [round(end, 3) for end in interval(8, 10)]
    [0.49, 0.943]
    """
    share, spread = right / n, Z * Z / n
    middle = (share + spread / 2) / (1 + spread)
    reach = Z * math.sqrt(share * (1 - share) / n + spread / n / 4) / (1 + spread)
    return middle - reach, middle + reach


def results(output: Output) -> dict[str, Any]:
    """Return the part of the page about the results on all test samples."""
    return _classified(output) if output.kind == CLASSES else _measured(output)


def _classified(output: Output) -> dict[str, Any]:
    truth, guess, n = output.truth, guesses(output), len(output.truth)
    right, count = int(np.sum(truth == guess)), len(output.names)
    low, high = interval(right, n)
    known = guess >= 0
    pairs, often = np.unique(truth[known] * count + guess[known], return_counts=True)
    order = np.argsort(-often, kind="stable")[:PAIRS]
    share = np.where(known, np.take_along_axis(output.answers, truth[:, np.newaxis], 1)[:, 0], 1)
    with np.errstate(divide="ignore"):
        entropy = -np.log(share[known]).mean() if known.any() else math.nan
    found = {
        "figures": [
            ["Accuracy", f"{100 * right / n:.1f} %", f"{right:,} of {n:,}"],
            ["95 % interval", f"{100 * low:.1f}–{100 * high:.1f} %", "of the accuracy, by Wilson"],
            ["Cross-entropy", f"{entropy:.3f}" if math.isfinite(entropy) else "∞", "mean, in nats"],
        ],
        "pairs": [[*divmod(int(pairs[at]), count), int(often[at])] for at in order],
        "truths": np.bincount(truth, minlength=count).tolist(),
        "guesses": np.bincount(guess[known], minlength=count).tolist(),
        "unknown": int(n - known.sum()),
    }
    if not known.any():
        found["figures"][2][1] = "–"
    if count > 2 * BEST:
        best = np.argsort(-output.answers, axis=1, kind="stable")[:, :BEST]
        hits = int(np.sum((best == truth[:, np.newaxis]).any(axis=1) & known))
        found["figures"].insert(1, [f"Top {BEST}", f"{100 * hits / n:.1f} %", f"{hits:,} of {n:,}"])
    return found


def _measured(output: Output) -> dict[str, Any]:
    known = np.isfinite(output.answers).all(axis=1)
    truth, answers = output.truth[known], output.answers[known]
    figures = []
    if len(truth):
        apart = answers - truth
        spread = np.square(truth - truth.mean(axis=0)).sum()
        figures = [
            ["Mean absolute error", f"{np.abs(apart).mean():.4g}", f"over {len(truth):,} samples"],
            [
                "Root mean square error",
                f"{math.sqrt(np.square(apart).mean()):.4g}",
                "in units of the targets",
            ],
        ]
        if spread > 0:
            figures.append(
                ["R²", f"{1 - np.square(apart).sum() / spread:.3f}", "share of variance explained"]
            )
    truth, answers = (each.reshape(-1, len(output.names)) for each in (truth, answers))  # pixels of images
    shown = np.unique(np.linspace(0, max(len(truth) - 1, 0), POINTS).astype(int))[: len(truth)]
    return {
        "figures": figures,
        "points": [
            rounded(np.stack([truth[shown, n], answers[shown, n]], axis=1))
            for n in range(min(OUTPUTS, truth.shape[1]))
        ],
        "unknown": int(np.sum(~known)),
    }
