"""What the benchmarks say of the networks that they time, and the turns that they take."""

import re
import time
from pathlib import Path

import pytest

from benchmarks import aims, graphs, models
from benchmarks.networks import NETWORKS, Graph
from benchmarks.pool import PeerError, Pool
from cconv import applications
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
