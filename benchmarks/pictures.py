"""The pictures of docs/benchmarks.md, in the style of cconv's own.

Every framework has a colour and a marker of its own in all of them, colours that colour-blind eyes tell
apart (Okabe and Ito's).
"""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.aims import advantage, aim_of, at_peak
from benchmarks.layers import PASSES
from benchmarks.networks import NETWORKS
from benchmarks.peers import FRAMEWORKS, PEERS

INK = "#1b1f24"
# Colour and marker.
LOOKS = {
    "cconv": ("#0072b2", "o"),
    "torch": ("#d55e00", "s"),
    "torch-last": ("#e69f00", "D"),
    "torch-compile": ("#f0e442", "^"),
    "keras-tf": ("#009e73", "v"),
    "keras-xla": ("#999999", "<"),
    "keras-jax": ("#cc79a7", "P"),
    "onnxruntime": ("#000000", "X"),
    "openvino": ("#56b4e9", "h"),
}
OURS, THEIRS = LOOKS["cconv"][0], LOOKS["torch"][0]
# Of lines that are no frameworks: those that thin lines show on white.
LINES = [look for name, look in LOOKS.items() if name not in ("torch-compile", "keras-xla")]
STYLES = {"train": "-", "predict": "--"}
MODES = {"train": "training", "predict": "prediction"}
STYLE: Any = ["cconv.plotting.cconv", {"font.size": 9, "axes.titlelocation": "left", "figure.dpi": 110}]
BATCH = "network, batch size"


def save(figure: Any, path: Path) -> bool:
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)
    return True


def label_of(row: dict[str, Any]) -> str:
    return f"{NETWORKS[row['network']].title}, {row['batch']}"


def _main_rows(rows: list[dict]) -> list[dict]:
    """Return those in float32 on the most threads."""
    most = max((row["threads"] for row in rows), default=0)
    return [row for row in rows if row["threads"] == most and row["dtype"] == "float32"]


def panels_of(rows: list[dict], width: float = 9) -> tuple[Any, list[tuple[Any, list[dict]]]]:
    """Return a figure with an axis for each of training, prediction and one image, and the rows in them."""
    parts = {
        "training": [row for row in rows if row["mode"] == "train"],
        "prediction": [row for row in rows if row["mode"] == "predict" and row["batch"] > 1],
        "prediction of one image": [row for row in rows if row["mode"] == "predict" and row["batch"] == 1],
    }
    parts = {title: part for title, part in parts.items() if part}
    counts = [len(part) + 1.2 for part in parts.values()]  # room for the title
    figure, axes = plt.subplots(
        *(len(parts), 1),
        figsize=(width, 0.8 + 0.26 * sum(counts)),
        height_ratios=counts,
        sharex=True,
        squeeze=False,
    )
    for axis, (title, part) in zip(axes[:, 0], parts.items(), strict=True):
        one_a_line(axis, part)
        axis.set_title(title)
    return figure, list(zip(axes[:, 0], parts.values(), strict=True))


