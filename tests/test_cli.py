import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import cconv
from cconv import cli
from cconv.applications import LeNet5
from cconv.callbacks import ProgressBar
from cconv.datasets import mnist_small
from cconv.models import load_model


@pytest.fixture(autouse=True)
def same_threads():
    yield
    cconv.set_num_threads(None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file of few images, so that a training takes no time."""
    (x_train, y_train), (x_test, y_test) = mnist_small.load_data()
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x_train=x_train[:640], y_train=y_train[:640], x_test=x_test[:100], y_test=y_test[:100])
    return path


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    """A saved model that knows most digits."""
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    assert cli.main(["train", "--data", str(data), "--epochs", "12", "--out", str(path)]) == 0
    return path


def refused(capsys, *arguments):
    """Run the command line, which must fail with one line and code 2; return the line."""
    try:
        code = cli.main([str(a) for a in arguments])
    except SystemExit as end:  # as argparse ends
        code = end.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("cconv")
    return captured.err


# train


def test_train_says_what_it_reached_and_saves(data, tmp_path, capsys):
    out = tmp_path / "m.safetensors"
    assert cli.main(["train", "--data", str(data), "--epochs", "3", "--threads", "2", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"Epoch 3/3 .*loss: \d.* accuracy: 0\.\d", printed)
    reported = float(re.search(r"test accuracy (\d\.\d+) on 100 images", printed)[1])
    assert re.search(r"trained in \d+\.\d s, [\d,]+ images/s, 2 threads", printed)
    assert f"saved {out}" in printed
    _, (x_test, y_test) = mnist_small.load_data()
    x_test, y_test = x_test[:100, ..., None], y_test[:100]
    accuracy = np.mean(load_model(out).predict(x_test, verbose=0).argmax(-1) == y_test)
    assert reported == pytest.approx(accuracy, abs=1e-4)


def test_train_learns_the_digits(model):
    _, (x_test, y_test) = mnist_small.load_data()
    accuracy = np.mean(load_model(model).predict(x_test[..., None], verbose=0).argmax(-1) == y_test)
    assert accuracy > 0.8


def test_train_without_names_uses_the_small_mnist(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--epochs", "1"]) == 0
    assert "on 1,000 images" in capsys.readouterr().out
    assert (tmp_path / "model.safetensors").is_file()


def test_same_seed_same_bytes(data, tmp_path):
    def train(name, *more):
        out = tmp_path / name
        assert cli.main(["train", "--data", str(data), "--epochs", "1", "--out", str(out), *more]) == 0
        return out.read_bytes()

    first = train("a.safetensors", "--seed", "5", "--threads", "1")
    assert train("b.safetensors", "--seed", "5", "--threads", "3") == first
    assert train("c.safetensors", "--seed", "6") != first


def test_train_on_all_of_mnist_reads_the_data_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CCONV_DATA_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("CCONV_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setitem(sys.modules, "pooch", None)
    line = refused(capsys, "train", "--data", "mnist", "--out", tmp_path / "m.safetensors")
    assert "pip install 'cconv[data]'" in line


def test_a_file_without_test_images_keeps_a_tenth(tmp_path, capsys):
    (x, y), _ = mnist_small.load_data()
    path = tmp_path / "own.npz"
    np.savez(path, x_train=np.float32(x[:200]) / 255, y_train=np.int64(y[:200]))
    assert cli.main(["train", "--data", str(path), "--epochs", "1", "--out", str(tmp_path / "m.st")]) == 0
    printed = capsys.readouterr().out
    assert "its last 20 images are kept for the test" in printed
    assert "on 20 images" in printed


def test_other_shapes_and_numbers_of_classes(tmp_path):
    rng = np.random.default_rng(0)
    path, out = tmp_path / "own.npz", tmp_path / "m.st"
    x = rng.integers(0, 256, (40, 20, 24, 3), np.uint8)
    np.savez(path, x_train=x, y_train=np.arange(40) % 7, x_test=x[:5], y_test=np.arange(5))
    assert cli.main(["train", "--data", str(path), "--epochs", "1", "--out", str(out)]) == 0
    assert load_model(out).predict(x[:3], verbose=0).shape == (3, 7)


@pytest.mark.parametrize("form", [lambda y: y[:, None], np.float32, lambda y: y[:, None].astype(float)])
def test_labels_in_a_column_or_as_floats_are_the_same(form, data, tmp_path):
    with np.load(data) as arrays:
        given = {name: array[:64] for name, array in arrays.items()}
    saved = []
    for name, change in (("a", np.asarray), ("b", form)):
        np.savez(tmp_path / f"{name}.npz", **given | {k: change(given[k]) for k in ("y_train", "y_test")})
        out = tmp_path / f"{name}.st"
        command = ["train", "--data", str(tmp_path / f"{name}.npz"), "--epochs", "1", "--out", str(out)]
        assert cli.main(command) == 0
        saved.append(out.read_bytes())
    assert saved[0] == saved[1]


def picture_folder(root, size=(20, 24), mode="L", count=12):
    """Squares and frames, which a network tells apart at once."""
    rng = np.random.default_rng(0)
    for name in ("frame", "四角"):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 30, size, np.uint8)
            pixels[6:14, 6:14] = 230
            if name == "frame":
                pixels[8:12, 8:12] = 0
            Image.fromarray(pixels).convert(mode).save(root / name / f"{number:02}.png")
        (root / name / "notes.txt").write_text("no picture")
        (root / name / ".hidden.png").write_text("no picture")
    return root


def test_a_folder_of_pictures_by_class(tmp_path, capsys):
    root, out = picture_folder(tmp_path / "絵"), tmp_path / "m.st"
    assert cli.main(["train", "--data", str(root), "--epochs", "12", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "20 pictures of 2 classes, and 4 kept for the test, as 20x24 pixels, grey" in printed
    assert "on 4 images" in printed
    model = load_model(out)
    assert (model.input_shape, model.output_shape) == ((None, 20, 24, 1), (None, 2))
    assert cli.main(["predict", str(out), str(root / "四角" / "03.png"), str(root / "frame" / "03.png")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert re.search(r": 四角 0\.\d{4}$|: 四角 1\.0000$", first)
    assert ": frame " in second


def test_pictures_of_a_folder_get_one_size_and_colours(tmp_path, capsys):
    root = picture_folder(tmp_path / "x", mode="RGB", count=2)
    Image.new("L", (40, 50)).save(root / "frame" / "03.bmp")
    assert cli.main(["train", "--data", str(root), "--epochs", "1", "--out", str(tmp_path / "m.st")]) == 0
    assert "as 32x32 pixels, colours" in capsys.readouterr().out
    more = ("--size", "18", "--epochs", "1", "--out", str(tmp_path / "m.st"))
    assert cli.main(["train", "--data", str(root), *more]) == 0
    assert load_model(tmp_path / "m.st").input_shape == (None, 18, 18, 3)
    more = ("--data", root, "--size", "12", "--out", tmp_path / "m.st")
    assert refused(capsys, "train", *more).endswith(
        "got (12, 12, 3); --size scales the pictures of a folder\n"
    )


def test_folders_that_cannot_be_learned(tmp_path, monkeypatch, capsys):
    def said(folder):
        return refused(capsys, "train", "--data", folder, "--out", tmp_path / "m.st")

    assert "expected a folder for each of at least 2 classes, such as" in said(tmp_path)
    root = picture_folder(tmp_path / "x", count=2)
    (root / "frame" / "01.png").write_bytes(b"hello")
    assert "01.png: not a readable picture" in said(root)
    (root / "frame" / "01.png").unlink()
    assert "frame: a class must have at least 2 pictures" in said(root)
    Image.new("L", (20, 24)).save(root / "frame" / "01.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "needs Pillow: pip install 'cconv[data]'" in said(root)


X = np.zeros((20, 28, 28), np.uint8)
Y = np.zeros(20, np.int64)
BAD_ARRAYS = [
    ({"y_train": Y}, "expected an array x_train, got y_train"),
    ({"x_train": X}, "expected an array y_train"),
    ({"x_train": X, "y_train": Y, "x_test": X}, "x_test and y_test together"),
    ({"x_train": X[0], "y_train": Y}, r"x_train must have the shape \(n, h, w\) or \(n, h, w, c\), got"),
    ({"x_train": X[:0], "y_train": Y[:0]}, "at least 10 images"),
    ({"x_train": X, "y_train": Y[:15]}, "one class number for each of the 20 images of x_train, got 15"),
    (
        {"x_train": X, "y_train": np.zeros((20, 10))},
        r"shape \(18, 10\); of one-hot rows y_train.argmax",
    ),
    (
        {"x_train": X, "y_train": np.full(20, "cat")},
        "y_train must hold numbers, got texts, .* numpy.unique",
    ),
    ({"x_train": X, "y_train": Y > 0}, r"y_train must hold numbers, got True and False, .*\.astype"),
    ({"x_train": X, "y_train": Y + np.nan}, "y_train must hold class numbers 0, 1, 2, ..., got nan"),
    ({"x_train": X, "y_train": Y + 1e300}, "y_train must hold class numbers below 100000"),
    ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y[:9]}, "each of the 20 images of x_test, got 9"),
    ({"x_train": X, "y_train": Y - 1}, "y_train must hold class numbers from 0, got -1"),
    ({"x_train": X, "y_train": Y + 0.5}, r"y_train must hold class numbers 0, 1, 2, ..., got 0\.5"),
    ({"x_train": X > 0, "y_train": Y}, "x_train must hold numbers, got True and False, dtype bool"),
    ({"x_train": X, "y_train": Y, "x_test": X[:, :9], "y_test": Y}, "x_test must have the images of x_train"),
    ({"x_train": X, "y_train": Y, "x_test": X / 2, "y_test": Y}, "x_test must have the dtype of x_train"),
    ({"x_train": X[:, :8, :8], "y_train": Y}, "input_shape must have at least 16 pixels"),
    ({"x_train": np.array(5), "y_train": Y}, "at least 10 images"),
    (
        {"x_train": np.array([None] * 20), "y_train": Y},
        r"bad\.npz: x_train must hold numbers, got Python's objects: numpy\.unique",
    ),
]


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS)
def test_bad_arrays(arrays, message, tmp_path, capsys):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    line = refused(capsys, "train", "--data", path, "--epochs", "1", "--out", tmp_path / "m.st")
    assert re.search(message, line)
    assert not (tmp_path / "m.st").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (["learn"], "invalid choice"),
        (
            ["train", "--data", "cifar"],
            "mnist, mnist-small, a .npz file or a folder that exists, got 'cifar'",
        ),
        (["train", "--data", ""], "or a folder that exists, got ''"),
        (["train", "--data", "", "--size", "20"], "--size is for the pictures of a folder"),
        (["train", "--data", "nowhere.npz"], "nowhere.npz"),
        (["train", "--epochs", "0"], "argument --epochs: must be a positive int, got 0"),
        (["train", "--epochs", "two"], "argument --epochs: must be a positive int, got two"),
        (["train", "--batch-size", "-1"], "argument --batch-size: must be a positive int, got -1"),
        (["train", "--batch-size", str(2**63)], "must be a positive int below 2**63, got 92233"),
        (["train", "--threads", "0"], "cconv train: argument --threads: must be a positive int, got 0"),
        (["train", "--threads", "1000000"], "at most"),
        (["train", "--seed", "-1"], "argument --seed: must be an int from 0 to 2**64 - 1, got -1"),
        (["train", "--size", "0"], "argument --size: must be an int from 1 to 8192, got 0"),
        (["predict", "m", "x.png", "--top", "0"], "argument --top: must be a positive int, got 0"),
        (["train", "--out", "no/such/folder/m.st"], "--out must be a file in a folder that exists"),
        (["train", "--out", "."], "--out must be a file"),
        (["train", "--colour"], "unrecognized arguments"),
        (["predict"], "required"),
        (["predict", "nowhere.st", "x.png"], "nowhere.st"),
        (["info", "more"], "unrecognized arguments"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short", b"\x93NUMPY"])
def test_a_data_file_that_is_none(content, tmp_path, capsys):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    assert "bad.npz" in refused(capsys, "train", "--data", path, "--out", tmp_path / "m.st")


def test_array_file_named_npz(tmp_path, capsys):
    with (tmp_path / "bad.npz").open("wb") as file:
        np.save(file, X)
    line = refused(capsys, "train", "--data", tmp_path / "bad.npz", "--out", tmp_path / "m.st")
    assert "bad.npz: not a .npz file" in line


def start_training(folder, *arguments):
    """Start a training too long to wait for, with its output in a pipe."""
    command = [sys.executable, "-m", "cconv", "train", "--epochs", "100000", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(cconv.__file__).parents[1]), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_interrupt_keeps_the_last_epoch(data, tmp_path):
    process = start_training(tmp_path, "--data", str(data))
    try:
        for _ in range(3):
            assert process.stdout.readline().startswith("Epoch ")
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in printed
    last = re.search(
        r"cconv: interrupted; model\.safetensors holds the model after epoch (\d+) of 100000", printed
    )
    assert int(last[1]) >= 2  # the line of an epoch may come before its model is saved
    assert load_model(tmp_path / "model.safetensors").count_params() == 61706
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("first", [["--resume"], []], ids=["in an epoch", "after an epoch"])
def test_resume_goes_on_to_the_same_bits(data, tmp_path, first, capsys):
    process = start_training(tmp_path, "--data", str(data), *first)
    try:
        for _ in range(2):
            assert process.stdout.readline().startswith("Epoch ")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert (tmp_path / "model.safetensors.checkpoints").exists() == bool(first)
    done = load_model(tmp_path / "model.safetensors").epochs_done
    arguments = ["train", "--data", str(data), "--epochs", str(done + 2), "--out"]
    assert cli.main([*arguments, str(tmp_path / "model.safetensors"), "--resume"]) == 0
    assert cli.main([*arguments, str(tmp_path / "whole.safetensors")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "whole.safetensors"]
    found, expected = (load_model(tmp_path / f"{name}.safetensors") for name in ("model", "whole"))
    assert found.steps_done == expected.steps_done
    for a, b in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in ("--seed", "--batch-size", "--shards"):
        assert cli.main([*arguments, str(tmp_path / "model.safetensors"), "--resume", other, "3"]) != 0
        assert "--resume: " in capsys.readouterr().err


def changed(path, name):
    """The same file with one other image, another label, other images or in another order."""
    with np.load(path) as file:
        arrays = dict(file)
    if name == "image":
        arrays["x_train"][5, 0, 0] += 1
    elif name == "label":
        arrays["y_train"][5] = (arrays["y_train"][5] + 1) % 3
    else:
        arrays["x_train"], arrays["y_train"] = arrays["x_train"][::-1], arrays["y_train"][::-1]
    return arrays


@pytest.mark.parametrize("between", [True, False], ids=["between epochs", "within an epoch"])
@pytest.mark.parametrize("name", ["image", "label", "order"])
def test_resume_with_other_data_is_refused(name, between, tmp_path, capsys):
    x = np.random.default_rng(0).integers(0, 250, (60, 16, 16)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=np.arange(60) % 3)
    out, data = (str(tmp_path / name) for name in ("model.safetensors", "data.npz"))
    how = ["train", "--data", data, "--batch-size", "9", "--out", out, "--resume", "--epochs"]
    if between:
        assert cli.main([*how, "1"]) == 0
    else:

        def stop(self, batch, logs):
            if batch == 3:
                signal.raise_signal(signal.SIGINT)

        with mock.patch.object(ProgressBar, "on_train_batch_begin", stop):
            assert cli.main([*how, "1"]) == 130
    assert Path(f"{out}.checkpoints").exists() != between
    np.savez(tmp_path / "data.npz", **changed(data, name))
    assert cli.main([*how, "2"]) == 2
    assert "must be of a training with the same arguments, got other data: " in capsys.readouterr().err
    assert cli.main([*how, "2", "--seed", "4"]) == 2
    assert "got seed 0 then and 4 now: " in capsys.readouterr().err


def test_standard_output_may_be_closed(data, tmp_path):
    """As daemons have it: the work is done, and nobody is told."""
    model, predicted = tmp_path / "m.safetensors", tmp_path / "x.npy"
    np.save(predicted, np.zeros((2, 28, 28, 1), np.float32))
    for arguments in (
        ["info"],
        ["train", "--data", data, "--epochs", "1", "--out", model],
        ["predict", model, predicted],
    ):
        command = shlex.join([sys.executable, "-m", "cconv", *map(str, arguments)])
        done = subprocess.run(["sh", "-c", f"{command} >&-"], capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), arguments
    assert load_model(model).count_params() == 61706


def test_a_reader_that_goes_away_ends_the_training_quietly(data, tmp_path):
    process = start_training(tmp_path, "--data", str(data))
    try:
        assert process.stdout.readline().startswith("Epoch 1/")
        process.stdout.close()
        process.stdout = None
        _, printed = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, printed) == (141, "")
    assert load_model(tmp_path / "model.safetensors").count_params() == 61706


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_interrupt_before_the_first_epoch_ends(tmp_path, more):
    path = tmp_path / "large.npz"
    x = np.zeros((100_000, 28, 28), np.uint8)
    np.savez(path, x_train=x, y_train=x[:, 0, 0], x_test=x[:1], y_test=x[:1, 0, 0])
    process = start_training(tmp_path, "--data", str(path), "--batch-size", "1", "--threads", "1", *more)
    try:
        wait_for_training(process.pid)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    told = "model.safetensors.checkpoints has where it stands: the same command goes on from there"
    assert f"cconv: interrupted; {told if more else 'nothing was saved'}" in printed
    assert [path.name for path in tmp_path.glob("*.checkpoints")] == ["model.safetensors.checkpoints"] * len(
        more
    )
    assert not (tmp_path / "model.safetensors").exists()


def wait_for_training(pid):
    """Wait until a process has computed for a while, which loading its data does not take."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        if int(fields[11]) / os.sysconf("SC_CLK_TCK") > 2.5:  # seconds of user time
            return
        time.sleep(0.05)
    raise TimeoutError("the training did not begin")


# predict


@pytest.fixture(scope="module")
def digit(model):
    """A test image that the model knows, and what it is."""
    _, (x_test, y_test) = mnist_small.load_data()
    known = load_model(model).predict(x_test[..., None], verbose=0).argmax(-1) == y_test
    place = int(np.argmax(known))
    return x_test[place], int(y_test[place])


def predicted(capsys, model, *images):
    assert cli.main(["predict", str(model), *map(str, images)]) == 0
    return [line.rsplit(": ", 1) for line in capsys.readouterr().out.splitlines()]


def test_predict_png_and_npy_agree(model, digit, tmp_path, capsys):
    image, label = digit
    paths = [tmp_path / name for name in ("grey.png", "colour.PNG", "palette.png", "a.npy", "b.npy")]
    Image.fromarray(image).save(paths[0])
    Image.fromarray(image).convert("RGB").save(paths[1])
    Image.fromarray(image).convert("P").save(paths[2])
    np.save(paths[3], image)
    np.save(paths[4], image[..., None].astype(np.float64))
    capsys.readouterr()
    lines = predicted(capsys, model, *paths)
    assert [name for name, _ in lines] == list(map(str, paths))
    answers = {answer for _, answer in lines}
    assert len(answers) == 1
    best, probability = answers.pop().split()
    assert int(best) == label
    expected = load_model(model).predict(image[None, :, :, None], verbose=0)[0]
    assert float(probability) == pytest.approx(expected[label], abs=1e-4)


@pytest.mark.parametrize("axes", [3, 4])
def test_predict_several_images_of_one_file(axes, model, tmp_path, capsys):
    _, (x_test, _) = mnist_small.load_data()
    path = tmp_path / "many.npy"
    np.save(path, x_test[:4] if axes == 3 else x_test[:4, :, :, None])
    capsys.readouterr()
    lines = predicted(capsys, model, path)
    assert [name for name, _ in lines] == [f"{path}[{i}]" for i in range(4)]
    expected = load_model(model).predict(x_test[:4, :, :, None], verbose=0).argmax(-1)
    assert [int(answer.split()[0]) for _, answer in lines] == expected.tolist()


@pytest.mark.parametrize("shape", [(32, 32), (28, 27), (28, 28, 3), (2, 32, 32, 1), (784,)])
def test_predict_takes_arrays_as_they_are(shape, model, tmp_path, capsys):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(shape, np.uint8))
    size = "x".join(map(str, shape))
    assert f"x.npy: the model wants images of 28x28x1, got {size}" in refused(capsys, "predict", model, path)


