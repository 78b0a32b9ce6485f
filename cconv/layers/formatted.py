"""The data format of a layer: computing is channels last, what people see may be channels first."""

from typing import Any

import numpy as np

from cconv import arguments
from cconv.geometry.layout import from_channels_last, to_channels_last

Shape = tuple[int, ...]


class Formatted:
    """The part of a `Layer` that knows its data format: "inner" is what it computes, "outer" what is seen."""

    data_format: str = "channels_last"
    where: Any  # a property of `Layer`
    _format_given = False

    def _set_format(self, data_format: Any) -> None:
        """Take a constructor's data_format; None means channels_last, or what the model has."""
        self._format_given = data_format is not None
        self.data_format = (
            "channels_last" if data_format is None else arguments.data_format(self.where, data_format)
        )

    def _meet_format(self, data_format: str) -> None:
        """Hear of the data format of the model before it builds the layer."""

    def _named_format(self) -> str | None:
        """Return the data format of images that this layer was told; None if it takes any."""
        return self.data_format if self._format_given or self.data_format == "channels_first" else None

    def _inner(self, shape: Shape) -> Shape:
        first = self.data_format == "channels_first" and len(shape) == 3
        return (*shape[1:], shape[0]) if first else shape

    def _outer(self, shape: Shape) -> Shape:
        first = self.data_format == "channels_first" and len(shape) == 3
        return (shape[-1], *shape[:-1]) if first else shape

    def _to_inner(self, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(to_channels_last(x, self.data_format)) if x.ndim == 4 else x

    def _to_outer(self, x: np.ndarray) -> np.ndarray:
        return from_channels_last(x, self.data_format) if x.ndim == 4 else x
