"""How many threads the kernels use, and that Python's threads may use them at once."""

import ctypes
import hashlib
import os
import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl
from strategies import normal

import cconv
from cconv import _kernels, functional, threads

PACKAGE = Path(_kernels.__file__).parents[1]
needs_openmp = pytest.mark.skipif(not _kernels.has_openmp(), reason="built without OpenMP: always one thread")


@pytest.fixture(autouse=True)
def default_threads():
    """Every test begins and ends with the default number of threads."""
    cconv.set_num_threads(None)
    yield
    cconv.set_num_threads(None)


def in_python(code, **environment):
    """What a fresh Python prints that runs this code after importing cconv."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "CCONV_ISA")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | {"PYTHONPATH": str(PACKAGE)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done


def threads_of(code="", **environment):
    done = in_python(f"{code}\nimport cconv\nprint(cconv.get_num_threads())", **environment)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_the_number_of_threads_is_what_was_set():
    default = cconv.get_num_threads()
    assert default >= 1
    for n in (1, 3, np.int64(2), 1024):
        cconv.set_num_threads(n)
        assert cconv.get_num_threads() == (n if _kernels.has_openmp() else 1)
    cconv.set_num_threads(None)
    assert cconv.get_num_threads() == default


@pytest.mark.parametrize(
    ("n", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (1025, ValueError),
        (2**70, ValueError),
        (1.0, TypeError),
        ("2", TypeError),
        (True, TypeError),
    ],
)
def test_numbers_that_are_refused(n, error):
    cconv.set_num_threads(2)
    with pytest.raises(error, match=r"set_num_threads: n must be .*, got"):
        cconv.set_num_threads(n)
    cconv.set_num_threads(2)


@needs_openmp
def test_the_environment_sets_the_default():
    assert threads_of(OMP_NUM_THREADS="3") == 3
    assert threads_of(OMP_NUM_THREADS="2,1") == 2
    assert threads_of("import os; os.environ['OMP_NUM_THREADS'] = '5'") == 5


@needs_openmp
@pytest.mark.parametrize("value", ["", "0", "-1", "many", "1.5"])
def test_an_environment_that_means_nothing_is_passed_over(value):
    assert threads_of(OMP_NUM_THREADS=value) == threads_of()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_the_default_respects_the_affinity_mask():
    first = min(os.sched_getaffinity(0))
    assert threads_of(f"import os; os.sched_setaffinity(0, {{{first}}})") == 1


SIX = frozenset(range(6))


@pytest.mark.parametrize(
    ("own", "masks", "quota", "expected"),
    [
        (SIX, [SIX], None, 6),
        (SIX, [SIX] * 2, None, 3),
        (SIX, [SIX] * 4, None, 1),
        (SIX, [SIX] * 9, None, 1),
        ({0, 1}, [{0, 1}, {2, 3}, {4, 5}], None, 2),  # the launcher has divided them already
        ({0, 1, 2, 3}, [{0, 1, 2, 3}, {2, 3}], None, 3),
        (SIX, [SIX] * 3, 3, 1),
        (SIX, [SIX] * 2, 5, 2),
    ],
)
def test_processes_share_the_processors_of_a_machine(monkeypatch, own, masks, quota, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_default", threads._default)
    monkeypatch.setattr(threads, "_available", lambda: min(len(own), quota or len(own)))
    monkeypatch.setattr(threads, "affinity", lambda: frozenset(own))
    monkeypatch.setattr(threads, "_cgroup_limit", lambda: quota)
    threads.share([frozenset(mask) for mask in masks])
    assert threads._default == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    threads.share([SIX] * 6)
    assert threads._default == expected


@needs_openmp
def test_threadpoolctl_lowers_the_number_for_as_long_as_it_lasts():
    cconv.set_num_threads(2)
    with threadpoolctl.threadpool_limits(2, user_api="openmp"):
        before = cconv.get_num_threads()
        with threadpoolctl.threadpool_limits(1):
            assert cconv.get_num_threads() == 1
            with ThreadPoolExecutor(1) as pool:  # the limit is that of the thread which set it
                assert pool.submit(cconv.get_num_threads).result() == 2
        assert cconv.get_num_threads() == before
    assert cconv.get_num_threads() == 2


@needs_openmp
def test_threadpoolctl_knows_the_pool():
    assert "openmp" in {library["user_api"] for library in threadpoolctl.threadpool_info()}


def said_of(name):
    """The error of an import under that instruction set."""
    done = in_python("import cconv.threads", CCONV_ISA=name)
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr.splitlines()[-1]


HERE = ", ".join(_kernels.available_isas())
ALLOWED = rf"(avx512, avx2 or )?generic, or empty for the best that this machine runs \({HERE}\)"
LACKING = {"x86_64": {"avx512", "avx2"}}.get(platform.machine(), set()) - {*_kernels.available_isas()}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("mmx", "'mmx'"),
        ("AVX-2", "'AVX-2'"),
        ("avx2,avx512", "'avx2,avx512'"),
        ("é", "'é'"),
        ("0", "'0'"),
        ("x" * 10_000, f"'{'x' * 40}...'"),
        (os.fsdecode(b"avx\xff2"), r"'avx\udcff2'"),
        *((name, f"'{name}', which it does not") for name in sorted(LACKING)),
    ],
)
def test_a_wrong_instruction_set_is_an_import_error(name, shown):
    said = said_of(name)
    assert re.fullmatch(f"ImportError: CCONV_ISA must be {ALLOWED}, got {re.escape(shown)}", said), said


@pytest.mark.parametrize("name", ["generic", " Generic ", "", "  "])
def test_instruction_sets_are_named_in_any_case(name):
    done = in_python("from cconv import _kernels; print(_kernels.isa())", CCONV_ISA=name)
    assert done.stdout.strip() == (name.strip().lower() or _kernels.available_isas()[0])


# Large enough for a parallel region each.
X, KERNEL, MATRIX = normal(1, np.float32, (8, 20, 20, 9), (3, 3, 9, 33), (3600, 40))


def everything(x):
    """Results of parallel kernels of every module."""
    y = functional.conv2d(x, KERNEL, padding="same", activation="relu")
    pooled, argmax = functional.max_pool2d(x)
    z = functional.dense(x.reshape(len(x), -1), MATRIX)
    return [
        y,
        *functional.conv2d_backward(y, x, KERNEL, padding="same"),
        pooled,
        functional.max_pool2d_backward(pooled, argmax, x.shape),
        functional.im2col(x, 3),
        z,
        *functional.dense_backward(z, x.reshape(len(x), -1), MATRIX),
        functional.softmax(y),
    ]


def digest(results):
    return [hashlib.sha256(result.tobytes()).hexdigest() for result in results]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_python_threads_run_kernels_at_once(threads):
    inputs = [np.roll(X, i, axis=0) for i in range(8)]
    cconv.set_num_threads(1)
    wanted = [digest(everything(x)) for x in inputs]
    cconv.set_num_threads(threads)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = list(pool.map(lambda x: digest(everything(x)), inputs))
            assert found == wanted


@pytest.mark.parametrize("threads", [1, 3])
def test_python_threads_share_a_layer_with_one_that_trains(threads):
    """Between a layer's forward and backward, eight threads infer with it: nobody notices the others."""
    cconv.set_num_threads(threads)
    conv = cconv.Conv2D(33, 3, activation="relu")
    inputs = [np.roll(X, i, axis=0) for i in range(8)]
    wanted = [conv.forward(x) for x in inputs]
    y = conv.forward(X, training=True)
    dx = conv.backward(y)
    gradients = {name: gradient.copy() for name, gradient in conv.grads.items()}
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            running = [pool.submit(conv.forward, x) for x in inputs]
            again = conv.backward(conv.forward(X, training=True))
            for future, result in zip(running, wanted, strict=True):
                np.testing.assert_array_equal(future.result(timeout=60), result)
            np.testing.assert_array_equal(again, dx)
            for name, gradient in gradients.items():
                np.testing.assert_array_equal(conv.grads[name], gradient)


