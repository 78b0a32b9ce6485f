"""Which algorithm computes a convolution: by shapes alone, so that results never depend on the machine.

"winograd" takes 36 products where "direct" takes 144, for 3x3 kernels of stride 1, at the price
of transforms whose cost each channel shares, and of a rounding error a few times larger; see
`_winograd.pyx`. "pointwise" is a dense layer on pixels.
"""

from typing import Any

from cconv.shapes import Window

ALGORITHMS = ("auto", "direct", "winograd")

# Winograd's transforms pay from this many channels on both sides.
FEWEST_CHANNELS = 16
# Outputs are computed in tiles of 4x4; at most so many are computed for each that is wanted.
MOST_WASTE = 2.0

# Values of one image between a convolution and its pooling that stay in the cache of a core.
LARGEST_BETWEEN = 100_000


def check_algorithm(where: str, algorithm: Any) -> str:
    """Return algorithm; TypeError or ValueError if it is no name of one."""
    expected = f"{where}: algorithm must be 'auto', 'direct' or 'winograd', got {algorithm!r}"
    if not isinstance(algorithm, str):
        raise TypeError(expected)
    if algorithm not in ALGORITHMS:
        raise ValueError(expected)
    return algorithm


def fits_winograd(window: Window, groups: int) -> bool:
    """Whether Winograd's algorithm computes such a convolution."""
    return (
        window.kernel_size == (3, 3)
        and window.strides == (1, 1)
        and window.dilation == (1, 1)
        and groups == 1
    )


def check_winograd(where: str, algorithm: str, window: Window, groups: int) -> None:
    """ValueError when Winograd's algorithm is asked for what it does not compute."""
    if algorithm == "winograd" and not fits_winograd(window, groups):
        raise ValueError(
            f"{where}: algorithm 'winograd' needs a 3x3 kernel, strides 1, dilation 1 and groups 1, got "
            f"{window.kernel_size[0]}x{window.kernel_size[1]}, strides {window.strides}, "
            f"dilation {window.dilation}, groups {groups}"
        )


def is_pointwise(window: Window, groups: int) -> bool:
    """Whether this is a 1x1 convolution that visits every pixel: a dense layer on pixels."""
    return (
        window.kernel_size == (1, 1)
        and window.output_size == window.input_size
        and window.pads == ((0, 0), (0, 0))
        and groups == 1
    )


def fuses_pooling(
    window: Window, pool: Window, groups: int, channels: int, filters: int, algorithm: str
) -> bool:
    """Whether a convolution and the max pooling behind it run as one sweep, image by image."""
    chosen = choose(window, groups, channels, filters, algorithm, window.output_size)
    between = window.output_size[0] * window.output_size[1] * filters
    positions = pool.kernel_size[0] * pool.kernel_size[1]
    return chosen in ("direct", "depthwise") and between <= LARGEST_BETWEEN and positions <= 255


def choose(
    window: Window, groups: int, channels: int, filters: int, algorithm: str, tiled: tuple[int, int]
) -> str:
    """Return "pointwise", "depthwise", "winograd" or "direct" for one pass of a convolution.

    `tiled` is the image that Winograd's algorithm would cut into tiles: the input for the input
    gradient, else the output.
    """
    if is_pointwise(window, groups):
        return "pointwise"
    if groups > 1 and groups == channels == filters:
        return "depthwise"
    if algorithm == "direct" or not fits_winograd(window, groups):
        return "direct"
    if algorithm == "winograd":
        return "winograd"
    computed = (-(-tiled[0] // 4) * 4) * (-(-tiled[1] // 4) * 4)
    pays = min(channels, filters) >= FEWEST_CHANNELS and computed <= MOST_WASTE * tiled[0] * tiled[1]
    return "winograd" if pays else "direct"
