"""What the classifier and the regressor share: checks of parameters and data, training, features."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Interval, InvalidParameterError, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from cconv import losses, optimizers, threads
from cconv.arguments.control import controlled
from cconv.callbacks import Callback, flat
from cconv.estimators import data, networks
from cconv.estimators.data import Samples
from cconv.estimators.watch import Watch, known_first
from cconv.layers import Layer
from cconv.models import Sequential
from cconv.optimizers import Optimizer
from cconv.schedules import Schedule

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw")


class ConvolutionalEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of `CNNClassifier` and `CNNRegressor`, which give it constructor, targets and scores."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "layers": [StrOptions(set(networks.NETWORKS)), list, tuple, callable],
        "input_shape": [tuple, list, None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), Optimizer],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), Schedule],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
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

    # What a subclass says.
    _activation: str  # of the last layer
    _loss: str

    def _learn_targets(self, y: np.ndarray) -> None:
        """Know from all targets of a first fit what classes there are."""

    def _targets(self, y: np.ndarray) -> np.ndarray:
        """Return the targets as numbers."""
        raise NotImplementedError

    def _outputs(self) -> int:
        """Return the number of units of the last layer."""
        raise NotImplementedError

    def _weighted(self, samples: Samples) -> Samples:
        """Return the samples with their final weights."""
        return samples

    def _validation_score(self, samples: Samples) -> float:
        """Return the score of the model on samples set apart."""
        raise NotImplementedError

    # --- data ---------------------------------------------------------------------------------

    def _float(self) -> np.dtype:
        return np.dtype(self.dtype)

    @property
    def _data_format(self) -> str:
        return data.format_of(self.data_format, self.layers)

    def _accepted(self) -> list[Any]:
        """Return the dtypes that X may have; the first is what all others become."""
        kind = self._float().type
        return [kind, np.float64 if kind is np.float32 else np.float32, np.uint8]

    def _check_fit_data(self, X: Any, y: Any, first: bool, **checks: Any) -> tuple[np.ndarray, Any]:
        """Return rows and targets as scikit-learn checks them; know the images' shape if `first`."""
        where, layout = type(self).__name__, self._data_format
        rows, found = data.image_rows(where, X, layout)
        declared = data.given_shape(where, self.input_shape, layout)
        targets = data.readable(where, "y", y)
        x, y = validate_data(self, rows, targets, dtype=self._accepted(), reset=first, **checks)
        known = declared if first else self.input_shape_
        shape = data.image_shape(where, known, found, x.shape[1], layout)
        if first:
            if self.data_format is None and layout == "channels_last":
                data.warn_of_channels_first(where, found)
            self.input_shape_ = shape
        return x, y

    def _images(self, X: Any) -> np.ndarray:
        """Return X as images that the model takes."""
        check_is_fitted(self, "model_")
        where, layout = type(self).__name__, self._data_format
        rows, found = data.image_rows(where, X, layout)
        x = validate_data(self, rows, dtype=self._accepted(), reset=False)
        return data.seen(x, data.image_shape(where, self.input_shape_, found, x.shape[1], layout))

    def _finite(self, outputs: np.ndarray) -> np.ndarray:
        if not np.isfinite(outputs).all():
            raise ValueError(
                f"{type(self).__name__}: X holds values too large for the network: its output is not finite"
            )
        return outputs

    # --- training -----------------------------------------------------------------------------

    def _check_lists(self) -> None:
        """Look into the parameters that scikit-learn's constraints only know as lists."""
        for callback in flat(self.callbacks):
            if not isinstance(callback, Callback):
                raise InvalidParameterError(
                    f"The 'callbacks' parameter of {type(self).__name__} must be made of "
                    f"cconv.callbacks.Callback objects. Got {callback!r} instead."
                )

    def _optimizer(self) -> Optimizer:
        if isinstance(self.optimizer, Optimizer):
            return self.optimizer.from_config(self.optimizer.get_config())
        config = {"learning_rate": self.learning_rate}
        return optimizers.get({"class_name": self.optimizer, "config": config})

    def _new_model(self, x: np.ndarray) -> None:
        """Make the network for images like these."""
        scaled = x.dtype == np.uint8
        self.model_: Sequential = networks.network(
            type(self).__name__,
            self.layers,
            self.input_shape_,
            self._outputs(),
            activation=self._activation,
            scaled=scaled,
            rms=data.root_mean_square(x) / (255 if scaled else 1),
            augment=self.augment,
            alpha=self.alpha,
            seed=data.draw_seed(self.random_state),
            dtype=self._float(),
            data_format=self._data_format,
        )
        self.loss_curve_: list[float] = []
        self.history_: dict[str, list[float]] = {}
        self.validation_scores_: list[float] | None = None
        self.best_validation_score_: float | None = None
        self.n_iter_: int = 0

    def _fit(self, X: Any, y: Any, sample_weight: Any, **checks: Any) -> Self:
        """Train on all of the data, for `max_epochs` or until there is no more progress."""
        first = not (self.warm_start and hasattr(self, "model_"))
        self._check_lists()
        x, y = self._check_fit_data(X, y, first, **checks)
        weight = data.sample_weights(type(self).__name__, sample_weight, x)
        given = data.without_zeros(Samples(x, np.asarray(y), weight))
        if first:
            self._learn_targets(given.y)
        weighted = self._weighted(given._replace(y=self._targets(given.y)))
        samples = data.without_zeros(weighted)
        if not len(samples.x):
            raise ValueError("class_weight must leave weight to some of the samples, got zeros for all")
        train, apart = self._set_apart(samples)
        whole = len(train.x) <= self.batch_size
        if whole:
            train = data.merged(train, self._float())
        train = self._learnable(train, first)
        with threads.limit(self.n_threads):
            if first:
                self._new_model(train.x)
            if self.early_stopping and self.validation_scores_ is None:
                self.validation_scores_ = []
            watch = Watch(
                (lambda: self._validation_score(apart)) if apart is not None else None,
                tol=self.tol,
                patience=self.n_iter_no_change,
            )
            self.model_.compile(self._optimizer(), losses.get(self._loss))
            self._train(
                train._replace(weight=data.with_mean_one(train.weight)), self.max_epochs, not whole, watch
            )
        if apart is not None and self.validation_scores_ is not None:
            self.validation_scores_ += watch.scores
            self.best_validation_score_ = max(self.validation_scores_, key=known_first)
        return self

    def _learnable(self, samples: Samples, first: bool) -> Samples:
        """Return the samples with targets on the scale that the network learns."""
        return samples

    def _set_apart(self, samples: Samples) -> tuple[Samples, Samples | None]:
        """Return the samples to train on and, with early stopping, those to validate on."""
        if not self.early_stopping:
            return samples, None
        train, apart = train_test_split(
            np.arange(len(samples.x)),
            test_size=self.validation_fraction,
            random_state=data.draw_seed(self.random_state),
            stratify=samples.y if self._activation == "softmax" else None,
        )
        return samples.take(np.sort(train)), samples.take(np.sort(apart))

    def _train(self, samples: Samples, epochs: int, shuffle: bool, *watching: Callback) -> None:
        """Run so many epochs of the compiled model, and note how the loss went."""
        history = self.model_.fit(
            data.seen(samples.x, self.input_shape_),
            samples.y,
            batch_size=self.batch_size,
            epochs=epochs,
            verbose=min(int(self.verbose), 2),
            callbacks=[*watching, *flat(self.callbacks)],
            shuffle=shuffle,
            sample_weight=samples.weight,
        ).history
        for name, values in history.items():
            self.history_.setdefault(name, []).extend(values)
        self.loss_curve_ += history["loss"]
        self.n_iter_ = len(self.loss_curve_)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, first: bool, **checks: Any) -> Self:
        """Pass over these data once."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._check_lists()
        x, y = self._check_fit_data(X, y, first, **checks)
        weight = data.sample_weights(type(self).__name__, sample_weight, x)
        targets = self._targets(np.asarray(y))
        weighted = self._weighted(Samples(x, targets, weight))
        kept = data.without_zeros(weighted)
        learns = len(kept.x) > 0  # a piece may be all of classes whose weight is 0
        samples = self._learnable(kept if learns else weighted, first)
        with threads.limit(self.n_threads):
            if first:
                self._new_model(samples.x)
                self.model_.compile(self._optimizer(), losses.get(self._loss))
            if learns:
                self._train(samples, 1, True)
        return self

    # --- use ----------------------------------------------------------------------------------

    def _predict(self, X: Any, activation: str | None = None) -> np.ndarray:
        """Return the network's outputs, or with another activation at its end."""
        images = self._images(X)
        with threads.limit(self.n_threads):
            model = self.model_ if activation is None else networks.with_activation(self.model_, activation)
            return self._finite(model.predict(images, verbose=0))

    @controlled
    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return what the last dense layer sees of each image: learned features.

        Parameters
        ----------
        X : array of shape (n, h, w, c), (n, h, w) or (n, features)
            As for `fit`.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            Of the estimator's `dtype`.
        """
        images = self._images(X)
        with threads.limit(self.n_threads):
            return self._finite(networks.features(self.model_, images))

    def __getstate__(self) -> dict[str, Any]:
        # Plain data, so that formats that trust no code can hold it, and no memory of the last batch.
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
        tags.transformer_tags.preserves_dtype = []  # features are of the estimator's dtype
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")
