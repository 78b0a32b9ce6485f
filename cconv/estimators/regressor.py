"""A convolutional network as a scikit-learn regressor."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import check_array

from cconv.arguments.control import controlled
from cconv.callbacks import Callback
from cconv.estimators import data, trained
from cconv.estimators.data import RandomState, Samples
from cconv.estimators.figures import PerSample, explained
from cconv.estimators.networks import Layers
from cconv.estimators.trained import AroundModels
from cconv.estimators.training import Held
from cconv.layers import Layer, Rescaling
from cconv.models import Model, Sequential
from cconv.optimizers import Optimizer
from cconv.schedules import Schedule


class CNNRegressor(RegressorMixin, AroundModels):
    """A convolutional network that predicts one or several numbers for images, or rows of numbers.

    The network is trained on the mean squared error of targets scaled to mean 0 and variance 1; predictions
    are scaled back. The same `random_state` gives the same bits on any number of threads.

    Parameters
    ----------
    layers : str, list of cconv layers, Sequential, Model, or callable
        The network. ``"lenet"`` adapts to any image size (see `cconv.estimators.networks.lenet`);
        ``"resnet20"``, ``"lenet5"``, ``"mobilenet_v2"`` and so on are those of `cconv.applications`, each
        with a minimum image size, with inputs scaled as the network expects. Layers, also those of a model,
        are copied, never changed; if they do not end in a dense layer with the right number of linear
        outputs, a `Flatten`, if needed, and such a layer are added. A function is called with ``(input_shape,
        n_outputs)``, the shape being ``(h, w, c)``, and returns a model, whose layers are copied too, but not
        its weights; `from_model` keeps weights.
    input_shape : tuple of int, optional
        ``(h, w)`` or ``(h, w, c)`` of the images in flat rows; ``(c, h, w)`` if channels_first. Without it a
        row of a flat X is an image one pixel high.
    optimizer : str or Optimizer
        ``"adam"``, ``"adamw"``, ``"adamax"``, ``"nadam"``, ``"lion"``, ``"sgd"``, ``"momentum"``,
        ``"nesterov"``, ``"adagrad"``, ``"adadelta"`` or ``"rmsprop"`` with `learning_rate`; or a
        `cconv.optimizers` object with its own learning rate, of which a fresh copy is used.
    learning_rate : float or Schedule
        Step size.
    max_epochs : int
        Number of passes over the training data.
    batch_size : int
        Samples per step. If all data fit into one batch, training uses full batches: then a sample with
        weight 2 and a sample that occurs twice give the same bits, and the order of the samples does not
        matter.
    alpha : float
        Adds ``alpha / 2 · Σw²`` to the loss, over all kernels without their own penalty.
    early_stopping : bool
        Set `validation_fraction` of the samples aside, stop when their score stops improving, and restore the
        weights of the best epoch.
    validation_fraction : float
        In (0, 1); fraction of the samples.
    n_iter_no_change : int
        Stop after this number of epochs without progress: of the validation score with early stopping, else
        of the training loss.
    tol : float or None
        Changes up to this do not count as progress. With None training always lasts `max_epochs`, and there
        is no warning that these may have been too few.
    augment : layer or list of layers, optional
        Layers that change the images in training, such as `cconv.RandomTranslation`.
    dtype : {"float32", "float64"}
        The dtype of the network.
    n_threads : int, optional
        Threads of `fit` and `predict`; this overrides every other setting. By default
        `cconv.get_num_threads`, which follows the limits of joblib and threadpoolctl. Results do not depend
        on it.
    random_state : int, RandomState, Generator or None
        Fixes initial weights, the order of the samples, augmentation and the validation split.
    warm_start : bool
        Continue `fit` with the weights of the previous one (the optimizer starts anew).
    verbose : bool or int
        0 is silent, 1 shows a progress bar, 2 prints a line per epoch.
    callbacks : Callback or list of Callback, optional
        See `cconv.callbacks`.
    data_format : {"channels_last", "channels_first"}, optional
        Whether X is ``(n, h, w, c)`` or ``(n, c, h, w)``; it also applies to flat rows and `input_shape`. By
        default the format of the layers in `layers`, else channels_last, with a warning if the channels of X
        seem to come first.

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of shape () or (n_outputs,)
        Mean and standard deviation of y: predictions are multiplied by the scale, then the mean is added.
    n_features_in_ : int
        Number of pixels times channels.
    feature_names_in_ : ndarray of str
        Only if X was a frame with column names.
    input_shape_ : tuple of int
        ``(h, w, c)``, or ``(c, h, w)`` if channels_first.
    model_ : Sequential or Model
        The trained network. For uint8 images it begins with ``Rescaling(1 / 255)``.
    history_ : dict of str to list of float
        The figures of each epoch: ``loss`` and ``r2`` on the training data are means over the epoch during
        training; with `early_stopping` or `X_val`, ``val_loss`` and ``val_r2`` are computed after it.
        Callbacks see them too. Figures that an epoch lacks (after a change of settings with `warm_start`) are
        NaN.
    loss_curve_ : list of float
        Mean loss of each epoch on the training data.
    loss_ : float
        The last entry of `loss_curve_`.
    best_loss_ : float or None
        The smallest entry of `loss_curve_`; None with early stopping.
    validation_scores_ : list of float or None
        With early stopping or `X_val`, the R² after each epoch.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Number of epochs, including earlier fits with `warm_start` and `partial_fit`.
    t_ : int
        Number of training samples seen, ``n_iter_`` times their number.

    Examples
    --------
    The brightness of images:

    >>> import numpy as np
    >>> from cconv import CNNRegressor
    >>> images = np.random.default_rng(0).random((300, 8, 8)) * np.linspace(0, 1, 300)[:, None, None]
    >>> CNNRegressor(tol=None, random_state=0).fit(images, images.mean(axis=(1, 2))).score(
    ...     images, images.mean(axis=(1, 2))
    ... ) > 0.9
    True
    """

    target_mean_: np.ndarray
    target_scale_: np.ndarray

    _activation = "linear"
    _loss = "mean_squared_error"
    _score_name = "r2"

    def __init__(
        self,
        layers: Layers = "lenet",
        input_shape: Sequence[int] | None = None,
        *,
        optimizer: str | Optimizer = "adam",
        learning_rate: float | Schedule = 1e-3,
        max_epochs: int = 20,
        batch_size: int = 128,
        alpha: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float | None = 1e-4,
        augment: Layer | Sequence[Layer] | None = None,
        dtype: str | type[np.floating] = "float32",
        n_threads: int | None = None,
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: Callback | Sequence[Callback] | None = None,
        data_format: str | None = None,
    ) -> None:
        self.layers = layers
        self.input_shape = input_shape
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.alpha = alpha
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.augment = augment
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks
        self.data_format = data_format

    @classmethod
    @controlled
    def from_model(cls, model: Model, **parameters: Any) -> Self:
        """Return a fitted regressor with a trained model.

        The model is copied with its weights, and gets X as its own ``predict`` would: bytes are not divided
        by 255, and its outputs are the predictions. ``partial_fit``, and ``fit`` with ``warm_start=True``,
        continue with its weights; otherwise, and in clones, ``fit`` trains the same network anew.

        Parameters
        ----------
        model : Sequential or Model
            Built, with one input and one output.
        **parameters
            Parameters of the regressor, except `layers`, which is the model.

        Returns
        -------
        CNNRegressor
            Fitted.

        Raises
        ------
        TypeError, ValueError
            When model or parameters do not fit together.

        Examples
        --------
        >>> from cconv.applications import ResNet20
        >>> model = ResNet20(input_shape=(8, 8, 1), classes=2, classifier_activation=None, seed=0)
        >>> CNNRegressor.from_model(model).predict(np.zeros((5, 8, 8, 1))).shape
        (5, 2)
        """
        made, where = cls._around(model, parameters), f"{cls.__name__}.from_model"
        outputs = model.output_shape[1:] if model.output_shape[1] > 1 else ()
        made.target_mean_, made.target_scale_ = np.zeros(outputs), np.ones(outputs)
        return made._take(trained.copied(where, model))

    @_fit_context(prefer_skip_nested_validation=True)
    @controlled
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train a network; a new one unless `warm_start` is set.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Images, or rows of pixels; also lists, frames and memory-mapped files. uint8 is divided by 255 in
            the network and stays uint8 in memory; other dtypes are not scaled.
        y : array of shape (n,) or (n, n_outputs)
            Targets.
        sample_weight : array of shape (n,), optional
            Weights of the samples in the loss, at least 0. Samples of weight 0 are ignored.
        X_val, y_val, sample_weight_val : arrays, optional
            Validation samples, evaluated after every epoch, as X, y and sample_weight. `early_stopping` then
            uses them, and no training samples are set aside.

        Returns
        -------
        CNNRegressor
            The regressor itself.

        Raises
        ------
        InvalidParameterError
            For an invalid parameter; it is a TypeError and a ValueError.
        TypeError, ValueError
            For invalid data.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            When `max_epochs` ended the training before `tol` and `n_iter_no_change` did.
        """
        return self._fit(
            X, y, sample_weight, Held(X_val, y_val, sample_weight_val), multi_output=True, y_numeric=True
        )

    @_fit_context(prefer_skip_nested_validation=True)
    @controlled
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Make one pass over these data, in batches, for data that come in pieces.

        The first piece determines mean and scale of the targets.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Images, or rows of pixels; also lists, frames and memory-mapped files. uint8 is divided by 255 in
            the network and stays uint8 in memory; other dtypes are not scaled.
        y : array of shape (n,) or (n, n_outputs)
            Targets.
        sample_weight : array of shape (n,), optional
            Factors of the samples' losses; they are not divided by their mean.

        Returns
        -------
        CNNRegressor
            The regressor itself.
        """
        first = not hasattr(self, "model_")
        return self._partial_fit(X, y, sample_weight, first, multi_output=True, y_numeric=True)

    @controlled
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return float64 predictions, with the shape of y: (n,) or (n, n_outputs).

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers of any dtype, scaled as those given to `fit`.
        """
        outputs = self._predict(X)
        with np.errstate(over="ignore"):
            return self._finite(
                outputs.reshape(len(outputs), *self.target_mean_.shape) * self.target_scale_
                + self.target_mean_
            )

    @controlled
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R² of the predictions, `sklearn.metrics.r2_score`.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers of any dtype, scaled as those given to `fit`.
        y : array of shape (n,) or (n, n_outputs)
            Targets of any size, even if their squares exceed float64.
        sample_weight : array of shape (n,), optional
            Weights of the samples.
        """
        found = self.predict(X)
        true = check_array(data.readable(type(self).__name__, "y", y), ensure_2d=False, dtype=np.float64)
        top = -data.exponents(true)
        return float(r2_score(np.ldexp(true, top), np.ldexp(found, top), sample_weight=sample_weight))

    def _written(self) -> tuple[Model, list[object] | None]:
        scale, mean = (np.ravel(part).tolist() for part in (self.target_scale_, self.target_mean_))
        layout = self.model_.data_format
        whole = Sequential([self.model_, Rescaling(scale, mean)], dtype=self._float(), data_format=layout)
        whole.build(self.model_.input_shape)
        return whole, None

    def _outputs(self) -> int:
        return max(self.target_mean_.size, 1)

    def _targets(self, y: np.ndarray) -> np.ndarray:
        return y.astype(np.float64)

    def _learnable(self, samples: Samples, first: bool) -> Samples:
        top = data.exponents(samples.y)
        small = np.ldexp(samples.y, -top)
        if first:
            mean = np.average(small, axis=0, weights=samples.weight)
            spread = np.average(np.square(small - mean), axis=0, weights=samples.weight)
            scale = np.where(spread > 0, np.sqrt(spread), np.ldexp(1.0, -top))
            self.target_mean_, self.target_scale_ = (np.ldexp(part, top) for part in (mean, scale))
        elif samples.y.shape[1:] != self.target_mean_.shape:
            expected = ", ".join(["n", *map(str, self.target_mean_.shape)])
            raise ValueError(f"y must have shape ({expected}) as in the first fit, got {samples.y.shape}")
        scaled = self._scaled(samples.y)
        return samples._replace(y=scaled.reshape(len(scaled), -1))

    def _scaled(self, y: np.ndarray) -> np.ndarray:
        """Return the network's targets: y minus the mean, divided by the scale."""
        top = -data.exponents(np.stack([np.abs(y).max(axis=0), np.abs(self.target_mean_)]))
        scale = np.ldexp(self.target_scale_, top)
        return (np.ldexp(y, top) - np.ldexp(self.target_mean_, top)) / scale

    def _per_sample(self, samples: Samples) -> PerSample:
        return explained(samples.y, samples.weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
