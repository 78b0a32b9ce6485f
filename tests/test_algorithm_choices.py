"""Which algorithm computes what: well-known layers, both sides of every threshold, and counted products."""

import itertools

import numpy as np
import pytest
from tables import whole

from cconv import functional, reference
from cconv.geometry import algorithms
from cconv.geometry.shapes import resolve_window

# Of well-known networks: image, channels, filters, kernel, options, and what computes the forward pass
# and the
# input gradient. docs/architecture.md, "How a convolution is computed", says which was measured to be
# fastest for what.
LAYERS = {
    "LeNet-5 C1": ((32, 32), 1, 6, 5, {}, "few_taps", "few_taps"),
    "LeNet-5 C3": ((14, 14), 6, 16, 5, {}, "along_rows", "direct"),
    "LeNet-5 C5": ((5, 5), 16, 120, 5, {}, "direct", "direct"),
    "MNIST with 20 filters": ((28, 28), 1, 20, 5, {}, "along_rows", "few_taps"),
    "CIFAR-10 with 32 filters": ((32, 32), 3, 32, 3, {"padding": "same"}, "along_rows", "few_taps"),
    "CIFAR-10 second": ((32, 32), 32, 32, 3, {"padding": "same"}, "winograd", "winograd"),
    "AlexNet 1": ((227, 227), 3, 96, 11, {"strides": 4}, "direct", "direct"),
    "AlexNet 2": ((27, 27), 96, 256, 5, {"padding": 2}, "direct", "direct"),
    "AlexNet 3": ((13, 13), 256, 384, 3, {"padding": 1}, "winograd", "winograd"),
    "VGG-16 conv1_1": ((224, 224), 3, 64, 3, {"padding": "same"}, "along_rows", "few_taps"),
    "VGG-16 conv1_2": ((224, 224), 64, 64, 3, {"padding": "same"}, "winograd", "winograd"),
    "VGG-16 conv5_3": ((14, 14), 512, 512, 3, {"padding": "same"}, "winograd", "winograd"),
    "ResNet-50 stem": ((224, 224), 3, 64, 7, {"strides": 2, "padding": 3}, "direct", "direct"),
    "ResNet-50 reduce": ((56, 56), 256, 64, 1, {}, "pointwise", "pointwise"),
    "ResNet-50 shortcut": ((56, 56), 256, 512, 1, {"strides": 2}, "direct", "direct"),
    "ResNet-18 3x3": ((56, 56), 64, 64, 3, {"padding": 1}, "winograd", "winograd"),
    "ResNet-18 3x3 that halves": ((56, 56), 64, 128, 3, {"strides": 2, "padding": 1}, "direct", "direct"),
    "MobileNet stem": ((224, 224), 3, 32, 3, {"strides": 2, "padding": "same"}, "few_taps", "few_taps"),
    "MobileNet depthwise": (
        (112, 112),
        32,
        32,
        3,
        {"padding": "same", "groups": 32},
        "depthwise",
        "depthwise",
    ),
    "MobileNet pointwise": ((112, 112), 32, 64, 1, {}, "pointwise", "pointwise"),
    "ResNeXt 3x3 of 32 groups": ((56, 56), 128, 128, 3, {"padding": 1, "groups": 32}, "direct", "direct"),
    "U-Net 2x2": ((64, 64), 64, 32, 2, {"padding": "same"}, "winograd", "winograd"),
    "DeepLab dilated": ((65, 65), 256, 256, 3, {"padding": "same", "dilation": 6}, "direct", "direct"),
}


def window_of(size, kernel, strides=1, padding="valid", dilation=1):
    return resolve_window("test", size, kernel, strides, padding, dilation)


def pool_of(window, kernel=2, strides=None, padding="valid", dilation=1, ceil_mode=False):
    return resolve_window("test", window.output_size, kernel, strides, padding, dilation, ceil_mode)


@pytest.mark.parametrize("name", LAYERS)
def test_well_known_layers(name):
    size, channels, filters, kernel, options, forward, gradient = LAYERS[name]
    options = dict(options)
    groups = options.pop("groups", 1)
    window = window_of(size, kernel, **options)
    case = (window, groups, channels, filters)
    assert algorithms.choose_forward(*case, "auto") == forward
    assert algorithms.choose(*case, "auto", algorithms.gradient_tiled(window, channels, filters)) == gradient
    for algorithm in ("direct", "winograd"):
        chosen = algorithms.choose_forward(*case, algorithm)
        wins = algorithm == "winograd" and forward not in ("pointwise", "depthwise")
        if wins and algorithms.fits_winograd(window, groups):
            assert chosen == "winograd"
        else:
            few = kernel**2 * channels <= 75 and groups == 1
            plain = {"pointwise": "pointwise", "depthwise": "depthwise"}.get(
                forward, "few_taps" if few else "direct"
            )
            assert chosen == plain