def png(tmp_path, image):
    path = tmp_path / "x.png"
    image.save(path)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.png", b""),
        ("x.png", b"GIF89a"),
        ("x.png", b"\x89PNG\r\n\x1a\n"),
        ("x.npy", b""),
        ("x.npy", b"\x93NUMPY"),
        ("x.npy", b"hello"),
        ("x.jpg", b"hello"),
        ("x.webp", b"RIFF    WEBP"),
        ("x.bmp", b"BM"),
        ("x.txt", b"hello"),
    ],
)
def test_predict_what_is_no_image(name, content, model, tmp_path, capsys):
    path = tmp_path / name
    path.write_bytes(content)
    assert name in refused(capsys, "predict", model, path)


def test_predict_cut_png(model, tmp_path, capsys):
    rng = np.random.default_rng(0)
    path = png(tmp_path, Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)))
    path.write_bytes(path.read_bytes()[:200])
    refused(capsys, "predict", model, path)


@pytest.mark.parametrize("array", [np.array([None] * 3), np.array(["a"]), np.zeros((28, 28), complex)])
def test_predict_arrays_that_are_no_numbers(array, model, tmp_path, capsys):
    path = tmp_path / "x.npy"
    np.save(path, array, allow_pickle=True)
    assert re.search(r"x\.npy: expected numbers, got an array", refused(capsys, "predict", model, path))


