"""What the classifier and the regressor share: checks of parameters and data, and features."""

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from cconv import threads
from cconv.arguments.control import controlled
from cconv.callbacks import Callback
from cconv.estimators import data, networks
from cconv.estimators.nested import OPTIMIZERS, NestedParameters
from cconv.layers import Layer
from cconv.models import Model
from cconv.optimizers import Optimizer
from cconv.schedules import Schedule


class ConvolutionalEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NestedParameters):
    """Base of `CNNClassifier` and `CNNRegressor`: checks of their inputs, and outputs of their network."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "layers": [StrOptions(set(networks.NETWORKS)), list, tuple, Model, callable],
        "input_shape": [tuple, list, None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), Optimizer],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), Schedule],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "augment": [Layer, list, tuple, None],
        "dtype": [StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64})],
        "n_threads": [Interval(Integral, 1, threads.MOST, closed="both"), None],
        "random_state": ["random_state", np.random.Generator],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "callbacks": [Callback, list, tuple, None],
        "data_format": [StrOptions({"channels_last", "channels_first"}), None],
    }

    input_shape_: data.Shape

    # Set by subclasses.
    _activation: str  # of the last layer
    _loss: str
    _score_name: str  # the score's name in the figures of an epoch

    # --- data ---------------------------------------------------------------------------------

    def _float(self) -> np.dtype:
        return np.dtype(self.dtype)

    @property
    def _data_format(self) -> str:
        return data.format_of(self.data_format, self.layers)

    def _accepted(self) -> list[Any]:
        """Return the dtypes that X may have; others are converted to the first."""
        kind = self._float().type
        return [kind, np.float64 if kind is np.float32 else np.float32, np.uint8]

    def _check_fit_data(self, X: Any, y: Any, first: bool, **checks: Any) -> tuple[np.ndarray, Any]:
        """Return rows and targets after scikit-learn's checks; store the images' shape if `first`."""
        where, layout = type(self).__name__, self._data_format
        rows, found = data.image_rows(where, X, layout)
        declared = data.given_shape(where, self.input_shape, layout) or data.shape_of_model(self.layers)
        if not first and declared not in (None, self.input_shape_):
            raise ValueError(
                f"{where}: input_shape must stay as it was when the network was made, {self.input_shape_}, "
                f"got {declared}: fit a clone, or with warm_start=False"
            )
        targets = data.readable(where, "y", y)
        x, y = validate_data(self, rows, targets, dtype=self._accepted(), reset=first, **checks)
        data.check_range(where, x, self._float())
        known = declared if first else self.input_shape_
        shape = data.image_shape(where, known, found, x.shape[1], layout)
        if first:
            if self.data_format is None and layout == "channels_last":
                data.warn_of_channels_first(where, found)
            self.input_shape_ = shape
        return x, y

    def _images(self, X: Any) -> np.ndarray:
        """Return X as images for the model."""
        check_is_fitted(self, "model_")
        where, layout = type(self).__name__, self._data_format
        rows, found = data.image_rows(where, X, layout)
        if found is not None:  # before scikit-learn counts the features of its rows
            data.image_shape(where, self.input_shape_, found, rows.shape[1], layout, len(rows))
        x = validate_data(self, rows, dtype=self._accepted(), reset=False)
        return data.seen(x, data.image_shape(where, self.input_shape_, found, x.shape[1], layout))

    def _finite(self, outputs: np.ndarray) -> np.ndarray:
        if not np.isfinite(outputs).all():
            raise ValueError(
                f"{type(self).__name__}: the network's output is not finite: X holds values that are too "
                "large, or the last training diverged"
            )
        return outputs

    # --- use ----------------------------------------------------------------------------------

    def _predict(self, X: Any, activation: str | None = None) -> np.ndarray:
        """Return the network's outputs, optionally with another activation at its end."""
        images = self._images(X)
        with threads.limit(self.n_threads):
            model = self.model_ if activation is None else networks.with_activation(self.model_, activation)
            return self._finite(model.predict(images, verbose=0))

    @controlled
    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the input of the last dense layer for each image: learned features.

        Parameters
        ----------
        X : array of shape (n, h, w, c), (n, h, w) or (n, features)
            As for `fit`.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            With the estimator's `dtype`.
        """
        images = self._images(X)
        with threads.limit(self.n_threads):
            return self._finite(networks.features(self.model_, images))

    def __getstate__(self) -> dict[str, Any]:
        # Plain data, so that formats that do not trust code can hold it; the last batch is left out.
        state = super().__getstate__()
        return {**state, "model_": networks.plain(self.model_)} if "model_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "model_" in state:
            state = {**state, "model_": networks.from_plain(state["model_"])}
        super().__setstate__(state)

    @property
    def _n_features_out(self) -> int:
        return networks.n_features_out(self.model_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []  # features have the estimator's dtype
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")
