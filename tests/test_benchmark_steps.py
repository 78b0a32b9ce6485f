"""What the benchmarks find inside recorded steps, and what their model makes of it."""

import json
import shutil
import sys

import numpy as np
import pytest

from benchmarks import report_steps, results, roofs, steps, thread_model
from benchmarks.models import task_of
from benchmarks.networks import NETWORKS
from benchmarks.peers import steps_inside
from benchmarks.pool import Pool
from benchmarks.thread_model import Cut, Share, Team
from cconv import _kernels
from cconv.models import predicting

FREE = Team(0.0, 0.0)


@pytest.fixture
def noted(monkeypatch):
    """Return what opens a network whose plans are noted."""
    monkeypatch.setattr(predicting, "RecordedPlan", steps_inside.NotedPlan)

    def opened(name, batch, modes=("train", "predict")):
        return steps_inside.network(task_of(name, batch, list(modes)))

    yield opened
    steps_inside._modes.clear()


@pytest.mark.parametrize("name", ["lenet5", "cifar_c", "resnet20"])
@pytest.mark.parametrize("mode", ["train", "predict"])
def test_every_product_of_a_network_is_in_a_step(noted, name, mode):
    noted(name, 2, [mode])
    inside = steps_inside.details(mode, 0.0, 2)
    found = inside["steps"]
    assert 0 <= inside["python"] < 10
    assert sum(step["flops"] for step in found) == NETWORKS[name].flops(2, mode == "train")
    assert all(step["seconds"] > 0 and step["calls"] and step["nbytes"] > 0 for step in found)
    directions = {step["direction"] for step in found}
    assert directions == ({"forward", "backward", "loss", "optimizer"} if mode == "train" else {"forward"})
    assert {step["kind"] for step in found} <= roofs.LOOKS.keys()


def test_a_step_that_was_watched_goes_on_as_before(noted):
    calls = noted("lenet5", 2)
    before = calls["predict"]().copy()
    steps_inside.details("predict", 0.0, 2)
    steps_inside.details("train", 0.0, 2)
    assert np.array_equal(calls["predict"](), before)
    model, *_ = steps_inside._modes["train"]
    plan = model._plans.training
    assert "loss_of" not in plan.__dict__
    assert "_step" not in model.optimizer.__dict__
    assert not any(
        isinstance(kernel, steps_inside._Watch)
        for _, program, _ in plan.noted
        for kernel, _ in program._calls
    )


def test_bytes_of_a_kernel_are_those_of_its_arrays(noted):
    noted("lenet5", 2, ["predict"])
    by_name = {step["name"]: step for step in steps_inside.details("predict", 0.0, 2)["steps"]}
    assert by_name["dense"]["nbytes"] == 4 * (2 * (400 + 120) + 400 * 120 + 120)
    assert by_name["dense"]["kind"] == "dense"
    assert by_name["conv2d_1"]["kind"] == "3×3"


@pytest.mark.skipif(
    sys.platform != "linux"
    or shutil.which("cc") is None
    or not (_kernels.has_openmp() and _kernels.compiler().startswith("gcc")),
    reason="tasks are counted by C, before GCC's OpenMP",
)
def test_tasks_are_counted_on_one_thread():
    with Pool(["cconv-tasks"], {}, awake=True) as pool:
        opened = pool.open(["cconv-tasks"], 1, "float32", task_of("lenet5", 64, ["predict"]))
        assert not pool.failures
        assert not pool.missing
        found = opened["cconv-tasks"][0].ask("details", mode="predict", seconds=0.0, least=2)["steps"]
    assert any(step["regions"] for step in found)
    for step in found:
        loops = step["tasks"]
        assert all(count >= 1 and taken >= 0 for count, taken in loops)
        assert step["serial"] + sum(taken for _, taken in loops) == pytest.approx(step["seconds"], rel=1e-6)
        assert bool(loops) == bool(step["regions"])
    pooled = {step["name"]: step for step in found}["average_pooling2d_1"]
    # A task is a row of outputs of an image.
    assert [count for count, _ in pooled["tasks"]] == [64 * 5]


def test_a_loop_takes_as_long_as_who_has_most_tasks():
    cut = Cut(1.0, ((8, 8.0), (3, 3.0)))
    assert [cut.tasks(n) for n in (1, 2, 3, 4, 8, 9)] == [11, 4 + 2, 3 + 1, 2 + 1, 1 + 1, 2]
    assert thread_model.share([cut], 0.5, 4, FREE) == Share(1.5, 3.0, 0.0, 0.0)


def test_what_a_team_costs():
    team = Team.of(handoff=0.25, team=2.0)
    assert team == Team(1.5, 0.5)
    assert team.seconds(1, 3, 1) == 0
    assert team.seconds(2, 1, 0) == 2.0  # as it was measured
    assert team.seconds(5, 3, 1) == 3 * 1.5 + 4 * 0.5 * 4
    assert Team.of(handoff=2.0, team=1.0).opened == 0