def one_a_line(axis: Any, rows: list[dict]) -> None:
    axis.set_yticks(range(len(rows)), [label_of(row) for row in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def log_ticks(axis: Any, marks: tuple[int, ...] = (1, 2, 5)) -> None:
    """Mark 1, 2, 5, 10 … as what they are."""
    axis.set_major_locator(matplotlib.ticker.LogLocator(subs=marks))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


# What a bar's colour says; orange and blue differ for every eye.
REACHED, SHORT, WITHOUT = ("the aim or more", OURS), ("short of the aim", "#e69f00"), ("no aim", "#b8b8b8")


def _verdict(row: dict[str, Any]) -> tuple[str, str]:
    aim = aim_of(row)
    return WITHOUT if aim is None else REACHED if (advantage(row) or 0.0) >= aim else SHORT


def speedups(rows: list[dict], path: Path) -> bool:
    """Bars: how many times as fast as the best peer, training and prediction side by side."""
    rows = [row for row in _main_rows(rows) if advantage(row)]
    if not rows:
        return False
    with plt.style.context(STYLE):
        figure, panels = panels_of(rows)
        right = 1.02 * max(max(advantage(row) or 0.0, aim_of(row) or 0.0) for row in rows)
        for axis, part in panels:
            values = [advantage(row) or 0.0 for row in part]
            axis.barh(range(len(part)), values, 0.7, color=[_verdict(row)[1] for row in part])
            for place, (row, value) in enumerate(zip(part, values, strict=True)):
                aim = aim_of(row)
                if aim is not None:
                    axis.plot([aim, aim], [place - 0.45, place + 0.45], color=INK, linewidth=1.6)
                # In a column of their own, which no line crosses.
                axis.text(1.1 * right, place, f"{value:.2f}×", va="center", ha="right", color=INK)
            axis.axvline(1, color=INK, linewidth=0.8, linestyle=":")
            axis.set_xlim(0, 1.1 * right)
        used = [verdict for verdict in (REACHED, SHORT, WITHOUT) if verdict in map(_verdict, rows)]
        handles = [plt.Rectangle((0, 0), 1, 1, color=color) for _, color in used]
        handles += [plt.Line2D([], [], color=INK, linewidth=1.6, marker="|", linestyle="none", markersize=12)]
        handles += [plt.Line2D([], [], color=INK, linewidth=0.8, linestyle=":")]
        labels = [*(label for label, _ in used), "the aim", "as fast as the fastest other"]
        panels[-1][0].set_xlabel("times as fast as the fastest other framework")
        figure.supylabel(BATCH, fontsize=9)
        figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=len(labels))
        return save(figure, path)


def _dots(axis: Any, name: str, values: list[float], places: Any) -> None:
    """Draw one framework's dots, ours the larger and in front."""
    color, marker = LOOKS[name]
    ours = name == "cconv"
    axis.scatter(
        *(values, places, 60 if ours else 38, color),
        marker=marker,
        edgecolors=INK,
        linewidths=0.6,
        zorder=4 if ours else 3,
        label=PEERS[name].title,
    )


def _legend(figure: Any, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        *(handles, labels), frameon=False, fontsize=8, loc="outside lower center", ncols=-(-len(labels) // 2)
    )


def frameworks(rows: list[dict], path: Path) -> bool:
    """Dots: every framework's time over that of the direct sums at the peak."""
    rows = [row for row in _main_rows(rows) if row["peers"]]
    if not rows:
        return False
    with plt.style.context(STYLE):
        figure, panels = panels_of(rows)
        for axis, part in panels:
            for name in FRAMEWORKS:
                found = [
                    (row["peers"][name]["median"] / at_peak(row), place)
                    for place, row in enumerate(part)
                    if name in row["peers"]
                ]
                if found:
                    _dots(axis, name, [value for value, _ in found], [place for _, place in found])
            axis.axvline(1, color=INK, linewidth=0.8, linestyle=":")
            axis.grid(axis="y")
            axis.set_xscale("log")
            log_ticks(axis.xaxis)
        panels[-1][0].set_xlabel(
            "time, as a multiple of what the direct sums take at the machine's peak (dotted): less is faster"
        )
        figure.supylabel(BATCH, fontsize=9)
        # The last axis is prediction's: those that only predict are in it, too.
        _legend(figure, panels[-1][0])
        return save(figure, path)


def layers(rows: list[dict], path: Path) -> bool:
    """Bars: per cent of the FMA peak of each pass of each shape, cconv's best and PyTorch's best."""
    rows = _main_rows(rows)
    if not rows:
        return False
    bars = [(OURS, "cconv", True), (THEIRS, "PyTorch, the better of its layouts", False)]
    if not any(np.isfinite(_of_peak(row, mode, False)) for row in rows for mode in PASSES):
        bars.pop()
    height = 0.8 / len(bars)
    backed = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # the line at 100 % passes behind
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(
            1, len(PASSES), figsize=(11, 1 + 0.36 * len(rows)), sharex=True, sharey=True
        )
        places = np.arange(len(rows))
        for axis, mode in zip(axes, PASSES, strict=True):
            for number, (color, name, ours) in enumerate(bars):
                values = [_of_peak(row, mode, ours) for row in rows]
                at = places + (number - (len(bars) - 1) / 2) * height
                axis.barh(at, values, height, color=color, label=name)
                for place, value in zip(at, values, strict=True):
                    if np.isfinite(value):
                        options = {"va": "center", "fontsize": 7, "color": INK, "bbox": backed}
                        axis.text(value + 5, place, f"{value:.0f}", **options)
            for place, row in zip(places, rows, strict=True):
                if not np.isfinite(_of_peak(row, mode, True)):
                    said = {"va": "center", "fontsize": 7, "color": INK, "bbox": backed}
                    axis.text(5, place, "a network's first layer has none", **said)
            axis.axvline(100, color=INK, linewidth=0.8, linestyle=":")
            axis.set_title(mode.replace("_", " "))
            axis.set_xlabel("% of the machine's multiply-add peak")
            axis.margins(x=0.12)
            axis.tick_params(axis="y", length=0)
        axes[0].set_yticks(places, [row["shape"] for row in rows])
        axes[0].set_ylabel("(images, height, width, channels) → filters, kernel")
        axes[0].invert_yaxis()
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=2)
        return save(figure, path)


def _of_peak(row: dict, mode: str, ours: bool) -> float:
    """Return per cent of the FMA peak of cconv's own choice, or of PyTorch's better layout."""
    names = ["cconv"] if ours else ["torch", "torch-last"]
    found = [row["figures"][name][mode]["of_peak"] for name in names if mode in row["figures"].get(name, {})]
    return 100 * max(found, default=np.nan)


def _by_threads(axis: Any, rows: list[dict], counts: list[int]) -> None:
    """Lines: speed over the number of threads; each network is named once, and so is each mode."""
    axis.plot(counts, counts, color=INK, linewidth=0.8, linestyle=":")
    networks = list(dict.fromkeys(map(label_of, rows)))
    for row in rows:
        color, marker = LINES[networks.index(label_of(row)) % len(LINES)]
        style = STYLES[row["mode"]]
        speeds = [row["speedup"][str(count)] for count in counts]
        axis.plot(
            *(counts, speeds, style),
            color=color,
            marker=marker,
            markeredgecolor=INK,
            markeredgewidth=0.6,
        )
    axis.set_xticks(counts)
    axis.set_xlabel("threads")
    axis.set_title("times as fast as with one thread (dotted: linear)")
    axis.set_ylim(0, None)
    looks = zip(networks, LINES, strict=False)
    handles = [plt.Line2D([], [], color=color, marker=mark, label=name) for name, (color, mark) in looks]
    handles += [plt.Line2D([], [], color=INK, linestyle=line, label=MODES[of]) for of, line in STYLES.items()]
    axis.legend(handles=handles, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)


def _by_two(axis: Any, rows: list[dict], count: int) -> None:
    """Bars: how many times as fast as one thread so many are, where a line would have two points."""
    networks = list(dict.fromkeys(map(label_of, rows)))
    for number, (mode, color) in enumerate((("train", OURS), ("predict", LOOKS["openvino"][0]))):
        part = [row for row in rows if row["mode"] == mode]
        places = [networks.index(label_of(row)) + (number - 0.5) * 0.38 for row in part]
        values = [row["speedup"][str(count)] for row in part]
        axis.barh(places, values, 0.38, color=color, label=MODES[mode])
        for place, value in zip(places, values, strict=True):
            axis.annotate(
                *(f"{value:.2f}×", (value, place), (-4, 0)),
                textcoords="offset points",
                va="center",
                ha="right",
                fontsize=7,
                color="white" if mode == "train" else INK,
            )
    axis.axvline(count, color=INK, linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(networks)), networks)
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    axis.set_xlabel("times as fast as one thread")
    axis.set_ylabel(BATCH)
    axis.set_title(f"{count} threads (dotted: {count}×)")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)


