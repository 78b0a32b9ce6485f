"""What the benchmarks say of the networks that they time, and the turns that they take."""

import re
import time
from pathlib import Path

import pytest

from benchmarks import aims, graphs, layers, models, report, shapes
from benchmarks.networks import NETWORKS, Graph
from benchmarks.peers.data import conv_arrays, geometry_of
from benchmarks.pool import PeerError, Pool
from cconv import Conv2D, applications
from cconv.applications.frame import without_weights
from cconv.models import summary

GRAPHS = {name: network for name, network in NETWORKS.items() if isinstance(network, Graph)}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_counted_as_its_model_counts(name):
    described = GRAPHS[name]
    with without_weights():
        model = getattr(applications, described.function)(seed=0, **described.options)
    counts = [count for count in map(summary.mult_adds, model.layers) if count]
    assert (counts[0], sum(counts)) == (described.first, described.products)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    trained = re.findall(r"Trainable params: ([\d,]+)", "\n".join(lines))
    assert trained == [f"{described.parameters():,}"]
    assert model.input_shape[1:] == described.input_shape
    assert model.output_shape[-1] == described.classes
    assert (len(model.output_shape) == 4) == described.pixels


def test_training_costs_three_passes_but_for_the_gradient_of_the_image():
    described = GRAPHS["resnet20"]
    assert described.flops(8, False) == 2 * 8 * 40_813_184
    assert described.flops(8, True) == 2 * 8 * (3 * 40_813_184 - 27 * 16 * 1024)


def test_every_graph_is_timed_and_has_an_aim():
    rows = [
        {"network": network, "batch": batch, "mode": mode, "kind": kind}
        for network, batch, modes, kind in graphs.TASKS
        for mode in modes
    ]
    assert {row["network"] for row in rows} == set(GRAPHS)
    assert all((aims.aim_of(row) or 0) > 1 for row in rows)


def test_an_aim_is_over_those_it_is_meant_for():
    row = {"network": "resnet18", "batch": 8, "mode": "train", "kind": "graphs"}
    times = {"cconv": 1.0, "torch": 3.0, "keras-jax": 2.0}
    row["peers"] = {name: {"median": seconds} for name, seconds in times.items()}
    assert aims.advantage(row) == 3
    assert aims.advantage(row | {"mode": "predict"}) == 2


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state of processes is read in /proc")
@pytest.mark.parametrize("awake", [False, True])
def test_who_is_not_in_turn_is_stopped(awake):
    def state():
        return (Path("/proc") / str(process._process.pid) / "stat").read_text().rsplit(")", 1)[1].split()[0]

    def comes_to(wanted):
        for _ in range(200):
            if state() == wanted:
                return True
            time.sleep(0.05)
        return False

    with Pool(["cconv"], {}, awake) as pool:
        opened = pool.open(["cconv"], 1, "float32", models.task_of("lenet5", 2, ["predict"]))
        process = opened["cconv"][0]
        assert comes_to("S" if awake else "T")
        with pytest.raises(PeerError, match="KeyError"):
            process.ask("turn", mode="nothing", seconds=0, least=1)
        assert comes_to("S" if awake else "T")
        assert len(process.ask("turn", mode="predict", seconds=0, least=2)) == 2


def test_shapes_are_those_of_the_layers():
    drawn = shapes.drawn(20, 3)
    assert drawn == shapes.drawn(20, 3) != shapes.drawn(20, 4)
    assert len({shape.title for shape in shapes.SHAPES}) == len(shapes.SHAPES)
    for task in [
        *(shape.task() for shape in [*shapes.SHAPES, *drawn]),
        *map(layers.conv_task, layers.SHAPES),
    ]:
        size, strides, dilation, pads, outputs = zip(*geometry_of(task), strict=True)
        layer = Conv2D(*(task["filters"], size, strides, pads), dilation_rate=dilation, groups=task["groups"])
        shape = layer.compute_output_shape((None, task["h"], task["w"], task["c"]))
        assert shape[-3:] == (*outputs, task["filters"])
    x, kernel, dy = conv_arrays(layers.conv_task("(128,14,14,6) → 16, 5×5") | {"size": (5, 3)}, "float32")
    assert (x.shape, kernel.shape, dy.shape) == ((128, 14, 14, 6), (5, 3, 6, 16), (128, 10, 12, 16))


def test_a_shape_is_beside_the_better_layout():
    def passes(*seconds):
        return {
            mode: {"median": each, "of_peak": 0.5} for mode, each in zip(shapes.MODES, seconds, strict=False)
        }

    figures = {"cconv": passes(2.0, 1.0), "torch": passes(3.0, 4.0), "torch-last": passes(5.0, 0.5)}
    assert [shapes.ratio_of(figures, mode) for mode in shapes.MODES] == [1.5, 0.5, None, None]
    rows = [{"shape": "one", "threads": 2, "dtype": "float32", "figures": figures}]
    limit = {"median": 1e9, "low": 1e9, "best": 1e9}
    rows[0]["limits"] = {"fma": limit, "triad": limit}
    facts = {"cores": 2, "cpu": "any", "system": "any", "python": "3"}
    results = {"rows": rows, "machine": facts, "versions": {}, "date": "2026-12-01", "quick": False}
    page = "\n".join(report.shapes(results | {"missing": {}, "failures": []}, Path()))
    assert "| one | 1.50 (50%) | 0.50 (50%) | – | – |" in page
    assert "Median 1.00; 1 of 2 passes are slower than PyTorch's." in page


def test_a_worker_that_cannot_start_is_ended(monkeypatch):
    monkeypatch.setenv("CC", "no-such-launcher cc")
    with Pool(["machine"], {}) as pool:
        assert pool.worker("machine", 1, "float32") is None
        assert "no-such-launcher" in pool.failures[0]
