"""The pictures of steps: rooflines, and where the time of a network's step goes.

They are narrow enough to be read on a telephone. A kind of step has a colour, and in the rooflines a marker,
of its own: five hues, and ink and grey for what is no layer.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke

from benchmarks.networks import NETWORKS
from benchmarks.pictures import BATCH, INK, MODES, STYLE, log_ticks, panels_of, save
from benchmarks.tables import milliseconds
from cconv.models.explaining import Limits, Pass


class Look(NamedTuple):
    """How a kind of step is called and drawn."""

    title: str
    color: str
    marker: str = ""


LOOKS = {
    "3×3": Look("3×3 and larger", "#0072b2", "o"),
    "1×1": Look("1×1", "#56b4e9", "s"),
    "depthwise": Look("depthwise", "#009e73", "^"),
    "dense": Look("dense", "#e69f00", "D"),
    "normalisation": Look("normalisation", "#cc79a7", "P"),
    "other": Look("pooling, sums …", "#d55e00", "X"),
    "learning": Look("loss, optimizer", INK, "h"),
    "python": Look("Python", "#b8b8b8"),
}
WORD = 4  # bytes: steps without products count as one operation for each number that moves
NARROW: Any = [*STYLE, {"font.size": 9, "axes.labelsize": 9, "xtick.labelsize": 8, "ytick.labelsize": 8}]
NAMED = 2  # steps of a roofline that are named: those that take the most time
INTENSITIES, RATES = (0.1, 3000), (1.0, 1000)  # what rooflines show, flops a byte and GFLOP/s
EDGE = 1.15  # times the least rate: where slower steps are drawn
LEAST = 0.003  # of a network's time: steps that take less are not drawn


def limits_of(row: dict[str, Any]) -> Limits:
    """Return the machine's limits in the run of a row."""
    return Limits(row["limits"]["fma"]["median"], row["limits"]["triad"]["median"])


def passes_of(row: dict[str, Any]) -> list[tuple[str, Pass]]:
    """Return the steps of a row, each with its kind."""
    steps = row["steps"]
    columns = (steps[name] for name in ("kind", "name", "direction", "flops", "nbytes", "seconds"))
    return [
        (kind, Pass((name,), direction, "", *rest))
        for kind, name, direction, *rest in zip(*columns, strict=True)
    ]


def whole_of(row: dict[str, Any]) -> float:
    """Return the seconds of a network's step."""
    return row["whole"][str(row["threads"])]["median"]


def floor_of(row: dict[str, Any]) -> float:
    """Return the least seconds that the machine allows the steps of a row, one after the other."""
    return sum(step.floor(limits_of(row)) for _, step in passes_of(row))


def scale_of(row: dict[str, Any]) -> float:
    """Return what makes the kernels, timed in turns of their own, fill what Python leaves of the whole."""
    return (whole_of(row) - row["python"]) / sum(row["steps"]["seconds"])


def times_of(row: dict[str, Any]) -> dict[str, float]:
    """Return the seconds of a network's step by kind, Python between the kernels the last."""
    found = dict.fromkeys(LOOKS, 0.0)
    for kind, step in passes_of(row):
        found[kind] += scale_of(row) * step.seconds
    return found | {"python": row["python"]}


def _point(step: Pass) -> tuple[float, float]:
    """Return flops a byte, and GFLOP/s; without products, operations on numbers that move."""
    flops = step.flops or step.nbytes / WORD
    return flops / step.nbytes, max(flops / step.seconds / 1e9, RATES[0] * EDGE)


def _ceilings(axis: Any, limits: Limits) -> None:
    """Draw what memory and arithmetic allow, each with its figure."""
    peak, slope = limits.flops / 1e9, limits.bandwidth / 1e9
    knee, (left, right) = peak / slope, INTENSITIES
    axis.plot([left, knee, right], [left * slope, peak, peak], color=INK, linewidth=1)
    said = {"fontsize": 8, "color": INK, "rotation_mode": "anchor"}
    axis.text(knee / 1.2, peak, f"{peak:.0f} GFLOP/s", ha="right", va="center", **said)
    along = {"rotation": math.degrees(math.atan(slope)), "transform_rotates_text": True}
    axis.text(0.5, 0.5 * slope / 1.25, f"{slope:.0f} GB/s", va="top", **along, **said)


def _name_steps(axis: Any, row: dict[str, Any]) -> None:
    """Number the steps that take the most time; their names and shares stand where no steps are."""
    whole, steps = whole_of(row), [step for _, step in shown_of(row)]
    for number, step in enumerate(sorted(steps, key=lambda step: -step.seconds)[:NAMED], start=1):
        x, y = _point(step)
        side = -1 if number == 1 else 1  # of the mark: two that lie close keep their numbers apart
        axis.annotate(
            *(str(number), (x, y), (side * (2 + 0.5 * math.sqrt(_size(step, whole))), 3)),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            fontsize=8,
            weight="bold",
            color=INK,
            path_effects=[withStroke(linewidth=2, foreground="white")],
            zorder=4,
        )
        back = " back" if step.direction == "backward" else ""
        said = f"{number}  {step.layers}{back}: {scale_of(row) * step.seconds / whole:.0%}"
        place = (0.99, 0.17 - 0.12 * (number - 1))
        axis.text(*place, said, transform=axis.transAxes, ha="right", fontsize=7.5, color=INK, zorder=4)


