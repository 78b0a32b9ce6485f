"""Pictures in files (PNG, JPEG, BMP, WebP), read by Pillow, which is only imported here.

They become bytes of grey, RGB or RGBA. 16 bits a channel become 8. Transparent parts become white, unless
RGBA is asked for. A picture is turned as the camera noted it. It is only unpacked if its size is acceptable.
"""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from cconv.files import png
from cconv.files.reading import DAMAGE, MOST_UNPACKED, open_regular, reading

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by the number of channels
DEEP = ("I;16", "I;16B", "I;16L", "I;16N")  # grey with 16 bits
ALPHA = ("LA", "PA", "RGBA")
GREY = ("1", "L", "LA", *DEEP)
KNOWN = (*GREY, "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
ORIENTATION = 0x0112  # the tag of Exif
MOST_PIXELS = MOST_UNPACKED // 4  # if each is RGBA


def read_picture(
    path: str | os.PathLike[str], channels: int, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Return the pixels of a picture as uint8 (h, w, channels).

    Parameters
    ----------
    path : path
        The file; its content decides what it is, not its ending.
    channels : int
        1 (grey, with the weights of colours of ITU-R 601-2), 3 (RGB) or 4 (RGBA).
    size : (int, int), optional
        Height and width of the result, by triangle filters as wide as the steps (Pillow's bilinear). The
        proportions are not kept, as by default in Keras' `image_dataset_from_directory`.

    Raises
    ------
    OSError, ValueError
        If it cannot be read. The message names the file.
    ImportError
        If Pillow is missing.
    """
    mode = MODES.get(channels)
    if mode is None:
        raise ValueError(f"{path}: the model wants {channels} channels, which no picture has; use .npy")
    with _opened(path) as image:
        pixels = _pixels(image, mode, size)
    return pixels.reshape(*pixels.shape[:2], channels)


def decode_picture(data: bytes, name: str, channels: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return the pixels of a picture that is in memory, as `read_picture` does; `name` begins the errors.

    For threads: warnings are silenced for a whole process, so Pillow's are not silenced here.
    """
    with _opened_in(io.BytesIO(data), name) as image:
        pixels = _pixels(image, MODES[channels], size)
    return pixels.reshape(*pixels.shape[:2], channels)


def look(path: str | os.PathLike[str]) -> tuple[tuple[int, int], bool]:
    """Return the size (h, w) of a picture, and whether it has colours, without unpacking it.

    Raises
    ------
    OSError, ValueError, ImportError
        As `read_picture`.
    """
    with _opened(path) as image:
        height, width = image.size[::-1]
        turned = _orientation(image) >= 5
        return ((width, height) if turned else (height, width)), image.mode not in GREY


@contextmanager
def _opened(path: str | os.PathLike[str]) -> "Iterator[Image]":
    """Open a picture, none of whose pixels is unpacked yet, and name the file in all errors."""
    with open_regular(path) as file, warnings.catch_warnings():
        # Of what does not belong to the picture, and of a size that is checked here.
        warnings.simplefilter("ignore")
        with _opened_in(file, path) as image:
            yield image


@contextmanager
def _opened_in(file: BinaryIO, path: str | os.PathLike[str]) -> "Iterator[Image]":
    """Open the picture of an open file, which errors call `path`."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError(f"{path}: reading pictures needs Pillow: pip install 'cconv[data]'") from error
    with reading(path, "a readable picture", Image.DecompressionBombError):
        if file.read(len(png.SIGNATURE)) == png.SIGNATURE:
            png.check(file, check_size)  # Pillow believes a PNG more than it should
        file.seek(0)
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError as error:  # its text is about the file object
            raise ValueError(f"it is none of {', '.join(FORMATS)}") from error
        with image:
            check_size(image.height, image.width)
            if image.mode not in KNOWN:
                raise ValueError(f"its mode must be one of {', '.join(KNOWN)}, got {image.mode}")
            yield image


def check_size(height: int, width: int) -> None:
    """Refuse a picture that would take more memory than is allowed; ValueError."""
    if height * width > MOST_PIXELS:
        raise ValueError(f"it has {height}x{width} pixels; at most {MOST_PIXELS} are taken")


def _orientation(image: "Image") -> int:
    """Return how the camera was held, from 1 to 8; 1 if that is not known."""
    with suppress(OSError, *DAMAGE):
        return int(image.getexif().get(ORIENTATION, 1))
    return 1


def _pixels(image: "Image", mode: str, size: tuple[int, int] | None) -> np.ndarray:
    """Unpack a picture, and convert it to this mode and, with `size`, to this height and width."""
    from PIL import Image, ImageOps

    image.load()
    shown: Image.Image = image
    if _orientation(image) > 1:
        shown = ImageOps.exif_transpose(image)
    if image.mode in DEEP:
        shown = Image.fromarray(_bytes_of(np.asarray(shown)))
    elif mode != "RGBA" and (image.mode in ALPHA or "transparency" in image.info):
        ground = Image.new("RGBA", shown.size, "white")
        ground.alpha_composite(shown.convert("RGBA"))
        shown = ground.convert("RGB")
    shown = shown.convert(mode)
    if size is not None and shown.size != size[::-1]:
        shown = shown.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(shown)


def _bytes_of(deep: np.ndarray) -> np.ndarray:
    """Return the nearest of 256 steps for each of 65,536 steps; 65,535 is white."""
    return ((deep.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
