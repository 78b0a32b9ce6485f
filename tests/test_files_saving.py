"""How a file is written: in one step, with its mode, behind links, and never over what is no file."""

import errno
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cconv
from cconv import cli, initializers
from cconv.callbacks import ModelCheckpoint
from cconv.files import atomic, names
from cconv.layers import Dense, Layer
from cconv.models import Sequential, load_model

ROOT = Path(cconv.__file__).parents[1]


@pytest.fixture
def model():
    model = Sequential([Dense(3, input_shape=(2,))], seed=1)
    model.compile("adam", "mse")
    return model


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def only(folder, *expected):
    assert sorted(os.listdir(folder)) == sorted(expected)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o000])
def test_a_new_file_has_the_mode_of_any_new_file(model, umask, tmp_path):
    before = os.umask(umask)
    try:
        model.save(tmp_path / "m")
        model.save_weights(tmp_path / "w")
    finally:
        os.umask(before)
    assert mode(tmp_path / "m") == mode(tmp_path / "w") == 0o666 & ~umask


@pytest.mark.parametrize("old", [0o600, 0o640, 0o444, 0o777, 0o660, 0o2755])
def test_an_old_file_keeps_its_mode_and_owner(model, old, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    if os.getuid() == 0:
        os.chown(path, 1234, 4321)
    os.chmod(path, old)
    before = os.stat(path)
    model.save(path)
    after = os.stat(path)
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert mode(path) == stat.S_IMODE(before.st_mode)
    load_model(path)


def test_links_are_written_through(model, tmp_path):
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "m"
    target.write_bytes(b"old")
    os.symlink("there/m", tmp_path / "relative")
    os.symlink(tmp_path / "relative", tmp_path / "chain")
    os.symlink("there", tmp_path / "folder")
    os.symlink("there/new", tmp_path / "dangling")
    for path in (tmp_path / "relative", tmp_path / "chain", tmp_path / "folder" / "m", tmp_path / "dangling"):
        target.write_bytes(b"old")
        model.save(path)
        load_model(path)
    assert (tmp_path / "relative").is_symlink()
    assert (tmp_path / "chain").is_symlink()
    assert (tmp_path / "dangling").is_symlink()
    only(tmp_path / "there", "m", "new")
    load_model(tmp_path / "there" / "new")


def places(folder):
    """Paths that are no files, or cannot become any, each with a part of the message."""
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    (folder / "file").write_bytes(b"x")
    os.symlink("a", folder / "b")
    os.symlink("b", folder / "a")
    os.symlink("/dev/null", folder / "null")
    os.symlink("gone/m", folder / "lost")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket"))
    server.close()
    return {
        folder / "fifo": "no regular file",
        folder / "socket": "no regular file",
        folder / "null": "no regular file",
        folder / "folder": "it is a folder",
        folder / "a": "symbolic links",
        folder / "file" / "m": "Not a directory",
        folder / "gone" / "m": "there is no folder",
        folder / "lost": "there is no folder",
        folder / ("x" * 300): "too long",
        Path("/dev/null"): "no regular file",
        Path("/dev/full"): "no regular file",
        Path("/proc/self/m"): "cannot write",
    }


def test_what_is_no_regular_file_is_refused_by_name(model, tmp_path):
    for path, part in places(tmp_path).items():
        before = os.lstat(path) if os.path.lexists(path) else None
        for save in (model.save, model.save_weights):
            with pytest.raises(OSError, match=part) as caught:
                save(path)
            assert "cannot write" in str(caught.value)
            assert str(path) in str(caught.value)
        if before:
            assert os.lstat(path).st_ino == before.st_ino
            assert os.lstat(path).st_mode == before.st_mode
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    for path in places(tmp_path):
        if path.name != "m" and not str(path).startswith("/proc"):
            with pytest.raises(OSError, match=str(path)):
                load_model(path)


def test_a_path_that_is_none(model):
    for path in ("a\0b", "\udfff"):
        for use in (model.save, model.save_weights, load_model, model.load_weights):
            with pytest.raises(ValueError, match=r"cannot (write|be the path)"):
                use(path)


def test_names_as_long_as_the_system_takes(model, tmp_path):
    path = tmp_path / ("é" * 127)
    model.save(path)
    model.save(path)
    load_model(path)
    only(tmp_path, path.name)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("function", ["fsync", "replace", "open", "listdir"])
def test_a_failing_disk_leaves_the_old_file(model, number, function, tmp_path, monkeypatch):
    """Each call fails once; what raises leaves the old file, and what does not has put the new one there."""
    path = tmp_path / "m"
    model.save(path)
    old = path.read_bytes()
    model.set_weights([array + 1 for array in model.get_weights()])
    real = getattr(os, function)
    for failing in range(3):
        calls = iter(range(100))

        def fails(*args, calls=calls, failing=failing, **kwargs):
            if next(calls) == failing:
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, function, fails)
        try:
            model.save(path)
            raised = None
        except OSError as error:
            raised = error
        monkeypatch.undo()
        assert (path.read_bytes() == old) == (raised is not None)
        if raised is not None:
            assert raised.errno == number
            assert f"cannot write {path}: {os.strerror(number)}" in str(raised)
        path.write_bytes(old)
        only(tmp_path, "m")


