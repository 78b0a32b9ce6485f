"""A convolutional network as a scikit-learn classifier."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets

from cconv.arguments.control import controlled
from cconv.callbacks import Callback
from cconv.estimators import data, trained
from cconv.estimators.data import RandomState, Samples
from cconv.estimators.figures import PerSample, hits
from cconv.estimators.networks import Layers
from cconv.estimators.trained import AroundModels
from cconv.estimators.training import Held
from cconv.layers import Layer
from cconv.models import Model
from cconv.optimizers import Optimizer
from cconv.schedules import Schedule


class CNNClassifier(ClassifierMixin, AroundModels):
    """A convolutional network that classifies images, or rows of numbers.

    Softmax and cross-entropy behind a network of your choice, trained in batches. The same `random_state`
    gives the same bits on any number of threads.

    Parameters
    ----------
    layers : str, list of cconv layers, Sequential, Model, or callable
        The network. ``"lenet"`` adapts to any image size (see `cconv.estimators.networks.lenet`);
        ``"resnet20"``, ``"lenet5"``, ``"mobilenet_v2"`` and so on are those of `cconv.applications`, each
        with a minimum image size, with inputs scaled as the network expects. Layers, also those of a model,
        are copied, never changed; if they do not end in a softmax, a `Flatten`, if needed, and a dense layer
        with one output per class are added. A function is called with ``(input_shape, n_classes)``, the shape
        being ``(h, w, c)``, and returns a model, whose layers are copied too, but not its weights;
        `from_model` keeps weights.
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
        In (0, 1); the split is stratified by class.
    n_iter_no_change : int
        Stop after this number of epochs without progress: of the validation score with early stopping, else
        of the training loss.
    tol : float or None
        Changes up to this do not count as progress. With None training always lasts `max_epochs`, and there
        is no warning that these may have been too few.
    class_weight : dict, "balanced" or None
        Weights of the classes in the loss, by label; "balanced" makes the sum of weights equal for all
        classes.
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
    classes_ : ndarray
        The labels, sorted.
    n_features_in_ : int
        Number of pixels times channels.
    feature_names_in_ : ndarray of str
        Only if X was a frame with column names.
    input_shape_ : tuple of int
        ``(h, w, c)``, or ``(c, h, w)`` if channels_first.
    model_ : Sequential or Model
        The trained network. For uint8 images it begins with ``Rescaling(1 / 255)``.
    history_ : dict of str to list of float
        The figures of each epoch: ``loss`` and ``accuracy`` on the training data are means over the epoch
        during training; with `early_stopping` or `X_val`, ``val_loss`` and ``val_accuracy`` are computed
        after it. Callbacks see them too. Figures that an epoch lacks (after a change of settings with
        `warm_start`) are NaN.
    loss_curve_ : list of float
        Mean loss of each epoch on the training data.
    loss_ : float
        The last entry of `loss_curve_`.
    best_loss_ : float or None
        The smallest entry of `loss_curve_`; None with early stopping.
    validation_scores_ : list of float or None
        With early stopping or `X_val`, the accuracy after each epoch.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Number of epochs, including earlier fits with `warm_start` and `partial_fit`.
    t_ : int
        Number of training samples seen, ``n_iter_`` times their number.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from cconv import CNNClassifier
    >>> digits = load_digits()
    >>> cnn = CNNClassifier(tol=None, random_state=0).fit(digits.images[:1000], digits.target[:1000])
    >>> cnn.score(digits.images[1000:], digits.target[1000:]) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **AroundModels._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }
    _activation = "softmax"
    _loss = "sparse_categorical_crossentropy"
    _score_name = "accuracy"

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
        class_weight: dict[Any, Any] | str | None = None,
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
        self.class_weight = class_weight
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
    def from_model(cls, model: Model, classes: ArrayLike | None = None, **parameters: Any) -> Self:
        """Return a fitted classifier with a trained model.

        The model is copied with its weights, and gets X as its own ``predict`` would: bytes are not divided
        by 255. ``partial_fit``, and ``fit`` with ``warm_start=True``, continue with its weights; otherwise,
        and in clones, ``fit`` trains the same network anew.

        Parameters
        ----------
        model : Sequential or Model
            Built, with one input and one output. It ends in a softmax; in one score per class (a softmax is
            added); or, for two classes, in one sigmoid or one score of the second class.
        classes : array of shape (n_classes,), optional
            The labels in the order of the outputs; by default 0, 1, 2 and so on.
        **parameters
            Parameters of the classifier, except `layers`, which is the model.

        Returns
        -------
        CNNClassifier
            Fitted.

        Raises
        ------
        TypeError, ValueError
            When model, labels or parameters do not fit together.

        Examples
        --------
        >>> from cconv.applications import LeNet5
        >>> cnn = CNNClassifier.from_model(LeNet5(seed=0), classes=list("abcdefghij"))
        >>> cnn.predict_proba(np.zeros((5, 32, 32, 1))).shape, len(cnn.classes_)
        ((5, 10), 10)
        """
        made, where = cls._around(model, parameters), f"{cls.__name__}.from_model"
        end = trained.ending(where, model, classes)
        made.classes_ = end.classes
        return made._take(trained.classifying(where, model, end))

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
        y : array of shape (n,)
            Labels: strings, ints or bools.
        sample_weight : array of shape (n,), optional
            Weights of the samples in the loss, at least 0. Samples of weight 0 are ignored.
        X_val, y_val, sample_weight_val : arrays, optional
            Validation samples, evaluated after every epoch, as X, y and sample_weight; `class_weight` does
            not apply to them. `early_stopping` then uses them, and no training samples are set aside.

        Returns
        -------
        CNNClassifier
            The classifier itself.

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
        return self._fit(X, y, sample_weight, Held(X_val, y_val, sample_weight_val))

    @_fit_context(prefer_skip_nested_validation=True)
    @controlled
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Make one pass over these data, in batches, for data that come in pieces.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Images, or rows of pixels; also lists, frames and memory-mapped files. uint8 is divided by 255 in
            the network and stays uint8 in memory; other dtypes are not scaled.
        y : array of shape (n,)
            Labels.
        classes : array of shape (n_classes,)
            All labels that will ever occur; required in the first call.
        sample_weight : array of shape (n,), optional
            Factors of the samples' losses. Unlike in `fit` they are not divided by their mean, which would
            differ from piece to piece.

        Returns
        -------
        CNNClassifier
            The classifier itself.
        """
        if self.class_weight == "balanced":
            raise ValueError("class_weight 'balanced' is not supported by partial_fit: it needs all of y")
        first = _check_partial_fit_first_call(self, classes)
        return self._partial_fit(X, y, sample_weight, first or not hasattr(self, "model_"))

    @controlled
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable label of each image, shape (n,).

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers of any dtype, scaled as those given to `fit`.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    @controlled
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each class, (n, n_classes), in the order of `classes_`.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers of any dtype, scaled as those given to `fit`.
        """
        return self._predict(X)

    @controlled
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the logarithms of `predict_proba`, which are finite even where the probability is 0.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers of any dtype, scaled as those given to `fit`.
        """
        return self._predict(X, "log_softmax")

    @controlled
    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the scores before the softmax.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers of any dtype, scaled as those given to `fit`.

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
            For two classes: the second score minus the first; above 0 the second class is predicted.
        """
        scores = self._predict(X, "linear")
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _written(self) -> tuple[Model, list[object] | None]:
        return self.model_, [
            label if isinstance(label, str | int | float) else str(label) for label in self.classes_.tolist()
        ]

    def _outputs(self) -> int:
        return len(self.classes_)

    def _learn_targets(self, y: np.ndarray) -> None:
        check_classification_targets(y)
        self.classes_: np.ndarray = np.unique(y)

    def _targets(self, y: np.ndarray) -> np.ndarray:
        check_classification_targets(y)
        labels, numbers = np.unique(y, return_inverse=True)
        places = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
        unknown = labels[self.classes_[places] != labels]
        if len(unknown):
            raise ValueError(f"y must hold labels of classes_ {self.classes_}, got {unknown}")
        return places[numbers]

    def _weighted(self, samples: Samples) -> Samples:
        return samples._replace(weight=data.class_weights(self.class_weight, self.classes_, samples))

    def _per_sample(self, samples: Samples) -> PerSample:
        return hits
