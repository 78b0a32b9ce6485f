"""Images of another size, with the pixel positions of other frameworks."""

from typing import Any

from cconv import arguments
from cconv.arguments.numbers import finite, positive_int
from cconv.geometry.sampling import COORDINATES, ROUNDINGS, Axis, sampled_axis
from cconv.layers.resizing import Resized, interpolation_of


class Resampling(Resized):
    """Images of a given size, interpolated by the rules of ONNX' operator ``Resize``.

    Beyond `Resizing` and `UpSampling2D`: aligned corners (PyTorch's ``align_corners=True``), pixel positions
    counted from the corner ("asymmetric", in older TensorFlow), and other roundings to the nearest pixel.

    Parameters
    ----------
    height, width : int
        Height and width of the output, in pixels.
    interpolation : {"bilinear", "nearest"}
        Interpolate between the pixels around, or take one of them.
    coordinates : str
        The position of output pixel i of n in an input of m pixels: "half_pixel" ``(i + ½) m / n - ½``,
        "pytorch_half_pixel" the same, but 0 for n = 1, "align_corners" ``i (m - 1) / (n - 1)``,
        "asymmetric" ``i m / n``, or "half_pixel_symmetric".
    rounding : str
        "round_prefer_floor", "round_prefer_ceil", "floor" or "ceil", for "nearest".
    scales : pair of float, optional
        n / m of rows and columns, if the output's size was rounded from them.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Resampling(1, 3, coordinates="align_corners")
    >>> layer.forward(np.array([0.0, 4.0]).reshape(1, 1, 2, 1)).ravel()
    array([0., 2., 4.])
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        coordinates: str = "half_pixel",
        rounding: str = "round_prefer_floor",
        scales: Any = None,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        where = self.where
        self.height: int = positive_int(where, "height", height)
        self.width: int = positive_int(where, "width", width)
        self.interpolation: str = interpolation_of(where, interpolation)
        self.coordinates: str = arguments.one_of(where, "coordinates", coordinates, COORDINATES)
        self.rounding: str = arguments.one_of(where, "rounding", rounding, ROUNDINGS)
        self.scales: tuple[float, float] | None = None
        if scales is not None:
            if not isinstance(scales, list | tuple) or len(scales) != 2:
                raise ValueError(
                    f"{where}: scales must be None or a pair of positive numbers, got {scales!r}"
                )
            rows, columns = (finite(where, "scales entry", entry, least=1e-9) for entry in scales)
            self.scales = rows, columns
        self._set_format(data_format)

    def _outputs(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        return self.height, self.width

    def _axes(self, shape: tuple[int, int, int]) -> tuple[Axis, Axis]:
        how = self.interpolation, self.coordinates, self.rounding
        scales: Any = self.scales or (None, None)
        return (
            sampled_axis(shape[0], self.height, *how, scales[0]),
            sampled_axis(shape[1], self.width, *how, scales[1]),
        )
