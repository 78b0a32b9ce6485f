"""Endings of file names that belong to other formats: a model with such a name would be taken for one."""

import os
from pathlib import PurePath

_KINDS = {
    "ONNX": ".onnx .ort",
    "HDF5": ".h5 .hdf5 .hdf .he5 .h5ad",
    "Keras": ".keras",
    "PyTorch": ".pt .pth .pt2 .ptl .pte .torch .torchscript",
    "checkpoint": ".ckpt",
    "TensorFlow": ".pb .pbtxt .tf .savedmodel .tfrecord .tfrecords",
    "TensorFlow Lite": ".tflite .lite",
    "NumPy": ".npy .npz",
    "pickle": ".pkl .pickle .joblib .dill .cloudpickle",
    "skops": ".skops",
    "Core ML": ".mlmodel .mlpackage .mlmodelc",
    "GGUF": ".gguf .ggml",
    "Caffe": ".caffemodel .prototxt",
    "Paddle": ".pdmodel .pdparams .pdiparams .pdopt",
    "MXNet": ".params",
    "MessagePack": ".msgpack .flax",
    "OpenVINO or other XML": ".xml",
    "MATLAB": ".mat",
    "text": ".json .yaml .yml .toml .txt .csv .tsv .md .html .py .ipynb .log",
    "archive": ".zip .tar .gz .tgz .bz2 .xz .7z .zst .rar .whl",
    "picture": ".png .jpg .jpeg .gif .bmp .tif .tiff .webp .svg .pdf",
    "table": ".parquet .arrow .feather .zarr .nc .sqlite .db",
}
_READERS = {
    "ONNX": "cconv.io.onnx.load reads it",
    "PyTorch": "cconv.io.torch.load_state_dict reads weights",
    **dict.fromkeys(("Keras", "HDF5"), "cconv.load_model reads models of Keras"),
}
_VOWELS = ("ONNX", "HDF5", "MXNet", "OpenVINO", "archive")  # spoken with a vowel first: "an"
FOREIGN = {ending: kind for kind, endings in _KINDS.items() for ending in endings.split()}


KERAS = (".keras", ".h5", ".hdf5")  # `cconv.io.keras` writes these, and models save through it


def foreign_kind(path: str | os.PathLike[str]) -> str:
    """Return the format that usually has the ending of this name; "" if the ending is free.

    Examples
    --------
    >>> foreign_kind("model.H5"), foreign_kind("model.safetensors")
    ('HDF5', '')
    """
    return FOREIGN.get(PurePath(path).suffix.rstrip(" ").lower(), "")


def _called(kind: str) -> str:
    return f"{'an' if kind.startswith(_VOWELS) else 'a'} {kind}"


def check_ending(where: str, path: str | os.PathLike[str], but: tuple[str, ...] = ()) -> None:
    """Refuse a name whose ending promises a format that cconv does not write; `but` lists allowed endings.

    Raises
    ------
    ValueError
        If the ending is refused; the message says what to use instead.
    """
    kind = foreign_kind(path)
    if kind and not str(path).lower().endswith(but):
        pure = PurePath(path)
        instead = repr(str(pure.with_suffix(".safetensors")))
        if kind == "ONNX":
            instead += ", or model.export"
        raise ValueError(
            f"{where}: {str(pure)!r} ends as {_called(kind)} file does, and cconv writes safetensors: "
            f"use {instead}"
        )


def hint(path: str | os.PathLike[str]) -> str:
    """Return what a file is by the ending of its name, and what reads it; "" if that says nothing."""
    kind = foreign_kind(path)
    what = _READERS.get(kind, "load reads what Sequential.save wrote")
    return f"by its name it is {_called(kind)} file; {what}" if kind else ""