def _size(step: Pass, whole: float) -> float:
    """Return the area of a mark, in square points."""
    return 12 + 300 * step.seconds / whole


def shown_of(row: dict[str, Any]) -> list[tuple[str, Pass]]:
    """Return the steps that a roofline shows: not those that hardly take time, nor the loss."""
    least = LEAST * whole_of(row)
    return [
        (kind, step)
        for kind, step in passes_of(row)
        if step.seconds >= least and step.nbytes and step.direction != "loss"
    ]


def _roof(axis: Any, row: dict[str, Any]) -> list[str]:
    """Draw the roofline of one step of a network; return the kinds in it."""
    whole, passes = whole_of(row), shown_of(row)
    _ceilings(axis, limits_of(row))
    for kind, look in LOOKS.items():
        part = [step for of, step in passes if of == kind]
        if part:
            xs, ys = zip(*map(_point, part), strict=True)
            sizes = [_size(step, whole) for step in part]
            options = {"alpha": 0.85, "edgecolors": "white", "linewidths": 0.5, "zorder": 3}
            axis.scatter(xs, ys, sizes, look.color, marker=look.marker, **options)
    _name_steps(axis, row)
    axis.set_title(f"{MODES[row['mode']]}, batch of {row['batch']}", fontsize=9)
    axis.set_ylabel("GFLOP/s")
    return [kind for kind in LOOKS if any(of == kind for of, _ in passes)]


def _roofs_of(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the rooflines of one network, below each other."""
    with plt.style.context(NARROW):
        size = (2.72, 0.95 + 2.1 * len(rows))
        figure, axes = plt.subplots(len(rows), 1, figsize=size, sharex=True, sharey=True, squeeze=False)
        kinds = [kind for axis, row in zip(axes[:, 0], rows, strict=True) for kind in _roof(axis, row)]
        last = axes[-1, 0]
        last.set(xscale="log", yscale="log", xlim=INTENSITIES, ylim=RATES)
        last.set_xlabel("flops for each byte that must move")
        log_ticks(last.yaxis, (1,))
        log_ticks(last.xaxis, (1,))
        used = [look for kind, look in LOOKS.items() if kind in kinds]
        marks = {"linestyle": "none", "markersize": 6}
        handles = [plt.Line2D([], [], color=look.color, marker=look.marker, **marks) for look in used]
        titles = [look.title for look in used]
        figure.suptitle(NETWORKS[rows[0]["network"]].title, x=0.01, ha="left", fontsize=10)
        _legend(figure, handles, titles)
        save(figure, path)


def _legend(figure: Any, handles: list[Any], titles: list[str], columns: int = 2) -> None:
    options = {"fontsize": 8, "ncols": columns, "columnspacing": 1.2, "handletextpad": 0.5}
    figure.legend(handles, titles, loc="outside lower center", **options)


def roofs(rows: list[dict[str, Any]], images: Path) -> dict[str, str]:
    """Draw a roofline of each network, its prediction and its training; return the files by network."""
    made = {}
    for network in dict.fromkeys(row["network"] for row in rows):
        of = [row for row in rows if row["network"] == network]
        batch = max(row["batch"] for row in of)
        of = sorted((row for row in of if row["batch"] == batch), key=lambda row: row["mode"])
        made[network] = f"roof_{network}.png"
        _roofs_of(of, images / made[network])
    return made


def shares(rows: list[dict[str, Any]], path: Path) -> bool:
    """Stacked bars: where the time of a network's step goes, over its floor."""
    if not rows:
        return False
    with plt.style.context(NARROW):
        figure, panels = panels_of(rows, width=5.4)
        right = 1.02 * max(sum(times_of(row).values()) / floor_of(row) for row in rows)
        for axis, part in panels:
            floors = np.array([floor_of(row) for row in part])
            left = np.zeros(len(part))
            for kind, look in LOOKS.items():
                values = np.array([times_of(row)[kind] for row in part]) / floors
                edge = {"edgecolor": "white", "linewidth": 0.4}
                axis.barh(range(len(part)), values, 0.72, left=left, color=look.color, **edge)
                left += values
            for place, row in enumerate(part):
                said = f"{milliseconds(whole_of(row))} ms"
                axis.text(1.2 * right, place, said, va="center", ha="right", fontsize=8, color=INK)
            axis.axvline(1, color=INK, linewidth=1.0, linestyle=(0, (1, 1)))
            axis.set_xlim(0, 1.2 * right)
        panels[-1][0].set_xlabel("time, as a multiple of the floor (dotted)")
        used = [look for kind, look in LOOKS.items() if any(times_of(row)[kind] for row in rows)]
        handles = [plt.Rectangle((0, 0), 1, 1, color=look.color) for look in used]
        _legend(figure, handles, [look.title for look in used], 3)
        figure.supylabel(BATCH, fontsize=8)
        return save(figure, path)
