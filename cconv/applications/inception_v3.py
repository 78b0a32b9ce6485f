"""Inception, version 3 (Szegedy et al. 2016): convolutions of several sizes in parallel.

::

                  ┌─ 1x1 ───────────────────┐
                  ├─ 1x1 ─ 5x5 ─────────────┤
    figure 5:  x ─┼─ 1x1 ─ 3x3 ─ 3x3 ───────┼─ concat ─ y
                  └─ mean of 3x3 ─ 1x1 ─────┘

On 17x17 pixels, 1x7 and 7x1 kernels in turn replace large kernels (figure 6); on 8x8, 1x3 and 3x1 kernels are
used in parallel (figure 7). Batch normalisation without gamma, and ReLU, follow every convolution.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import DTypeLike

from cconv.applications import imagenet_utils
from cconv.applications.forms import Form, form_of
from cconv.applications.frame import Frame, Weights, chain, channel_axis
from cconv.arguments.keras_names import refusing
from cconv.layers import (
    Activation,
    AveragePooling2D,
    Concatenate,
    Conv2D,
    KerasTensor,
    MaxPooling2D,
)
from cconv.models import Model

# One convolution: filters, height and width of its kernel, then optionally stride and padding (by default 1
# and "same"). A branch is a row of convolutions.
Branch = Sequence[tuple[Any, ...]]


def InceptionV3(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "inception_v3",
    *,
    form: str = "keras",
    epsilon: float | None = None,
    momentum: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return Inception, version 3, in Keras' form: 23,851,784 parameters, 23,817,352 of them trained.

    Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2016, "Rethinking the Inception architecture for computer
    vision". 5,713,216,096 multiply-adds for 299x299x3, receptive field 1311x1311. The paper's auxiliary
    classifier is left out, as in Keras. In torchvision's form, batch normalisation has a gamma, and average
    pooling counts the zeros around the map.

    Parameters
    ----------
    include_top, weights, input_tensor, pooling, classes, classifier_activation, name
        As for `cconv.applications.ResNet18`.
    input_shape : (int, int, int), optional
        At least 75 pixels on each side; (299, 299, 3) by default.
    form : {"keras", "torchvision"}
        The package whose weights fit: see `cconv.applications.forms`.
    epsilon, momentum : float, optional
        For the batch normalisation; by default 1e-3 and 0.99, in torchvision's form 1e-3 and 0.9.
    seed, dtype, data_format
        As for `cconv.applications.ResNet18`.

    Returns
    -------
    Model
        Built, not compiled.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments.

    Examples
    --------
    >>> InceptionV3(False, input_shape=(75, 75, 3), seed=0).output_shape
    (None, 1, 1, 2048)
    """
    frame = Frame("InceptionV3", weights, input_tensor, input_shape, data_format, size=299, least=75)
    formed = form_of("InceptionV3", form, epsilon, momentum, torch=(1e-3, 0.9))
    x = _row(formed, frame.x, [(32, 3, 3, 2, "valid"), (32, 3, 3, 1, "valid"), (64, 3, 3)])
    x = MaxPooling2D(3, strides=2)(x)
    x = _row(formed, x, [(80, 1, 1, 1, "valid"), (192, 3, 3, 1, "valid")])
    x = MaxPooling2D(3, strides=2)(x)
    for number, last in enumerate((32, 64, 64)):
        x = _figure5(formed, x, last, f"mixed{number}")
    x = _smaller(
        formed, x, [[(384, 3, 3, 2, "valid")], [(64, 1, 1), (96, 3, 3), (96, 3, 3, 2, "valid")]], "mixed3"
    )
    for number, inside in enumerate((128, 160, 160, 192), 4):
        x = _figure6(formed, x, inside, f"mixed{number}")
    row_and_column = [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3, 2, "valid")]
    x = _smaller(formed, x, [[(192, 1, 1), (320, 3, 3, 2, "valid")], row_and_column], "mixed8")
    for number in range(2):
        x = _figure7(formed, x, number)
    y = frame.top(x, include_top, pooling, classes, classifier_activation, pool_names=("avg_pool", None))
    return frame.model(y, name, seed, dtype)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images scaled for Inception: from -1 to 1.

    See `cconv.applications.imagenet_utils.preprocess_input`, mode "tf".

    Examples
    --------
    >>> preprocess_input([[[0.0, 127.5, 255.0]]])
    array([[[-1.,  0.,  1.]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


# --- blocks ---------------------------------------------------------------------------------------


def _row(form: Form, x: KerasTensor, branch: Branch) -> KerasTensor:
    """Apply convolutions in a row, each as ``relu(bn(conv(x)))``."""
    for filters, height, width, *more in branch:
        stride, padding = more or (1, "same")
        x = chain(
            x,
            Conv2D(filters, (height, width), strides=stride, padding=padding, use_bias=False),
            form.norm(None, scale=form.torch),
            Activation("relu"),
        )
    return x


def _joined(parts: list[KerasTensor], name: str | None = None) -> KerasTensor:
    axis = channel_axis(parts[0])
    return Concatenate(axis=axis, name=name)(parts)


def _with_mean(
    form: Form, x: KerasTensor, branches: list[KerasTensor], filters: int, name: str
) -> KerasTensor:
    """Join branches and one more: an average pooling of 3x3 pixels and a 1x1 convolution."""
    mean = AveragePooling2D(3, strides=1, padding="same", count_include_pad=form.torch)(x)
    return _joined([*branches, _row(form, mean, [(filters, 1, 1)])], name)


def _smaller(form: Form, x: KerasTensor, branches: Sequence[Branch], name: str) -> KerasTensor:
    """Join branches of stride 2 and a max pooling of stride 2: figure 10 of the paper."""
    return _joined([*(_row(form, x, branch) for branch in branches), MaxPooling2D(3, strides=2)(x)], name)


def _figure5(form: Form, x: KerasTensor, last: int, name: str) -> KerasTensor:
    branches = [[(64, 1, 1)], [(48, 1, 1), (64, 5, 5)], [(64, 1, 1), (96, 3, 3), (96, 3, 3)]]
    return _with_mean(form, x, [_row(form, x, branch) for branch in branches], last, name)


def _figure6(form: Form, x: KerasTensor, inside: int, name: str) -> KerasTensor:
    row, column = (inside, 1, 7), (inside, 7, 1)
    once = [(inside, 1, 1), row, (192, 7, 1)]
    twice = [(inside, 1, 1), column, row, column, (192, 1, 7)]
    return _with_mean(form, x, [_row(form, x, branch) for branch in ([(192, 1, 1)], once, twice)], 192, name)


def _figure7(form: Form, x: KerasTensor, number: int) -> KerasTensor:
    def split(x: KerasTensor, name: str | None) -> KerasTensor:
        return _joined([_row(form, x, [(384, 1, 3)]), _row(form, x, [(384, 3, 1)])], name)

    pixel = _row(form, x, [(320, 1, 1)])
    once = split(_row(form, x, [(384, 1, 1)]), f"mixed9_{number}")
    twice = split(_row(form, x, [(448, 1, 1), (384, 3, 3)]), None)
    return _with_mean(form, x, [pixel, once, twice], 192, f"mixed{9 + number}")


refusing(globals(), namespace="applications.imagenet_utils")
