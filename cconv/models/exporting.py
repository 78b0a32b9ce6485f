"""Models as files for other inference programs."""

import os
from collections.abc import Mapping
from typing import Any

from numpy.typing import DTypeLike

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.arguments.paths import as_path
from cconv.models.doors import EXPORTS, door


class Exporting:
    """The part of a `Model` that exports it."""

    where: Any  # a property of `Network`

    @controlled
    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "onnx",
        verbose: bool | None = None,
        input_signature: None = None,
        *,
        data_format: str | None = None,
        dtype: DTypeLike | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write the model for inference as an ONNX file; see `cconv.io.onnx.save`.

        onnxruntime, OpenVINO and many other programs run it. Training is not exported; `save` writes all.

        Parameters
        ----------
        filepath : path
            Path of the file, ``"….onnx"``.
        format : {"onnx"}
            Keras' other formats, which are those of TensorFlow, are not supported.
        verbose : bool, optional
            True: one line says what was written.
        input_signature : None
            Not supported: the batch may have any size, all other sizes are the model's.
        data_format : {"channels_last", "channels_first"}, optional
            Layout of the exported model's images; by default the model's.
        dtype : dtype, optional
            float32 or float64, of weights and inputs; by default the model's.
        metadata : dict of str to str, optional
            Additional entries of the file, beside the graph.

        Raises
        ------
        ImportError
            Without the package onnx: ``pip install "cconv[onnx]"``.
        OSError
            When the file cannot be written; an existing one is unchanged.
        TypeError, ValueError
            For a layer that ONNX cannot express, or a model that is not built or too large.
        """
        where = f"{self.where}.export"
        arguments.one_of(where, "format", format, ("onnx",))
        if input_signature is not None:
            raise ValueError(f"{where}: input_signature must be None, got {input_signature!r}")
        talks = verbose is not None and arguments.flag(where, "verbose", verbose)
        as_path(where, "filepath", filepath)
        writer = door(filepath, EXPORTS)
        if writer is None:
            raise ValueError(f"{where}: filepath must end in .onnx, got {os.fspath(filepath)!r}")
        writer.save(self, filepath, data_format=data_format, dtype=dtype, metadata=metadata)
        if talks:
            print(f"Saved the model as ONNX in {os.fspath(filepath)}")
