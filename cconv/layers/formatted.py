"""The data format of a layer: it computes with channels last; users may see channels first."""

from typing import Any

import numpy as np

from cconv import arguments
from cconv.geometry.layout import from_channels_last, to_channels_last

Shape = tuple[int, ...]


class Formatted:
    """The part of a `Layer` that knows its data format: "inner" is computed with, "outer" is the user's."""

    data_format: str = "channels_last"
    where: Any  # a property of `Layer`
    _format_given = False

    def _set_format(self, data_format: Any) -> None:
        """Take a constructor's data_format; None means the model's, or channels_last."""
        self._format_given = data_format is not None
        self.data_format = (
            "channels_last" if data_format is None else arguments.data_format(self.where, data_format)
        )

    def _meet_format(self, data_format: str) -> None:
        """Learn the model's data format before the model builds the layer."""

    def _named_format(self) -> str | None:
        """Return the data format of images that this layer was given; None if it takes any."""
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
