"""What the benchmarks are to show, what of that they do not show, and what is known of why.

The figures come from the results. The reasons are written by hand: they say what was found where the
kernels were looked into, and hold for the machine that was measured.
"""

import math
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from benchmarks.layers import PASSES, traffic_of
from benchmarks.networks import NETWORKS
from benchmarks.peers import FRAMEWORKS

Row = dict[str, Any]

TORCHES = ("torch", "torch-last")
# How many times as fast as the fastest other framework: in training, in prediction; one image.
ANY, DENSE, ONE_IMAGE = (2.5, 2.0), (1.9, 1.5), 2.0
# The same of networks that are graphs: in prediction by network; in training over these alone.
GRAPHS = dict.fromkeys(("resnet18", "resnet20", "unet", "unet32"), 1.7)
GRAPHS |= dict.fromkeys(("resnet50", "densenet121"), 1.25)
GRAPHS |= dict.fromkeys(("mobilenetv2", "efficientnetb0"), 1.15)
GRAPHS_TRAIN, GRAPHS_TRAINERS = 1.8, ("torch", "torch-last", "torch-compile", "keras-tf", "keras-xla")
MEAN = 4.0  # over PyTorch's better layout, geometric
# Of the peak, by pass.
DIRECT = {"forward": 0.9, "input_gradient": 0.9, "weight_gradient": 0.85}
FIRST = AVX2 = dict.fromkeys(PASSES, 0.85)
WINOGRAD = dict.fromkeys(PASSES, 1.8)
OF_TRIAD, OF_TORCH_MEMORY, TWO_THREADS = 0.8, 0.5, 1.85


class Check(NamedTuple):
    """One figure that an aim holds for."""

    what: str
    reached: float
    aim: float
    floor: str  # the most, or least, that the machine allows
    why: str
    most: bool = False  # the aim is the most that there may be, not the least

    @property
    def passed(self) -> bool:
        """Whether the figure is what was aimed at."""
        return self.reached <= self.aim if self.most else self.reached >= self.aim


TWICE = "Winograd's algorithm is past twice the peak; its transforms wait for memory."
ONE_OF_CACHE = (
    "A third is reading 4.7 MB of dense weights from the third cache, as fast as it gives them; the rest is "
    "Winograd's algorithm at twice the peak."
)
# By network and mode, "one" for one image.
NETWORK_REASONS = {
    ("scratch", "train"): (
        "Three fifths of the sums are products with a matrix of 100 columns, six and a quarter vectors, at "
        "nine tenths of the peak; the convolution is above its peak."
    ),
    ("scratch", "predict"): (
        "Two kernels: the convolution is above its peak, the product at nine tenths of it. In a batch of 100 "
        "the start and the end of both threads are felt."
    ),
    ("scratch", "one"): "Half is reading 1.7 MB of weights from the third cache, as fast as it gives them.",
    ("lenet5", "train"): (
        "tanh, pooling, Adam and the calls between take as long as the sums; 6 filters do not fill a vector."
    ),
    ("lenet5", "predict"): "tanh and pooling take a third; 6 filters do not fill a vector.",
    ("lenet5", "one"): (
        "Twelve kernels of a third of a microsecond to four: most are done before a second thread would have "
        "started, and Python takes three between them."
    ),
    ("mnist_b", "train"): TWICE,
    ("mnist_b", "predict"): TWICE,
    ("mnist_b", "one"): ONE_OF_CACHE,
    ("cifar_c", "train"): TWICE,
    ("cifar_c", "predict"): TWICE,
    ("cifar_c", "one"): ONE_OF_CACHE,
    ("mnist_a", "train"): (
        "Two thirds of the sums are one dense layer's, at nine tenths of the peak, and Adam moves seven "
        "arrays of its 5.5 million weights through memory."
    ),
    ("mnist_a", "predict"): (
        "Two thirds are one dense layer at 95 % of the peak. Fewer products, as Strassen's, would let the "
        "samples of a batch change each other's bits."
    ),
    ("mnist_a", "one"): "22 MB of weights are read, already faster than memory gives them.",
}
MEAN_REASON = "A mean over these networks: those short of their aims are short here."
THREADS_REASON = "What two threads share is memory: activations past the caches, and Adam's arrays."
DIRECT_REASON = (
    "`auto` takes Winograd's algorithm here. Direct sums are ended and begun again at every row of the "
    "image, and their weight gradient reads its blocks again for every tap."
)
WINOGRAD_REASON = "With few channels the transforms, which the count of sums leaves out, are the larger part."
AVX2_REASON = (
    "A tile of 6 × 16 sums reads a line of each operand from the second cache every 6 cycles, where that "
    "of AVX-512, 12 × 32, has 24."
)
FIRST_AVX2_REASON = (
    "16 registers hold the sums of 5 taps for two vectors of filters: the gradient is read again for others."
)
FEW_REASON = "Few filters, channels or taps: what surrounds the sums takes its share."
# By shape, before all others.
SHAPE_REASONS = {
    "(32,2,2,512) → 512, 3×3 same": (
        "Five of nine taps fall outside these images, which the count includes; an image is one tile, and "
        "laying out or transforming 2.4 million weights takes as long as the products with them."
    ),
}
ROW_REASONS = {
    "softmax": "Alone in a process it is as fast as the triad; what slows it beside others was not found.",
}


