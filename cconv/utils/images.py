"""Images as files, Pillow images and arrays, with Keras' functions."""

import io
import os
import warnings
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cconv import arguments
from cconv.arguments.arrays import as_array
from cconv.arguments.paths import as_path
from cconv.files.pictures import check_size

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img"]

# Pillow's modes, by Keras' names.
MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
RESAMPLING = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow(where: str) -> Any:
    """Return the module PIL.Image; ImportError that says how to install Pillow if it is missing."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"{where} needs Pillow: pip install 'cconv[data]'") from error
    return Image


def open_image(where: str, source: Any) -> Any:
    """Return the first picture of a file, fully read; ValueError with the file's name if it is damaged."""
    image, shown = pillow(where), source
    if isinstance(source, str | bytes | os.PathLike):
        shown = os.fsdecode(source)
        with open(source, "rb") as file:
            source = io.BytesIO(file.read())
    elif not hasattr(source, "read"):
        raise TypeError(f"{where}: path must be a path or a file, got {type(source).__name__}")
    try:
        picture = image.open(source)
        check_size(picture.height, picture.width)
        picture.load()
    except MemoryError:
        raise
    except Exception as error:  # damaged files raise many kinds of errors in Pillow's decoders
        raise ValueError(f"{where}: {shown!r} cannot be read as an image: {error}") from error
    return picture


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Read an image file; needs Pillow.

    As in Keras, the picture is as the file has it: one that a camera turned (Exif) lies on its side. What
    reads folders and archives (`image_dataset_from_directory`, `FolderImages`, …) turns it upright.

    Parameters
    ----------
    path : path or file
    color_mode : {"rgb", "grayscale", "rgba"}
        A grey picture of more than 8 bits is not converted for "grayscale".
    target_size : (height, width), optional
        Size to which to resize.
    interpolation : {"nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"}
        Pillow's interpolation for this.
    keep_aspect_ratio : bool
        First crop the picture to the aspect ratio of `target_size`, centred.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    ImportError
        Without Pillow.
    ValueError
        For a file that is damaged or not an image, with its path; for invalid arguments.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_img(f"{folder}/black.png", np.zeros((4, 6, 3)))
    ...     print(load_img(f"{folder}/black.png", "grayscale", target_size=(2, 3)).size)
    (3, 2)
    """
    where = "load_img"
    image = pillow(where)
    arguments.one_of(where, "color_mode", color_mode, tuple(MODES))
    arguments.one_of(where, "interpolation", interpolation, RESAMPLING)
    keep = arguments.flag(where, "keep_aspect_ratio", keep_aspect_ratio)
    size = None if target_size is None else arguments.pair(where, "target_size", target_size)
    picture = as_mode(open_image(where, path), color_mode)
    if size is None or picture.size == size[::-1]:
        return picture
    box = None
    if keep:
        height, width = min(picture.height, picture.width * size[0] // size[1]), picture.width
        width = min(width, picture.height * size[1] // size[0])
        top, left = (picture.height - height) // 2, (picture.width - width) // 2
        box = (left, top, left + width, top + height)
    return picture.resize(size[::-1], image.Resampling[interpolation.upper()], box=box)


def as_mode(picture: Any, color_mode: str) -> Any:
    """Return a picture converted to a mode's channels."""
    kept = ("L", "I;16", "I") if color_mode == "grayscale" else (MODES[color_mode],)
    return picture if picture.mode in kept else picture.convert(MODES[color_mode])


