"""Write docs/benchmarks.md and its pictures from the results.

Every figure in its tables comes from the JSON files in benchmarks/results; the reasons for what was not
reached are those of benchmarks/aims.py.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks import pictures
from benchmarks.aims import (
    SUBJECTS,
    TORCHES,
    Check,
    advantage,
    aim_of,
    at_peak,
    best_peer,
    mean_over_torch,
    memory_allows,
    rivals,
)
from benchmarks.layers import PASSES
from benchmarks.networks import NETWORKS
from benchmarks.peers import PEERS
from benchmarks.pool import ROOT
from benchmarks.report_steps import steps
from benchmarks.results import FOLDER
from benchmarks.shapes import MODES, ratio_of
from benchmarks.tables import absent, limits_of, milliseconds, preface, settings, table

KINDS = {
    "users": "Networks that users train",
    "latency": "One image at a time",
    "large": "Larger networks",
}


def _models_table(rows: list[dict[str, Any]], mode: str) -> list[str]:
    rows = [row for row in rows if row["mode"] == mode]
    names = [name for name in PEERS if any(name in row["peers"] for row in rows)]
    body = []
    for row in rows:
        ratio = advantage(row)
        cells = [f"{NETWORKS[row['network']].title}, {row['batch']}"]
        cells.append(milliseconds(at_peak(row)))
        best = min((entry["median"] for entry in row["peers"].values()), default=0)
        for name in names:
            entry = row["peers"].get(name)
            shown = milliseconds(entry["median"]) if entry else "–"
            cells.append(f"**{shown}**" if entry and entry["median"] == best else shown)
        cells.append(f"{ratio:.2f}×" if ratio else "–")
        body.append(cells)
    head = [
        f"{mode}, milliseconds a step",
        "at peak",
        *(PEERS[name].title for name in names),
        "cconv over best",
    ]
    return table(head, body)


def _graphs_table(rows: list[dict[str, Any]]) -> list[str]:
    """Return one table of training and prediction, with what is aimed at and what the floor allows."""
    names = [name for name in PEERS if any(name in row["peers"] for row in rows)]
    body = []
    for row in rows:
        ratio, aim, best = advantage(row), aim_of(row), best_peer(row, rivals(row))
        least = min((entry["median"] for entry in row["peers"].values()), default=0)
        cells = [f"{NETWORKS[row['network']].title}, {row['batch']}", row["mode"], milliseconds(at_peak(row))]
        for name in names:
            entry = row["peers"].get(name)
            shown = milliseconds(entry["median"]) if entry else "–"
            cells.append(f"**{shown}**" if entry and entry["median"] == least else shown)
        cells += [f"{ratio:.2f}×" if ratio else "–", f"{aim:.2f}×" if aim else "–"]
        body.append([*cells, f"{best[1] / at_peak(row):.2f}×" if best else "–"])
    head = ["network, batch", "milliseconds", "at peak", *(PEERS[name].title for name in names)]
    return table([*head, "cconv over best", "aim", "the peak allows"], body, texts=2)


def graphs(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of networks with branches."""
    lines = ["## Networks with branches", "", *preface(results)]
    lines += [
        "cconv's are those of `cconv.applications`. The others have the same layers: torchvision's modules "
        "(ResNet-50 with its steps of two pixels where the paper and Keras have them) and those of "
        "`keras.applications`; ResNet-20 and U-Net, and for Keras ResNet-18, are written out in "
        "benchmarks/peers. onnxruntime and OpenVINO read what PyTorch exports. cconv predicts as they "
        "do, with weights that stay as they are: by `model.freeze()`. Multiply-adds and trained "
        "weights are asserted to be the same. *At peak* is the floor of direct sums, as above; *the peak "
        "allows* is the best other framework over it, what cconv could reach without an algorithm of fewer "
        "products. In training the aim is over PyTorch and Keras/TensorFlow.",
        "",
    ]
    if pictures.speedups(results["rows"], images / "bench_graphs.png"):
        lines += ["![cconv's speed over the fastest other framework's](images/bench_graphs.png)", ""]
    if pictures.frameworks(results["rows"], images / "bench_graphs_all.png"):
        lines += ["![Every framework's time over the floor](images/bench_graphs_all.png)", ""]
    for dtype, threads in settings(results["rows"]):
        part = [row for row in results["rows"] if (row["dtype"], row["threads"]) == (dtype, threads)]
        lines += [f"### Branches: {dtype}, {threads} thread{'s' * (threads > 1)}", "", limits_of(part), ""]
        lines += [*absent(part), *_graphs_table(part)]
    return lines


