"""Convolutions: every filter against every position, or every channel by itself."""

from typing import Any

import numpy as np

from cconv import constraints, ops
from cconv.arguments.numbers import pair, positive_int
from cconv.geometry.algorithms import Convolution, check_algorithm, check_winograd
from cconv.geometry.shapes import Padding, Size2, Window, resolve_padding, resolve_window
from cconv.initializers import Initializer
from cconv.layers.affine import Affine
from cconv.layers.base import Shape
from cconv.ops.run import Run, replayable
from cconv.regularizers import Regularizer


class _Convolution(Affine):
    """What the two convolutions share: the geometry."""

    ranks: tuple[int, ...] = (3,)

    def _set_geometry(
        self, kernel_size: Any, strides: Any, padding: Any, dilation_rate: Any, data_format: Any
    ) -> None:
        """Check and keep the geometry, as far as it does not depend on the input."""
        self.kernel_size: tuple[int, int] = pair(self.where, "kernel_size", kernel_size)
        self.strides: tuple[int, int] = pair(self.where, "strides", strides)
        self.dilation_rate: tuple[int, int] = pair(self.where, "dilation_rate", dilation_rate)
        resolve_padding(self.where, padding, (1, 1), self.kernel_size, self.strides, self.dilation_rate)
        self.padding = padding
        self._set_format(data_format)

    def _window(self, shape: Shape) -> Window:
        size = (shape[0], shape[1])
        return resolve_window(
            self.where, size, self.kernel_size, self.strides, self.padding, self.dilation_rate
        )