def test_changing_the_number_of_threads_meanwhile_changes_no_result():
    wanted = digest(everything(X))
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(lambda: digest(everything(X))) for _ in range(8)]
        for n in (1, 2, 3, 1, 2):
            cconv.set_num_threads(n)
        assert all(future.result(timeout=120) == wanted for future in running)


REGION = """
#include <omp.h>
void run(int threads, void (*call)(int)) {
    #pragma omp parallel num_threads(threads)
    call(omp_get_num_threads());
}
"""


@needs_openmp
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_one_thread_inside_a_parallel_region_of_somebody_elses(tmp_path, threads):
    """A kernel of one thread is no more than a call, whose loops must not share with the caller's team."""
    source, library = tmp_path / "region.c", tmp_path / "region.so"
    source.write_text(REGION)
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-fopenmp", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    x, kernel = normal(3, np.float32, (4, 9, 9, 3), (3, 3, 3, 5))
    wanted = functional.conv2d(x, kernel)
    teams, results = [], []

    def call(team):
        teams.append(team)
        with cconv.threads.limit(1):
            results.append(functional.conv2d(x, kernel))

    callback = ctypes.CFUNCTYPE(None, ctypes.c_int)(call)
    ctypes.CDLL(str(library)).run(threads, callback)
    assert teams == [threads] * threads
    assert len(results) == threads
    for y in results:
        assert np.array_equal(y, wanted)
