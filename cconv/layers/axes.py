"""What layers share whose arguments name axes of the input."""

from cconv.layers.base import Layer


class OfAxes(Layer):
    """A layer that takes whatever data format the model has, and counts its axes in that format."""

    def _meet_format(self, data_format: str) -> None:
        self.data_format = data_format

    def _named_format(self) -> str | None:
        return None


class OfFormat(Layer):
    """A layer that counts axes in the data format that it was told, else in that of the model."""

    def _meet_format(self, data_format: str) -> None:
        if not self._format_given:
            self.data_format = data_format

    def _named_format(self) -> str | None:
        return self.data_format if self._format_given else None
