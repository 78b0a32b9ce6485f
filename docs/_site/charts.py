"""The benchmarks' results as charts that answer: `_static/charts.js` draws them from what is written here."""

import json
from html import escape

from benchmarks.layers import PASSES
from benchmarks.networks import NETWORKS
from benchmarks.peers import FRAMEWORKS, PEERS

PAGE = "charts"
PLACE = '<div id="charts"></div>'


def _label(row):
    return f"{NETWORKS[row['network']].title}, {row['batch']}"


def _threads(count):
    return f"{count} thread{'s' * (count > 1)}"


def _view(name, unit, rows, *, log=True):
    """Return one chart: rows of (label, value of each framework)."""
    return {"name": name, "unit": unit, "log": log, "rows": rows}


def _networks(results):
    """Yield the charts of whole networks, a setting after the other."""
    rows = results["rows"]
    settings = sorted({(row["dtype"], -row["threads"]) for row in rows})
    parts = {
        "training": lambda row: row["mode"] == "train",
        "prediction": lambda row: row["mode"] == "predict" and row["batch"] > 1,
        "prediction of one image": lambda row: row["mode"] == "predict" and row["batch"] == 1,
    }
    for dtype, threads in settings:
        for part, holds in parts.items():
            chosen = [
                row for row in rows if (row["dtype"], -row["threads"]) == (dtype, threads) and holds(row)
            ]
            found = [
                (_label(row), {name: 1000 * peer["median"] for name, peer in row["peers"].items()})
                for row in chosen
            ]
            if found:
                yield _view(f"{part}, {dtype}, {_threads(-threads)}", "milliseconds a step", found)


def _memory(results):
    found = [
        (_label(row), {name: peer["peak"] / 2**20 for name, peer in row["peers"].items()})
        for row in results["rows"]
    ]
    yield _view("memory of training, float32", "MiB at most", found)


def _layers(results):
    """Yield a chart of each pass of a convolution."""
    rows = [row for row in results["rows"] if row["table"] == "convolutions" and row["dtype"] == "float32"]
    most = max(row["threads"] for row in rows)
    for part in PASSES:
        found = [
            (
                row["shape"],
                {name: 100 * one[part]["of_peak"] for name, one in row["figures"].items() if part in one},
            )
            for row in rows
            if row["threads"] == most
        ]
        name = f"convolutions, {part.replace('_', ' ')}, float32, {_threads(most)}"
        yield _view(name, "% of the multiply-add peak", [pair for pair in found if pair[1]], log=False)


def data(folder):
    """Return what the charts show, from the files of results."""
    views = []
    for name, make in (("models", _networks), ("memory", _memory), ("layers", _layers)):
        views += make(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
    for view in views:
        view["rows"] = [
            [label, {name: float(f"{value:.6g}") for name, value in values.items() if name in FRAMEWORKS}]
            for label, values in view["rows"]
        ]
    used = {name for view in views for _, values in view["rows"] for name in values}
    return {"peers": {name: PEERS[name].title for name in FRAMEWORKS if name in used}, "views": views}


def table(view, peers):
    """Return a chart's numbers as a table, for those who read them and where no script runs."""
    names = [name for name in peers if any(name in values for _, values in view["rows"])]
    head = "".join(f'<th scope="col">{escape(peers[name])}</th>' for name in names)
    body = ""
    for label, values in view["rows"]:
        cells = "".join(f"<td>{values[name]:,g}</td>" if name in values else "<td>–</td>" for name in names)
        body += f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>'
    caption = f"<caption>{escape(view['name'])}: {escape(view['unit'])}</caption>"
    return f"<table>{caption}<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def fragment(found):
    """Return the part of the page that the script fills."""
    # A closing tag in the data would end the script.
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    first = table(found["views"][0], found["peers"])
    return (
        f'<div id="charts"><noscript><p>Without scripts only the first of the charts is here, as a table.</p>'
        f'<div class="scrolled" tabindex="0" role="group" aria-label="Table">{first}</div></noscript></div>'
        f'<script type="application/json" id="results">{text}</script>'
        '<script src="_static/charts.js" defer></script>'
    )


def setup(app, root):
    """Fill the page."""

    def filled(app, name, template, context, doctree):
        if name == PAGE:
            if PLACE not in context["body"]:
                raise ValueError(f"{PAGE}: expected {PLACE} in the page")
            found = data(root / "benchmarks" / "results")
            context["body"] = context["body"].replace(PLACE, fragment(found))

    app.connect("html-page-context", filled)
