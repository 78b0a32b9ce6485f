"""What takes a path refuses what is none, by its own name and that of the argument."""

import importlib.util
import os
import re
from pathlib import PurePosixPath

import numpy as np
import pytest

import cconv
from cconv import callbacks, distributed, utils
from cconv.arguments.paths import as_path
from cconv.io import keras, torch
from cconv.models import load_model

MODEL = cconv.Sequential([cconv.Dense(2, input_shape=(3,))], seed=0)

# What is called, and how its errors begin.
TAKE_PATHS = {
    "Sequential.save: path": MODEL.save,
    "Sequential.save_weights: path": MODEL.save_weights,
    "Sequential.load_weights: path": MODEL.load_weights,
    "Sequential.save: path ": MODEL.freeze().save,
    f"{MODEL.where}.export: filepath": MODEL.export,
    "load_model: path": load_model,
    "keras.load: path": keras.load,
    "save_state_dict: path": lambda path: torch.save_state_dict(MODEL, path),
    "report: path": lambda path: cconv.report(MODEL, np.zeros((1, 3)), [[0, 0]], path),
    "BackupAndRestore: backup_dir": callbacks.BackupAndRestore,
    "ModelCheckpoint: filepath": callbacks.ModelCheckpoint,
    "CSVLogger: filename": callbacks.CSVLogger,
    "TensorBoard: log_dir": callbacks.TensorBoard,
    "image_dataset_from_directory: directory": utils.image_dataset_from_directory,
    "FolderImages: directory": utils.FolderImages,
    "save_img: path": lambda path: utils.save_img(path, np.zeros((4, 4, 1)), file_format="png"),
}
if importlib.util.find_spec("onnx"):
    from cconv.io import onnx

    TAKE_PATHS |= {
        "load: path": onnx.load,
        f"{MODEL.where}.export: path": lambda path: onnx.save(MODEL, path),
    }
# A number is the name of an open file to Python's `open`: what is written there is lost.
NO_PATHS = [None, 3, 2.5, True, b"file", ["file"], PurePosixPath]


@pytest.mark.parametrize("start", TAKE_PATHS)
def test_what_is_no_path_is_refused_by_name(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in NO_PATHS:
        told = re.escape(f"{start.strip()} must be text or a pathlib.Path, got {value!r}")
        with pytest.raises(TypeError, match=f"^{told}$"):
            TAKE_PATHS[start](value)
    with pytest.raises(ValueError, match=f"^{re.escape(start.strip())} must not be an empty path$"):
        TAKE_PATHS[start]("")
    assert not os.listdir(tmp_path)


class Named:
    """Names a file as `os.DirEntry` of a folder in bytes does."""

    def __init__(self, name):
        self.name = name

    def __fspath__(self):
        return self.name


def test_objects_that_name_a_file():
    assert as_path("f", "path", Named("a/b")) == "a/b"
    assert as_path("f", "path", "a/b") == "a/b"
    with pytest.raises(TypeError, match=r"^f: path must be text or a pathlib\.Path, got <"):
        as_path("f", "path", Named(b"a/b"))


def test_files_that_need_not_be_given():
    for value in NO_PATHS[1:]:
        with pytest.raises(TypeError, match=r"^plot_model: to_file must be text or a pathlib\.Path, got "):
            utils.plot_model(MODEL, to_file=value)
        with (
            pytest.raises(
                TypeError, match=r"^distributed\.workers: folder must be text or a pathlib\.Path, got "
            ),
            distributed.workers(folder=value),
        ):
            pass
