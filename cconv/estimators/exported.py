"""Fitted estimators as ONNX files."""

import json
import os

from sklearn.utils.validation import check_is_fitted

from cconv.arguments.control import controlled
from cconv.models import Model


class Exported:
    """The part of `CNNClassifier` and `CNNRegressor` that exports them."""

    model_: Model

    def _written(self) -> tuple[Model, list[object] | None]:
        """Return a model with the estimator's outputs, and the labels if they are classes."""
        raise NotImplementedError

    @controlled
    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted network as an ONNX file, which onnxruntime and many other programs run.

        The exported network takes any number of images, with the shape and scale of those given to `fit`, in
        the estimator's `dtype`. Its outputs (n, outputs) are those of a classifier's `predict_proba`, or of a
        regressor's `predict`. The labels of the columns are in the file's metadata, as JSON under
        ``"classes"``.

        Parameters
        ----------
        path : path
            The file, ``"….onnx"``.

        Raises
        ------
        ImportError
            Without the package onnx: ``pip install "cconv[onnx]"``.
        OSError
            When the file cannot be written; an existing one is unchanged.
        """
        check_is_fitted(self, "model_")
        model, labels = self._written()
        metadata = None if labels is None else {"classes": json.dumps(labels, ensure_ascii=False)}
        model.export(path, metadata=metadata)
