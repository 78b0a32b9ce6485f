"""Transposed convolutions: they give an image its larger size back, as in decoders."""

from typing import Any

import numpy as np

from cconv import ops
from cconv.arguments.numbers import is_int, positive_int
from cconv.geometry.algorithms import Convolution
from cconv.geometry.shapes import Padding, Size2, Window, resolve_transposed
from cconv.layers.base import Shape
from cconv.layers.convolution import Windowed
from cconv.layers.spatial import two
from cconv.ops.run import Run, replayable


def _scale_filters(kernel: np.ndarray, scale: np.ndarray, groups: int, folded: np.ndarray) -> None:
    """Kernel (…, f // groups, c), scale (f) -> folded, the kernel with each filter scaled."""
    factor = np.repeat(scale.reshape(groups, -1).T, kernel.shape[-1] // groups, axis=1)
    np.multiply(kernel, factor, out=folded)


class TransposedConvolution(Windowed):
    """What `Conv2DTranspose` and `Conv1DTranspose` share: all but their arguments."""

    def _set_filters(self, filters: Any, groups: Any) -> None:
        self.filters: int = positive_int(self.where, "filters", filters)
        self.groups: int = positive_int(self.where, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"{self.where}: groups must divide filters, got {self.groups} and {self.filters}"
            )

    def _set_output_padding(self, value: Any) -> None:
        """Check and store the number of additional output pixels; the strides must be set before."""
        self.output_padding: tuple[int, ...] | None = None
        if value is None:
            return
        count = len(self.strides)
        numbers = (value,) * count if is_int(value) else value
        what = "an int" if count == 1 else "an int or a pair of ints"
        expected = (
            f"{self.where}: output_padding must be None or {what} of at least 0 and below strides "
            f"{self.strides}, got {value!r}"
        )
        if not isinstance(numbers, tuple | list) or not all(map(is_int, numbers)):
            raise TypeError(expected)
        if len(numbers) != count or not all(0 <= n < s for n, s in zip(numbers, self.strides, strict=True)):
            raise ValueError(expected)
        self.output_padding = tuple(int(number) for number in numbers)

    def _pads_along(self) -> str | tuple[tuple[int, int], tuple[int, int]]:
        if isinstance(self.padding, str) and self.padding.lower() not in ("valid", "same"):
            raise ValueError(
                f"{self.where}: padding must be 'valid', 'same', an int or (left, right), "
                f"got {self.padding!r}"
            )
        return super()._pads_along()

    def _window(self, shape: tuple[int, int, int]) -> Window:
        kernel_size, strides, dilation = map(two, self._sizes)
        padding, more = self.padding, self.output_padding
        if self.ranks == (2,):
            padding = self._pads_along()
        how = (padding, None if more is None else two(more, 0), dilation)
        return resolve_transposed(self.where, shape[:2], kernel_size, strides, *how)

    def _resolve(self, shape: Shape) -> Shape:
        image = self._image_shape(shape)
        if image[2] % self.groups:
            raise ValueError(
                f"{self.where}: groups must divide the channels, got {self.groups} for {image[2]}"
            )
        return self._own_shape(*self._window(image).input_size, self.filters)

    def _build(self, shape: Shape) -> None:
        image = self._image_shape(shape)
        self.window: Window = self._window(image)
        self.in_channels: int = image[2]
        self._add_weights((*self.kernel_size, self.filters // self.groups, image[2]), self.filters)

    @property
    def convolution(self) -> Convolution:
        """The convolution whose transpose this layer is."""
        return Convolution(self.window, self.groups, self.filters, self.in_channels, self.dtype.itemsize)

    def _fold(self, normalization: Any, run: Run) -> tuple[np.ndarray, np.ndarray]:
        kernel = self.params["kernel"]
        scale, shift, _ = normalization._folded(None, self.params.get("bias"), run)
        folded = run.empty("folded", kernel.shape, kernel.dtype)
        run.call(_scale_filters, kernel, scale, self.groups, folded)
        return folded, shift

    @replayable
    def _affine(self, x: np.ndarray, relu: bool, run: Run) -> np.ndarray:
        kernel, bias = self._taps(self.params["kernel"]), self.params.get("bias")
        y = ops.conv2d_transpose(self._images(x, run), kernel, bias, self.window, self.groups, relu, run)
        return self._own(y, run, "y")

    @replayable
    def _weight_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
        images = self._images(dy, run), self._images(x, run)
        dkernel, dbias = ops.conv2d_transpose_weight_gradient(*images, self.window, self.groups, run)
        return dkernel.reshape(self.params["kernel"].shape), dbias

    @replayable
    def _input_gradient(self, dy: np.ndarray, run: Run, positive: np.ndarray | None = None) -> np.ndarray:
        kernel = self._taps(self.params["kernel"])
        if positive is not None:
            positive = self._images(positive, run)
        dx = ops.conv2d_transpose_input_gradient(
            self._images(dy, run), kernel, self.window, self.groups, run, positive
        )
        return self._own(dx, run, "dx")


class Conv2DTranspose(TransposedConvolution):
    """A transposed 2-D convolution (the input gradient of a convolution), and an activation.

    ::

        y[n, i·s + u·d - p, j·s + v·d - p, f] += x[n,i,j,c] · K[u,v,f,c]    for all i, j, u, v, c

    then the bias is added; with stride s, dilation d, and p rows or columns cut off by the padding (Dumoulin
    & Visin 2016, "A guide to convolution arithmetic for deep learning", section 4).

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or pair of int
        Height and width of the kernel in pixels.
    strides : int or pair of int
        Distance, in output pixels, between the contributions of neighbouring input pixels.
    padding : str, int or nested pair
        ``"valid"``: the full extent of all contributions; ``"same"``: ``strides`` times the input's size;
        an int, ``(ph, pw)`` or ``((top, bottom), (left, right))``: this number of pixels is cut off the full
        extent, as in PyTorch.
    output_padding : int or pair of int, optional
        Additional rows and columns, below and on the right; fewer than strides. With ``"same"`` the output
        has ``(n - 1)·strides + kernel_size % 2 + output_padding`` pixels, as in Keras.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs: ``(n, h, w, c)`` or ``(n, c, h, w)``.
    dilation_rate : int or pair of int
        Distance between the taps of the kernel in output pixels.
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
        ``"kernel"`` (kh, kw, filters // groups, channels) and ``"bias"`` (filters,).

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv2DTranspose(8, 3, strides=2, padding="same")
    >>> layer.forward(np.ones((1, 7, 7, 16), np.float32)).shape, layer.count_params()
    ((1, 14, 14, 8), 1160)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Size2,
        strides: Size2 = (1, 1),
        padding: Padding = "valid",
        output_padding: Size2 | None = None,
        data_format: str | None = None,
        dilation_rate: Size2 = (1, 1),
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
