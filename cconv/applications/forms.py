"""The two forms in which networks are published: Keras' and torchvision's.

Both have the same layers, but differ in properties that are not in files of weights: torchvision pads
symmetrically in front of strides, has another epsilon and momentum of batch normalisation, and takes scaled
images. Weights of torchvision and timm need torchvision's form, Keras' weights need Keras' form.
"""

from typing import Any, NamedTuple

from cconv.applications.frame import before_stride
from cconv.layers import BatchNormalization, KerasTensor

FORMS = KERAS, TORCHVISION = "keras", "torchvision"
OF_KERAS, OF_TORCH = (1e-3, 0.99), (1e-5, 0.9)  # default epsilon and momentum


class Norm(NamedTuple):
    """The epsilon and momentum of batch normalisation that given weights need."""

    epsilon: float
    momentum: float

    def __call__(self, name: str | None, *, scale: bool = True) -> BatchNormalization:
        """Return a layer of that name."""
        return BatchNormalization(epsilon=self.epsilon, momentum=self.momentum, scale=scale, name=name)


class Form(NamedTuple):
    """A form, with its batch normalisation.

    Attributes
    ----------
    torch : bool
        Whether it is torchvision's form.
    norm : Norm
        Makes batch normalisation layers.
    """

    torch: bool
    norm: Norm

    def before_stride(self, x: KerasTensor, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the zeros around a feature map in front of a kernel of stride 2."""
        half = size // 2
        return ((half, half), (half, half)) if self.torch else before_stride(x, size)

    def padding(self, size: int) -> Any:
        """Return the padding of a convolution of stride 2 without a padding layer in front."""
        return size // 2 if self.torch else "same"


def form_of(
    where: str,
    form: Any,
    epsilon: float | None = None,
    momentum: float | None = None,
    *,
    keras: tuple[float, float] = OF_KERAS,
    torch: tuple[float, float] = OF_TORCH,
) -> Form:
    """Return a form by name; `keras` and `torch` are its default epsilon and momentum.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> form_of("f", "torchvision", momentum=0.5).norm
    Norm(epsilon=1e-05, momentum=0.5)
    """
    if form not in FORMS:
        raise ValueError(f"{where}: form must be 'keras' or 'torchvision', got {form!r}")
    usual = torch if form == TORCHVISION else keras
    given = zip((epsilon, momentum), usual, strict=True)
    return Form(form == TORCHVISION, Norm(*(default if value is None else value for value, default in given)))
