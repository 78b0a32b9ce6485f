"""Which algorithm computes a convolution. Only shapes decide, so that results never depend on the machine.

"winograd" takes 36 products in place of 144 of "direct", or 16 in place of 36, for 3x3 and 2x2 kernels of
stride 1. It pays with transforms, whose cost the channels share, and with a rounding error that is up to a
few times larger (`kernels/winograd.pyx`). "pointwise" is a dense layer on pixels, "gathered" one on copies of
the pixels that a 1x1 kernel with strides sees: "direct" reads a large kernel for every row of an image.
"few_taps" is "direct" for
kernels of so few taps that the work around the sums would cost more than the sums, as in the first layer of a
network. "along_rows" is Winograd's algorithm along the rows alone: the forward pass of 5x5 kernels, and of
3x3 kernels of few channels, where it pays. "lanes" and "row_lanes" are "direct" for few filters: images, or
the rows of an image, lie in the lanes of vectors. `forward_algorithm` and similar functions return the final
name; the tables of `ops/convolution.py` give the file in `ops` that computes it.
"""

from dataclasses import dataclass
from typing import Any

from cconv.geometry.shapes import Window

ALGORITHMS = ("auto", "direct", "winograd")

# Side of the kernel -> sides of the tiles of outputs, in pixels.
TILES: dict[int, tuple[int, ...]] = {3: (2, 4), 2: (3,)}
# Winograd's transforms pay with at least FEWEST_CHANNELS channels and filters, if the direct sum has at least
# LEAST_GAIN times as many products.
FEWEST_CHANNELS = 16
LEAST_GAIN = 2.0

# Tiles of dy give the input gradient only if channels times filters is at most MOST_SCATTERED: every thread
# has its own transformed kernel.
MOST_SCATTERED = 2**14

# If the outputs of a pixel take at most FEW_BYTES, a direct pass leaves half of a vector empty. If they take
# at most FEWER_BYTES, it pays to put the rows of an image into the lanes.
FEW_BYTES, FEWER_BYTES = 32, 24
# Bytes of a cache line. A pass that crosses images has one real of each image side by side in a line.
LINE_BYTES = 64
# The input that one row of outputs sees in that layout has at most LARGEST_BAND bytes.
LARGEST_BAND = 2**20

# Most taps (kernel pixels times channels) of "few_taps": CCONV_MOST_TAPS of simd/few_taps/table.h.
MOST_TAPS = 75

# Winograd's algorithm along the rows: the sides of kernels, the outputs of a tile, the cost of a tile's
# transform back, in products, and how many times the products of a direct sum must be, to pay. Every band
# of rows reads the whole transformed kernel, which therefore has at most MOST_ROW_WEIGHTS values: 1 MB of
# float32, which the second cache of a core holds. From the cache behind it, it takes twice as long.
ROW_SIDES, ROW_TILE, ROW_BACK, LEAST_ROW_GAIN = (5, 3), 4, 16, 1.3
MOST_ROW_WEIGHTS = 2**18

# Fewest weights of "gathered": 2 MB of float32, which do not stay in the second cache between two rows.
FEWEST_GATHERED = 2**19

# If pixels of dy are at least FAR_PIXELS bytes apart, laying dy out pays: they collide in the L1 cache.
FAR_PIXELS = 2048

# Most values of one image between a convolution and its pooling: these stay in the cache of a core.
LARGEST_BETWEEN = 100_000


def check_algorithm(where: str, algorithm: Any) -> str:
    """Return `algorithm`; TypeError or ValueError if it is not the name of an algorithm."""
    expected = f"{where}: algorithm must be 'auto', 'direct' or 'winograd', got {algorithm!r}"
    if not isinstance(algorithm, str):
        raise TypeError(expected)
    if algorithm not in ALGORITHMS:
        raise ValueError(expected)
    return algorithm


def fits_winograd(window: Window, groups: int) -> bool:
    """Whether Winograd's algorithm can compute this convolution."""
    return (
        window.kernel_size in ((3, 3), (2, 2))
        and window.strides == (1, 1)
        and window.dilation == (1, 1)
        and groups == 1
    )


