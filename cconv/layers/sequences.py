"""Convolutions of sequences (n, steps, c), computed as those of images one pixel high."""

from typing import Any

from cconv import constraints
from cconv.arguments.numbers import positive_int
from cconv.initializers import Initializer
from cconv.layers.convolution import DepthwiseConvolution, GroupedConvolution
from cconv.layers.separable import SeparableConvolution
from cconv.layers.spatial import Padding1, Size1
from cconv.layers.transposed import TransposedConvolution
from cconv.regularizers import Regularizer


class Conv1D(GroupedConvolution):
    """A convolution along the steps of a sequence, and an activation.

    ::

        y[n,i,f] = activation(b[f] + Σ_u Σ_c x[n, i·s + u·d - p, c] · K[u,c,f])

    with stride s, dilation d and p zeros in front (as in `Conv2D`, with one axis).

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or tuple of one
        Number of steps of the kernel.
    strides : int or tuple of one
        Input steps from one output to the next.
    padding : str, int or pair of int
        ``"valid"``, ``"same"``, an int, or ``(before, behind)``: zeros at the ends. ``"causal"``: enough
        zeros in front that no output depends on a later step (van den Oord et al. 2016, "WaveNet").
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs: ``(n, steps, c)`` or ``(n, c, steps)``; the latter is transposed first.
    dilation_rate : int or tuple of one
        Steps from one tap of the kernel to the next.
    groups : int
        Number of groups into which the channels are cut, each with filters of its own.
    activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer
        As in `Dense`.
    kernel_constraint, bias_constraint
        As in `Dense`.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"kernel"`` (taps, channels // groups, filters) and ``"bias"`` (filters,).

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv1D(1, 2, padding="causal", kernel_initializer="ones")
    >>> layer.forward(np.arange(4.0).reshape(1, 4, 1)).ravel()
    array([0., 1., 3., 5.])
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        filters: int,
        kernel_size: Size1,
        strides: Size1 = 1,
        padding: Padding1 = "valid",
        data_format: str | None = None,
        dilation_rate: Size1 = 1,
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
        self._set_filters(filters, groups, "auto")
        self._set_geometry(kernel_size, strides, padding, dilation_rate, data_format)


class DepthwiseConv1D(DepthwiseConvolution):
    """A convolution of every channel by itself along the steps of a sequence, and an activation.

    Parameters
    ----------
    kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv1D`.
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
        ``"kernel"`` (taps, channels, depth_multiplier) and ``"bias"`` (channels · depth_multiplier,).

    Examples
    --------
    >>> import numpy as np
    >>> layer = DepthwiseConv1D(3, padding="same")
    >>> layer.forward(np.ones((1, 8, 4), np.float32)).shape, layer.count_params()
    ((1, 8, 4), 16)
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        kernel_size: Size1,
        strides: Size1 = 1,
        padding: Padding1 = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Size1 = 1,
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
        self.depth_multiplier = positive_int(self.where, "depth_multiplier", depth_multiplier)
        self._set_geometry(kernel_size, strides, padding, dilation_rate, data_format)


class SeparableConv1D(SeparableConvolution):
    """A convolution of every channel by itself along the steps, then one of all channels, and an activation.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv1D`, of the depthwise half.
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
        ``"depthwise_kernel"`` (taps, channels, depth_multiplier), ``"pointwise_kernel"``
        (1, channels · depth_multiplier, filters) and ``"bias"`` (filters,).

    Examples
    --------
    >>> import numpy as np
    >>> layer = SeparableConv1D(8, 3, padding="same")
    >>> layer.forward(np.ones((1, 8, 4), np.float32)).shape, layer.count_params()
    ((1, 8, 8), 52)
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        filters: int,
        kernel_size: Size1,
        strides: Size1 = 1,
        padding: Padding1 = "valid",
        data_format: str | None = None,
        dilation_rate: Size1 = 1,
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


class Conv1DTranspose(TransposedConvolution):
    """A transposed convolution along the steps of a sequence, and an activation: see `Conv2DTranspose`.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides, dilation_rate : int or tuple of one
        In steps of the output: see `Conv2DTranspose`.
    padding : str, int or pair of int
        ``"valid"``, ``"same"``, an int, or ``(before, behind)``: as in `Conv2DTranspose`.
    output_padding : int or tuple of one, optional
        Additional steps at the end; fewer than strides.
    data_format
        As in `Conv1D`.
    activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer
        As in `Dense`.
    kernel_constraint, bias_constraint
        As in `Dense`.
    groups : int
        Number of groups into which the channels are cut, each with filters of its own.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"kernel"`` (taps, filters // groups, channels) and ``"bias"`` (filters,).

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv1DTranspose(1, 2, strides=2, kernel_initializer="ones")
    >>> layer.forward(np.array([1.0, 5.0]).reshape(1, 2, 1)).ravel()
    array([1., 1., 5., 5.])
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        filters: int,
        kernel_size: Size1,
        strides: Size1 = 1,
        padding: Padding1 = "valid",
        output_padding: Size1 | None = None,
        data_format: str | None = None,
        dilation_rate: Size1 = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        groups: int = 1,
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
        self._set_filters(filters, groups)
        self._set_geometry(kernel_size, strides, padding, dilation_rate, data_format)
        self._set_output_padding(output_padding)