# --- names -----------------------------------------------------------------------------------------


def test_names_of_algorithms():
    for name in ("auto", "direct", "winograd"):
        assert algorithms.check_algorithm("f", name) is name
    with pytest.raises(
        ValueError, match=r"^f: algorithm must be 'auto', 'direct' or 'winograd', got 'rows'$"
    ):
        algorithms.check_algorithm("f", "rows")
    with pytest.raises(TypeError, match=r"^f: algorithm must be 'auto', 'direct' or 'winograd', got None$"):
        algorithms.check_algorithm("f", None)


def test_what_winograd_computes():
    for kernel, strides, dilation, groups in itertools.product(
        itertools.product(range(1, 5), repeat=2), ((1, 1), (1, 2), (2, 1)), ((1, 1), (1, 2), (2, 1)), (1, 2)
    ):
        window = window_of((12, 12), kernel, strides, dilation=dilation)
        plain = kernel in ((2, 2), (3, 3)) and strides == dilation == (1, 1) and groups == 1
        assert algorithms.fits_winograd(window, groups) == plain
        algorithms.check_winograd("f", "auto", window, groups)
        algorithms.check_winograd("f", "direct", window, groups)
        if plain:
            algorithms.check_winograd("f", "winograd", window, groups)
        else:
            with pytest.raises(
                ValueError, match=r"^f: algorithm 'winograd' needs a 3x3 or 2x2 kernel, strides 1"
            ):
                algorithms.check_winograd("f", "winograd", window, groups)


def test_what_is_a_dense_layer_on_pixels():
    for kernel, strides, padding, groups in itertools.product(
        ((1, 1), (1, 2), (2, 1)),
        ((1, 1), (1, 2), (2, 1)),
        ("valid", "same", ((1, 0), (0, 0)), ((0, 0), (0, 1))),
        (1, 2),
    ):
        window = window_of((5, 6), kernel, strides, padding)
        pointwise = kernel == strides == (1, 1) and isinstance(padding, str) and groups == 1
        assert algorithms.is_pointwise(window, groups) == pointwise
        assert (
            algorithms.choose(window, groups, 4, 6, "auto", window.output_size) == "pointwise"
        ) == pointwise
    # Padding and strides that leave as many outputs as there are inputs.
    assert not algorithms.is_pointwise(window_of((4, 4), 1, (1, 3), ((0, 0), (3, 3))), 1)
    assert not algorithms.is_pointwise(window_of((4, 4), 1, (3, 1), ((3, 3), (0, 0))), 1)


def test_what_is_depthwise():
    window = window_of((9, 9), 3)
    for groups, channels, filters in itertools.product((1, 2, 4), (1, 2, 4), (2, 4)):
        chosen = algorithms.choose(window, groups, channels, filters, "auto", window.output_size)
        assert (chosen == "depthwise") == (groups == channels == filters and groups > 1)
    assert algorithms.choose(window, 1, 1, 1, "auto", window.output_size) == "few_taps"


# --- Winograd's tiles ------------------------------------------------------------------------------


def products(side, tiled, tile):
    """The products of a channel, counted tile by tile: each has (side + tile - 1)² points."""
    tiles = len(list(itertools.product(range(0, tiled[0], tile), range(0, tiled[1], tile))))
    return tiles * (side + tile - 1) ** 2


SIZES = list(itertools.product((1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17), repeat=2))


def best(side, tiled):
    """The tile with the fewest products, of two with as many the smaller."""
    return min({3: (2, 4), 2: (3,)}[side], key=lambda tile: (products(side, tiled, tile), tile))


@pytest.mark.parametrize("side", [2, 3])
def test_tiles_with_the_fewest_products(side):
    window = window_of((20, 20), side)
    for tiled in SIZES:
        assert algorithms.winograd_tile(window, tiled) == best(side, tiled), tiled


