"""The pictures of docs/benchmarks.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.layers import PASSES
from benchmarks.networks import NETWORKS
from benchmarks.peers import PEERS

INK, OURS, THEIRS = "#333333", "#0b6e8f", "#b8b8b8"
SHADES = ["#0b6e8f", "#58a4bd", "#a9d2de"]
AIMS = {"train": 2.5, "predict": 2.0}
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.dpi": 130,
}


def _save(figure: Any, path: Path) -> bool:
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)
    return True


def _label(row: dict[str, Any]) -> str:
    return f"{NETWORKS[row['network']].title}, {row['batch']}"


def models(rows: list[dict], path: Path, advantage: Callable[[dict], float | None]) -> bool:
    """Bars: how many times as fast as the best peer, training and prediction side by side."""
    most = max((row["threads"] for row in rows), default=0)
    rows = [row for row in rows if row["threads"] == most and row["dtype"] == "float32"]
    by_mode = {
        mode: [(_label(row), advantage(row) or 0.0) for row in rows if row["mode"] == mode and advantage(row)]
        for mode in AIMS
    }
    if not any(by_mode.values()):
        return False
    longest = max(map(len, by_mode.values()))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(11, 1 + 0.32 * longest), layout="constrained")
        for axis, (mode, entries) in zip(axes, by_mode.items(), strict=True):
            labels = [label for label, _ in entries]
            values = [value for _, value in entries]
            places = np.arange(len(entries))
            axis.barh(places, values, color=[OURS if value >= AIMS[mode] else SHADES[1] for value in values])
            for place, value in zip(places, values, strict=True):
                # On paper of its own, where a line would cross it.
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
                axis.annotate(
                    f"{value:.1f}×",
                    (value, place),
                    (4, 0),
                    textcoords="offset points",
                    va="center",
                    color=INK,
                    bbox=box,
                )
            axis.axvline(1, color=INK, linewidth=0.8)
            axis.axvline(AIMS[mode], color=INK, linewidth=0.8, linestyle=":")
            axis.set_yticks(places, labels)
            axis.invert_yaxis()
            axis.margins(x=0.12)
            axis.set_title({"train": "training", "predict": "prediction"}[mode])
        figure.suptitle("cconv: times as fast as the fastest other framework (dotted: the aim)", fontsize=10)
        return _save(figure, path)


def layers(rows: list[dict], path: Path) -> bool:
    """Bars: per cent of the FMA peak of each pass of each shape, cconv's best and PyTorch's best."""
    most = max((row["threads"] for row in rows), default=0)
    rows = [row for row in rows if row["threads"] == most and row["dtype"] == "float32"]
    if not rows:
        return False
    bars = [(OURS, "cconv", True), (THEIRS, "PyTorch", False)]
    if not any(np.isfinite(_of_peak(row, mode, False)) for row in rows for mode in PASSES):
        bars.pop()
    height = 0.8 / len(bars)
    backed = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # the line at 100 % passes behind
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(PASSES), figsize=(11, 1 + 0.36 * len(rows)), sharey=True, layout="constrained"
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
            axis.axvline(100, color=INK, linewidth=0.8, linestyle=":")
            axis.set_title(f"{mode.replace('_', ' ')}, % of FMA peak")
            axis.margins(x=0.12)
        axes[0].set_yticks(places, [row["shape"] for row in rows])
        axes[0].invert_yaxis()
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=2)
        return _save(figure, path)


def _of_peak(row: dict, mode: str, ours: bool) -> float:
    """Return per cent of the FMA peak of cconv's own choice, or of PyTorch's better layout."""
    names = ["cconv"] if ours else ["torch", "torch-last"]
    found = [row["figures"][name][mode]["of_peak"] for name in names if mode in row["figures"].get(name, {})]
    return 100 * max(found, default=np.nan)


def scaling(threads: list[dict], sizes: list[dict], path: Path) -> bool:
    """Lines: speed over threads; time over size, with the fitted exponents."""
    if not (threads and sizes):
        return False
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
        counts = sorted({int(count) for row in threads for count in row["speedup"]})
        left.plot(counts, counts, color=INK, linewidth=0.8, linestyle=":")
        lines = list(dict.fromkeys(_label(row) for row in threads))
        for row in threads:
            style = "-" if row["mode"] == "train" else "--"
            speeds = [row["speedup"][str(count)] for count in counts]
            color = f"C{lines.index(_label(row))}"
            left.plot(counts, speeds, style, marker="o", color=color, label=f"{_label(row)}, {row['mode']}")
        left.set_xticks(counts)
        left.set_xlabel("threads")
        left.set_title("times as fast as with one thread (dotted: linear)")
        left.set_ylim(0, None)
        left.legend(frameon=False, fontsize=7, handlelength=4)
        for row in sizes:
            relative = np.array(row["sizes"]) / row["sizes"][0]
            seconds = np.array(row["seconds"]) / row["seconds"][0]
            right.loglog(relative, seconds, marker="o", label=f"{row['title']}: {row['exponent']:.2f}")
        largest = max(row["sizes"][-1] / row["sizes"][0] for row in sizes)
        right.loglog([1, largest], [1, largest], color=INK, linewidth=0.8, linestyle=":")
        right.set_xlabel("size, first of the sweep = 1")
        right.set_title("time, first of the sweep = 1, and fitted exponents (dotted: linear)")
        right.legend(frameon=False, fontsize=7)
        return _save(figure, path)


def memory(rows: list[dict], path: Path) -> bool:
    """Bars: peak memory of training, by network and framework."""
    names = [name for name in PEERS if any(name in row["peers"] for row in rows)]
    if not names:
        return False
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(11, 4), layout="constrained")
        width = 0.85 / len(names)
        for number, name in enumerate(names):
            values = [row["peers"][name]["peak"] / 2**20 if name in row["peers"] else np.nan for row in rows]
            color = OURS if name == "cconv" else plt.get_cmap("Greys")(0.25 + 0.5 * number / len(names))
            places = np.arange(len(rows)) + (number - (len(names) - 1) / 2) * width
            axis.bar(places, values, width, color=color, label=PEERS[name].title)
        axis.set_xticks(range(len(rows)), [_label(row).replace(" ", "\n") for row in rows], fontsize=7)
        axis.set_ylabel("MiB")
        axis.set_title("peak resident memory of training")
        figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=len(names))
        return _save(figure, path)
