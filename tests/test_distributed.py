"""Trainings on several ranks: the bits of one process, and an end on all when one of them ends."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import ranks

from cconv import cli, threads
from cconv import layers as L
from cconv.callbacks import Callback, LambdaCallback
from cconv.distributed import MPI
from cconv.inputs.batches import Batches
from cconv.inputs.columns import Column
from cconv.inputs.front import Front
from cconv.models.ranked import _overrides
from cconv.models.sharding import Sharding, check_layers, sharding_of

MPIEXEC = Path(sys.executable).with_name("mpiexec")
ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "ranks.py"


def mpiexec(count, *arguments, told_threads=True):
    """Run Python on so many ranks."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    if not told_threads:
        del environment["OMP_NUM_THREADS"]
    command = [MPIEXEC, "-n", count, sys.executable, *arguments]
    return subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, timeout=120)


def test_bits_do_not_depend_on_the_number_of_ranks(tmp_path):
    ranks.save_data(tmp_path)
    alone = ranks.train(tmp_path / "alone")
    others = {"means": ranks.train(tmp_path / "means", "means"), "graph": ranks.train_graph()}
    others["blocks"] = ranks.train_rows(tmp_path / "blocks", "blocks")
    done = mpiexec(4, PROGRAM, tmp_path)
    assert done.returncode == 0, done.stderr
    for found in json.loads(done.stdout):
        assert len(found) == 15
        for name, bits in found.items():
            assert bits == others.get(name.split()[0], alone), name


FAULTS = {
    "raise": "cconv: rank 1 of 2 has ended the job: ValueError: the disk is gone",
    "weights": "cconv: rank 0 of 2 has ended the job: RuntimeError: Sequential.fit: after epoch 1",
    "kill": "signal 9",
    "loss": "RuntimeError: Sequential.fit: after epoch 1 the ranks have other losses: [{'loss': ",
    "nested": "rank 0 of 2 has ended the job: RuntimeError: fit: this process is in a training with other",
    "nested, new": "ended the job: RuntimeError: distributed.MPI: this process is in a training with other",
    "options": "on all ranks: clipnorm of the optimizer must be None, got 1.0",
    "shuffle": "ValueError: Sequential.fit: shuffle must be the same on all ranks, got [True, False]",
    "validation": "validation data must be the same on all ranks, got [(6, 1), None]",
    "validation_freq": "Sequential.fit: validation_freq must be the same on all ranks, got [1, 2]",
    "validation_steps": "validation data must be the same on all ranks, got [(4, 2), (6, 3)]",
}


@pytest.mark.parametrize("how", FAULTS)
def test_the_end_of_one_rank_is_the_end_of_all(how, tmp_path):
    begin = time.monotonic()
    done = mpiexec(2, PROGRAM, tmp_path, "--fail", how)
    assert time.monotonic() - begin < 50  # the others would wait for a minute
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert FAULTS[how] in told
    assert told.count("has ended the job") == (how != "kill")
    assert told.count("trained alone") == how.startswith("nested")


