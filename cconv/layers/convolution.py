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
from cconv.layers.spatial import Spatial, sides, single, two
from cconv.ops.run import Run, replayable
from cconv.regularizers import Regularizer


class Windowed(Spatial, Affine):
    """What convolutions of images and of sequences share: the geometry."""

    def _set_geometry(
        self, kernel_size: Any, strides: Any, padding: Any, dilation_rate: Any, data_format: Any
    ) -> None:
        """Check and store the part of the geometry that does not depend on the input."""
        size: Any = pair if self.ranks == (3,) else single
        self.kernel_size: tuple[int, ...] = size(self.where, "kernel_size", kernel_size)
        self.strides: tuple[int, ...] = size(self.where, "strides", strides)
        self.dilation_rate: tuple[int, ...] = size(self.where, "dilation_rate", dilation_rate)
        self.padding = padding
        if self.ranks == (3,):
            resolve_padding(self.where, padding, (1, 1), *map(two, self._sizes))
        else:
            self._pads_along()
        self._set_format(data_format)

    @property
    def _sizes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        return self.kernel_size, self.strides, self.dilation_rate

    def _pads_along(self) -> str | tuple[tuple[int, int], tuple[int, int]]:
        """Return a sequence's padding as that of an image one pixel high; raise if it is not a padding."""
        padding = self.padding
        if not isinstance(padding, str):
            return (0, 0), sides(self.where, "padding", padding)
        if padding.lower() == "causal":
            return (0, 0), (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
        if padding.lower() not in ("valid", "same"):
            raise ValueError(
                f"{self.where}: padding must be 'valid', 'same', 'causal', an int or (left, right), "
                f"got {padding!r}"
            )
        return padding

    def _window(self, shape: tuple[int, int, int]) -> Window:
        kernel_size, strides, dilation = map(two, self._sizes)
        padding = self.padding if self.ranks == (3,) else self._pads_along()
        return resolve_window(self.where, shape[:2], kernel_size, strides, padding, dilation)

    def _taps(self, kernel: np.ndarray) -> np.ndarray:
        """Return a kernel as that of images, (kh, kw) and the last two axes: a view of the same memory."""
        return kernel.reshape(*two(self.kernel_size), *kernel.shape[-2:])


class GroupedConvolution(Windowed):
    """What `Conv2D` and `Conv1D` share: all but their arguments."""

    def _set_filters(self, filters: Any, groups: Any, algorithm: Any) -> None:
        self.filters: int = positive_int(self.where, "filters", filters)
        self.groups: int = positive_int(self.where, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"{self.where}: groups must divide filters, got {self.groups} and {self.filters}"
            )
        self.algorithm: str = check_algorithm(self.where, algorithm)

    def _resolve(self, shape: Shape) -> Shape:
        image = self._image_shape(shape)
        if image[2] % self.groups:
            raise ValueError(
                f"{self.where}: groups must divide the channels, got {self.groups} for {image[2]}"
            )
        window = self._window(image)
        check_winograd(self.where, self.algorithm, window, self.groups)
        return self._own_shape(*window.output_size, self.filters)

    def _build(self, shape: Shape) -> None:
        image = self._image_shape(shape)
        self.window: Window = self._window(image)
        self.in_channels: int = image[2]
        self._add_weights((*self.kernel_size, image[2] // self.groups, self.filters), self.filters)

    @property
    def convolution(self) -> Convolution:
        """The description of the convolution from which the algorithms of its passes are chosen."""
        shapes = self.groups, self.in_channels, self.filters
        return Convolution(self.window, *shapes, self.dtype.itemsize, self.algorithm)

    @replayable
    def _affine(self, x: np.ndarray, relu: bool, run: Run) -> np.ndarray:
        kernel, bias = self._taps(self.params["kernel"]), self.params.get("bias")
        how = (self.window, self.groups, relu, run, self.algorithm, self._scale)
        return self._own(ops.conv2d(self._images(x, run), kernel, bias, *how, last=self._last), run, "y")

    @replayable
    def _weight_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
        images = self._images(dy, run), self._images(x, run)
        dkernel, dbias = ops.conv2d_weight_gradient(*images, self.window, self.groups, run, self.algorithm)
        return dkernel.reshape(self.params["kernel"].shape), dbias

    @replayable
    def _input_gradient(self, dy: np.ndarray, run: Run, positive: np.ndarray | None = None) -> np.ndarray:
        kernel, how = self._taps(self.params["kernel"]), (self.window, self.groups, self.in_channels, run)
        if positive is not None:
            positive = self._images(positive, run)
        dx = ops.conv2d_input_gradient(self._images(dy, run), kernel, *how, self.algorithm, positive)
        return self._own(dx, run, "dx")


class DepthwiseConvolution(Windowed):
    """What `DepthwiseConv2D` and `DepthwiseConv1D` share: all but their arguments."""

    depth_multiplier: int

    def _resolve(self, shape: Shape) -> Shape:
        image = self._image_shape(shape)
        return self._own_shape(*self._window(image).output_size, image[2] * self.depth_multiplier)

    def _build(self, shape: Shape) -> None:
        image = self._image_shape(shape)
        self.window: Window = self._window(image)
        self.in_channels: int = image[2]
        self._add_weights(
            (*self.kernel_size, image[2], self.depth_multiplier), image[2] * self.depth_multiplier
        )

    @property
    def convolution(self) -> Convolution:
        """The description of the convolution from which the algorithms of its passes are chosen."""
        channels = self.in_channels
        return Convolution(
            self.window, channels, channels, channels * self.depth_multiplier, self.dtype.itemsize
        )

    def _grouped(self) -> Any:
        """Return the kernel as `Conv2D` has it, with one group a channel: the same memory."""
        return self.params["kernel"].reshape(*two(self.kernel_size), 1, -1)

    @replayable
    def _affine(self, x: np.ndarray, relu: bool, run: Run) -> np.ndarray:
        how = (self._grouped(), self.params.get("bias"), self.window, self.in_channels, relu, run)
        return self._own(ops.conv2d(self._images(x, run), *how, last=self._last), run, "y")

    @replayable
    def _weight_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
        images = self._images(dy, run), self._images(x, run)
        dkernel, dbias = ops.conv2d_weight_gradient(*images, self.window, self.in_channels, run)
        return dkernel.reshape(self.params["kernel"].shape), dbias

    @replayable
    def _input_gradient(self, dy: np.ndarray, run: Run, positive: np.ndarray | None = None) -> np.ndarray:
        channels, kernel = self.in_channels, self._grouped()
        if positive is not None:
            positive = self._images(positive, run)
        dx = ops.conv2d_input_gradient(
            self._images(dy, run), kernel, self.window, channels, channels, run, positive=positive
        )
        return self._own(dx, run, "dx")


class Conv2D(GroupedConvolution):
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
        Layout of inputs and outputs: ``(n, h, w, c)`` or ``(n, c, h, w)``.
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
        self._set_filters(filters, groups, algorithm)
        self._set_geometry(kernel_size, strides, padding, dilation_rate, data_format)


class DepthwiseConv2D(DepthwiseConvolution):
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
        For the kernel.
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
