"""The training of the classifier and the regressor, and their records of it."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import InvalidParameterError

from cconv import losses, threads
from cconv.arguments.parameters import copied
from cconv.callbacks import Callback, ProgressBar, flat
from cconv.estimators import data, figures, networks
from cconv.estimators.base import ConvolutionalEstimator
from cconv.estimators.data import Samples
from cconv.estimators.figures import PerSample
from cconv.estimators.nested import named_optimizer
from cconv.estimators.watch import Told, Watch
from cconv.optimizers import Optimizer


class Held(NamedTuple):
    """The validation samples given to `fit`; all None without any."""

    X: Any
    y: Any
    sample_weight: Any


class TrainedEstimator(ConvolutionalEstimator):
    """Base of `CNNClassifier` and `CNNRegressor`, which add constructor, targets and scores."""

    def _learn_targets(self, y: np.ndarray) -> None:
        """Learn from all targets of a first fit which classes there are."""

    def _targets(self, y: np.ndarray) -> np.ndarray:
        """Return the targets as numbers."""
        raise NotImplementedError

    def _outputs(self) -> int:
        """Return the number of units of the last layer."""
        raise NotImplementedError

    def _weighted(self, samples: Samples) -> Samples:
        """Return the samples with their final weights."""
        return samples

    def _learnable(self, samples: Samples, first: bool) -> Samples:
        """Return the samples with targets scaled for the network."""
        return samples

    def _per_sample(self, samples: Samples) -> PerSample:
        """Return a function whose numbers have the score of outputs for these samples as mean."""
        raise NotImplementedError

    # --- data ---------------------------------------------------------------------------------

    def _check_lists(self) -> None:
        """Check list parameters in more detail than scikit-learn's constraints do."""
        for callback in flat(self.callbacks):
            if not isinstance(callback, Callback):
                raise InvalidParameterError(
                    f"The 'callbacks' parameter of {type(self).__name__} must be made of "
                    f"cconv.callbacks.Callback objects. Got {callback!r} instead."
                )

    def _samples(self, x: np.ndarray, y: Any, sample_weight: Any) -> Samples:
        """Return checked data without samples of weight 0; targets are unchanged."""
        weight = data.sample_weights(type(self).__name__, sample_weight, x)
        return data.without_zeros(Samples(x, np.asarray(y), weight))

    def _held(self, held: Held, **checks: Any) -> Samples | None:
        """Return the validation samples given to `fit`."""
        where = type(self).__name__
        if held.X is None or held.y is None:
            if any(part is not None for part in held):
                raise ValueError(f"{where}: X_val and y_val must be given, both of them or none")
            return None
        try:
            samples = self._samples(
                *self._check_fit_data(held.X, held.y, False, **checks), held.sample_weight
            )
            return samples._replace(y=self._targets(samples.y))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{where}: X_val, y_val: {error}") from error

    def _set_apart(self, samples: Samples) -> tuple[Samples, Samples | None]:
        """Return the training samples and, with early stopping, the validation samples."""
        if not self.early_stopping:
            return samples, None
        train, apart = train_test_split(
            np.arange(len(samples.x)),
            test_size=self.validation_fraction,
            random_state=data.draw_seed(self.random_state),
            stratify=samples.y if self._activation == "softmax" else None,
        )
        if len(apart) < 2:
            raise ValueError(
                f"{type(self).__name__}: validation_fraction={self.validation_fraction} of {len(samples.x)} "
                "samples must leave 2 or more to validate on, got 1"
            )
        return samples.take(np.sort(train)), samples.take(np.sort(apart))

    # --- the model ----------------------------------------------------------------------------

    def _optimizer(self) -> Optimizer:
        if isinstance(self.optimizer, Optimizer):
            return copied(self.optimizer)
        return named_optimizer(self.optimizer, self.learning_rate)

    def _compile(self) -> None:
        """Compile the model with a new optimizer."""
        optimizer = self._optimizer()
        self._learns_by = networks.described(optimizer)
        self.model_.compile(optimizer, losses.get(self._loss))

    def _follow_optimizer(self) -> None:
        """Apply changed optimizer parameters, and keep the optimizer's state if its class is the same."""
        wanted = self._optimizer()
        if networks.described(wanted) == self._learns_by:
            return  # changes made by callbacks are kept
        if type(wanted) is not type(self.model_.optimizer):
            self._compile()
            return
        self._learns_by = networks.described(wanted)
        self.model_.optimizer.set_params(**wanted.get_params(deep=False))

    def _shaping(self) -> tuple[Any, ...]:
        return self.layers, self.augment, self.alpha, np.dtype(self.dtype).name

    def _check_network(self) -> None:
        """Refuse to continue training a network whose parameters have changed."""
        if networks.described(*self._shaping()) != self._network_of:
            raise ValueError(
                f"{type(self).__name__}: layers, augment, alpha and dtype must stay as they were when the "
                "network was made, in fit with warm_start=True and in partial_fit: "
                "fit a clone, or with warm_start=False"
            )

    def _new_model(self, x: np.ndarray) -> None:
        """Make the network for images like these."""
        scaled = x.dtype == np.uint8
        self.model_ = networks.network(
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
        self._begin()

    def _begin(self) -> None:
        """Reset the records of all epochs."""
        self._network_of = networks.described(*self._shaping())
        self.loss_curve_: list[float] = []
        self.history_: dict[str, list[float]] = {}
        self.validation_scores_: list[float] | None = None
        self.best_validation_score_: float | None = None
        self.n_iter_: int = 0
        self.t_: int = 0
        self._note_losses()

    # --- training -----------------------------------------------------------------------------

    @contextmanager
    def _as_it_was(self) -> Iterator[None]:
        """Leave the estimator as it was, where a first fit refuses its data.

        A network of before would answer in the classes, or for the shapes, of data it has not seen.
        """
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            if self.__dict__.get("model_") is before.get("model_"):
                self.__dict__.clear()
                self.__dict__.update(before)
            raise

    def _fit(self, X: Any, y: Any, sample_weight: Any, held: Held, **checks: Any) -> Self:
        """Train on all data, for `max_epochs` or until there is no more progress."""
        first = not (self.warm_start and hasattr(self, "model_"))
        with self._as_it_was() if first else nullcontext():
            self._check_lists()
            if not first:
                self._check_network()
            given = self._samples(*self._check_fit_data(X, y, first, **checks), sample_weight)
            if first:
                self._learn_targets(given.y)
            weighted = self._weighted(given._replace(y=self._targets(given.y)))
            samples = data.without_zeros(weighted)
            if not len(samples.x):
                raise ValueError("class_weight must leave weight to some of the samples, got zeros for all")
            apart = self._held(held, **checks)
            train, apart = self._set_apart(samples) if apart is None else (samples, apart)
            seen, whole = len(train.x), len(train.x) <= self.batch_size
            if whole:
                train = data.merged(train, self._float())
            train = self._learnable(train, first)
            with threads.limit(self.n_threads):
                if first:
                    self._new_model(train.x)
                watch = self._watch(apart)
                self._compile()
                train = train._replace(weight=data.with_mean_one(train.weight))
                self._train(train, self.max_epochs, seen, not whole, watch)
            if apart is not None:
                self.validation_scores_ = [*(self.validation_scores_ or []), *watch.scores]
                self.best_validation_score_ = max(self.validation_scores_, key=figures.known_first)
            if self.tol is not None and not self.model_.stop_training:
                self._warn_of_epochs()
            return self

    def _warn_of_epochs(self) -> None:
        followed = "validation score" if self.early_stopping else "training loss"
        warnings.warn(
            f"{type(self).__name__}: max_epochs={self.max_epochs} was reached before the {followed} had "
            f"{self.n_iter_no_change} epochs without an improvement by tol={self.tol}: allow more epochs, "
            "or pass tol=None to train for just so many",
            ConvergenceWarning,
            stacklevel=5,  # the user's call of fit
        )

    def _watch(self, apart: Samples | None) -> Watch:
        """Return the callback that observes the epochs of a fit."""
        validate = None
        if apart is not None:
            held = self._learnable(apart, False)
            images = held._replace(x=data.seen(held.x, self.input_shape_))
            validate = partial(figures.held_figures, self.model_, self._loss, images, self._per_sample(held))
        return Watch(
            validate,
            score=self._score_name,
            follow=self.early_stopping,
            tol=self.tol,
            patience=self.n_iter_no_change,
        )

    def _train(self, samples: Samples, epochs: int, seen: int, shuffle: bool, *watching: Callback) -> None:
        """Train the compiled model for some epochs, on samples that represent `seen`; record the figures."""
        weight = None if shuffle else samples.weight
        bar = [ProgressBar(lines=int(self.verbose) > 1)] if self.verbose else []
        told = Told()
        # Scores for callbacks only; `model_` itself is compiled without metrics.
        self.model_.metrics = [figures.Score(self._score_name, self._per_sample(samples), weight)]
        try:
            self.model_.fit(
                data.seen(samples.x, self.input_shape_),
                samples.y,
                batch_size=self.batch_size,
                epochs=epochs,
                verbose=0,
                callbacks=[*watching, told, *bar, *flat(self.callbacks)],
                shuffle=shuffle,
                sample_weight=samples.weight,
            )
        except KeyboardInterrupt:
            if not told.epochs:
                raise
            self._end_early(watching)
        finally:
            self.model_.metrics = []
        self._note(told.epochs, seen)

    def _end_early(self, watching: tuple[Callback, ...]) -> None:
        """After an interrupt by the user, keep the results so far, as scikit-learn's networks do."""
        for callback in watching:
            callback.on_train_end()
        self.model_.stop_training = True
        warnings.warn(f"{type(self).__name__}: training interrupted by the user", stacklevel=6)

    def _note(self, epochs: Sequence[Mapping[str, float]], seen: int) -> None:
        """Append the figures of new epochs."""
        self.history_ = figures.extended(self.history_, epochs, self.n_iter_)
        self.loss_curve_ += [epoch["loss"] for epoch in epochs]
        self.t_ += seen * len(epochs)
        self.n_iter_ = len(self.loss_curve_)
        self._note_losses()

    def _note_losses(self) -> None:
        """Set the last loss and the best one; NaN without epochs, which a callback may have prevented."""
        self.loss_: float = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        best = min(self.loss_curve_, default=math.nan)
        self.best_loss_: float | None = None if self.early_stopping else best

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, first: bool, **checks: Any) -> Self:
        """Make one pass over these data."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._check_lists()
        if not first:
            self._check_network()
        x, y = self._check_fit_data(X, y, first, **checks)
        weight = data.sample_weights(type(self).__name__, sample_weight, x)
        targets = self._targets(np.asarray(y))
        weighted = self._weighted(Samples(x, targets, weight))
        kept = data.without_zeros(weighted)
        learns = len(kept.x) > 0  # all classes in a piece may have weight 0
        samples = self._learnable(kept if learns else weighted, first)
        with threads.limit(self.n_threads):
            if first:
                self._new_model(samples.x)
                self._compile()
            else:
                self._follow_optimizer()
            if learns:
                self._train(samples, 1, len(samples.x), True)
        return self
