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
    """A convolutional network for images, or rows of numbers, and their classes.

    Softmax and cross-entropy behind a network of your choice, trained in batches; the same bits
    for the same `random_state` on any number of threads.

    Parameters
    ----------
    layers : str, list of cconv layers, Sequential, Model, or callable
        The network. ``"lenet"`` fits itself to any image size (see `cconv.estimators.networks.lenet`);
        ``"resnet20"``, ``"lenet5"``, ``"mobilenet_v2"`` and so on are those of `cconv.applications`, each for
        images of its least size or more, with inputs scaled to what it expects.
        Layers, those of a model too, are copied, never changed; behind those that do not end in a softmax
        come a `Flatten`, if needed, and the dense layer with one output for each class.
        A function is called with ``(input_shape, n_classes)``, the shape being ``(h, w, c)``, and
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
        In (0, 1); the classes keep their shares.
    n_iter_no_change : int
        Stop after so many epochs without progress: of the validation score with early stopping,
        else of the training loss.
    tol : float or None
        A change up to this is no progress. None trains for `max_epochs` in any case, and does not warn
        that they may have been too few.
    class_weight : dict, "balanced" or None
        Weights of the classes in the loss, by label; "balanced" gives every class the same sum.
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
    classes_ : ndarray
        The labels, sorted.
    n_features_in_ : int
        Pixels times channels.
    feature_names_in_ : ndarray of str
        Only when X was a frame with names.
    input_shape_ : tuple of int
        ``(h, w, c)``, or ``(c, h, w)`` if channels_first.
    model_ : Sequential or Model
        The trained network. For uint8 images it begins with ``Rescaling(1 / 255)``.
    history_ : dict of str to list of float
        The figures of each epoch: ``loss`` and ``accuracy`` on the training data, means over the epoch while
        it trained, and with `early_stopping` or `X_val` ``val_loss`` and ``val_accuracy`` after it. Callbacks
        hear of them too. A figure that an epoch does not have, before or after a `warm_start`, is NaN.
    loss_curve_ : list of float
        Mean loss of each epoch on the training data.
    loss_ : float
        The last of them.
    best_loss_ : float or None
        The smallest of them; None with early stopping.
    validation_scores_ : list of float or None
        With early stopping or `X_val`, the accuracy after each epoch.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Epochs, those of earlier fits included with `warm_start` and `partial_fit`.
    t_ : int
        Training samples seen, ``n_iter_`` times their number.

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
        """Return a classifier around a trained model, which predicts at once.

        The model is copied with its weights, and sees X as its own ``predict`` would: bytes are not divided.
        ``partial_fit`` goes on from its weights, and so does ``fit`` with ``warm_start=True``; else, and in
        clones, ``fit`` trains the same network anew.

        Parameters
        ----------
        model : Sequential or Model
            Built, of one input and one output. It ends in a softmax; in one score for each class, which gets
            a softmax; or in one sigmoid, or one score, for the second of two classes.
        classes : array of shape (n_classes,), optional
            The labels in the order of the outputs; by default 0, 1, 2 and so on.
        **parameters
            Of the classifier, but for `layers`, which is the model.

        Returns
        -------
        CNNClassifier
            Fitted.

        Raises
        ------
        TypeError, ValueError
            For a model, labels or parameters that do not fit.

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
        """Train a network, a new one unless `warm_start`.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Images, or rows of pixels; lists, frames and memory-mapped files too. uint8 is divided
            by 255 on its way and stays bytes in memory; everything else is taken as it is.
        y : array of shape (n,)
            Labels: strings, ints or bools.
        sample_weight : array of shape (n,), optional
            Weights of the samples in the loss, at least 0. A sample of weight 0 might as well not be there.
        X_val, y_val, sample_weight_val : arrays, optional
            Samples to validate on after every epoch, as X, y and sample_weight;
            `class_weight` does not weigh them. With `early_stopping` they are what it follows, and no
            samples are set apart.

        Returns
        -------
        CNNClassifier
            The classifier itself.

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
        """Pass over these data once, in batches; for data that come in pieces.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Images, or rows of pixels; lists, frames and memory-mapped files too. uint8 is divided
            by 255 on its way and stays bytes in memory; everything else is taken as it is.
        y : array of shape (n,)
            Labels.
        classes : array of shape (n_classes,)
            All labels that there will be; needed by the first call.
        sample_weight : array of shape (n,), optional
            Factors of the samples' losses, as they are: weights are not divided by their mean,
            which other pieces could not share.

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
            Numbers on the scale of those given to `fit`, of any dtype.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    @controlled
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each class, (n, n_classes), in the order of `classes_`.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers on the scale of those given to `fit`, of any dtype.
        """
        return self._predict(X)

    @controlled
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the logarithms of `predict_proba`, finite even where that is 0.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers on the scale of those given to `fit`, of any dtype.
        """
        return self._predict(X, "log_softmax")

    @controlled
    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the scores before the softmax.

        Parameters
        ----------
        X : array of shape (n, h, w, c) (see `data_format`), (n, h, w) or (n, features)
            Numbers on the scale of those given to `fit`, of any dtype.

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
            For two classes the score of the second less that of the first: above 0 it is predicted.
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