class Conv2D(_Convolution):
    """A 2-D convolution (cross-correlation, as everywhere in the field), and an activation.

    ::

        y[n,i,j,f] = activation(b[f] + Σ_u Σ_v Σ_c x[n, i·s + u·d - p, j·s + v·d - p, c] · K[u,v,c,f])

    with stride s, dilation d and padding p along each axis (Goodfellow, Bengio, Courville 2016,
    "Deep Learning", eqs. 9.6 and 9.7).

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or pair of int
        Height and width of the kernel in pixels.
    strides : int or pair of int
        Steps between outputs in input pixels.
    padding : str, int or nested pair
        ``"valid"``, ``"same"``, an int, ``(ph, pw)`` or ``((top, bottom), (left, right))``: zeros
        around the input.
    data_format : {"channels_last", "channels_first"}, optional
        Of inputs and outputs: ``(n, h, w, c)`` or ``(n, c, h, w)``.
    dilation_rate : int or pair of int
        Distance between the taps of the kernel in input pixels.
    groups : int
        Number of groups into which the channels are cut, each with filters of its own.
    activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer
        As in `Dense`.
    kernel_constraint, bias_constraint
        As in `Dense`.
    algorithm : {"auto", "direct", "winograd"}
        As in `cconv.functional.conv2d`.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"kernel"`` (kh, kw, channels // groups, filters) and ``"bias"`` (filters,).

    Examples
    --------
    >>> import numpy as np
    >>> conv = Conv2D(30, 5)
    >>> y = conv.forward(np.ones((2, 28, 28, 1), np.float32), training=True)
    >>> dx = conv.backward(np.ones_like(y))
    >>> y.shape, dx.shape, conv.grads["kernel"].shape, conv.count_params()
    ((2, 24, 24, 30), (2, 28, 28, 1), (5, 5, 1, 30), 780)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Size2,
        strides: Size2 = (1, 1),
        padding: Padding = "valid",
        data_format: str | None = None,
        dilation_rate: Size2 = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        algorithm: str = "auto",
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            kernel_constraint,
            bias_constraint,
            name=name,
            trainable=trainable,
            input_shape=input_shape,
        )
        self.filters: int = positive_int(self.where, "filters", filters)
        self.groups: int = positive_int(self.where, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"{self.where}: groups must divide filters, got {self.groups} and {self.filters}"
            )
        self.algorithm: str = check_algorithm(self.where, algorithm)
        self._set_geometry(kernel_size, strides, padding, dilation_rate, data_format)

    def _resolve(self, shape: Shape) -> Shape:
        if shape[2] % self.groups:
            raise ValueError(
                f"{self.where}: groups must divide the channels, got {self.groups} for {shape[2]}"
            )
        window = self._window(shape)
        check_winograd(self.where, self.algorithm, window, self.groups)
        return (*window.output_size, self.filters)

    def _build(self, shape: Shape) -> None:
        self.window: Window = self._window(shape)
        self.in_channels: int = shape[2]
        self._add_weights((*self.kernel_size, shape[2] // self.groups, self.filters), self.filters)

    @property
    def convolution(self) -> Convolution:
        """What the algorithms of its passes depend on."""
        shapes = self.groups, self.in_channels, self.filters
        return Convolution(self.window, *shapes, self.dtype.itemsize, self.algorithm)

    @replayable
    def _affine(self, x: np.ndarray, relu: bool, run: Run) -> np.ndarray:
        kernel, bias = self.params["kernel"], self.params.get("bias")
        return ops.conv2d(x, kernel, bias, self.window, self.groups, relu, run, self.algorithm, self._scale)

    @replayable
    def _weight_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
        return ops.conv2d_weight_gradient(dy, x, self.window, self.groups, run, self.algorithm)

    @replayable
    def _input_gradient(self, dy: np.ndarray, run: Run, positive: np.ndarray | None = None) -> np.ndarray:
        kernel = self.params["kernel"]
        return ops.conv2d_input_gradient(
            dy, kernel, self.window, self.groups, self.in_channels, run, self.algorithm, positive
        )


class DepthwiseConv2D(_Convolution):
    """A 2-D convolution of every channel by itself, and an activation.

    ::

        y[n,i,j,c·m+q] = activation(b[c·m+q] + Σ_u Σ_v x[n, i·s + u·d - p, j·s + v·d - p, c] · K[u,v,c,q])

    with the multiplier m (Howard et al. 2017, "MobileNets", section 3.1).

    Parameters
    ----------
    kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv2D`.
    depth_multiplier : int
        Number of filters for each channel.
    depthwise_initializer, depthwise_regularizer, depthwise_constraint
        Of the kernel.
    activation, use_bias, bias_initializer, bias_regularizer, bias_constraint
        As in `Dense`.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"kernel"`` (kh, kw, channels, depth_multiplier) and ``"bias"`` (channels · depth_multiplier,).

    Examples
    --------
    >>> import numpy as np
    >>> layer = DepthwiseConv2D(3, padding="same")
    >>> layer.forward(np.ones((1, 8, 8, 4), np.float32)).shape, layer.count_params()
    ((1, 8, 8, 4), 40)
    """

    def __init__(
        self,
        kernel_size: Size2,
        strides: Size2 = (1, 1),
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Size2 = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            depthwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            bias_regularizer,
            constraints.get(depthwise_constraint, type(self).__name__, "depthwise_constraint"),
            bias_constraint,
            name=name,
            trainable=trainable,
            input_shape=input_shape,
        )
        self.depthwise_initializer: Initializer = self.kernel_initializer
        self.depthwise_regularizer: Regularizer | None = self.kernel_regularizer
        self.depthwise_constraint: constraints.Constraint | None = self.kernel_constraint
        self.depth_multiplier: int = positive_int(self.where, "depth_multiplier", depth_multiplier)
        self._set_geometry(kernel_size, strides, padding, dilation_rate, data_format)

    def _resolve(self, shape: Shape) -> Shape:
        return (*self._window(shape).output_size, shape[2] * self.depth_multiplier)

    def _build(self, shape: Shape) -> None:
        self.window: Window = self._window(shape)
        self.in_channels: int = shape[2]
        self._add_weights(
            (*self.kernel_size, shape[2], self.depth_multiplier), shape[2] * self.depth_multiplier
        )

    @property
    def convolution(self) -> Convolution:
        """What the algorithms of its passes depend on."""
        channels = self.in_channels
        return Convolution(
            self.window, channels, channels, channels * self.depth_multiplier, self.dtype.itemsize
        )

    def _grouped(self) -> Any:
        """Return the kernel as `Conv2D` has it, with one group a channel: the same memory."""
        return self.params["kernel"].reshape(*self.kernel_size, 1, -1)

    @replayable
    def _affine(self, x: np.ndarray, relu: bool, run: Run) -> np.ndarray:
        return ops.conv2d(
            x, self._grouped(), self.params.get("bias"), self.window, self.in_channels, relu, run
        )

    @replayable
    def _weight_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
        dkernel, dbias = ops.conv2d_weight_gradient(dy, x, self.window, self.in_channels, run)
        return dkernel.reshape(self.params["kernel"].shape), dbias

    @replayable
    def _input_gradient(self, dy: np.ndarray, run: Run, positive: np.ndarray | None = None) -> np.ndarray:
        channels = self.in_channels
        return ops.conv2d_input_gradient(
            dy, self._grouped(), self.window, channels, channels, run, positive=positive
        )