def test_a_folder_that_cannot_be_synchronized_is_no_failure(model, tmp_path, monkeypatch):
    real, synchronized = os.fsync, []

    def fsync(fd):
        is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        synchronized.append((is_folder, sorted(os.listdir(tmp_path))))
        if is_folder:
            raise OSError(errno.EINVAL, "no")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    model.save(tmp_path / "m")
    # First the file, under its other name; then, with the file in its place, the folder.
    assert [is_folder for is_folder, _ in synchronized] == [False, True]
    assert "m" not in synchronized[0][1]
    assert synchronized[1][1] == ["m"]


def test_a_full_disk(tmp_path):
    """The system's own limit on the size of a file: every length of what fits, and the old file stays."""
    code = """
import resource, signal, sys
import numpy as np
from cconv.files import safetensors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = sys.argv[1]
safetensors.write(path, {"a": np.zeros(10)}, "old")
old = open(path, "rb").read()
for limit in (0, 1, 8, 100, 1 << 16, 1 << 20, (1 << 20) + 100):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        safetensors.write(path, {"a": np.zeros(200_000)}, "new")
    except OSError as error:
        assert f"cannot write {path}: File too large" in str(error), error
    else:
        raise AssertionError(limit)
    assert open(path, "rb").read() == old
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
safetensors.write(path, {"a": np.zeros(200_000)}, "new")
assert safetensors.read(path)[1] == "new"
"""
    run_python(code, tmp_path / "m")
    only(tmp_path, "m")


def run_python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_folder_that_may_not_be_written(tmp_path):
    """As root nothing is forbidden, so another user tries, who may not be able to import anything more."""
    code = """
import os, sys
from cconv.layers import Dense
from cconv.models import Sequential
model = Sequential([Dense(3, input_shape=(2,))])
model.save(sys.argv[2])
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    model.save(sys.argv[1])
except PermissionError as error:
    assert f"cannot write {sys.argv[1]}: Permission denied" in str(error), error
else:
    raise AssertionError
"""
    folder = Path("/tmp") / f"cconv-{os.getpid()}"
    folder.mkdir(mode=0o555)
    try:
        run_python(code, folder / "m", tmp_path / "m")
    finally:
        folder.rmdir()


KILLED = """
import os, signal, sys
import numpy as np
from cconv.files import safetensors
real = os.fsync
def fsync(fd):
    print("there", flush=True)
    signal.pause()
os.fsync = fsync
safetensors.write(sys.argv[1], {"a": np.zeros(1000)}, "new")
"""


