"""Base classes of layers with arguments that name axes of the input."""

from cconv.layers.base import Layer


class OfAxes(Layer):
    """A layer that takes the model's data format, and counts its axes in it."""

    def _meet_format(self, data_format: str) -> None:
        self.data_format = data_format

    def _named_format(self) -> str | None:
        return None


class OfFormat(Layer):
    """A layer that counts axes in its own `data_format` if it was given one, else in the model's."""

    def _meet_format(self, data_format: str) -> None:
        if not self._format_given:
            self.data_format = data_format

    def _named_format(self) -> str | None:
        return self.data_format if self._format_given else None
