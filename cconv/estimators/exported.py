"""Fitted estimators as files of ONNX."""

import json
import os

from sklearn.utils.validation import check_is_fitted

from cconv.arguments.control import controlled
from cconv.models import Model


class Exported:
    """The part of `CNNClassifier` and `CNNRegressor` that writes them for others."""

    model_: Model

    def _written(self) -> tuple[Model, list[object] | None]:
        """Return the model whose outputs are those of the estimator, and the labels if they are classes."""
        raise NotImplementedError

    @controlled
    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted network as a file of ONNX, which onnxruntime and many other programs run.

        It takes images of the shape and scale of those given to `fit`, as numbers of the estimator's `dtype`,
        any number at a time, and gives what a classifier's `predict_proba` gives, or a regressor's `predict`,
        (n, outputs). The labels of the columns are in the file's metadata, as JSON under ``"classes"``.

        Parameters
        ----------
        path : path
            Of the file, ``"….onnx"``.

        Raises
        ------
        ImportError
            Without the package onnx: ``pip install "cconv[onnx]"``.
        OSError
            When the file cannot be written; one that was there is untouched.
        """
        check_is_fitted(self, "model_")
        model, labels = self._written()
        metadata = None if labels is None else {"classes": json.dumps(labels, ensure_ascii=False)}
        model.export(path, metadata=metadata)