def start_saving(path):
    """Start a process that stops in the middle of a save."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "there\n"
    return process


def test_what_a_killed_save_leaves_is_removed_by_the_next(model, tmp_path):
    model.save(tmp_path / "m")
    killed, living = start_saving(tmp_path / "m"), start_saving(tmp_path / "m")
    other = start_saving(tmp_path / "m2")
    try:
        assert len(os.listdir(tmp_path)) == 4
        assert all(
            name.startswith(".m") and name.endswith(".tmp") for name in os.listdir(tmp_path) if name != "m"
        )
        for process in (killed, other):
            process.send_signal(signal.SIGKILL)
            process.wait()
        load_model(tmp_path / "m")
        model.save(tmp_path / "m")
        # That of the living process stays, and that of another file.
        assert len(os.listdir(tmp_path)) == 3
        living.kill()
        living.wait()
        model.save(tmp_path / "m")
        assert [name for name in os.listdir(tmp_path) if name != "m"] != []
        model.save(tmp_path / "m2")
        only(tmp_path, "m", "m2")
    finally:
        for process in (killed, living, other):
            process.kill()
            process.wait()
            process.stdout.close()


def test_what_looks_like_a_leftover_and_is_none_stays(model, tmp_path):
    kept = ["m.tmp", ".m.tmp", ".m.0123456789abcde.tmp", ".m.0123456789abcdeg.tmp", ".x.0123456789abcdef.tmp"]
    for name in kept:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / ".m.00000000000000aa.tmp").mkdir()
    os.mkfifo(tmp_path / ".m.00000000000000bb.tmp")
    os.symlink("m.tmp", tmp_path / ".m.00000000000000cc.tmp")
    model.save(tmp_path / "m")
    assert set(kept) <= set(os.listdir(tmp_path))
    assert (tmp_path / "m.tmp").read_bytes() == b"mine"
    assert len(os.listdir(tmp_path)) == len(kept) + 4


def test_many_saves_at_once_leave_one_whole_file(tmp_path):
    """Processes that save to one name, and clean up after one another, do not hinder each other."""
    code = """
import sys
import numpy as np
from cconv.files import safetensors
for number in range(60):
    safetensors.write(sys.argv[1], {"a": np.full(1000, number)}, number)
    arrays, found = safetensors.read(sys.argv[1])
    assert (arrays["a"] == found).all()