def test_predict_without_pillow(model, tmp_path, monkeypatch, capsys):
    path = png(tmp_path, Image.new("L", (28, 28)))
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install 'cconv[data]'" in refused(capsys, "predict", model, path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\0\0\0\0\0\0\0{}      "])
def test_predict_with_what_is_no_model(content, tmp_path, capsys):
    path, image = tmp_path / "bad.safetensors", png(tmp_path, Image.new("L", (28, 28)))
    path.write_bytes(content)
    assert "bad.safetensors" in refused(capsys, "predict", path, image)


def test_the_others_come_after_a_bad_image(model, digit, tmp_path, capsys):
    np.save(tmp_path / "good.npy", digit[0])
    (tmp_path / "bad.png").write_bytes(b"hello")
    names = ("absent.npy", "good.npy", "bad.png", "good.npy")
    capsys.readouterr()
    code = cli.main(["predict", str(model), *(str(tmp_path / name) for name in names)])
    captured = capsys.readouterr()
    assert code == 2
    assert [line.split(": ")[0] for line in captured.out.splitlines()] == [str(tmp_path / "good.npy")] * 2
    first, second = captured.err.splitlines()
    assert "absent.npy" in first
    assert "bad.png" in second


# info


def test_info_is_show_config(capsys):
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    for part in (
        cconv.__version__,
        np.__version__,
        "instruction set",
        "tuning",
        "threads",
        "OpenMP",
        "compiler",
        "Python",
    ):
        assert part in printed
    cconv.show_config()
    assert capsys.readouterr().out == printed


