"""What layers share whose arguments name axes of the input."""

from cconv.layers.base import Layer


class OfAxes(Layer):
    """A layer that takes whatever data format the model has, and counts its axes in that format."""

    def _meet_format(self, data_format: str) -> None:
        self.data_format = data_format

    def _named_format(self) -> str | None:
        return None
