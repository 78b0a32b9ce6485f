"""The chapter of docs/benchmarks.md on single steps: where the time goes, rooflines, and more threads."""

from pathlib import Path
from typing import Any

from benchmarks import pictures, roofs, thread_model
from benchmarks.networks import NETWORKS
from benchmarks.tables import limits_of, preface, table

STEPS = [
    "Recorded steps of cconv's predictions, by frozen models, and of its training steps: each kernel call "
    "is timed within them, and put down to the layers that are computed together. The *floor* of a step "
    "is the time of the flops of its direct sums at the FMA peak, or that of its bytes, each of which "
    "must move once, at the triad's speed, whichever is longer; that of a network is the sum of these.",
    "",
    "In the bars the dotted line is the floor; what lies to its right is lost to it. A bar may end before "
    "it: Winograd's algorithm needs fewer products than are counted, and caches give what was written "
    "just now faster than memory. *Depthwise* has the 1×1 convolutions in it that are computed in the "
    "same sweep. *Python* is what no call of a kernel takes of a step, *loss, optimizer* has its own Python "
    "in it. Kernels are timed in turns of their own; here they fill what the whole takes.",
    "",
    "In the rooflines the rising line is the triad, the level one the FMA peak. Each mark is a step, the "
    "larger the more of the time it takes; the two that take most are numbered and named (*back*: the "
    f"backward pass), those that take less than {roofs.LEAST:.1%} are left out. "
    "Convolutions above the level line are computed by Winograd's "
    "algorithm, marks above the rising line read caches. What has no products (pooling, normalisation, "
    "sums, the optimizer) counts as one operation for each four bytes that move, and so stands at 0.25: "
    "its height over that of the line is its share of the triad. What is slower than the lowest rate "
    "stands at the lower edge; these steps take microseconds.",
]
THREADS = (2, 8, 32)  # that the model is told for
WAITS = {
    "python": "Python and what one thread does alone",
    "tasks": "tasks",
    "teams": "opening and joining teams",
    "memory": "memory",
}


def _model_said(team: thread_model.Team) -> str:
    """Say what the model supposes, and what it cannot know."""
    opened, joined = team.opened * 1e6, team.joined * 1e6
    return (
        "A model, not a measurement: this machine has two cores. Each kernel's loops are cut into tasks, "
        "whose number and time on one thread are measured; on T threads a loop of n tasks takes as long as "
        "the thread that gets ⌈n / T⌉ of them. What is not cut takes as long as on one thread, and so does "
        f"Python. To open a team took {opened:.1f} µs here, and each further thread {joined:.2f} µs: two "
        "transfers of a cache line, measured between two cores; as much again at each barrier inside. Steps "
        "that memory feeds stop at the triad of these two cores, which is too strict for a machine with more "
        "channels. That caches are shared, and cores slow down when many work, is left out, which is too "
        f"kind. *No gain beyond*: with so many threads a step is within {thread_model.ENOUGH - 1:.0%} of the "
        f"fastest up to {thread_model.MOST}. *2 measured*, beside the model's two threads, shows how far to "
        "trust it."
    )


def _more_threads(rows: list[dict[str, Any]], team: thread_model.Team) -> list[str]:
    """Return the table of what more threads would bring."""
    body = []
    of = {network: [row["batch"] for row in rows if row["network"] == network] for network in NETWORKS}
    rows = [row for row in rows if row["batch"] == max(of[row["network"]])]
    for row in rows:
        cuts, python = thread_model.cuts_of(row)
        shares = {n: thread_model.share(cuts, python, n, team) for n in (1, *THREADS)}
        most = thread_model.stops_at(cuts, python, team)
        then = thread_model.share(cuts, python, most, team)._asdict()
        waits = max(then, key=lambda name: then[name])
        measured = row["whole"]["1"]["median"] / row["whole"]["2"]["median"]
        cells = [
            pictures.label_of(row),
            row["mode"],
            f"{WAITS[waits]}, {then[waits] / sum(then.values()):.0%}",
        ]
        cells += [f"{measured:.2f}×", *(f"{shares[1].whole / shares[n].whole:.2f}×" for n in THREADS)]
        body.append([*cells, str(most) if most < thread_model.MOST else f"{most} or more"])
    head = ["network, batch", "", "most of a step then", "2 measured", *(f"{n}, model" for n in THREADS)]
    return table([*head, "no gain beyond"], body, texts=3)


def _roofs(rows: list[dict[str, Any]], images: Path) -> list[str]:
    """Return the pictures of where the time goes, and a roofline of each network."""
    lines = []
    for name, part in (
        ("steps", [row for row in rows if row["kind"] != "graphs"]),
        ("graph_steps", [row for row in rows if row["kind"] == "graphs"]),
    ):
        if roofs.shares(part, images / f"bench_{name}.png"):
            lines += [
                f"![Where the time of a network's step goes, over its floor](images/bench_{name}.png)",
                "",
            ]
    # In one paragraph: as many side by side as the reader's page has room for.
    drawn = roofs.roofs(rows, images)
    return [
        *lines,
        *(f"![Roofline of {NETWORKS[name].title}](images/{file})" for name, file in drawn.items()),
        "",
    ]


def steps(results: dict[str, Any], images: Path) -> list[str]:
    """Return the chapter of single steps."""
    rows, team = results["rows"], thread_model.Team.of(**results["team"])
    lines = ["## Step by step", "", *preface(results), limits_of(rows), "", results["note"], ""]
    lines += [*STEPS, "", *_roofs(rows, images)]
    cut = [row for row in rows if "tasks" in row["steps"] and {"1", "2"} <= row["whole"].keys()]
    if cut:
        lines += ["### More threads, by a model", "", _model_said(team), "", *_more_threads(cut, team)]
    return lines
