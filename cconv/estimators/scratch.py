"""The classifier that machine learning courses build from scratch."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from cconv import arguments, optimizers
from cconv.arguments.control import controlled
from cconv.arguments.numbers import positive_int
from cconv.callbacks import LambdaCallback
from cconv.estimators.nested import NestedParameters
from cconv.initializers import RandomNormal
from cconv.layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D, Rescaling
from cconv.models import Sequential

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")


class Scratch2dCNNClassifier(ClassifierMixin, NestedParameters):
    """One convolution, one pooling and two dense layers: the classifier that courses build from scratch.

    Convolution → ReLU → max pooling → flatten → dense → ReLU → dense → softmax, trained with cross-entropy.
    Initial weights are normal with mean 0, biases 0. Single entries of the dicts can be set, as in
    ``set_params(optimizer_param__lr=0.01)``.

    Parameters
    ----------
    conv_param : dict
        ``n_filters``, ``filter_size`` and ``stride`` (pixels), ``pad`` (pixels on each side).
    pool_param : dict
        ``pool_size`` (pixels).
    n_epochs : int
        Number of passes over the training data.
    batch_size : int
        Samples per step.
    optimizer : {"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"}
        Case does not matter.
    optimizer_param : dict
        Arguments of the optimizer, such as ``lr``, the learning rate.
    layer_nodes : dict
        ``hidden`` and ``output``: units of the dense layers. ``output`` is the number of classes.
    weight_init_std : float
        Standard deviation of the initial weights.
    verbose : bool
        Print accuracy and loss after every epoch.
    random_state : int, RandomState or None
        Fixes initial weights and the order of the samples.

    Attributes
    ----------
    classes_ : ndarray of int, shape (output,)
        The class numbers.
    model_ : Sequential
        The trained network.
    history_ : dict of str to list of float
        For each epoch: ``loss`` and ``accuracy`` on the training data, means over the epoch during training,
        and with validation data ``val_loss`` and ``val_accuracy``, computed after it.
    loss_curve_ : list of float
        The training losses of `history_`.
    loss_, best_loss_ : float
        The last and the smallest entry of `loss_curve_`.
    n_iter_ : int
        Number of epochs.
    n_features_in_ : int
        Number of pixels times channels of an image.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.zeros((40, 1, 8, 8), np.float32)
    >>> images[:20, :, :4] = images[20:, :, 4:] = 1
    >>> labels = np.repeat([0, 1], 20)
    >>> cnn = Scratch2dCNNClassifier(
    ...     {"n_filters": 4, "filter_size": 3, "stride": 1, "pad": 0},
    ...     optimizer_param={"lr": 0.01},
    ...     layer_nodes={"hidden": 8, "output": 2},
    ...     weight_init_std=0.1,
    ...     batch_size=10,
    ...     n_epochs=10,
    ...     verbose=False,
    ...     random_state=0,
    ... )
    >>> cnn.fit(images, labels).score(images, labels)
    1.0
    """

    _dicts: ClassVar[tuple[str, ...]] = ("conv_param", "pool_param", "optimizer_param", "layer_nodes")

    model_: Sequential
    history_: dict[str, list[float]]

    def __init__(
        self,
        conv_param: dict[str, Any] = {"n_filters": 30, "filter_size": 5, "stride": 1, "pad": 0},  # noqa: B006
        pool_param: dict[str, Any] = {"pool_size": 2},  # noqa: B006  (never changed)
        n_epochs: int = 5,
        batch_size: int = 100,
        optimizer: str = "Adam",
        optimizer_param: dict[str, Any] = {"lr": 0.001},  # noqa: B006
        layer_nodes: dict[str, int] = {"hidden": 100, "output": 10},  # noqa: B006
        weight_init_std: float = 0.01,
        verbose: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.conv_param = conv_param
        self.pool_param = pool_param
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.optimizer_param = optimizer_param
        self.layer_nodes = layer_nodes
        self.weight_init_std = weight_init_std
        self.verbose = verbose
        self.random_state = random_state

    @controlled
    def fit(
        self,
        x_train: ArrayLike,
        y_train: ArrayLike,
        x_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
    ) -> Self:
        """Train a new network.

        Parameters
        ----------
        x_train : array of shape (n, channels, height, width)
            uint8 images are divided by 255 in the network; other dtypes are not scaled.
        y_train : array of shape (n,) or (n, output)
            Class numbers from 0, or one-hot.
        x_val, y_val : arrays, optional
            Validation data, evaluated after every epoch.

        Returns
        -------
        Scratch2dCNNClassifier
            The classifier itself.

        Raises
        ------
        TypeError, ValueError
            For invalid parameters or data.
        """
        images = self._images("x_train", x_train)
        outputs = self._sizes("layer_nodes", ("hidden", "output"))[1]
        labels = self._labels("y_train", y_train, outputs)
        if (x_val is None) != (y_val is None):
            raise ValueError(f"{_WHERE}: x_val and y_val must be given together")
        self.n_features_in_: int = int(np.prod(images.shape[1:]))
        self.classes_: np.ndarray = np.arange(outputs)
        model = self._network(images.shape[1:], scaled=images.dtype == np.uint8)
        model.compile(self._optimizer(), "sparse_categorical_crossentropy", ["accuracy"])
        validation = None
        if x_val is not None:
            seen = self._images("x_val", x_val)
            if (seen.dtype == np.uint8) != (images.dtype == np.uint8):
                raise TypeError(f"{_WHERE}: x_val must be {images.dtype} as x_train is, got {seen.dtype}")
            validation = (seen, self._labels("y_val", y_val, outputs))
        report = [LambdaCallback(on_epoch_end=_report)] if self.verbose else []
        history = model.fit(
            images,
            labels,
            batch_size=self.batch_size,
            epochs=self.n_epochs,
            verbose=0,
            callbacks=report,
            validation_data=validation,
        )
        self.model_, self.history_ = model, history.history
        self.loss_curve_: list[float] = [*history.history["loss"]]
        self.loss_: float = self.loss_curve_[-1]
        self.best_loss_: float = min(self.loss_curve_)
        self.n_iter_: int = len(self.loss_curve_)
        return self

    @controlled
    def predict(self, x: ArrayLike) -> np.ndarray:
        """Return the class number of each image.

        Parameters
        ----------
        x : array of shape (n, channels, height, width)
            As for `fit`: uint8, or numbers with the scale of bytes divided by 255.

        Returns
        -------
        ndarray of int, shape (n,)
            The most probable classes.
        """
        probabilities = self.predict_proba(x)
        return self.classes_[probabilities.argmax(axis=1)]

    @controlled
    def predict_proba(self, x: ArrayLike) -> np.ndarray:
        """Return the probability of each class for each image: float32, shape (n, output)."""
        check_is_fitted(self, "model_")
        images = self._images("x", x)
        return self._model_for(images.dtype == np.uint8).predict(images, self.batch_size, verbose=0)

    @controlled
    def score(self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy on images with class numbers or one-hot labels."""
        check_is_fitted(self, "model_")
        return float(super().score(x, self._labels("y", y, len(self.classes_)), sample_weight))

    def _network(self, shape: tuple[int, ...], scaled: bool) -> Sequential:
        filters, size, stride = self._sizes("conv_param", ("n_filters", "filter_size", "stride"), ("pad",))
        (pool,) = self._sizes("pool_param", ("pool_size",))
        hidden, outputs = self._sizes("layer_nodes", ("hidden", "output"))
        start = RandomNormal(stddev=self.weight_init_std)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        network = Sequential(
            [
                Conv2D(
                    filters,
                    size,
                    strides=stride,
                    padding=self.conv_param.get("pad", 0),
                    activation="relu",
                    kernel_initializer=start,
                ),
                MaxPooling2D(pool),
                Flatten(),
                Dense(hidden, activation="relu", kernel_initializer=start),
                Dense(outputs, activation="softmax", kernel_initializer=start),
            ],
            seed=seed,
            data_format="channels_first",
        ).build(shape)
        return _scaling(network) if scaled else network

    def _model_for(self, bytes_given: bool) -> Sequential:
        """Return the trained network for images of this kind: bytes are scaled, other numbers are not."""
        trained_on_bytes = isinstance(self.model_.layers[0], Rescaling)
        if bytes_given == trained_on_bytes:
            return self.model_
        return _unscaled(self.model_) if trained_on_bytes else _scaling(self.model_)

    def _optimizer(self) -> Any:
        name = self.optimizer.lower() if isinstance(self.optimizer, str) else self.optimizer
        if name not in OPTIMIZERS:
            raise ValueError(
                f"{_WHERE}: optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}"
            )
        return type(optimizers.get(name))(**self.optimizer_param)

    def _sizes(self, parameter: str, names: tuple[str, ...], also: tuple[str, ...] = ()) -> tuple[int, ...]:
        """Return these entries of a dict parameter, checked to be positive ints."""
        values = getattr(self, parameter)
        if not isinstance(values, dict) or not set(names) <= set(values) <= {*names, *also}:
            raise ValueError(
                f"{_WHERE}: {parameter} must be a dict of {', '.join(names + also)}, got {values!r}"
            )
        return tuple(positive_int(_WHERE, f"{parameter}[{name!r}]", values[name]) for name in names)

    def _images(self, name: str, x: ArrayLike) -> np.ndarray:
        return arguments.real_array(_WHERE, name, x, 4)

    def _labels(self, name: str, y: Any, outputs: int) -> np.ndarray:
        """Return class numbers (n,) for class numbers or one-hot rows."""
        labels = arguments.real_array(_WHERE, name, y, None)
        if labels.ndim == 2 and labels.shape[1] == outputs and outputs > 1:
            numbers = labels.argmax(axis=1)
            one_hot = np.zeros(labels.shape)
            one_hot[np.arange(len(labels)), numbers] = 1
            if not np.array_equal(labels, one_hot):
                raise ValueError(
                    f"{_WHERE}: {name} must be class numbers or one-hot rows of 0 and a single 1"
                )
            return numbers
        numbers = labels.reshape(len(labels)) if labels.size == len(labels) else labels
        if numbers.ndim != 1:
            raise ValueError(f"{_WHERE}: {name} must have shape (n,) or (n, {outputs}), got {labels.shape}")
        whole = np.floor(numbers)
        if not np.array_equal(whole, numbers) or numbers.min() < 0 or numbers.max() >= outputs:
            raise ValueError(
                f"{_WHERE}: {name} must be classes in [0, {outputs}), got {numbers.min()} … {numbers.max()}"
            )
        return whole.astype(np.int64)


_WHERE = Scratch2dCNNClassifier.__name__


def _over(layers: list[Layer], network: Sequential) -> Sequential:
    """Return a model of these layers, most of which are layers of `network` and share its weights."""
    return Sequential(layers, seed=network.seed, data_format="channels_first").build(network.input_shape)


def _scaling(network: Sequential) -> Sequential:
    """Return the network for bytes: a division by 255, then the same layers."""
    return _over([Rescaling(1 / 255), *network.layers], network)


def _unscaled(network: Sequential) -> Sequential:
    """Return the network for numbers, from a network for bytes."""
    return _over(network.layers[1:], network)


def _report(epoch: int, logs: dict[str, float]) -> None:
    """Print the figures of an epoch in the course's format."""
    print(f"epoch: {epoch}")
    for title, name in (("acc", "accuracy"), ("loss", "loss")):
        line = f"train_{title}: {logs[name]:.6f}"
        if f"val_{name}" in logs:
            line += f", val_{title}: {logs[f'val_{name}']:.6f}"
        print(line)
