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
    """A convolutional network for images, or rows of numbers, and one or several numbers for each.

    The network learns the mean squared error of targets brought to mean 0 and variance 1, and
    predictions are brought back; the same bits for the same `random_state` on any number of threads.

    Parameters
    ----------
    layers : str, list of cconv layers, Sequential, Model, or callable
        The network. ``"lenet"`` fits itself to any image size (see `cconv.estimators.networks.lenet`);
        ``"resnet20"``, ``"lenet5"``, ``"mobilenet_v2"`` and so on are those of `cconv.applications`, each for
        images of its least size or more, with inputs scaled to what it expects.
        Layers, those of a model too, are copied, never changed; behind those that do not end in a
        dense layer with the right number of linear outputs come a `Flatten`, if needed, and that layer.
        A function is called with ``(input_shape, n_outputs)``, the shape being ``(h, w, c)``, and
        returns a model, of which likewise the layers are copied and not the weights; what keeps them is
        `from_model`.
    input_shape : tuple of int, optional
        ``(h, w)`` or ``(h, w, c)`` of the images in flat rows; ``(c, h, w)`` if channels_first. Without
        it a row of a flat X is an image one pixel high.
    optimizer : str or Optimizer
        ``"adam"``, ``"adamw"``, ``"adamax"``, ``"nadam"``, ``"lion"``, ``"sgd"``, ``"momentum"``,
        ``"nesterov"``, ``"adagrad"``, ``"adadelta"`` or ``"rmsprop"`` with `learning_rate`; or a
        `cconv.optimizers` object, of which a fresh copy is used with a learning rate of its own.
    learning_rate : float or Schedule
        Size of a step.
    max_epochs : int
        Passes over the training data.
    batch_size : int
        Samples a step. Data of no more than this are trained on in full batches: then a weight of
        two and a sample that comes twice are the same to the last bit, and the order of the samples
        does not matter.
    alpha : float
        Adds ``alpha / 2 · Σw²`` over all kernels that have no penalty of their own to the loss.
    early_stopping : bool
        Set `validation_fraction` of the samples apart, stop when their score has stopped improving,
        and restore the weights of the best epoch.
    validation_fraction : float
        In (0, 1); of the samples.
    n_iter_no_change : int
        Stop after so many epochs without progress: of the validation score with early stopping,
        else of the training loss.
    tol : float or None
        A change up to this is no progress. None trains for `max_epochs` in any case, and does not warn
        that they may have been too few.
    augment : layer or list of layers, optional
        What changes the images in training, such as `cconv.RandomTranslation`.
    dtype : {"float32", "float64"}
        What the network computes in.
    n_threads : int, optional
        Threads of `fit` and `predict`, stronger than every other setting. By default those of
        `cconv.get_num_threads`, which follows joblib's and threadpoolctl's limits. Results do not
        depend on it.
    random_state : int, RandomState, Generator or None
        Fixes initial weights, the order of the samples, augmentation and the validation split.
    warm_start : bool
        Let `fit` go on with the weights of the last one (the optimizer starts anew).
    verbose : bool or int
        0 is silent, 1 a progress bar, 2 a line an epoch.
    callbacks : Callback or list of Callback, optional
        See `cconv.callbacks`.
    data_format : {"channels_last", "channels_first"}, optional
        Whether X is ``(n, h, w, c)``, or ``(n, c, h, w)`` as elsewhere; also what flat rows and `input_shape`
        mean. By default that of the layers in `layers`, else channels_last, with a warning when X
        looks as if its channels came first.

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of shape () or (n_outputs,)
        What predictions are shifted and multiplied by: mean and standard deviation of y.
    n_features_in_ : int
        Pixels times channels.
    feature_names_in_ : ndarray of str
        Only when X was a frame with names.
    input_shape_ : tuple of int
        ``(h, w, c)``, or ``(c, h, w)`` if channels_first.
    model_ : Sequential or Model
        The trained network. For uint8 images it begins with ``Rescaling(1 / 255)``.
    history_ : dict of str to list of float
        The figures of each epoch: ``loss`` and ``r2`` on the training data, means over the epoch while
        it trained, and with `early_stopping` or `X_val` ``val_loss`` and ``val_r2`` after it. Callbacks
        hear of them too. A figure that an epoch does not have, before or after a `warm_start`, is NaN.
    loss_curve_ : list of float
        Mean loss of each epoch on the training data.
    loss_ : float
        The last of them.
    best_loss_ : float or None
        The smallest of them; None with early stopping.
    validation_scores_ : list of float or None
        With early stopping or `X_val`, the R² after each epoch.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Epochs, those of earlier fits included with `warm_start` and `partial_fit`.
    t_ : int
        Training samples seen, ``n_iter_`` times their number.

    Examples
    --------
    How bright an image is:

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
        """Return a regressor around a trained model, which predicts at once.

        The model is copied with its weights, and sees X as its own ``predict`` would: bytes are not divided,
        and its outputs are the predictions. ``partial_fit`` goes on from its weights, and so does ``fit``
        with ``warm_start=True``; else, and in clones, ``fit`` trains the same network anew.

        Parameters
        ----------
        model : Sequential or Model
            Built, of one input and one output.
        **parameters
            Of the regressor, but for `layers`, which is the model.

        Returns
        -------
        CNNRegressor
            Fitted.

        Raises
        ------
        TypeError, ValueError
            For a model or parameters that do not fit.

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
        """Train a network, a new one unless `warm_start`.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Images, or rows of pixels; lists, frames and memory-mapped files too. uint8 is divided
            by 255 on its way and stays bytes in memory; everything else is taken as it is.
        y : array of shape (n,) or (n, n_outputs)
            Targets.
        sample_weight : array of shape (n,), optional
            Weights of the samples in the loss, at least 0. A sample of weight 0 might as well not be there.
        X_val, y_val, sample_weight_val : arrays, optional
            Samples to validate on after every epoch, as X, y and sample_weight. With
            `early_stopping` they are what it follows, and no samples are set apart.

        Returns
        -------
        CNNRegressor
            The regressor itself.

        Raises
        ------
        InvalidParameterError
            For a parameter that is not what it must be; it is a TypeError and a ValueError.
        TypeError, ValueError
            For data that do not fit.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            When `max_epochs` were not enough by the rule of `tol` and `n_iter_no_change`.
        """
        return self._fit(
            X, y, sample_weight, Held(X_val, y_val, sample_weight_val), multi_output=True, y_numeric=True
        )

    @_fit_context(prefer_skip_nested_validation=True)
    @controlled
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Pass over these data once, in batches; for data that come in pieces.

        The first piece says what mean and scale the targets have.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Images, or rows of pixels; lists, frames and memory-mapped files too. uint8 is divided
            by 255 on its way and stays bytes in memory; everything else is taken as it is.
        y : array of shape (n,) or (n, n_outputs)
            Targets.
        sample_weight : array of shape (n,), optional
            Factors of the samples' losses, as they are.

        Returns
        -------
        CNNRegressor
            The regressor itself.
        """
        first = not hasattr(self, "model_")
        return self._partial_fit(X, y, sample_weight, first, multi_output=True, y_numeric=True)

    @controlled
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return float64 predictions, of the shape that y had: (n,) or (n, n_outputs).

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers on the scale of those given to `fit`, of any dtype.
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
            Numbers on the scale of those given to `fit`, of any dtype.
        y : array of shape (n,) or (n, n_outputs)
            Targets of any size whose squares may be beyond float64.
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
        """Return targets as the network learns them: less their mean, by their scale."""
        top = -data.exponents(np.stack([np.abs(y).max(axis=0), np.abs(self.target_mean_)]))
        scale = np.ldexp(self.target_scale_, top)
        return (np.ldexp(y, top) - np.ldexp(self.target_mean_, top)) / scale

    def _per_sample(self, samples: Samples) -> PerSample:
        return explained(samples.y, samples.weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