@pytest.mark.parametrize("side", [2, 3])
def test_winograd_where_it_halves_the_products(side):
    """A direct sum has side² products an output; 16 channels on both sides share the transforms."""
    window = window_of((20, 20), side)
    for tiled in SIZES:
        halves = tiled[0] * tiled[1] * side**2 >= 2 * products(side, tiled, best(side, tiled))
        for channels, filters in ((16, 16), (16, 40), (15, 16), (16, 15), (40, 40)):
            chosen = algorithms.choose(window, 1, channels, filters, "auto", tiled)
            shared = channels >= 16 and filters >= 16
            few = side**2 * channels <= 75
            assert chosen == ("winograd" if halves and shared else "few_taps" if few else "direct"), tiled
    chosen = {algorithms.choose(window, 1, 40, 40, "auto", tiled) for tiled in SIZES}
    assert chosen == {"winograd", "direct"}


@pytest.mark.parametrize("side", [2, 3])
def test_the_input_gradient_by_tiles_of_dy_or_of_x(side):
    seen = set()
    for size, padding in itertools.product(SIZES, ("valid", "same", 2, ((2, 0), (0, 1)))):
        if min(size) < side:
            continue
        window = window_of(size, side, padding=padding)
        of_dy = products(side, window.output_size, best(side, window.output_size))
        of_x = products(side, size, best(side, size))
        for channels, filters in ((16, 16), (128, 128), (128, 129)):
            # Every thread has the transformed kernel for itself: of at most 16,384 channels times filters.
            by_dy = of_dy <= of_x and channels * filters <= 16384
            assert algorithms.scatters_tiles(window, channels, filters) == by_dy
            tiled = window.output_size if by_dy else size
            assert algorithms.gradient_tiled(window, channels, filters) == tiled
            seen.add(by_dy)
    assert seen == {False, True}


def test_other_kernels_have_no_tiles():
    window = window_of((9, 9), 5)
    assert algorithms.gradient_tiled(window, 16, 16) == (9, 9)
    assert algorithms.gradient_tiled(window_of((9, 9), 3, 2), 16, 16) == (9, 9)


@pytest.mark.parametrize(
    ("size", "side", "options", "fits"),
    [
        ((10, 10), 3, {}, True),
        ((11, 11), 3, {}, True),  # the last row and column are not pooled
        ((10, 10), 3, {"strides": 1}, False),
        ((10, 10), 3, {"strides": (2, 3)}, False),
        ((10, 10), 3, {"kernel": 3, "strides": 2}, False),
        ((10, 10), 3, {"kernel": (2, 1), "strides": 2}, False),
        ((10, 10), 3, {"dilation": (2, 1), "strides": 2}, False),
        ((10, 10), 3, {"padding": ((1, 0), (0, 0))}, False),
        ((10, 10), 3, {"padding": ((0, 0), (1, 0))}, False),
        ((10, 10), 3, {"padding": ((0, 1), (0, 0))}, True),  # what hangs over is no window
        ((11, 10), 3, {"padding": ((0, 1), (0, 0))}, False),  # one more
        ((10, 11), 3, {"padding": "same"}, False),
        ((11, 11), 3, {"ceil_mode": True}, False),
        ((5, 10), 3, {"strides": (7, 2)}, True),  # one window: no step is taken
        ((10, 5), 3, {"strides": (2, 7)}, True),
        ((7, 7), 3, {"strides": (3, 2)}, False),  # as many windows, but the second crosses two tiles
        ((7, 7), 3, {"strides": (2, 3)}, False),
        ((11, 11), 3, {"dilation": (2, 1), "strides": 2}, False),
        ((11, 11), 3, {"dilation": (1, 2), "strides": 2}, False),
        ((9, 9), 2, {}, False),  # tiles of three pixels
        ((4, 4), 3, {}, True),  # tiles of two
    ],
)
def test_windows_that_lie_in_one_tile(size, side, options, fits):
    window = window_of(size, side)
    assert algorithms.pools_tiles(window, pool_of(window, **options)) == fits