def test_info_follows_the_forced_instruction_set():
    for name in cconv._kernels.available_isas():
        done = subprocess.run(
            [sys.executable, "-m", "cconv", "info"],
            env=os.environ | {"CCONV_ISA": name, "PYTHONPATH": str(Path(cconv.__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert re.search(rf"instruction set +{name} ", done.stdout)


def test_an_unknown_instruction_set_is_a_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "cconv", "info"],
        env=os.environ | {"CCONV_ISA": "foo", "PYTHONPATH": str(Path(cconv.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"cconv info: CCONV_ISA must be .*, got 'foo'\n", done.stderr)


def test_the_console_script_is_main():
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.scripts]\ncconv = "cconv.cli:main"' in text


def test_version_and_help(capsys):
    for argument, part in [("--version", cconv.__version__), ("--help", "train"), ("-h", "predict")]:
        with pytest.raises(SystemExit) as end:
            cli.main([argument])
        assert end.value.code == 0
        assert part in capsys.readouterr().out


# LeNet-5


def test_lenet5_is_the_same_network_on_mnist():
    for shape in ((32, 32, 1), (28, 28, 1)):
        model = LeNet5(shape, seed=0)
        assert model.count_params() == 61706
        assert model.predict(np.zeros((2, *shape), np.float32), verbose=0).shape == (2, 10)