"""
    path = tmp_path / "m"
    command = [sys.executable, "-c", code, str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for process in processes:
        _, printed = process.communicate(timeout=300)
        assert process.returncode == 0, printed
    only(tmp_path, "m")


def test_an_interrupted_save_leaves_nothing(model, tmp_path, monkeypatch):
    model.save(tmp_path / "m")
    old = (tmp_path / "m").read_bytes()
    model.set_weights([array + 1 for array in model.get_weights()])

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        model.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == old
    only(tmp_path, "m")


def test_weights_that_change_while_they_are_written_are_read_again(tmp_path):
    """The digest is that of the bytes in the file, whatever others do to the arrays meanwhile."""
    import threading

    from cconv.files import safetensors

    array, stop = np.zeros(1 << 20), threading.Event()

    def change():
        while not stop.is_set():
            array[:] += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(3):
            safetensors.write(tmp_path / "m", {"a": array}, None)
            safetensors.read(tmp_path / "m")
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join()


# Names of other formats

NAMES = ["m.onnx", "m.h5ad", "m.pt", "m.tflite", "m.pth", "m.pb", "m.he5", "m.npz"]
NAMES += [
    "M.ONNX",
    "a.b/m.pT",
    "m.npy",
    "m.pkl",
    "m.joblib",
    "m.ckpt",
    "m.json",
    "m.zip",
    "m.onnx ",
]


def test_every_known_ending_is_refused_in_any_case():
    for ending in names.FOREIGN:
        for name in (f"m{ending}", f"m{ending}".upper(), f"m.safetensors{ending}"):
            with pytest.raises(ValueError, match="use 'm"):
                names.check_ending("save", name.replace("M", "m", 1))
    for name in (
        "m",
        "m.safetensors",
        "m.st",
        "m.h5.safetensors",
        ".h5",
        "h5",
        "m.v2",
        "m.3",
        "M.SafeTensors",
        "m.",
    ):
        names.check_ending("save", name)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_other_formats_are_refused(model, name, tmp_path, capsys):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=r"Sequential\.save: .* writes safetensors: use .*\.safetensors'"):
        model.save(path)
    with pytest.raises(ValueError, match=r"Sequential\.save_weights: .* writes safetensors: use"):
        model.save_weights(str(path))
    with pytest.raises(ValueError, match=r"ModelCheckpoint: filepath: .* writes safetensors: use"):
        ModelCheckpoint(path)
    assert cli.main(["train", "--data", "nowhere.npz", "--out", str(path)]) == 2
    assert "--out:" in (line := capsys.readouterr().err)
    assert "writes safetensors" in line
    assert not path.exists()


def test_checkpoints_with_fields_in_their_names(model, tmp_path):
    with pytest.raises(ValueError, match="HDF5"):
        ModelCheckpoint(str(tmp_path / "m-{epoch:02d}-{val_loss:.2f}.h5ad"))
    ModelCheckpoint(str(tmp_path / "m-{epoch:02d}-{val_loss:.2f}"))
    x, y = np.ones((4, 2)), np.ones((4, 3))
    model.fit(x, y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "m-{epoch}-{loss:.2f}.safetensors")])
    assert len(list(tmp_path.glob("m-1-*.safetensors"))) == 1
    for wrong in ("{nothing}", "{", "{}", "{epoch.x}", "{epoch:s}", "{0}"):
        with pytest.raises(ValueError, match="ModelCheckpoint: filepath may name epoch, batch"):
            model.fit(x, y, verbose=0, callbacks=[ModelCheckpoint(wrong)])


class Doubled(Layer):
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


@pytest.mark.parametrize("name", ["m-{epoch}.keras", "m.h5"])
def test_checkpoints_that_could_not_be_written_are_refused_before_the_first_epoch(name, tmp_path):
    model = Sequential([Doubled(input_shape=(2,)), Dense(3)])
    model.compile("sgd", lambda y, p: (((p - y) ** 2).mean(axis=-1), 2 * (p - y) / 3))
    x, y = np.ones((4, 2)), np.ones((4, 3))
    lacks = r"\(a name that ends in \.safetensors .*\), .* Keras has not: the layer Doubled.*; FunctionLoss"
    with pytest.raises(ValueError, match=lacks):
        model.fit(x, y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / name)])
    assert model.epochs_done == model.steps_done == 0
    weights = ModelCheckpoint(tmp_path / "m.weights.h5", save_weights_only=True)
    good = [ModelCheckpoint(tmp_path / "m.safetensors"), weights]
    model.fit(x, y, verbose=0, callbacks=good)
    assert sorted(os.listdir(tmp_path)) == ["m.safetensors", "m.weights.h5"]
    model.layers[1].kernel_initializer = initializers.get(lambda shape: np.ones(shape))
    with pytest.raises(TypeError, match="<lambda>: an initializer that is a function"):
        model.fit(x, y, verbose=0, callbacks=good)
    assert model.epochs_done == 1


@pytest.mark.parametrize(
    "content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(100), b"PK\x03\x04" + bytes(100), b"\x08\x09"]
)
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("m.onnx", "an ONNX file; cconv.io.onnx.load reads it"),
        ("m.pt", "a PyTorch file; cconv.io.torch.load_state_dict reads weights"),
        ("m.npz", "a NumPy file; load reads what Sequential.save wrote"),
    ],
)
def test_other_formats_are_refused_with_a_sentence(model, name, what, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    for load in (load_model, model.load_weights):
        with pytest.raises(ValueError, match=re.escape(f"by its name it is {what}")) as caught:
            load(path)
        assert str(path) in str(caught.value)


def test_a_file_of_ours_under_another_name_is_loaded(model, tmp_path):
    model.save(tmp_path / "m")
    os.rename(tmp_path / "m", tmp_path / "m.h5")
    assert np.array_equal(load_model(tmp_path / "m.h5").get_weights()[0], model.get_weights()[0])


def test_the_command_line_refuses_places_before_it_trains(tmp_path, capsys):
    for path in places(tmp_path):
        assert cli.main(["train", "--data", "nowhere.npz", "--out", str(path)]) == 2
        printed = capsys.readouterr().err
        assert printed.count("\n") == 1
        assert "nowhere" not in printed or str(path).startswith("/proc")


def test_locks_that_a_file_system_does_not_have(model, tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.EOPNOTSUPP, "no locks")

    (tmp_path / ".m.00000000000000aa.tmp").write_bytes(b"perhaps in use")
    monkeypatch.setattr(atomic.fcntl, "flock", no_locks)
    model.save(tmp_path / "m")
    only(tmp_path, "m", ".m.00000000000000aa.tmp")
