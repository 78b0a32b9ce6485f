"""What every layer shares: building, checking, the public forward and backward, weights, configuration.

A layer has two faces. `forward` and `backward` are for people: they check, build on first use,
convert the data format, and return arrays that belong to the caller. `_forward` and `_backward`
are for the model's plan: arguments are right already (NHWC, contiguous, the layer's dtype), and
every array comes from the `Run`, which may hand out the same memory at every step.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cconv import arguments
from cconv.arguments.arrays import as_array
from cconv.arguments.claims import Claims, alone, builders
from cconv.arguments.configured import Configured
from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int, positive_int
from cconv.arguments.text import short
from cconv.constraints import Constraint
from cconv.geometry.layout import channels_hint, naming_channels_first
from cconv.layers import hooks, symbolic
from cconv.layers.formatted import Formatted
from cconv.layers.weighted import Weighted
from cconv.layers.weights import Weights
from cconv.ops.run import Run, is_replayable
from cconv.regularizers import Regularizer
from cconv.seeds import check_seed, new_seed

Shape = tuple[int, ...]

_CALL = "define forward(x) and backward(dy), see cconv.layers.Layer"
_PASSES = (
    "a layer of cconv computes in _forward(x, run) and _backward(dy, run, need_dx=True); one of your own is "
    "made of Layer alone, whose forward(x) and backward(dy) are called"
)
_FILES = "a layer's weights are made in build(input_shape) by add_weight, and saved by their names"


class Layer(Configured, Weighted, Formatted):
    """Base of the layers, and of layers of your own.

    A subclass defines those of these methods that it needs, in NumPy:

    ``build(input_shape)``
        Makes the weights with `add_weight`. `input_shape` is ``(None, h, w, c)`` or ``(None, features)``.
    ``forward(x)`` or ``forward(x, training)``
        Returns the output for x of shape ``(n, h, w, c)`` or ``(n, features)``; channels are last, whatever
        the model's format. x is read-only; `backward` may keep using it. With `training` False several
        threads may call this method at once: change no state then.
    ``backward(dy)``
        Returns the gradient with respect to x, and puts those of the weights into ``self.grads`` by name.
    ``compute_output_shape(input_shape)``
        Only if the output has another shape than the input; both begin with the batch's None, as in `build`.

    Keras' ``call`` is refused: there is no automatic differentiation.

    Parameters
    ----------
    name : str, optional
        What error messages and summaries call the layer; by default its class in snake case.
    trainable : bool
        Whether `backward` computes the gradients of the weights.
    input_shape : tuple of int, optional
        For the first layer of a model: ``(h, w, c)`` or ``(features,)``, without the batch.

    Attributes
    ----------
    built : bool
        Whether the weights exist.
    dtype : numpy.dtype
        float32 or float64, of the weights and of everything computed; known once built.
    params, grads, state : mapping of str to ndarray
        The weights, their gradients (from the last `backward`), and what is kept but not trained.
    regularizers : dict of str to Regularizer
        The penalties on weights, which a model adds to its loss.
    constraints : dict of str to Constraint
        Applied to the weights by `constrain`, which a model calls after every step.
    output_shape : tuple of int
        Shape of one sample's output, without the batch; known once built.
    key : int
        The layer's number in the model that builds or trains it, which selects its random stream.

    Examples
    --------
    >>> import numpy as np
    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.gamma = self.add_weight(name="gamma", shape=input_shape[-1:], initializer="ones")
    ...     def forward(self, x):
    ...         self.x = x
    ...         return self.gamma * x
    ...     def backward(self, dy):
    ...         self.grads["gamma"] = (dy * self.x).sum(axis=0)
    ...         return self.gamma * dy
    >>> layer = Scale()
    >>> layer.forward(np.array([[2.0, 3.0]]), training=True)
    array([[2., 3.]])
    >>> layer.backward(np.array([[1.0, 10.0]])), layer.grads["gamma"]
    (array([[ 1., 10.]]), array([ 2., 30.]))
    """

    not_called: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("call", "__call__", "symbolic_call", "stateless_call", "quantized_call"), _CALL),
        **dict.fromkeys(("forward", "backward"), _PASSES),
        **dict.fromkeys(
            ("compute_mask", "compute_output_spec"),
            "define compute_output_shape(input_shape), the output's shape",
        ),
        **dict.fromkeys(
            ("get_build_config", "build_from_config", "save_own_variables", "load_own_variables"), _FILES
        ),
    }
    ranks: tuple[int, ...] = ()  # accepted lengths of input_shape; empty: any
    output_shape: Shape
    _merges: ClassVar[bool] = False  # takes several inputs, as `merge.Merge` does
    _only_in_training: ClassVar[bool] = False  # returns its input unchanged at inference
    _recorded: ClassVar[tuple[str, ...]] = ()  # attributes whose values recorded kernel calls hold
    _by_shard: ClassVar[bool] = False  # sums its gradients by `ops.shards.summed`, or has no weights
    _bound: Mapping[str, np.ndarray] = {}  # the attributes in which a class of the user's own has its weights
    _as_at_inference = False  # set on a plan's copy that always acts as at inference

    def __init_subclass__(cls, **options: Any) -> None:
        hooks.take_hooks(cls, Layer)
        super().__init_subclass__(**options)

    def __init__(self, *, name: str | None = None, trainable: bool = True, input_shape: Any = None) -> None:
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(f"{type(self).__name__}: name must be a string that is not empty, got {name!r}")
        self.named: bool = name is not None
        self.name: str = name or _snake(type(self).__name__)
        self.trainable: bool = arguments.flag(self.where, "trainable", trainable)
        self.built: bool = False
        self.key = 0
        self.declared_shape: Shape | None = None if input_shape is None else self._declared(input_shape)
        self.input_shape = self.declared_shape
        self.params: Weights = Weights()
        self.grads: dict[str, np.ndarray] = {}
        self.state: Weights = Weights()
        self.regularizers: dict[str, Regularizer] = {}
        self.constraints: dict[str, Constraint] = {}
        self._calls = 0
        self._nodes: list[symbolic.Node] = []  # its uses in graphs, in order
        self._claims = Claims()  # who is training; a copy with the same weights shares them
        self._forget()

    # --- building -----------------------------------------------------------------------------

    @controlled
    def build(
        self, input_shape: Sequence[int | None], *, dtype: DTypeLike = "float32", seed: int | None = None
    ) -> Self:
        """Create the weights.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample: ``(h, w, c)``, ``(c, h, w)`` for ``"channels_first"``, or
            ``(features,)``; a leading None (Keras' batch) is dropped.
        dtype : dtype
            float32 or float64.
        seed : int, optional
            Key of the initial weights and of random layers' draws; by default a new one.

        Returns
        -------
        Layer
            The layer itself.

        Raises
        ------
        TypeError, ValueError
            When the layer cannot take an input of this shape or dtype.
        RuntimeError
            When it is built already and is being trained at this moment.
        """
        if hooks.runs(self):  # a user's build ends with super().build(input_shape), as in Keras' guides
            return self
        owner = self._claims.owner() if self.built else None
        if owner is not None:
            raise RuntimeError(f"{self.where}: build: {self.name!r} is already training, in {owner.where}")
        shape = self._checked_shape(input_shape)
        kind = np.dtype(dtype)
        if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise TypeError(f"{self.where}: dtype must be float32 or float64, got {dtype!r}")
        output_shape = self.compute_output_shape(shape)
        self.dtype = kind
        self.build_seed: int = new_seed() if seed is None else check_seed(self.where, seed)
        self.input_shape, self.output_shape = shape, output_shape
        self.params, self.grads, self.state = Weights(), {}, Weights()
        self.regularizers, self.constraints = {}, {}
        self._forget()
        self._build(self._inner(shape))
        if self._first_weights is not None:
            self.set_weights(self._first_weights)
        self.built = True
        return self

    def _build(self, shape: Shape) -> None:
        """Create the layer's arrays, for a channels_last `shape` that `_resolve` accepted."""
        hooks.build(self, shape)

    def _resolve(self, shape: Shape) -> Shape:
        """Return the output shape for a channels_last input shape; raise when it does not fit."""
        return hooks.output_shape(self, shape)

    def _rank_behind(self, rank: int | None) -> int | None:
        """Return the rank of the output's shape for the input's rank; None if it is not known."""
        kept = type(self)._resolve is Layer._resolve and not hooks.own_of(type(self), "compute_output_shape")
        return rank if self.ranks or kept else None

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        """Return the output shape for this input shape, both without the batch.

        With None for the batch in front, as in Keras, or a number that can be nothing else, so is the result.
        Nothing is built. ValueError when the layer cannot take such an input.
        """
        if hooks.runs(self):  # called by a user's hook through super()
            return tuple(input_shape)
        batch, shape = self._without_batch(input_shape)
        return (*batch, *self._outer(self._resolve(self._inner(self._checked_shape(shape)))))

    def _without_batch(self, shape: Any) -> tuple[tuple[int | None, ...], Any]:
        """Return the batch of a shape, if it has one, and the rest."""
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            return (), shape
        more = bool(self.ranks) and len(shape) not in self.ranks and len(shape) - 1 in self.ranks
        if len(shape) > 1 and (shape[0] is None or (more and is_int(shape[0]))):
            return (shape[0],), shape[1:]
        return (), shape

    def _declared(self, shape: Any) -> Shape:
        """Return the shape that a constructor was given; `build` may also get one with the batch in front."""
        if isinstance(shape, Sequence) and None in shape:
            raise ValueError(
                f"{self.where}: input_shape must have a size for each axis, without the batch, got "
                f"{tuple(shape)}; images and sequences of any size are not supported"
            )
        return self._checked_shape(shape)

    def _checked_shape(self, shape: Any) -> Shape:
        wanted = " or ".join(map(str, self.ranks))
        expected = (
            f"{self.where}: input_shape must be a tuple of {wanted and wanted + ' '}positive ints, "
            "without the batch"
        )
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            raise TypeError(f"{expected}, got {shape!r}")
        if len(shape) > 1 and shape[0] is None:
            shape = shape[1:]
        if not shape or (self.ranks and len(shape) not in self.ranks):
            raise ValueError(f"{expected}, got {tuple(shape)}")
        return tuple(positive_int(self.where, "input_shape entry", extent) for extent in shape)

    @property
    def where(self) -> str:
        """The beginning of error messages: the class, and the name if the user gave one."""
        kind = type(self).__name__
        return f"{kind} {self.name!r}" if self.named else kind

    @property
    def shown(self) -> str:
        """The name as tables and messages show it: on one line, and cut if it is long."""
        return short(self.name)

    # --- the public passes --------------------------------------------------------------------

    @controlled
    def forward(self, x: ArrayLike, training: bool = False) -> np.ndarray:
        """Return the layer's output.

        Parameters
        ----------
        x : array of shape ``(n, *input_shape)``
            An unbuilt layer is built for its shape and dtype. Integers are converted.
        training : bool
            Keep what `backward` needs (references to `x` and to the result: do not change them before), apply
            dropout and augmentation, and update moving averages. Without training no state changes, so
            several threads may share the layer.

        Returns
        -------
        ndarray of shape ``(n, *output_shape)``
            A new array.

        Raises
        ------
        TypeError
            For a dtype other than the layer's.
        ValueError
            For a shape other than the layer's.
        RuntimeError
            In training, when another caller is training the layer at this moment.
        """
        hooks.refuse_running(self, "forward")
        given = self._checked_input(x)
        if not arguments.flag(self.where, "training", training):
            return self._through(given, training=False)
        return self._alone("forward", lambda: self._through(given, training=True))

    def _through(self, given: np.ndarray, training: bool) -> np.ndarray:
        """Return the output for a checked input, in the layer's data format."""
        run = Run(training=training, seed=self.build_seed, step=self._calls)
        y = self._to_outer(self._forward(self._to_inner(given), run))
        if training:
            self._calls += 1
        return y.copy() if np.may_share_memory(y, given) else y

    def _alone(self, method: str, work: Callable[[], np.ndarray]) -> np.ndarray:
        """Return ``work()``, a pass of training; RuntimeError if another caller is training the layer."""
        return alone(f"{self.where}.{method}", lambda _: repr(self.name), (self._claims,), work, "training")

    @controlled
    def backward(self, dy: ArrayLike) -> np.ndarray:
        """Return the gradient of the loss with respect to the input of the last `forward(training=True)`.

        Parameters
        ----------
        dy : array of shape ``(n, *output_shape)``
            Gradient with respect to the output.

        Returns
        -------
        ndarray of shape ``(n, *input_shape)``
            A new array; the gradients of the weights are in `grads`.

        Raises
        ------
        RuntimeError
            Before ``forward(x, training=True)``, or when another caller is training the layer at this moment.
        TypeError, ValueError
            For a dtype or shape other than the output's.
        """
        hooks.refuse_running(self, "backward")
        return self._alone("backward", lambda: self._back(dy))

    def _back(self, dy: ArrayLike) -> np.ndarray:
        """Do what `backward` does."""
        if self._batch is None:
            raise RuntimeError(f"{self.where}: backward needs forward(x, training=True) first")
        expected = (self._batch, *self.output_shape)
        given = self._as_floats("dy", dy, len(expected))
        if given.shape != expected:
            raise ValueError(f"{self.where}: dy must have the output's shape {expected}, got {given.shape}")
        run = Run(training=True, seed=self.build_seed, step=max(self._calls - 1, 0))
        inner = self._backward(self._to_inner(given), run)
        assert inner is not None  # need_dx is True
        dx = self._to_outer(inner)
        return dx.copy() if np.may_share_memory(dx, given) else dx

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """Return ``forward(x, training)`` for arrays; for symbolic tensors add the layer to their graph.

        Parameters
        ----------
        x : array, KerasTensor, or several in a list
            The input: see `forward` and `cconv.models.Model`.
        training : bool, optional
            For arrays as in `forward`. In a graph False means that the layer acts as at inference even while
            the model trains, as Keras' ``base(x, training=False)``. None: layers that augment images do so,
            as Keras' do, all others act as at inference.
        """
        if symbolic.is_symbolic(x):
            return symbolic.call(self, x, training)
        return self._called(x) if training is None else self.forward(x, training)

    def _called(self, x: Any) -> np.ndarray:
        """Return what a call gives that does not say `training`: for most layers that of inference."""
        return self.forward(x)

    # The input and the output of the layer in the graph that used it first, a KerasTensor or a list of them:
    # ``Model(base.input, base.get_layer("conv4").output)``.
    input: ClassVar[Any] = symbolic.End("inputs")
    output: ClassVar[Any] = symbolic.End("outputs")

    def _checked_input(self, x: ArrayLike) -> np.ndarray:
        if isinstance(x, Layer):
            raise TypeError(
                f"{self.where}: x must be an array or a KerasTensor, got a layer, {x!r}: call layers on "
                "Input(shape), and on what they return"
            )
        if not self.built:
            with builders():
                if not self.built:
                    self._build_for(x)
        assert self.input_shape is not None
        given = self._as_floats("x", x, len(self.input_shape) + 1)
        if given.shape[1:] != self.input_shape:
            hint = channels_hint(given.shape, self.data_format, self.input_shape)
            raise ValueError(
                f"{self.where}: x must have the shape {self.input_shape} after the batch, "
                f"got {given.shape}{hint}"
            )
        return given

    def _build_for(self, x: ArrayLike) -> None:
        shape = as_array(self.where, "x", x).shape
        if len(shape) < 2 or (self.ranks and len(shape) - 1 not in self.ranks):
            axes = " or ".join(str(rank + 1) for rank in self.ranks)
            expected = (
                f"{axes} axes, the first for the samples" if axes else "a batch axis and at least one more"
            )
            raise ValueError(f"{self.where}: x must have {expected}, got shape {shape}")
        array = arguments.real_array(self.where, "x", x, None)
        # A list has no dtype of its own.
        kind = np.dtype(np.float32) if isinstance(x, list | tuple) else arguments.common_dtype(array)
        with naming_channels_first(array.shape, self.data_format):
            self.build(array.shape[1:], dtype=kind)

    def _as_floats(self, name: str, x: ArrayLike, ndim: int) -> np.ndarray:
        array = arguments.real_array(self.where, name, x, ndim)
        given = array.dtype.newbyteorder("=")
        if (
            given.kind == "f"
            and given.itemsize > 2
            and given != self.dtype
            and not isinstance(x, list | tuple)
        ):
            raise TypeError(f"{self.where}: {name} must be {self.dtype} as the layer is, got {given}")
        return arguments.ready(array, self.dtype)

    # --- the plan's passes --------------------------------------------------------------------

    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the output; keep with `_keep` what `_backward` needs if `run.training`."""
        return hooks.forward(self, x, run)

    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        """Set `grads` and return dx, or None if `need_dx` is False."""
        return hooks.backward(self, dy)

    def _replays(self, training: bool) -> bool:
        """Whether `_forward`, and in training `_backward`, only call kernels: see `replayable`."""
        return all(map(is_replayable, [self._forward, self._backward] if training else [self._forward]))

    def _settings(self) -> tuple[Any, ...]:
        """Return the settings of a built layer, other than arrays, that may change between training steps."""
        return (self.trainable,)

    def _keep(self, batch: int, *arrays: Any) -> None:
        self._batch: int | None = batch
        self._cache: tuple[Any, ...] = arrays

    def _forget(self) -> None:
        self._batch, self._cache = None, ()

    # --- configuration and copies --------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain data; the shape it was built for is not included.

        A name or a data format that the user did not give stays None.
        """
        return super().get_config()

    def _given(self) -> dict[str, Any]:
        kept = super()._given()
        given = {
            "name": self.name if self.named else None,
            "input_shape": self.declared_shape,
            "data_format": self._named_format(),
        }
        return kept | {entry: value for entry, value in given.items() if entry in kept}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments of a layer that is not built; see `cconv.arguments.parameters`.

        Parameters
        ----------
        **params
            Values by the names that `get_params` has, such as ``filters`` or ``kernel_regularizer__l2``.

        Returns
        -------
        Layer
            The layer itself.

        Raises
        ------
        TypeError, ValueError
            For a name that is not known, or a value that the constructor refuses.
        RuntimeError
            When the layer is built: its weights fit its current arguments.
        """
        if self.built:
            raise RuntimeError(
                f"{self.where}: set_params: {self.name!r} is built, its weights belong to its arguments; "
                "set those of its clone()"
            )
        return super().set_params(**params)

    def __sklearn_clone__(self) -> Self:
        return self.clone()

    def __repr__(self) -> str:
        built = f" {self.input_shape} -> {self.output_shape}" if self.built else ""
        return f"<{self.shown} ({type(self).__name__}){built}>"

    def clone(self) -> Self:
        """Return an unbuilt layer with the same configuration."""
        return self.from_config(self.get_config())

    def __copy__(self) -> Self:
        # Another layer over the same weights, gradients and state.
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        # What `backward` needs belongs to one call, and may be most of a process' memory. The graphs that use
        # the layer are not a part of it.
        return {**self.__dict__, "_batch": None, "_cache": (), "grads": {}, "_nodes": []}

    __eq__: ClassVar[Callable[[Any, object], bool]] = object.__eq__
    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


def _snake(name: str) -> str:
    """Return a class name in Keras' snake case: "MaxPooling2D" becomes "max_pooling2d"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", name).lower()