def test_the_command_line_on_two_ranks_saves_the_file_of_one(tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (70, 16, 16)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=np.arange(70) % 3)
    how = ["--data", tmp_path / "data.npz", "--epochs", "2", "--out"]
    assert cli.main(["train", "--shards", "8", *map(str, [*how, tmp_path / "alone.safetensors"])]) == 0
    command = ["-m", "cconv", "train", "--distributed", *how, tmp_path / "both.safetensors"]
    done = mpiexec(2, *command, told_threads=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 6
    assert f"{max(1, threads._processors() // 2)} threads on each of 2 ranks" in done.stdout
    assert (tmp_path / "both.safetensors").read_bytes() == (tmp_path / "alone.safetensors").read_bytes()


TRAIN = ["-m", "cconv", "train", "--distributed", "--epochs", "3", "--batch-size", "8", "--resume"]


@pytest.mark.parametrize(("who", "step"), [(0, 3), (1, 3), (1, 13), (0, 10), (1, 10)])
def test_ctrl_c_on_one_rank_leaves_a_checkpoint(who, step, tmp_path):
    """In the first epoch, the second one, or its first step: 10 steps an epoch; then it goes on."""
    x = np.random.default_rng(0).integers(0, 255, (80, 16, 16)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=np.arange(80) % 3)
    data, out, whole = (tmp_path / name for name in ("data.npz", "out.safetensors", "whole.safetensors"))
    command = ["train", "--data", data, "--epochs", "3", "--batch-size", "8", "--shards", "8", "--out", whole]
    assert cli.main([*map(str, command)]) == 0
    interrupted = mpiexec(2, PROGRAM, tmp_path, "--ctrl-c", who, step)
    assert interrupted.returncode == 130, interrupted.stderr
    assert interrupted.stderr.count("cconv: interrupted; ") == 1
    assert "Traceback" not in interrupted.stderr
    assert [*Path(f"{out}.checkpoints").iterdir()]
    done = mpiexec(2, *TRAIN, "--data", data, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("how", ["exit", "nothing", "error", "ctrl-c"])
def test_a_rank_that_ends_while_another_begins_to_train_ends_the_job(how, who, tmp_path):
    begin = time.monotonic()
    done = mpiexec(2, PROGRAM, tmp_path, "--leave", how, who)
    assert time.monotonic() - begin < 50
    assert done.returncode != 0
    other = {"error": "ValueError: no", "ctrl-c": "interrupted"}
    reason = other.get(how, "it has ended, and another rank begins to train")
    assert f"cconv: rank {who} of 2 has ended the job: {reason}" in done.stderr


def test_arguments_that_are_wrong_on_one_rank_end_the_job(tmp_path):
    done = mpiexec(1, *TRAIN[:4], ":", "-n", 1, sys.executable, *TRAIN[:4], "--epochs", "0")
    assert done.returncode != 0
    assert "of 2 has ended the job: its arguments are wrong" in done.stderr


# --- without MPI ------------------------------------------------------------------------------


def of(size, rank=0):
    """What stands for a rank where nothing is sent."""
    found = MPI.__new__(MPI)
    found.rank, found.size = rank, size
    return found


@pytest.mark.parametrize(
    ("shards", "distributed", "error", "words"),
    [
        (8, "mpi", TypeError, "f: distributed must be None or a cconv.distributed.MPI, got 'mpi'"),
        (6, of(3), ValueError, "a power of two that divides shards, got 3 ranks and shards=6"),
        (6, of(4), ValueError, "a power of two that divides shards, got 4 ranks and shards=6"),
        (1, of(2), ValueError, "a power of two that divides shards, got 2 ranks and shards=1"),
    ],
)
def test_numbers_that_do_not_go_together(shards, distributed, error, words):
    with pytest.raises(error, match=words):
        sharding_of("f", shards, distributed)


def test_one_rank_is_one_process():
    assert sharding_of("f", 3, of(1)) == Sharding(3, None)


class Own(L.Layer):
    def forward(self, x):
        return x - x.mean(axis=0)

    def backward(self, dy):
        return dy - dy.mean(axis=0)


def test_layers_of_the_users_own_are_refused():
    layers = [L.Dense(2), Own(name="mine")]
    check_layers("f", Sharding(2), layers)
    with pytest.raises(ValueError, match=r"distributed must be None .* 'mine' \(Own\): a layer of your own"):
        check_layers("f", Sharding(2, of(2)), layers)


def test_without_mpi4py(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r"distributed\.MPI needs mpi4py .* pip install 'cconv\[mpi\]'"):
        MPI()


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_ranks_gather_and_augment_their_own_rows(shuffled, augmented):
    x = np.arange(7 * 12, dtype=np.uint8).reshape(7, 3, 4, 1)
    flip = L.RandomFlip().build((3, 4, 1), seed=5)
    front = Front(None, [flip] if augmented else [], 5, lambda: 2)

    def batches(part):
        columns = Column(x, 3, np.dtype("float32")), Column(np.arange(7), 3, np.dtype("int64"))
        found = Batches(*columns, batch_size=3, front=front)
        found.take_part(part)
        given = found.epoch(found.order(1, 0) if shuffled else None)
        return [batch._replace(x=batch.x.copy(), y=batch.y.copy()) for batch in given]

    for rank in range(4):
        sharding = Sharding(4, of(4, rank))
        for own, whole in zip(batches(sharding.part), batches(None), strict=True):
            part = sharding.part(whole.n)
            assert own.n == whole.n
            assert np.array_equal(own.x, whole.x[part])
            assert np.array_equal(own.y, whole.y)
            assert sharding.own(own)[1] == sharding.own(whole)[1] == whole.start + part.start


def test_whatever_callback_may_change_weights_is_watched():
    class Own(Callback):
        def on_train_end(self, logs=None):
            pass

    watched = _overrides("on_train_end")
    assert watched(Own())
    assert watched(LambdaCallback(on_train_end=print))
    assert not watched(LambdaCallback(on_epoch_end=print))
    assert not watched(Callback())