def best_peer(row: Row, among: Collection[str] = FRAMEWORKS) -> tuple[str, float] | None:
    """Return the fastest of the others and its median, or None if there is none."""
    others = {
        name: entry["median"] for name, entry in row["peers"].items() if name != "cconv" and name in among
    }
    return min(others.items(), key=lambda item: item[1]) if others else None


def aim_of(row: Row) -> float | None:
    """Return how many times as fast as the best peer a network is to be, or None if it has no aim."""
    train = row["mode"] == "train"
    match row["kind"]:
        case "graphs":
            return GRAPHS_TRAIN if train else GRAPHS[row["network"]]
        case "latency":
            return ONE_IMAGE
        case "users":
            return (DENSE if row["network"] == "mnist_a" else ANY)[0 if train else 1]
    return None


def rivals(row: Row) -> Collection[str]:
    """Return the peers that the aim is over."""
    return GRAPHS_TRAINERS if (row["kind"], row["mode"]) == ("graphs", "train") else FRAMEWORKS


def advantage(row: Row) -> float | None:
    """Return how many times as fast as the best peer, of those that the aim is over, cconv is."""
    best = best_peer(row, rivals(row))
    return best[1] / row["peers"]["cconv"]["median"] if best and "cconv" in row["peers"] else None


def mean_over_torch(rows: Iterable[Row], taken: str = "cconv") -> float | None:
    """Return the geometric mean of PyTorch's better layout over cconv, or over all flops "at peak"."""
    ratios = []
    for row in rows:
        torches = [row["peers"][name]["median"] for name in TORCHES if name in row["peers"]]
        if torches and "cconv" in row["peers"]:
            ours = at_peak(row) if taken == "at peak" else row["peers"][taken]["median"]
            ratios.append(min(torches) / ours)
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def at_peak(row: Row) -> float:
    """Return the seconds that the flops of the direct sums take at the FMA peak of the same run."""
    return row["flops"] / row["limits"]["fma"]["median"]


def memory_allows(row: Row, mode: str) -> float:
    """Return the share of the FMA peak at which a pass of a convolution keeps memory as busy as the triad."""
    # The triad, too, reads what it writes: four arrays move where it counts three.
    rate = row["limits"]["triad"]["median"] * 4 / 3
    return at_peak(row) / (traffic_of(row["shape"], mode, row["dtype"]) / rate)


def _setting(row: Row) -> str:
    return f"{row['dtype']}, {row['threads']} thread{'s' * (row['threads'] > 1)}"


def _weights(row: Row) -> float:
    """Return the seconds in which the stream reads all weights once."""
    nbytes = NETWORKS[row["network"]].parameters() * (4 if row["dtype"] == "float32" else 8)
    return nbytes / row["limits"]["triad"]["median"]


def networks(rows: list[Row]) -> Iterator[Check]:
    """Yield the checks of whole networks that have an aim."""
    for row in rows:
        ratio, aim, best = advantage(row), aim_of(row), best_peer(row, rivals(row))
        if aim is None or ratio is None or best is None:
            continue
        one = row["batch"] == 1
        floor = f"{best[1] / at_peak(row):.2f}×"
        if one:
            floor += f"; weights at the triad {best[1] / _weights(row):.2f}×"
        name = f"{NETWORKS[row['network']].title}, {row['batch']}, {row['mode']}; {_setting(row)}"
        why = NETWORK_REASONS.get((row["network"], "one" if one else row["mode"]), "")
        yield Check(name, ratio, aim, floor, why)