# --- few taps, and tiles along the rows ------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kernel", "channels", "options", "few"),
    [
        ((28, 28), 5, 3, {}, True),  # 75 taps
        ((28, 28), (2, 19), 2, {}, False),  # 76
        ((28, 28), (25, 3), 1, {}, True),
        ((28, 28), (3, 25), 1, {}, True),
        ((28, 28), 5, 4, {}, False),
        ((28, 28), 5, 1, {"groups": 2}, False),
        ((28, 28), 5, 1, {"padding": 4}, True),  # as wide as the kernel reaches
        ((28, 28), 5, 1, {"padding": ((5, 0), (0, 0))}, False),
        ((28, 28), 5, 1, {"padding": ((0, 5), (0, 0))}, False),
        ((28, 28), 5, 1, {"padding": ((0, 0), (5, 0))}, False),
        ((28, 28), 5, 1, {"padding": ((0, 0), (0, 5))}, False),
        ((28, 28), 3, 1, {"padding": 6, "dilation": 3}, True),
        ((28, 28), 3, 1, {"padding": 7, "dilation": 3}, False),
        ((2, 28), 5, 1, {"padding": ((2, 2), (4, 4))}, True),  # as wide as the image
        ((2, 28), 5, 1, {"padding": ((3, 3), (4, 4))}, False),
        ((28, 2), 5, 1, {"padding": ((4, 4), (3, 3))}, False),
        ((28, 28), 1, 1, {"padding": ((1, 0), (0, 0))}, False),
    ],
)
def test_few_taps(size, kernel, channels, options, few):
    options = dict(options)
    groups = options.pop("groups", 1)
    window = window_of(size, kernel, **options)
    assert algorithms.has_few_taps(window, groups, channels) == few
    if groups == 1:
        chosen = algorithms.choose(window, 1, channels, 8, "auto", window.output_size)
        assert chosen == ("few_taps" if few else "direct")


def row_products(side, size, channels):
    """Products of one image and filter by Winograd's algorithm along the rows.

    A tile is four outputs of a row, two rows at a time. It has side + 3 points for each row of the kernel
    and each channel, and 16 products for the way back. The transformed kernel is made once.
    """
    rows = len(range(0, size[0], 2)) * 2
    tiles = rows * len(range(0, size[1], 4))
    points = side + 3
    return tiles * (points * side * channels + 16) + points * side * side * channels


@pytest.mark.parametrize("side", [3, 5])
def test_tiles_along_rows_where_they_save_three_products_in_ten(side):
    seen = set()
    for size in itertools.product((1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 24, 25, 32), repeat=2):
        window = window_of((size[0] + side - 1, size[1] + side - 1), side)
        assert window.output_size == size
        for channels in (1, 2, 3, 4, 6, 12, 15, 16, 40):
            direct = size[0] * size[1] * side**2 * channels
            pays = direct >= 1.3 * row_products(side, size, channels)
            seen.add(pays)
            assert algorithms.tiles_rows(window, channels, 16, "auto") == pays, (size, channels)
            assert not algorithms.tiles_rows(window, channels, 15, "auto")
            assert not algorithms.tiles_rows(window, channels, 16, "direct")
            assert not algorithms.tiles_rows(window, channels, 16, "winograd")
    assert seen == {False, True}


def test_three_products_in_ten_exactly():
    assert 13 * row_products(3, (17, 9), 26) == 10 * 17 * 9 * 9 * 26
    assert algorithms.tiles_rows(window_of((19, 11), 3), 26, 16, "auto")


@pytest.mark.parametrize(("side", "channels", "filters"), [(5, 128, 51), (5, 51, 128), (3, 13, 1120)])
def test_transformed_kernels_that_leave_the_second_cache_are_not_tiled_along_the_rows(
    side, channels, filters
):
    window = window_of((64, 64), side)
    weights = (side + 3) * side * channels
    assert weights * filters <= 2**18 < weights * (filters + 1)
    assert algorithms.tiles_rows(window, channels, filters, "auto")
    assert not algorithms.tiles_rows(window, channels, filters + 1, "auto")


@pytest.mark.parametrize(
    ("kernel", "options", "pays"),
    [
        (5, {}, True),
        (5, {"padding": 4}, True),
        (5, {"padding": 5}, False),
        (5, {"strides": (2, 1)}, False),
        (5, {"strides": (1, 2)}, False),
        (5, {"dilation": (2, 1)}, False),
        (5, {"dilation": (1, 2)}, False),
        ((5, 3), {}, False),
        ((3, 5), {}, False),
        (3, {}, True),
        (4, {}, False),
        (7, {}, False),
        (1, {}, False),
        (2, {}, False),
    ],
)
def test_kernels_that_are_tiled_along_the_rows(kernel, options, pays):
    window = window_of((64, 64), kernel, **options)
    assert algorithms.tiles_rows(window, 12, 32, "auto") == pays
    forward = algorithms.choose_forward(window, 1, 12, 32, "auto")
    assert (forward == "along_rows") == pays
    assert algorithms.choose_forward(window, 2, 24, 32, "auto") == "direct"