def _models_tables(all_rows: list[dict[str, Any]], where: str = "") -> list[str]:
    """Return the tables of whole networks; where: what their headings begin with."""
    lines = []
    for dtype, threads in settings(all_rows):
        part = [row for row in all_rows if (row["dtype"], row["threads"]) == (dtype, threads)]
        lines += [f"### {where}{dtype}, {threads} thread{'s' * (threads > 1)}", "", limits_of(part), ""]
        for kind, title in KINDS.items():
            rows = [row for row in part if row["kind"] == kind]
            if not rows:
                continue
            lines += [f"#### {where}{title}", "", *absent(rows)]
            for mode in ("train", "predict"):
                chosen = [row for row in rows if row["mode"] == mode]
                if chosen:
                    lines += _models_table(chosen, mode)
                    mean = mean_over_torch(chosen)
                    lines += (
                        [f"Geometric mean over PyTorch's better layout: {mean:.2f}×.", ""] if mean else []
                    )
    return lines


def models(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of whole networks."""
    lines = ["## Whole networks", "", *preface(results)]
    lines += [
        "Medians, taken in turns. *At peak* is the time of the flops of the direct sums at the FMA peak "
        "measured in the same run: what no direct algorithm can pass. *cconv over best* is the time of the "
        "fastest other framework over cconv's. The numbers behind the names are batch sizes; "
        "benchmarks/networks.py describes the networks. The larger ones have no aim of their own. "
        "MobileNetV1 is 1×1 convolutions, plain products in every framework; onnxruntime lays their kernels "
        "out and folds its 27 normalisations into them once, cconv for every batch, since anyone may have "
        "written into the weights meanwhile.",
        "",
    ]
    if pictures.speedups(results["rows"], images / "bench_models.png"):
        lines += ["![cconv's speed over the fastest other framework's](images/bench_models.png)", ""]
    if pictures.frameworks(results["rows"], images / "bench_models_all.png"):
        lines += ["![Every framework's time over the floor](images/bench_models_all.png)", ""]
    lines += _models_tables(results["rows"])
    lines += _images_per_second(results["rows"])
    return lines


def elsewhere(results: dict[str, Any], _images: Path) -> list[str]:
    """Return the chapter of the same networks on another kind of processor."""
    lines = ["## Whole networks on an Intel Xeon", "", *preface(results)]
    lines += [
        "The same networks, measured in the same way, on two virtual processors of another maker: their "
        "multipliers are as wide as their vectors, and twice as fast beside the memory as those above. "
        "Most kernels were tuned on the others.",
        "",
    ]
    return [*lines, *_models_tables(results["rows"], "Xeon: ")]


def _images_per_second(rows: list[dict[str, Any]]) -> list[str]:
    """Return the sentence on how many images the classifier from scratch trains on in a second."""
    chosen = [r for r in rows if (r["network"], r["batch"], r["mode"]) == ("scratch", 1000, "train")]
    chosen = [row for row in chosen if row["dtype"] == "float32" and "cconv" in row["peers"]]
    if not chosen:
        return []
    row = max(chosen, key=lambda row: row["threads"])
    rate = row["batch"] / row["peers"]["cconv"]["median"]
    return [f"The scratch classifier trains on {rate:,.0f} images a second.", ""]


def _convolutions(rows: list[dict[str, Any]]) -> list[str]:
    head = ["convolution", "kind", "who", *(mode.replace("_", " ") for mode in PASSES), "memory allows"]
    body = []
    for row in rows:
        allowed = " / ".join(f"{min(memory_allows(row, mode), 1):.0%}" for mode in row["figures"]["cconv"])
        for label, modes in row["figures"].items():
            cells = [f"{modes[mode]['of_peak']:.0%}" if mode in modes else "–" for mode in PASSES]
            title = PEERS[label].title if label in PEERS else label
            body.append([row["shape"], row["kind"], title, *cells, allowed])
    return table(head, body, texts=3)


def _row_kernels(rows: list[dict[str, Any]]) -> list[str]:
    columns = [f"{row['dtype']}, {row['threads']} thread{'s' * (row['threads'] > 1)}" for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    body = []
    for name in names:
        figures = [row["figures"].get(name) for row in rows]
        cells = [f"{f['rate'] / 1e9:.1f} GB/s, {f['of_triad']:.0%}" if f else "–" for f in figures]
        body.append([name.replace("_", " "), *cells])
    return table(["kernel", *columns], body)


def _errors(rows: list[dict[str, Any]]) -> list[str]:
    body = [
        [row["shape"], PEERS[label].title if label in PEERS else label]
        + [f"{modes[mode]:.1e}" if mode in modes else "–" for mode in PASSES]
        for row in rows
        for label, modes in row["figures"].items()
    ]
    return table(["convolution", "who", *(mode.replace("_", " ") for mode in PASSES)], body, texts=2)


def layers(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of single layers."""
    by_table: dict[str, list] = {"convolutions": [], "rows": [], "errors": []}
    for row in results["rows"]:
        by_table[row["table"]].append(row)
    lines = ["## Single layers", "", *preface(results)]
    lines += [
        "Convolutions in per cent of the FMA peak, counting the flops of the direct sum: Winograd passes "
        "100 %. PyTorch's outputs and gradients are new arrays at every call, as it has no others; cconv's "
        "are those of a plan, used again. *AVX2* are the kernels of processors without AVX-512, on this one. "
        "*Memory allows*, of the passes in their order, what would be reached if input, output and kernel "
        "came and went at the speed of the triad, and nothing else took time; what the caches still hold may "
        "pass it.",
        "",
    ]
    if pictures.layers(by_table["convolutions"], images / "bench_layers.png"):
        lines += ["![Passes of convolutions in per cent of the FMA peak](images/bench_layers.png)", ""]
    for dtype, threads in settings(by_table["convolutions"]):
        part = [r for r in by_table["convolutions"] if (r["dtype"], r["threads"]) == (dtype, threads)]
        lines += [f"### {dtype}, {threads} thread{'s' * (threads > 1)}", "", limits_of(part), ""]
        lines += _convolutions(part)
    if by_table["rows"]:
        shape = " × ".join(map(str, by_table["rows"][0]["shape"]))
        lines += ["### Kernels bound by memory", ""]
        lines += [f"On {shape} items, beside the triad; each byte that must move counts once.", ""]
        lines += _row_kernels(by_table["rows"])
    if by_table["errors"]:
        lines += [
            "### Errors",
            "",
            "Largest difference to cconv's float64 result over the largest result.",
            "",
        ]
        lines += _errors(by_table["errors"])
    return lines


def shapes(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of shapes that nobody tuned."""
    rows = results["rows"]
    lines = ["## Shapes that no kernel was made for", "", *preface(results), limits_of(rows), ""]
    lines += [
        "Times as fast as PyTorch in its better layout, and in brackets cconv's per cent of the FMA peak, "
        "counting the flops of the direct sum. *Backward* is both gradients together. The forward pass of "
        "5×5 with 96 → 256 channels was measured along the rows; since then it is direct.",
        "",
    ]
    body = []
    for row in rows:
        cells = []
        for mode in MODES:
            ratio = ratio_of(row["figures"], mode)
            share = row["figures"]["cconv"][mode]["of_peak"] if ratio else 0
            cells.append(f"{ratio:.2f} ({share:.0%})" if ratio else "–")
        body.append([row["shape"], *cells])
    ratios = [ratio_of(row["figures"], mode) or 0 for row in rows for mode in MODES]
    found = [ratio for ratio in ratios if ratio]
    behind = sum(ratio < 1 for ratio in found)
    lines += table(["convolution", *(mode.replace("_", " ") for mode in MODES)], body)
    median = statistics.median(found) if found else 0
    return [*lines, f"Median {median:.2f}; {behind} of {len(found)} passes are slower than PyTorch's.", ""]


def scaling(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of growth."""
    threads = [row for row in results["rows"] if row["table"] == "threads"]
    sizes = [row for row in results["rows"] if row["table"] == "sizes"]
    lines = ["## Growth", "", *preface(results)]
    if pictures.scaling(threads, sizes, images / "bench_scaling.png"):
        lines += ["![Speed over threads, time over sizes](images/bench_scaling.png)", ""]
    counts = sorted({int(count) for row in threads for count in row["speedup"]})
    body = [
        [f"{NETWORKS[row['network']].title}, {row['batch']}", row["mode"]]
        + [f"{row['speedup'][str(count)]:.2f}×" for count in counts]
        for row in threads
    ]
    lines += table(["network, batch", "", *(f"{count} threads" for count in counts)], body, texts=2)
    lines += ["Slope of log time over log size, by least squares: 1 is linear.", ""]
    body = [
        [row["title"], f"{row['sizes'][0]} to {row['sizes'][-1]}", f"{row['exponent']:.2f}"] for row in sizes
    ]
    return lines + table(["what grows", "from, to", "exponent"], body)


def memory(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of memory."""
    rows = results["rows"]
    lines = ["## Memory", "", *preface(results)]
    lines += [
        "Peak resident memory of training in a fresh process, MiB, the framework and the data included.",
        "",
    ]
    if pictures.memory(rows, images / "bench_memory.png"):
        lines += ["![Peak resident memory of training](images/bench_memory.png)", ""]
    names = [name for name in PEERS if any(name in row["peers"] for row in rows)]
    body = []
    for row in rows:
        peaks = {name: entry["peak"] for name, entry in row["peers"].items()}
        least = min((peaks[name] for name in TORCHES if name in peaks), default=None)
        cells = [f"{peaks[name] / 2**20:.0f}" if name in peaks else "–" for name in names]
        share = f"{peaks['cconv'] / least:.2f}" if least and "cconv" in peaks else "–"
        body.append([f"{NETWORKS[row['network']].title}, {row['batch']}", *cells, share])
    return lines + table(["network, batch", *(PEERS[name].title for name in names), "cconv / PyTorch"], body)


def startup(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of imports."""
    base = next((row["median"] for row in results["rows"] if row["label"] == "numpy"), 0.0)
    lines = ["## Start", "", *preface(results), "A new Python process that imports one thing and ends.", ""]
    body = [
        [row["label"], milliseconds(row["median"]), milliseconds(max(row["median"] - base, 0.0))]
        for row in results["rows"]
    ]
    return lines + table(["import", "milliseconds", "beyond numpy"], body)


def _source_cells(entry: dict[str, Any], base: dict[str, Any]) -> list[str]:
    """Return what an epoch in each order took, and the processors for it over the array's; reading alone."""
    cells = []
    for mode in ("ordered", "shuffled"):
        if mode in entry:
            ratio = entry[mode]["cpu"]["least"] / base[mode]["cpu"]["least"]
            cells.append(f"{entry[mode]['wall']['least']:.2f} ({ratio:.2f}×)")
        else:
            cells.append("–")
    return [*cells, f"{entry['alone']['cpu']['least']:.2f}" if "alone" in entry else "–"]


def sources(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of what `fit` is given."""
    lines = ["## Sources of data", "", *preface(results)]
    lines += [
        "One small network of two convolutions trained on the same uint8 images of 128×128 in batches of 64, "
        "each source in a process of its own: the least seconds of an epoch, and in brackets the seconds of "
        "both processors over those of the array, which neighbours disturb less. *Alone* are the processors' "
        "seconds for going through the source's batches without training. Memory is the most that was "
        "anonymous above the process after its imports; an array in memory is itself part of it, files that "
        "are mapped are not. *Weights* of equal letters are the same bits. Arrays on disk are shuffled in "
        "blocks, and so have an order of their own.",
        "",
    ]
    for row in results["rows"]:
        base = row["peers"].get("cconv-array")
        if base is None:
            continue
        lines += [f"### {row['images']:,} images, {row['bytes'] / 2**20:,.0f} MiB", ""]
        letters: dict[str, str] = {}
        body = []
        for name, entry in row["peers"].items():
            for digest in entry["weights"].values():
                letters.setdefault(digest, "ABCDEFGH"[len(letters)])
            weights = ", ".join(letters[digest] for digest in entry["weights"].values())
            cells = [*_source_cells(entry, base), f"{entry['memory'] / 2**20:,.0f}", weights]
            body.append([PEERS[name].title, *cells])
        head = ["source", "in order, s", "shuffled, s", "alone, s", "MiB", "weights"]
        lines += table(head, body)
    return lines


def compilers(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of two compilers' builds, which give the same bits."""
    machine, (first, second) = results["machine"], results["names"]
    lines = ["## Compilers", ""]
    lines += [
        f"{second} over {first}, time over time, in turns: median and quartiles. Measured {results['date']} "
        f"on {results['threads']} threads of {machine['cpu']}, by `python -m benchmarks.builds`. Both builds "
        "give the same bits.",
        "",
    ]
    body = [
        [row["title"], row["mode"], f"{row['ratio']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}"]
        for row in results["rows"]
    ]
    return lines + table(["network, batch", "", f"{second} / {first}", "quartiles"], body, texts=2)


def _range(found: list[Check]) -> str:
    """Return the least and the most that was reached, in shares of the aim."""
    shares = sorted(check.reached / check.aim for check in found)
    return f"{shares[0]:.0%} to {shares[-1]:.0%}" if shares else "–"


def _short(found: list[Check], form: str) -> list[str]:
    """Return the table of what is not reached, and the numbered reasons behind it."""
    short = [check for check in found if not check.passed]
    reasons = list(dict.fromkeys(check.why for check in short if check.why))
    number_of = {"": "–"} | {reason: str(number) for number, reason in enumerate(reasons, start=1)}
    body = [
        [check.what, form.format(check.reached), form.format(check.aim), check.floor, number_of[check.why]]
        for check in short
    ]
    lines = table(["what", "reached", "aim", "the machine allows", "why"], body)
    return [*lines, *(f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)), ""]


def aims(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return the chapter of what was aimed at, and what of it was not reached and why."""
    checks = {
        title: (list(check(results[name]["rows"])), form)
        for title, name, check, form in SUBJECTS
        if name in results
    }
    body = [
        [title, f"{sum(check.passed for check in found)} of {len(found)}", _range(found)]
        for title, (found, _) in checks.items()
    ]
    lines = ["## What is aimed at", ""]
    lines += [
        "Training 2.5 times and prediction twice as fast as the best other framework, network (a), most of "
        "which is one dense layer, 1.9 and 1.5 times; on average 4 times as fast as PyTorch's better layout. "
        "Networks with branches: training 1.8 times as fast as the best of PyTorch and Keras/TensorFlow; "
        "prediction 1.7 times as fast as the best of all where most is 3×3 (ResNet-18, ResNet-20, U-Net), "
        "1.25 times where half is 1×1 (ResNet-50, DenseNet121), 1.15 times where the rest is depthwise "
        "(MobileNetV2, EfficientNetB0). "
        "Direct sums at 90 % of the peak, weight gradients, first layers and AVX2 at 85 %, Winograd's "
        "algorithm at 180 %. That it trains to the same accuracy as direct sums is an experiment with five "
        "seeds each, in [examples/experiments](../examples/experiments/README.md).",
        "",
        *table(["aim", "reached by", "shares of it"], body),
        "Then what falls short, and what the machine allows. For networks that is the best other framework "
        "over all flops of the direct sums at the FMA peak: no more can be had without an algorithm of fewer "
        "products. For one image it is also that over reading the weights at the triad's speed, which caches "
        "may pass; for convolutions, what memory allows.",
        "",
    ]
    for title, (found, form) in checks.items():
        if not all(check.passed for check in found):
            lines += [f"### Short: {title}", "", *_short(found, form)]
    return lines


HEAD = """\
# Benchmarks

How fast cconv is beside other frameworks, and how far from what the machine can do. Made by
`python -m benchmarks.report` from the files in `benchmarks/results`; `python -m benchmarks` tells how to
measure them anew. Every framework runs in a process of its own, in turns with the others, on the same cores;
the machine's multiply-add peak and stream bandwidth are measured in turns with them.
"""


# What single steps brought when they were made, beside the version before; measured then, not again.
GAINS = """\
## What single steps brought

Each beside the version before it, on the machine of its day.

| step | what takes less time | time, of the version before |
| --- | --- | ---: |
| activations and softmax of 16 MiB and more are stored past the caches | these | 0.77–0.91 |
| no tiles for padding that is not there | input gradient by Winograd's algorithm, without padding | 0.67–1 |
| kernels of their own for few taps | first layers | 0.33–0.77 |
| AVX2: two vectors of filters share every input | weight gradient of 5×5 kernels | 0.75 |
| places of maxima as bytes, next gradients asked for | the same behind 2×2 max pooling, AVX-512 | 0.83 |
| the kernel is transposed with vectors | input gradient of 512 channels on small images | 0.5 |
| last columns as rows | weight gradient of dense layers of 84 or 100 units; of one unit | 0.95; 0.5 |
| Winograd's algorithm along the rows | 5×5 convolutions, 3×3 ones of few channels | 0.5–0.8 |
| batch normalisation folded into 1×1 convolutions | MobileNetV1, one image | 0.8 |
| overlapping windows in registers | gradient of 2×2 max pooling of stride 1, float32 | 0.5 |
| the next rows asked for window by window | pooling, out of cache | 0.75 |
| several windows to a vector | average pooling of few channels, AVX-512 | 0.5 |
| kernels of their own | depthwise convolutions | 0.25–0.5 |
| recorded calls | small networks' answers; a step of LeNet-5 | 0.33; 0.9 |
| transformed kernels are kept | one CIFAR image through four convolutions | 0.83 |
| no team for one thread (GCC) | LeNet-5, one image | 0.75 |
| large kernels are multiplied where they lie | dense layers | 0.5–0.9 |
| clang is told to unroll | Winograd's transforms, built with clang | 0.3 |
"""


def main() -> None:
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--results", type=Path, default=FOLDER, help="folder of the JSON files")
    arguments.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder to write to")
    given = arguments.parse_args()
    images = given.docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    chapters = {"models": models, "models_xeon": elsewhere, "graphs": graphs, "steps": steps}
    chapters |= {"layers": layers, "shapes": shapes, "scaling": scaling, "memory": memory}
    chapters |= {"sources": sources, "startup": startup, "compilers": compilers}
    lines, results = [HEAD], {}
    for name, chapter in chapters.items():
        path = given.results / f"{name}.json"
        if path.exists():
            results[name] = json.loads(path.read_text())
            lines += chapter(results[name], images)
        else:
            print(f"no {path}: run python -m benchmarks.{name}")
    lines += [*aims(results), GAINS]
    page = given.docs / "benchmarks.md"
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    page.write_text(text.rstrip() + "\n")
    print(f"wrote {page}")


if __name__ == "__main__":
    main()