def img_to_array(img: Any, data_format: str | None = None, dtype: DTypeLike | None = None) -> np.ndarray:
    """Return a Pillow image as an array.

    Parameters
    ----------
    img : PIL.Image.Image, or array of 2 or 3 axes
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the result; by default channels last.
    dtype : dtype, optional
        By default float32.

    Returns
    -------
    ndarray of shape (h, w, c), or (c, h, w)
        The picture's values, not scaled.

    Examples
    --------
    >>> img_to_array(np.array([[0, 255]], np.uint8)).tolist()
    [[[0.0], [255.0]]]
    """
    where = "img_to_array"
    first = _channels_first(where, data_format)
    array = as_array(where, "img", img).astype(np.float32 if dtype is None else dtype)
    if array.ndim not in (2, 3):
        raise ValueError(f"{where}: img must have 2 or 3 axes, got shape {array.shape}")
    if array.ndim == 2:
        return array[np.newaxis] if first else array[..., np.newaxis]
    return np.ascontiguousarray(np.moveaxis(array, 2, 0)) if first else array


def array_to_img(
    x: ArrayLike, data_format: str | None = None, scale: bool = True, dtype: DTypeLike | None = None
) -> Any:
    """Return an array as a Pillow image; needs Pillow.

    Parameters
    ----------
    x : array of shape (h, w, c), or (c, h, w)
        An array with 1, 3 or 4 channels.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of `x`; by default channels last.
    scale : bool
        Stretch the values to 0 … 255. Otherwise they are not scaled, but truncated to integers.
    dtype : dtype, optional
        Dtype in which to scale; by default float32.

    Returns
    -------
    PIL.Image.Image
        With mode L, RGB or RGBA; I for one channel with values above 255.

    Raises
    ------
    ImportError
        Without Pillow.
    TypeError, ValueError
        For an `x` that is not an image.

    Examples
    --------
    >>> picture = array_to_img(np.zeros((4, 6, 3)))
    >>> picture.size, picture.mode
    ((6, 4), 'RGB')
    """
    where = "array_to_img"
    image, first = pillow(where), _channels_first(where, data_format)
    values = arguments.real_array(where, "x", x, 3)
    values = values.astype(np.float32 if dtype is None else dtype)
    values = np.moveaxis(values, 0, 2) if first else values
    if values.shape[2] not in (1, 3, 4):
        raise ValueError(f"{where}: x must have 1, 3 or 4 channels, got shape {np.shape(x)}")
    if not np.isfinite(values).all():
        raise ValueError(f"{where}: x must be finite")
    if arguments.flag(where, "scale", scale):
        values = values - values.min()
        top = values.max()
        values = (values / top if top else values) * 255
    elif values.min() < 0 or (values.max() > 255 and values.shape[2] > 1):
        raise ValueError(f"{where}: x must lie in [0, 255] where scale is False")
    if values.shape[2] > 1:
        return image.fromarray(np.ascontiguousarray(values.astype(np.uint8)))
    kind = np.int32 if values.max() > 255 else np.uint8
    return image.fromarray(np.ascontiguousarray(values[..., 0].astype(kind)))


def save_img(
    path: str | os.PathLike[str] | IO[bytes],
    x: ArrayLike,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as an image file; needs Pillow.

    Parameters
    ----------
    path : path or file
    x, data_format, scale
        As for `array_to_img`.
    file_format : str, optional
        By default from the path's ending.
    **kwargs
        Pillow's options for the format.

    Raises
    ------
    ImportError
        Without Pillow.
    TypeError, ValueError
        For an `x` that is not an image.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_img(f"{folder}/black.png", np.zeros((4, 6, 3)))
    ...     print(load_img(f"{folder}/black.png").size)
    (6, 4)
    """
    picture = array_to_img(x, data_format, scale)
    kind = file_format
    if kind is not None and kind.lower() == "jpg":
        kind = "jpeg"
    own = "" if hasattr(path, "write") else os.path.splitext(as_path("save_img", "path", path))[1][1:]
    ending = kind or own
    if picture.mode == "RGBA" and ending.lower() in ("jpg", "jpeg"):
        warnings.warn("save_img: JPEG has no RGBA, the picture is written as RGB", stacklevel=2)
        picture = picture.convert("RGB")
    picture.save(path, format=kind, **kwargs)


def _channels_first(where: str, data_format: str | None) -> bool:
    return data_format is not None and arguments.data_format(where, data_format) == "channels_first"