# --- pooling in the same sweep ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "channels", "filters", "kernel", "options", "fuses"),
    [
        ((28, 28), 1, 30, 5, {}, True),  # rows
        ((28, 28), 1, 8, 5, {}, True),  # first
        ((14, 14), 6, 8, 5, {}, True),  # direct
        ((34, 34), 32, 32, 3, {}, True),  # winograd, and a tile holds the windows
        ((34, 34), 32, 32, 3, {"kernel": 3}, False),
        ((34, 34), 32, 32, 1, {}, False),  # pointwise
        # 100,000 values of an image between the two
        ((104, 104), 4, 10, 5, {}, True),
        ((105, 104), 4, 10, 5, {}, False),
        ((104, 105), 4, 10, 5, {}, False),
        ((104, 104), 4, 11, 5, {}, False),
        ((5, 9095), 1, 11, 5, {"kernel": (1, 2)}, False),  # 100,001
        ((5, 9094), 1, 11, 5, {"kernel": (1, 2)}, True),
        ((254, 5), 1, 8, 4, {"kernel": (251, 2)}, False),  # more positions than a byte counts
        ((20, 20), 1, 8, 5, {"kernel": (15, 16)}, True),
        ((21, 21), 1, 8, 5, {"kernel": (15, 17)}, True),  # 255 of them
        ((21, 21), 1, 8, 5, {"kernel": (16, 16)}, False),
        ((22, 22), 1, 8, 5, {"kernel": (15, 18)}, False),
        ((22, 22), 1, 8, 5, {"kernel": (18, 15)}, False),
    ],
)
def test_pooling_in_one_sweep(size, channels, filters, kernel, options, fuses):
    window = window_of(size, kernel)
    pool = pool_of(window, **options)
    assert algorithms.fuses_pooling(window, pool, 1, channels, filters, "auto") == fuses


def test_depthwise_convolutions_are_not_pooled():
    window = window_of((28, 28), 3)
    assert not algorithms.fuses_pooling(window, pool_of(window), 8, 8, 8, "auto")
    assert algorithms.fuses_pooling(window, pool_of(window), 2, 8, 8, "auto")


@pytest.mark.parametrize(
    ("size", "padding", "channels", "filters", "algorithm", "spreads"),
    [
        ((34, 34), "valid", 32, 32, "auto", True),
        ((34, 34), "valid", 32, 32, "winograd", True),
        ((34, 34), "valid", 32, 32, "direct", False),
        ((34, 34), "valid", 15, 32, "auto", False),
        ((6, 6), "valid", 256, 256, "auto", True),
        (
            (3, 3),
            "valid",
            256,
            256,
            "auto",
            False,
        ),  # it pays for the gradient alone: 3x3 pixels, and 1 output
        ((1, 9), ((5, 5), (1, 1)), 256, 256, "auto", False),  # for the forward pass alone
    ],
)
def test_gradients_that_read_the_pooled_one(size, padding, channels, filters, algorithm, spreads):
    window = window_of(size, 3, padding=padding)
    assert algorithms.spreads_pooled(window, 1, channels, filters, algorithm) == spreads
    assert not algorithms.spreads_pooled(window, 2, channels, filters, algorithm)


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_chosen_computes_the_layer(name):
    """Two images of a few pixels and channels: the choice may be another, but never one that cannot do it."""
    size, channels, filters, kernel, options, *_ = LAYERS[name]
    height, width = (max(min(n, 13), kernel) for n in size)
    groups = options.get("groups", 1)
    if groups == 1:
        channels, filters = min(channels, 18), min(filters, 20)
    x = whole((2, height, width, channels), 6, 0)
    weights = whole((kernel, kernel, channels // groups, filters), 3, 1)
    y = functional.conv2d(x, weights, **options)
    dy = whole(y.shape, 4, 3)
    found = (y, *functional.conv2d_backward(dy, x, weights, **options))
    magnitudes = (np.abs(dy), np.abs(x), np.abs(weights))
    wanted = (
        reference.conv2d(x, weights, **options),
        *reference.conv2d_backward(dy, x, weights, **options),
    )
    scales = (
        reference.conv2d(*magnitudes[1:], **options),
        *reference.conv2d_backward(*magnitudes, **options),
    )
    for one, other, scale in zip(found, wanted, scales, strict=True):
        np.testing.assert_array_less(np.abs(one - other), 1e-5 * scale.max() + 1e-30)