def means(rows: list[Row]) -> Iterator[Check]:
    """Yield the checks of the geometric means over PyTorch."""
    settings = dict.fromkeys((_setting(row), row["mode"]) for row in rows if row["kind"] == "users")
    for setting, mode in settings:
        part = [r for r in rows if (_setting(r), r["mode"], r["kind"]) == (setting, mode, "users")]
        mean, most = mean_over_torch(part), mean_over_torch(part, "at peak")
        if mean and most:
            yield Check(f"{mode}; {setting}", mean, MEAN, f"{most:.2f}×", MEAN_REASON)


def _layer_aim(label: str, kind: str) -> tuple[dict[str, float], str] | None:
    """Return what a convolution is to reach, by pass, and why it may not; None if it has no aim."""
    avx2 = "avx2" in label.lower()
    if label.endswith("winograd"):
        return WINOGRAD, WINOGRAD_REASON
    if label.endswith("direct"):
        return (AVX2, AVX2_REASON) if avx2 else (DIRECT, DIRECT_REASON)
    if not label.startswith("cconv") or kind not in ("few taps", "1×1", "5×5"):
        return None
    if kind == "few taps":
        return FIRST, FIRST_AVX2_REASON if avx2 else FEW_REASON
    return (AVX2 if avx2 else DIRECT), AVX2_REASON if kind == "1×1" else FEW_REASON


def _layer_checks(row: Row, label: str) -> Iterator[Check]:
    aim = _layer_aim(label, row["kind"])
    if aim is None:
        return
    title = "AVX2" if label == "cconv-avx2" else label.replace("cconv, ", "")
    for mode, figure in row["figures"][label].items():
        allowed, least = memory_allows(row, mode), aim[0][mode]
        why = SHAPE_REASONS.get(row["shape"], aim[1])
        if allowed < min(least, 1):
            why = "Memory does not give more."
        name = f"{row['shape']}, {mode.replace('_', ' ')}, {title}; {_setting(row)}"
        yield Check(name, figure["of_peak"], least, f"{min(allowed, 1):.0%}", why)


def layers(rows: list[Row]) -> Iterator[Check]:
    """Yield the checks of convolutions."""
    for row in rows:
        for label in row["figures"] if row["table"] == "convolutions" else ():
            yield from _layer_checks(row, label)


def row_kernels(rows: list[Row]) -> Iterator[Check]:
    """Yield the checks of the kernels that are bound by memory."""
    for row in rows:
        for name, figure in row["figures"].items() if row["table"] == "rows" else ():
            title = f"{name.replace('_', ' ')}; {_setting(row)}"
            yield Check(title, figure["of_triad"], OF_TRIAD, "100%", ROW_REASONS.get(name, ""))


def threads(rows: list[Row]) -> Iterator[Check]:
    """Yield the checks of two threads over one."""
    for row in rows:
        if row["table"] == "threads" and "2" in row["speedup"]:
            name = f"{NETWORKS[row['network']].title}, {row['batch']}, {row['mode']}"
            yield Check(name, row["speedup"]["2"], TWO_THREADS, "2×", THREADS_REASON)


def memory(rows: list[Row]) -> Iterator[Check]:
    """Yield the checks of peak memory over PyTorch's."""
    for row in rows:
        torches = [row["peers"][name]["peak"] for name in TORCHES if name in row["peers"]]
        if torches and "cconv" in row["peers"]:
            share = row["peers"]["cconv"]["peak"] / min(torches)
            name = f"{NETWORKS[row['network']].title}, {row['batch']}"
            yield Check(name, share, OF_TORCH_MEMORY, "–", "", most=True)


# What is said of each subject, the file its rows are in, its checks, and how figures are written.
SUBJECTS = (
    ("times as fast as the best other framework", "models", networks, "{:.2f}×"),
    ("graphs: times as fast as the best other framework", "graphs", networks, "{:.2f}×"),
    ("times as fast as PyTorch's better layout, on average", "models", means, "{:.2f}×"),
    ("convolutions, of the FMA peak", "layers", layers, "{:.0%}"),
    ("kernels bound by memory, of the triad", "layers", row_kernels, "{:.0%}"),
    ("two threads over one", "scaling", threads, "{:.2f}×"),
    ("peak memory of training over PyTorch's, at most", "memory", memory, "{:.2f}"),
)