def check_winograd(where: str, algorithm: str, window: Window, groups: int) -> None:
    """Raise a ValueError if Winograd's algorithm is asked for a convolution that it cannot compute."""
    if algorithm == "winograd" and not fits_winograd(window, groups):
        raise ValueError(
            f"{where}: algorithm 'winograd' needs a 3x3 or 2x2 kernel, strides 1, dilation 1 and groups 1, "
            f"got {window.kernel_size[0]}x{window.kernel_size[1]}, strides {window.strides}, "
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


def is_gathered(window: Window, groups: int, channels: int, filters: int) -> bool:
    """Whether this is a 1x1 convolution of many weights that steps over pixels."""
    return (
        window.kernel_size == (1, 1)
        and window.strides != (1, 1)
        and window.pads == ((0, 0), (0, 0))
        and groups == 1
        and channels * filters >= FEWEST_GATHERED
    )


def _products(window: Window, tiled: tuple[int, int], tile: int) -> int:
    points = window.kernel_size[0] + tile - 1
    return -(-tiled[0] // tile) * -(-tiled[1] // tile) * points**2


def winograd_tile(window: Window, tiled: tuple[int, int]) -> int:
    """Return the side in pixels of the tiles of Winograd's algorithm that need the fewest products.

    `tiled` is the size of the image that is cut into tiles: the output, or what `gradient_tiled` returns.
    If two sides need as many products, the smaller one is taken, because it rounds less.
    """
    return min(TILES[window.kernel_size[0]], key=lambda tile: _products(window, tiled, tile))


def scatters_tiles(window: Window, channels: int, filters: int) -> bool:
    """Whether Winograd's input gradient is computed by tiles of dy, whose shares of dx overlap and add up.

    Otherwise it is a convolution of dy, computed by tiles of dx.
    """
    by_dy, by_x = (
        _products(window, tiled, winograd_tile(window, tiled))
        for tiled in (window.output_size, window.input_size)
    )
    return by_dy <= by_x and channels * filters <= MOST_SCATTERED


def gradient_tiled(window: Window, channels: int, filters: int) -> tuple[int, int]:
    """Return the size of the image that an input gradient by Winograd's algorithm cuts into tiles."""
    scatters = fits_winograd(window, 1) and scatters_tiles(window, channels, filters)
    return window.output_size if scatters else window.input_size


def pools_tiles(window: Window, pool: Window) -> bool:
    """Whether each window of this pooling lies in one tile of Winograd's algorithm."""
    return (
        pool.kernel_size == (2, 2)
        and all(step == 2 or count == 1 for step, count in zip(pool.strides, pool.output_size, strict=True))
        and pool.dilation == (1, 1)
        and pool.pads[0][0] == pool.pads[1][0] == 0
        and pool.output_size == (window.output_size[0] // 2, window.output_size[1] // 2)
        and winograd_tile(window, window.output_size) % 2 == 0
    )


def lanes_of(itemsize: int) -> int:
    """Return how many images, or rows, lie in the lanes of vectors together."""
    return LINE_BYTES // itemsize


def lanes_across(
    window: Window, images: int, given: int, made: int, groups: int, itemsize: int, gradient: bool = False
) -> str:
    """Return what a direct pass puts into the lanes of its vectors: "images", "rows" of an image, or "".

    It reads `given` and writes `made` values for each pixel; `gradient`: the pass is the input gradient, with
    strides of 1. If `made` is small, a vector of these values would be mostly empty. Then images fill the
    lanes, or rows if there are few images. The sums and their order are the same, so no bit changes.
    """
    columns = window.output_size[1] if gradient else window.input_size[1]
    fits = columns * given * _extent(window) * LINE_BYTES <= LARGEST_BAND
    if groups > 1 or made * itemsize > FEW_BYTES or not fits or (gradient and window.strides != (1, 1)):
        return ""
    lanes = lanes_of(itemsize)
    if images >= lanes:
        return "images"
    return "rows" if not gradient and made * itemsize <= FEWER_BYTES and _fills(window, lanes) else ""


def _extent(window: Window) -> int:
    """Return how many input rows an output sees."""
    return (window.kernel_size[0] - 1) * window.dilation[0] + 1


def _fills(window: Window, lanes: int) -> bool:
    """Whether the output rows of an image see no rows of padding, and leave few lanes empty.

    With a 1x1 kernel, laying the input out would take longer than the sums.
    """
    rows, (top, _) = window.output_size[0], window.pads[0]
    inside = top == 0 and (rows - 1) * window.strides[0] + _extent(window) <= window.input_size[0]
    return inside and window.kernel_size != (1, 1) and 4 * rows >= 3 * lanes * -(-rows // lanes)


def average_pool_fits(window: Window, pool: Window, channels: int, filters: int, itemsize: int) -> bool:
    """Whether a convolution that may have images in its lanes can also pool them there.

    The windows must lie inside its output and not overlap, and the rows under them must fit into the cache.
    """
    size, between = window.output_size, pool.kernel_size[0] * window.output_size[1] * filters
    apart = all(
        before == after == 0 and (count == 1 or step >= extent) and (count - 1) * step + extent <= whole
        for (before, after), count, step, extent, whole in zip(
            pool.pads, pool.output_size, pool.strides, pool.kernel_size, size, strict=True
        )
    )
    fits = apart and between * LINE_BYTES <= LARGEST_BAND
    return fits and lanes_across(window, lanes_of(itemsize), channels, filters, 1, itemsize) == "images"


def _pads_little(window: Window) -> bool:
    """Whether the padding is at most as wide as the image, and as the kernel reaches.

    Then it costs little to write the padding around a copy of the image.
    """
    for size, kernel, step, pads in zip(
        window.input_size, window.kernel_size, window.dilation, window.pads, strict=True
    ):
        if max(pads) > min(size, step * (kernel - 1)):
            return False
    return True


def has_few_taps(window: Window, groups: int, channels: int) -> bool:
    """Whether every output is a sum of few products, and the padding can be written around the images."""
    few = window.kernel_size[0] * window.kernel_size[1] * channels <= MOST_TAPS
    return few and groups == 1 and _pads_little(window)


def tiles_rows(window: Window, channels: int, filters: int, algorithm: str) -> bool:
    """Whether Winograd's algorithm along the rows pays for the forward pass of a convolution.

    The products are counted for one image and one vector of filters, which must be full, and include those
    for the transformed kernel.
    """
    side = window.kernel_size[0]
    if algorithm != "auto" or filters < FEWEST_CHANNELS or side not in ROW_SIDES or not _pads_little(window):
        return False
    if (window.kernel_size, window.strides, window.dilation) != ((side, side), (1, 1), (1, 1)):
        return False
    height, width = window.output_size
    points = ROW_TILE + side - 1
    if points * side * channels * filters > MOST_ROW_WEIGHTS:
        return False
    direct = height * width * side**2 * channels
    tiles = (height + height % 2) * -(-width // ROW_TILE)
    products = tiles * (points * side * channels + ROW_BACK) + points * side**2 * channels
    return direct >= LEAST_ROW_GAIN * products


def fuses_pooling(
    window: Window, pool: Window, groups: int, channels: int, filters: int, algorithm: str
) -> bool:
    """Whether a convolution and the max pooling behind it run as one sweep in the cache."""
    chosen = choose_forward(window, groups, channels, filters, algorithm)
    if chosen == "winograd":
        return pools_tiles(window, pool)
    between = window.output_size[0] * window.output_size[1] * filters
    positions = pool.kernel_size[0] * pool.kernel_size[1]
    return chosen in ("direct", "few_taps", "along_rows") and between <= LARGEST_BETWEEN and positions <= 255


def spreads_pooled(window: Window, groups: int, channels: int, filters: int, algorithm: str) -> bool:
    """Whether both gradients of a convolution that was pooled in one sweep read the pooled gradient."""
    tiled = (window.output_size, gradient_tiled(window, channels, filters))
    return all(choose(window, groups, channels, filters, algorithm, size) == "winograd" for size in tiled)


def choose(
    window: Window, groups: int, channels: int, filters: int, algorithm: str, tiled: tuple[int, int]
) -> str:
    """Return the algorithm of one pass of a convolution.

    "pointwise", "gathered", "depthwise", "few_taps", "winograd" or "direct". `tiled` is that of
    `winograd_tile`.
    """
    if is_pointwise(window, groups):
        return "pointwise"
    if groups > 1 and groups == channels == filters:
        return "depthwise"
    if algorithm != "direct" and is_gathered(window, groups, channels, filters):
        return "gathered"
    plain = "few_taps" if has_few_taps(window, groups, channels) else "direct"
    if algorithm == "direct" or not fits_winograd(window, groups):
        return plain
    if algorithm == "winograd":
        return "winograd"
    direct = tiled[0] * tiled[1] * window.kernel_size[0] ** 2
    pays = direct >= LEAST_GAIN * _products(window, tiled, winograd_tile(window, tiled))
    return "winograd" if pays and min(channels, filters) >= FEWEST_CHANNELS else plain


def choose_forward(window: Window, groups: int, channels: int, filters: int, algorithm: str) -> str:
    """Return the result of `choose` for the forward pass, or "along_rows"."""
    chosen = choose(window, groups, channels, filters, algorithm, window.output_size)
    if chosen not in ("few_taps", "direct") or groups > 1:
        return chosen
    return "along_rows" if tiles_rows(window, channels, filters, algorithm) else chosen


@dataclass(frozen=True)
class Convolution:
    """What the choice of an algorithm depends on, besides the number of images."""

    window: Window
    groups: int
    channels: int
    filters: int
    itemsize: int
    algorithm: str = "auto"

    @property
    def shapes(self) -> tuple[Window, int, int, int, str]:
        """The arguments of `choose`."""
        return self.window, self.groups, self.channels, self.filters, self.algorithm


# Algorithms that multiply the matrix of the pixels: a factor of each output costs them nothing.
OF_PIXELS = ("pointwise", "gathered")

# Algorithms whose choice does not depend on the number of images.
SETTLED = ("pointwise", "gathered", "depthwise", "winograd")


def forward_algorithm(convolution: Convolution, images: int) -> str:
    """Return the algorithm of the forward pass; `ops/convolution.py` has the file of each.

    "pointwise", "gathered", "depthwise", "winograd", "along_rows", "lanes", "row_lanes", "few_taps" or
    "direct".
    """
    chosen = choose_forward(*convolution.shapes)
    if chosen in SETTLED:
        return chosen
    window, groups, channels, filters, _ = convolution.shapes
    across = lanes_across(window, images, channels, filters, groups, convolution.itemsize)
    return {"images": "lanes", "rows": "row_lanes"}.get(across, chosen)


def pooled_algorithm(convolution: Convolution) -> str:
    """Return the algorithm of a forward pass with the max pooling behind it, in one sweep.

    "winograd", "along_rows", "few_taps" or "direct".
    """
    return _pooling(choose_forward(*convolution.shapes))


def pooled_weight_gradient_algorithm(convolution: Convolution) -> str:
    """Return the algorithm of the weight gradient of such a pass: "winograd", "few_taps" or "direct"."""
    return _pooling(weight_gradient_algorithm(convolution))


def _pooling(chosen: str) -> str:
    return "direct" if chosen in ("pointwise", "gathered", "depthwise") else chosen


def input_gradient_algorithm(convolution: Convolution, images: int) -> str:
    """Return that of the input gradient.

    "pointwise", "gathered", "depthwise", "winograd", "lanes" or "direct".
    """
    window, groups, channels, filters, _ = convolution.shapes
    chosen = choose(*convolution.shapes, gradient_tiled(window, channels, filters))
    if chosen in SETTLED:
        return chosen
    across = lanes_across(window, images, filters, channels, groups, convolution.itemsize, gradient=True)
    return "lanes" if across else "direct"


def weight_gradient_algorithm(convolution: Convolution) -> str:
    """Return that of the weight gradient.

    "pointwise", "gathered", "depthwise", "winograd", "few_taps" or "direct".
    """
    chosen = choose(*convolution.shapes, convolution.window.output_size)
    far = convolution.filters * convolution.itemsize >= FAR_PIXELS
    return "direct" if chosen == "pointwise" and not far else chosen