def scaling(threads: list[dict], sizes: list[dict], path: Path) -> bool:
    """Speed over threads; time over size, with the fitted exponents."""
    if not (threads and sizes):
        return False
    with plt.style.context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
        counts = sorted({int(count) for row in threads for count in row["speedup"]})
        if len(counts) > 2:
            _by_threads(left, threads, counts)
        else:
            _by_two(left, threads, counts[-1])
        for row, (color, marker) in zip(sizes, LINES, strict=False):
            relative = np.array(row["sizes"]) / row["sizes"][0]
            seconds = np.array(row["seconds"]) / row["seconds"][0]
            label = f"{row['exponent']:.2f}  {row['title']}"
            right.loglog(
                *(relative, seconds),
                color=color,
                marker=marker,
                markeredgecolor=INK,
                markeredgewidth=0.6,
                label=label,
            )
        largest = max(row["sizes"][-1] / row["sizes"][0] for row in sizes)
        right.loglog([1, largest], [1, largest], color=INK, linewidth=0.8, linestyle=":")
        log_ticks(right.xaxis)
        log_ticks(right.yaxis)
        right.set_xlabel("size, first of the sweep = 1")
        right.set_ylabel("time, first of the sweep = 1")
        right.set_title("time grows as size to the power of … (dotted: 1)")
        right.set_ylim(top=4 * largest)  # room for what the lines are
        right.legend(fontsize=8, loc="upper left", borderaxespad=0)
        return save(figure, path)


def memory(rows: list[dict], path: Path) -> bool:
    """Dots: peak memory of training, by network and framework."""
    names = [name for name in FRAMEWORKS if any(name in row["peers"] for row in rows)]
    if not names:
        return False
    with plt.style.context(STYLE):
        figure, axis = plt.subplots(figsize=(11, 1.4 + 0.3 * len(rows)))
        for name in names:
            found = [
                (row["peers"][name]["peak"] / 2**20, i) for i, row in enumerate(rows) if name in row["peers"]
            ]
            _dots(axis, name, [value for value, _ in found], [place for _, place in found])
        one_a_line(axis, rows)
        axis.grid(axis="y")
        axis.set_xscale("log")
        log_ticks(axis.xaxis)
        axis.set_xlabel("peak resident memory of training, MiB")
        axis.set_ylabel(BATCH)
        _legend(figure, axis)
        return save(figure, path)