def test_memory_stops_a_step():
    cut = Cut(0.0, ((64, 64.0),), memory=10.0)
    found = [thread_model.share([cut], 0.0, n, FREE) for n in (1, 4, 16, 64)]
    assert [each.whole for each in found] == [64, 16, 10, 10]
    assert [each.memory for each in found] == [0, 0, 6, 9]
    assert thread_model.stops_at([cut], 0.0, FREE) == 7  # ten tasks at most, each a second


def test_when_a_network_stops_gaining():
    assert thread_model.stops_at([Cut(1.0, ())], 1.0, FREE) == 1
    assert thread_model.stops_at([Cut(0.0, ((16, 16.0),))], 0.0, FREE) == 16
    assert thread_model.stops_at([Cut(0.0, ((1000, 1000.0),))], 0.0, FREE) > 32
    # Each further thread costs: with too many a step is slower again.
    costly = Team(0.0, 0.1)
    cuts = [Cut(0.0, ((64, 1.0),), regions=1)]
    seconds = [thread_model.share(cuts, 0.0, n, costly).whole for n in range(1, 65)]
    assert seconds[63] > min(seconds)
    assert thread_model.stops_at(cuts, 0.0, costly) <= 1 + int(np.argmin(seconds))


@pytest.fixture
def found():
    """Results of two modes of one network, as `steps` writes them."""
    of = {"name": "conv2d", "kind": "3×3", "direction": "forward", "number": 0}
    of |= {"flops": 2_000_000, "nbytes": 40_000, "seconds": 4e-5, "calls": 1}
    pool = of | {"name": "pool", "kind": "other", "flops": 0, "number": 1, "nbytes": 800_000}
    cut = [
        each | {"serial": 1e-6, "regions": 1, "barriers": 0, "tasks": [(16, 7.4999999e-5)]}
        for each in (of, pool)
    ]
    rates = {"low": 1e11, "high": 1e11, "best": 1e11}
    row = {"network": "lenet5", "batch": 128, "kind": "users", "threads": 2, "dtype": "float32"}
    row["limits"] = {"fma": rates | {"median": 1e11}, "triad": rates | {"median": 2e10}}
    row["whole"] = {"2": {"median": 1e-4}, "1": {"median": 1.7e-4}}
    row["python"] = 2e-5
    row["steps"] = steps.columns([of, pool], cut)
    return {
        "date": "2026-01-02",
        "quick": False,
        "machine": {"cpu": "one", "cores": 2, "system": "Linux", "python": "3.11"},
        "versions": {},
        "missing": {},
        "failures": [],
        "note": "While it rained.",
        "team": {"handoff": 1e-7, "team": 1e-6},
        "rows": [row | {"mode": "train"}, row | {"mode": "predict"}],
    }


def test_floors_and_shares(found):
    row = found["rows"][0]
    assert roofs.floor_of(row) == pytest.approx(2e6 / 1e11 + 8e5 / 2e10)
    times = roofs.times_of(row)
    assert times["python"] == 2e-5
    assert times["3×3"] == times["other"] == pytest.approx(4e-5)
    assert sum(times.values()) == pytest.approx(roofs.whole_of(row))
    cuts, python = thread_model.cuts_of(row)
    assert python == pytest.approx(2e-5)
    # The second step takes as long as memory needs for it; the first does not wait for memory.
    assert [cut.memory for cut in cuts] == [pytest.approx(2e-6), pytest.approx(4e-5)]
    assert cuts[0].loops == ((16, 7.5e-5),)


def test_results_of_steps_are_a_row_a_line(found):
    text = results.text_of(found)
    assert json.loads(text) == json.loads(json.dumps(found))
    assert sum(line.startswith('{"network"') for line in text.splitlines()) == 2
    plain = found | {"rows": [{"a": 1}]}
    assert results.text_of(plain) == json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def test_medians_of_rounds():
    rounds = [[{"name": "a", "seconds": seconds}] for seconds in (3.0, 1.0, 2.0)]
    assert steps.over_rounds(rounds) == [{"name": "a", "seconds": 2.0}]


def test_the_chapter_names_its_pictures(found, tmp_path, monkeypatch):
    text = "\n".join(report_steps.steps(found, tmp_path))
    for name in ("bench_steps.png", "roof_lenet5.png"):
        assert f"(images/{name})" in text
        assert (tmp_path / name).stat().st_size > 5000
    assert "| LeNet-5, 128 | train |" in text
    assert "1.70×" in text  # measured
    assert "While it rained." in text
    monkeypatch.setattr(report_steps, "_roofs", lambda *_: [])
    without = found | {"rows": [row | {"whole": {"2": row["whole"]["2"]}} for row in found["rows"]]}
    assert "by a model" not in "\n".join(report_steps.steps(without, tmp_path))


def test_rows_of_other_tasks_are_kept(found, tmp_path):
    path = tmp_path / "steps.json"
    assert steps.kept(path, []) == steps.kept(None, []) == []
    other = [row | {"batch": 1} for row in found["rows"][1:]]
    path.write_text(results.text_of(found | {"rows": found["rows"] + other}))
    assert [row["batch"] for row in steps.kept(path, [("lenet5", 128, ["train"], "users")])] == [1]


def test_every_task_of_the_tables_is_looked_into():
    assert {task[0] for task in steps.TASKS} == set(NETWORKS)
