"""Separable convolutions: every channel by itself, then all channels of a pixel."""

from typing import Any

import numpy as np

from cconv import constraints, initializers, ops, regularizers
from cconv.arguments.numbers import positive_int
from cconv.geometry.algorithms import Convolution, forward_algorithm
from cconv.geometry.shapes import Padding, Size2, Window, resolve_window
from cconv.layers.base import Shape
from cconv.layers.convolution import Windowed
from cconv.layers.listed import named
from cconv.layers.spatial import two
from cconv.ops import shards
from cconv.ops.bands import Part
from cconv.ops.behind import Behind
from cconv.ops.run import Run, replayable


class SeparableConvolution(Windowed):
    """What `SeparableConv2D` and `SeparableConv1D` share: all but their arguments."""

    depth_multiplier: int
    filters: int
    _own_gradients = ("_pointwise_gradient", "_depthwise_gradient")
    depthwise_kernel, pointwise_kernel = named("depthwise_kernel"), named("pointwise_kernel")
    _between: np.ndarray | None = None  # output of the depthwise half in the last training pass

    def _set_halves(self, filters: Any, depth_multiplier: Any, of_pointwise: tuple[Any, Any, Any]) -> None:
        self.filters = positive_int(self.where, "filters", filters)
        self.depth_multiplier = positive_int(self.where, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer: initializers.Initializer = self.kernel_initializer
        self.depthwise_regularizer: regularizers.Regularizer | None = self.kernel_regularizer
        self.depthwise_constraint: constraints.Constraint | None = self.kernel_constraint
        initializer, regularizer, constraint = of_pointwise
        self.pointwise_initializer: initializers.Initializer = initializers.get(
            initializer, self.where, "pointwise_initializer"
        )
        self.pointwise_regularizer: regularizers.Regularizer | None = regularizers.get(
            regularizer, self.where, "pointwise_regularizer"
        )
        self.pointwise_constraint: constraints.Constraint | None = constraints.get(
            constraint, self.where, "pointwise_constraint"
        )

    def _resolve(self, shape: Shape) -> Shape:
        return self._own_shape(*self._window(self._image_shape(shape)).output_size, self.filters)

    def _build(self, shape: Shape) -> None:
        image = self._image_shape(shape)
        self.window: Window = self._window(image)
        self.pointwise_window: Window = resolve_window(self.where, self.window.output_size, (1, 1))
        self.in_channels: int = image[2]
        deep = (image[2], self.depth_multiplier)
        depthwise = self.depthwise_initializer, self.depthwise_regularizer, self.depthwise_constraint
        self._add_weight("depthwise_kernel", (*self.kernel_size, *deep), *depthwise)
        ones = (1,) * len(self.kernel_size)
        pointwise = self.pointwise_initializer, self.pointwise_regularizer, self.pointwise_constraint
        self._add_weight("pointwise_kernel", (*ones, deep[0] * deep[1], self.filters), *pointwise)
        if self.use_bias:
            bias = self.bias_initializer, self.bias_regularizer, self.bias_constraint
            self._add_weight("bias", (self.filters,), *bias)

    @property
    def convolution(self) -> Convolution:
        """The convolution from which the algorithms of the depthwise half are chosen."""
        channels = self.in_channels
        return Convolution(
            self.window, channels, channels, channels * self.depth_multiplier, self.dtype.itemsize
        )

    def _depthwise(self) -> Any:
        """Return the depthwise kernel as `Conv2D` has it, with one group a channel: the same memory."""
        return self.params["depthwise_kernel"].reshape(*two(self.kernel_size), 1, -1)

    def _pointwise(self) -> Any:
        """Return the pointwise kernel in the shape of an image kernel: the same memory."""
        return self.params["pointwise_kernel"].reshape(1, 1, -1, self.filters)

    def _sweeps(self, images: int) -> bool:
        """Whether both halves are computed in one sweep at inference."""
        rows, columns = self.window.output_size
        weights = self.params["pointwise_kernel"].size
        between = rows * columns * weights // self.filters
        chosen = forward_algorithm(self.convolution, images)
        return chosen == "depthwise" and ops.bands.pays(images, rows, between, weights)

    @replayable
    def _affine(self, x: np.ndarray, relu: bool, run: Run) -> np.ndarray:
        images, kernel, bias = self._images(x, run), self._depthwise(), self.params.get("bias")
        if not run.training and self._sweeps(len(x)):
            last = Behind("relu" if relu else "linear")
            parts = Part(kernel, None, None), Part(self._pointwise(), self._scale, bias, last)
            return self._own(ops.bands.forward(images, None, *parts, self.window, run), run, "y")
        between = ops.conv2d(images, kernel, None, self.window, self.in_channels, False, run, tag="between")
        if run.training:
            self._between = between
        how = (bias, self.pointwise_window, 1, relu, run)
        return self._own(ops.conv2d(between, self._pointwise(), *how, scale=self._scale), run, "y")

    def _keep(self, batch: int, *arrays: Any) -> None:
        super()._keep(batch, *arrays, self._between)
        self._between = None

    @replayable
    def _pointwise_gradient(
        self, dy: np.ndarray, between: np.ndarray, run: Run
    ) -> tuple[np.ndarray, np.ndarray]:
        return ops.conv2d_weight_gradient(dy, between, self.pointwise_window, 1, run)

    @replayable
    def _depthwise_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
        return ops.conv2d_weight_gradient(dy, x, self.window, self.in_channels, run)

    @replayable
    def _affine_backward(
        self, dy: np.ndarray, run: Run, need_dx: bool, from_relu: bool = False
    ) -> np.ndarray | None:
        x, between = self._images(self._cache[0], run), self._cache[2]
        dy, channels = self._images(dy, run), self.in_channels
        if self.trainable:
            dkernel, dbias = shards.summed(
                self._pointwise_gradient, (dy, between), run, read=1 + self.use_bias
            )
            self.grads["pointwise_kernel"] = dkernel.reshape(self.params["pointwise_kernel"].shape)
            if self.use_bias:
                self.grads["bias"] = dbias
        elif not need_dx:
            return None
        how = (self.pointwise_window, 1, between.shape[3], run)
        dbetween = ops.conv2d_input_gradient(dy, self._pointwise(), *how, tag="dbetween")
        if self.trainable:
            dkernel, _ = shards.summed(self._depthwise_gradient, (dbetween, x), run, read=1)
            self.grads["depthwise_kernel"] = dkernel.reshape(self.params["depthwise_kernel"].shape)
        if not need_dx:
            return None
        how = (self.window, channels, channels, run)
        positive = x if from_relu else None
        dx = ops.conv2d_input_gradient(dbetween, self._depthwise(), *how, positive=positive)
        return self._own(dx, run, "dx")


class SeparableConv2D(SeparableConvolution):
    """A convolution of every channel by itself, then a 1×1 convolution of all channels, and an activation.

    `DepthwiseConv2D` without bias, then `Conv2D` with a kernel of one pixel (Chollet 2017, "Xception: deep
    learning with depthwise separable convolutions").

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv2D`, of the depthwise half.
    depth_multiplier : int
        Number of depthwise filters for each channel.
    activation, use_bias, bias_initializer, bias_regularizer, bias_constraint
        As in `Dense`.
    depthwise_initializer, pointwise_initializer, depthwise_regularizer, pointwise_regularizer
        For the two kernels.
    depthwise_constraint, pointwise_constraint
        For the two kernels: see `cconv.constraints`.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"depthwise_kernel"`` (kh, kw, channels, depth_multiplier), ``"pointwise_kernel"``
        (1, 1, channels · depth_multiplier, filters) and ``"bias"`` (filters,).

    Examples
    --------
    >>> import numpy as np
    >>> layer = SeparableConv2D(8, 3, padding="same")
    >>> layer.forward(np.ones((1, 8, 8, 4), np.float32)).shape, layer.count_params()
    ((1, 8, 8, 8), 76)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Size2,
        strides: Size2 = (1, 1),
        padding: Padding = "valid",
        data_format: str | None = None,
        dilation_rate: Size2 = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
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
        pointwise = pointwise_initializer, pointwise_regularizer, pointwise_constraint
        self._set_halves(filters, depth_multiplier, pointwise)
        self._set_geometry(kernel_size, strides, padding, dilation_rate, data_format)
