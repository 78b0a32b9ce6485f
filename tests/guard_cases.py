"""Call every kernel on guarded memory, at sizes with every kind of tail, twice, and compare the results.

Run as a program under one instruction set (``CCONV_ISA``): ``guard_cases.py float32 end start`` says which
dtype, and which side of every array touches an unmapped page, in turns; of one side the results are compared
with those on plain memory. Prints each case before it runs, so that the last line names the case that killed
the process.
"""

import itertools
import math
import sys
from dataclasses import dataclass, field, replace

import numpy as np
from guard import guarded_kernels
from strategies import Geometry, normal, parallel_at_any_size, rows_tiled

import cconv
from cconv import ops
from cconv.geometry.sampling import resized_axis
from cconv.geometry.shapes import resolve_window
from cconv.kernels import activations, losses
from cconv.ops import adafactor, bands
from cconv.ops import batch_normalization as ops_batch_normalization
from cconv.ops import group_normalization as ops_group_normalization
from cconv.ops import images as ops_images
from cconv.ops import layer_normalization as ops_layer_normalization
from cconv.ops import merging as ops_merging
from cconv.ops import normalization as ops_normalization
from cconv.ops import optimizers as ops_optimizers
from cconv.ops.behind import Behind
from cconv.ops.dropout import keep
from cconv.ops.dropout import normal as normal_noise
from cconv.ops.run import Run

CHANNELS = (1, 2, 3, 5, 7, 15, 16, 17, 30, 31, 33)
PAIRS = tuple(itertools.product(CHANNELS, CHANNELS))
WIDTHS = range(1, 10)
SMOOTH = (
    *("silu", "gelu", "gelu_tanh", "elu", "selu", "softplus", "softsign", "mish"),
    *("hard_sigmoid", "hard_silu", "exponential"),
)
LENGTHS = (*range(1, 71), 8191, 8192, 8193)  # past a chunk of the elementwise kernels

MERGED = ("add", "add_relu", "subtract", "multiply", "divide", "maximum", "minimum", "larger_share")

# Kernel, strides, padding, dilation; where padding is "valid" the image is as much larger.
WINDOWS = (
    ((3, 3), 1, "same", 1),
    ((3, 3), 2, "same", 1),
    ((1, 1), 1, "valid", 1),
    ((1, 1), (2, 3), "valid", 1),
    ((2, 2), 2, "valid", 1),
    ((3, 2), (1, 2), 1, 1),
    ((2, 3), (2, 1), "same", (2, 1)),
    ((5, 5), 1, 2, 1),
    ((3, 3), (3, 2), ((0, 2), (3, 1)), (1, 2)),
    ((1, 4), 1, ((0, 0), (3, 0)), 1),
    ((3, 3), 5, ((0, 4), (4, 0)), 1),
)
# Overlapping windows that have a kernel of their own; more positions than a byte counts.
POOLS = (*WINDOWS, ((2, 2), 1, "valid", 1), ((2, 2), 1, 1, 1), ((16, 17), 3, (8, 9), 1))


@dataclass
class Filled(Run):
    """Fresh arrays filled with one byte: 0xFF makes NaN of whatever a kernel does not write."""

    fill: int = 0
    memory: dict = field(default_factory=dict)

    def empty(self, tag, shape, dtype):
        dtype = np.dtype(dtype)
        filled = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
        filled.fill(self.fill)
        return filled.view(dtype).reshape(shape)

    def scratch(self, nbytes):
        return self.empty("scratch", (nbytes,), np.uint8)

    def kept(self, what, count, dtype):
        if what not in self.memory:
            self.memory[what] = self.empty("kept", (count,), dtype)
            self.memory[what][0] = 0
        return self.memory[what]


def inputs(dtype, *shapes):
    """Read-only arrays of those shapes."""
    arrays = normal(len(shapes), dtype, *shapes)
    for array in arrays:
        array.setflags(write=False)
    return arrays


def sized(i, window, ceil_mode=False):
    """The i-th geometry of a window: widths and heights go round."""
    kernel_size, strides, padding, dilation = window
    width, height = WIDTHS[i % len(WIDTHS)], WIDTHS[i // len(WIDTHS) % 5]
    if padding == "valid":
        height, width = height + kernel_size[0] - 1, width + kernel_size[1] - 1
    return Geometry((height, width), kernel_size, strides, padding, dilation, ceil_mode)


def convolution(n, geometry, channels, filters, groups, dtype, algorithm="direct"):
    """Forward and both gradients of a convolution; channels and filters are those of a group."""
    window = geometry.window()
    shapes = (
        (n, *geometry.size, channels * groups),
        (*geometry.kernel_size, channels, filters * groups),
        (filters * groups,),
        (n, *window.output_size, filters * groups),
    )
    x, kernel, bias, dy = inputs(dtype, *shapes)
    # Another one in its last weight alone: where kernels are kept that is found late.
    changed = kernel.copy()
    changed.reshape(-1)[-1] += 1
    changed.setflags(write=False)

    def compute(run):
        return (
            ops.conv2d(x, kernel, bias, window, groups, True, run, algorithm),
            ops.conv2d(x, changed, None, window, groups, False, run, algorithm),
            ops.conv2d(x, kernel, None, window, groups, False, run, algorithm, last=Behind("silu", 0.0, dy)),
            ops.conv2d_input_gradient(dy, kernel, window, groups, x.shape[3], run, algorithm),
            ops.conv2d_input_gradient(dy, kernel, window, groups, x.shape[3], run, algorithm, x),
            *ops.conv2d_weight_gradient(dy, x, window, groups, run, algorithm),
        )

    return compute


def frozen(n, geometry, channels, filters, dtype):
    """A convolution whose kernel never changes, twice."""
    window = geometry.window()
    shapes = (n, *geometry.size, channels), (*geometry.kernel_size, channels, filters)
    x, kernel = inputs(dtype, *shapes)

    def compute(run):
        run.lasting = True
        return [ops.conv2d(x, kernel, None, window, 1, False, run, "winograd") for _ in range(2)]

    return compute


def convolutions(dtype):
    cases = [(window, c, f, 1) for (c, f), window in itertools.product(PAIRS, WINDOWS)]
    few = (1, 2, 3, 5, 17)
    cases += [(window, *rest) for rest in itertools.product(few, few, (2, 3)) for window in WINDOWS]
    cases += [(window, 1, f, c) for c, f in itertools.product((*CHANNELS, 67), (1, 2)) for window in WINDOWS]
    for i, (window, channels, filters, groups) in enumerate(cases):
        yield convolution, 1 + i % 3, sized(i, window), channels, filters, groups, dtype
    # Several bands of rows, several blocks of the batch, several blocks of filters.
    same = Geometry((37, 41), (3, 3), 1, "same")
    yield convolution, 3, same, 33, 17, 1, dtype
    yield convolution, 2, same, 5, 67, 1, dtype
    yield convolution, 2, Geometry((38, 41), (3, 3), 2, 1), 67, 1, 1, dtype
    yield convolution, 2, same, 1, 1, 67, dtype
    yield convolution, 1, Geometry((9, 14), (3, 3), 2, "same"), 1, 1, 275, dtype
    # Enough images that they are the lanes of vectors.
    cases = itertools.product(range(1, 9), (1, 3, 9), (False, True), WINDOWS)
    for i, (small, other, swap, window) in enumerate(cases):
        channels, filters = (small, other) if swap else (other, small)
        yield convolution, (8, 16, 17, 19)[i % 4], sized(i, window), channels, filters, 1, dtype
    yield convolution, 17, same, 7, 6, 1, dtype
    # Rows that fill the lanes of vectors, and fewer images.
    paddings = ("valid", ((0, 0), (1, 2)))
    for i, (padding, stride, small) in enumerate(itertools.product(paddings, (1, 2), (1, 2, 3, 4, 6))):
        rows = Geometry((34, 9 + i % 5), (3, 2), stride, padding)
        yield convolution, 1 + i % 3, rows, 1 + i % 4, small, 1, dtype


def mobile_block(n, geometry, channels, inner, filters, dtype):
    """A depthwise convolution with a 1x1 convolution in front of it, behind it, and both."""
    window = geometry.window()
    shapes = (1, 1, channels, inner), (*geometry.kernel_size, 1, inner), (1, 1, inner, filters)
    more = (n, *geometry.size, channels), (n, *geometry.size, inner), (n, *window.output_size, filters)
    expand, kernel, project, x, wide, added, bias, last = inputs(dtype, *shapes, *more, (inner,), (filters,))
    front = bands.Part(expand, bias, bias, Behind("relu"))
    middle = bands.Part(kernel, None, bias, Behind("clipped_relu", 6.0))
    behind = bands.Part(project, last, last, Behind("silu", 0.0, added))

    def compute(run):
        lasting = replace(run, lasting=True)
        return (
            bands.forward(x, front, middle, behind, window, run),
            bands.forward(x, front, middle, None, window, run),
            bands.forward(wide, None, middle, behind, window, run),
            *(bands.forward(x, front, middle, behind, window, lasting) for _ in range(2)),
        )

    return compute


def mobile_blocks(dtype):
    for i, ((channels, inner), window) in enumerate(itertools.product(PAIRS, WINDOWS)):
        yield mobile_block, 1 + i % 3, sized(i, window), channels, inner, CHANNELS[i % len(CHANNELS)], dtype
    # Several rounds of a task, several pieces of a sum.
    yield mobile_block, 2, Geometry((41, 40), (3, 3), 1, "same"), 3, 200, 5, dtype
    yield mobile_block, 2, Geometry((41, 40), (3, 3), 2, "same"), 200, 70, 33, dtype


def averaged(n, geometry, channels, filters, activation, pool, dtype):
    """A convolution, its activation and average pooling, images being lanes."""
    window = geometry.window()
    windows = resolve_window("averaged", window.output_size, *pool, "valid")
    shapes = (n, *geometry.size, channels), (*geometry.kernel_size, channels, filters), (filters,)
    arrays = inputs(dtype, *shapes)
    return lambda run: [ops.conv2d_average_pool(*arrays, window, activation, windows, False, run)]


def averages(dtype):
    """Every number of filters, with a group that is full, is not, is one image; windows apart or not."""
    pools = ((1, 1), 1), ((2, 2), 2), ((3, 1), 4), ((1, 4), 4)
    sizes = [Geometry(size, (3, 2), stride, "same") for size in ((9, 8), (29, 31)) for stride in (1, 2)]
    cases = itertools.product(sizes, pools, range(1, 9))
    for i, (geometry, pool, filters) in enumerate(cases):
        activation = ("linear", "relu", "tanh", "sigmoid")[i % 4]
        yield averaged, (16, 17, 8, 1)[i % 4], geometry, 1 + i % 3, filters, activation, pool, dtype


def winograds(dtype):
    """Kernels of stride 1 by Winograd's algorithm: every tail of its tiles, alone and with max pooling."""
    paddings = ("same", "valid", 1, 2, ((2, 0), (1, 2)))
    for i, (channels, filters) in enumerate(PAIRS):
        for j, (padding, side) in enumerate(itertools.product(paddings, (2, 3))):
            geometry = sized(i * len(paddings) + j, ((side, side), 1, padding, 1))
            yield convolution, 1 + i % 3, geometry, channels, filters, 1, dtype, "winograd"
            if side == 3 and min(geometry.window().output_size) > 1:
                pool = ((2, 2), 2, "valid")
                yield pooled, 1 + i % 3, geometry, *pool, channels, filters, 1, dtype, "winograd"
    for channels, filters in ((33, 17), (5, 67), (67, 1), (64, 64)):
        for side in (2, 3):
            same = Geometry((37, 41), (side, side), 1, "same")
            yield convolution, 3, same, channels, filters, 1, dtype, "winograd"
        yield pooled, 3, same, (2, 2), 2, "valid", channels, filters, 1, dtype, "winograd"
    # So large a kernel that a task is a block of filters.
    large = Geometry((5, 6), (3, 3), 1, "same")
    yield convolution, 3, large, 130, 260, 1, dtype, "winograd"
    for channels, filters in ((33, 17), (130, 260)):
        yield frozen, 3, large, channels, filters, dtype


def tiled(dtype):
    """Winograd's algorithm along the rows: every tail of its tiles, alone and pooled."""
    paddings = ("same", "valid", 1, ((2, 0), (1, 2)))
    cases = itertools.product((1, 2, 3, 7), (16, 17, 30, 33), paddings, (3, 5))
    for i, (channels, filters, padding, side) in enumerate(cases):
        geometry = sized(i, ((side, side), 1, padding, 1))
        geometry = replace(geometry, size=tuple(side + extent for extent in geometry.size))
        rest = channels, filters, 1, dtype, "auto"
        yield convolution, 1 + i % 3, geometry, *rest
        yield pooled, 1 + i % 3, geometry, (2, 2), 2 - i % 2, "valid", *rest
    # Several bands of an image.
    same = Geometry((251, 43), (5, 5), 1, "same")
    yield convolution, 2, same, 3, 33, 1, dtype, "auto"
    yield pooled, 2, same, (2, 2), 2, "valid", 3, 33, 1, dtype, "auto"


def pooled(n, geometry, pool_size, strides, padding, channels, filters, groups, dtype, algorithm="direct"):
    """A convolution and max pooling in one sweep, and the gradients through both."""
    window = geometry.window()
    pool = Geometry(window.output_size, pool_size, strides, padding, 1, False).window()
    shapes = (
        (n, *geometry.size, channels * groups),
        (*geometry.kernel_size, channels, filters * groups),
        (filters * groups,),
        (n, *pool.output_size, filters * groups),
    )
    x, kernel, bias, dy = inputs(dtype, *shapes)

    def compute(run):
        results = []
        for beta, relu in ((bias, True), (None, False)):
            y, argmax = ops.conv2d_max_pool(x, kernel, beta, window, pool, groups, relu, run, algorithm)
            argmax.setflags(write=False)
            back = (dy, argmax, x, window, pool, groups, run, algorithm)
            results += [y, argmax, *ops.conv2d_max_pool_weight_gradient(*back)]
            if algorithm == "winograd":
                results += [
                    ops.conv2d_max_pool_input_gradient(dy, argmax, kernel, window, channels, run, positive)
                    for positive in (None, x)
                ]
        return results

    return compute


def sweeps(dtype):
    cases = [(c, f, 1) for c, f in PAIRS] + [(1, 1, c) for c in CHANNELS] + [(2, 3, 2)]
    for i, ((channels, filters, groups), window) in enumerate(itertools.product(cases, WINDOWS)):
        pool = (((2, 2), 2, "same"), ((3, 2), 1, "same"), ((2, 3), (3, 1), "same"))[i % 3]
        yield pooled, 1 + i % 3, sized(i, window), *pool, channels, filters, groups, dtype
    yield pooled, 3, Geometry((37, 41), (3, 3), 1, "same"), (2, 2), 2, "same", 5, 67, 1, dtype


def spread(n, geometry, channels, filters, groups, dtype):
    """A transposed convolution and both its gradients; channels and filters are those of a group."""
    window = geometry.window()
    x, kernel, bias, dy = inputs(
        dtype,
        (n, *window.output_size, channels * groups),
        (*geometry.kernel_size, filters, channels * groups),
        (filters * groups,),
        (n, *geometry.size, filters * groups),
    )

    def compute(run):
        return (
            ops.conv2d_transpose(x, kernel, bias, window, groups, True, run),
            ops.conv2d_transpose(x, kernel, bias, window, groups, False, run),
            ops.conv2d_transpose(x, kernel, None, window, groups, True, run),
            ops.conv2d_transpose_input_gradient(dy, kernel, window, groups, run),
            *ops.conv2d_transpose_weight_gradient(dy, x, window, groups, run),
        )

    return compute


def resized(n, size, outputs, channels, interpolation, dtype):
    x, dy = inputs(dtype, (n, *size, channels), (n, *outputs, channels))
    axes = [resized_axis(extent, side, interpolation) for extent, side in zip(size, outputs, strict=True)]
    return lambda run: [ops.resize(x, *axes, run), ops.resize_backward(dy, *axes, run)]


def larger(dtype):
    """Images of another size: by kernels, and between their pixels."""
    for i, ((channels, filters), window) in enumerate(itertools.product(PAIRS, WINDOWS)):
        yield spread, 1 + i % 3, sized(i, window), channels, filters, 1, dtype
    for i, (channels, window) in enumerate(itertools.product(CHANNELS, WINDOWS)):
        yield spread, 1 + i % 3, sized(i, window), 1, 1, channels, dtype
    ways = itertools.product(WIDTHS, (1, 2, 5, 9, 16), CHANNELS, ("bilinear", "nearest"))
    for i, (width, other, channels, interpolation) in enumerate(ways):
        size, outputs = (1 + i % 4, width), (1 + i % 7, other)
        yield resized, 1 + i % 3, size, outputs, channels, interpolation, dtype


def dense(m, width, outputs, dtype):
    x, kernel, bias, scale, dy = inputs(
        dtype, (m, width), (width, outputs), (outputs,), (outputs,), (m, outputs)
    )

    def compute(run):
        lasting = replace(run, lasting=True)
        return (
            *(ops.dense(x, kernel, bias, True, lasting, scale) for _ in range(2)),
            ops.dense(x, kernel, bias, True, run),
            ops.dense(x, kernel, bias, True, run, scale),
            ops.dense(x, kernel, bias, False, run, None, Behind("silu", 0.0, dy)),
            ops.dense(x, kernel, bias, False, run, scale, Behind("clipped_relu", 0.5, dy)),
            ops.dense(x, kernel, None, False, run),
            ops.dense_input_gradient(dy, kernel, run),
            *ops.dense_weight_gradient(dy, x, run),
        )

    return compute


def denses(dtype):
    rows = (*WIDTHS, 15, 16, 17, 65)
    for i, (width, outputs) in enumerate(PAIRS):
        yield dense, rows[i % len(rows)], width, outputs, dtype
        yield dense, rows[(i + 5) % len(rows)], width, outputs, dtype
    for sizes in (
        (513, 65, 33),
        (3, 1025, 17),
        (17, 1025, 67),
        (66, 67, 1027),
        (9, 300, 600),
        (300, 130, 300),
    ):
        yield dense, *sizes, dtype


def pooling(n, geometry, channels, dtype):
    window = geometry.window()
    x, dy, col = inputs(
        dtype,
        (n, *geometry.size, channels),
        (n, *window.output_size, channels),
        (n * np.prod(window.output_size), np.prod(geometry.kernel_size) * channels),
    )

    def compute(run):
        y, argmax = ops.max_pool2d(x, window, run)
        argmax.setflags(write=False)
        results = [y, argmax, ops.max_pool2d_backward(dy, argmax, window, run)]
        if not geometry.ceil_mode:
            results += [ops.im2col(x, window, run), ops.col2im(col, n, channels, window, run)]
        for include_pad in (False, True):
            results.append(ops.average_pool2d(x, window, include_pad, run))
            results.append(ops.average_pool2d_backward(dy, window, include_pad, run))
        return results

    return compute


def poolings(dtype):
    cases = itertools.product(CHANNELS, POOLS, (False, True), range(3))
    for i, (channels, window, ceil_mode, _) in enumerate(cases):
        yield pooling, 1 + i % 3, sized(i, window, ceil_mode), channels, dtype


def elementwise(n, dtype):
    x, y, dy = inputs(dtype, (n,), (n,), (n,))

    def compute(run):
        results = []
        for name in ("relu", "sigmoid", "tanh"):
            results.append(getattr(ops, name)(x, run))
            results.append(getattr(ops, f"{name}_backward")(dy, y, run))
        results += [ops.leaky_relu(x, 0.1, run), ops.leaky_relu_backward(dy, y, 0.1, run)]
        results += [ops.clipped_relu(x, 0.5, run), ops.clipped_relu_backward(dy, y, 0.5, run)]
        for name in SMOOTH:
            more = (0.5,) if name == "elu" else ()
            results.append(getattr(ops, name)(x, *more, run))
            results.append(getattr(ops, f"{name}_backward")(dy, y, *more, run))
        out, threads = x.copy(), cconv.get_num_threads()
        activations.exp(dy, out, threads)
        results.append(out.copy())
        activations.log(np.abs(x), out, threads)
        return [*results, out, losses.total(x)]

    return compute


def rows(m, n, dtype):
    x, y, dy, weights = inputs(dtype, (m, n), (m, n), (m, n), (m,))
    labels, weights = np.arange(m) % n, np.abs(weights)
    probabilities = np.full((m, n), 1 / n, dtype)

    def compute(run):
        results = [ops.column_sums(x, run), ops.prelu(x, x[0], run), *ops.prelu_backward(dy, x, y[-1], run)]
        for name in ("softmax", "log_softmax"):
            results.append(getattr(ops, name)(x, run))
            results.append(getattr(ops, f"{name}_backward")(dy, y, run))
        for truth, weight in ((labels, weights), (probabilities, None)):
            results += ops.softmax_cross_entropy(x, truth, weight, run)
        y_dropped, bits = ops.dropout(x, 0.4, 7, run)
        return [*results, y_dropped, bits, ops.dropout_backward(dy, bits, 0.4, run)]

    return compute


def large(shape, dtype):
    """Outputs that are stored past the caches."""
    (x,) = inputs(dtype, shape)
    return lambda run: [ops.relu(x, run), ops.softmax(x, run)]


def normalization(m, channels, dtype):
    x, dy = inputs(dtype, (m, channels), (m, channels))
    per_channel = inputs(dtype, *[(channels,)] * 4)

    def compute(run):
        mean, variance = ops_normalization.statistics(x, run)
        y = ops_normalization.apply(x, *per_channel[:3], 0.0, run)
        results = [mean, variance, y]
        for cap in (0.0, 0.5, np.inf):
            what = ops_normalization.Normalized(*per_channel[:3], cap)
            sums = ops_normalization.gradient_sums(dy, x, what, run).sum(axis=0)
            y = ops_normalization.apply(x, *what, run)
            results += [sums, y, ops_normalization.input_gradient(dy, x, what, *per_channel[2:], run)]
        for weights in (per_channel[:2], (None, None)):
            moving = per_channel[2].copy(), np.abs(per_channel[3])
            scales = ops_batch_normalization.of_batch(x, *weights, moving, 0.9, 1e-3, run)
            partial = ops_normalization.gradient_sums(dy, x, what, run)
            results += [*moving, *scales, *ops_batch_normalization.slopes(partial, m, scales, run)]
            results += ops_batch_normalization.of_moving(*weights, moving, 1e-3, run)
            results += ops_batch_normalization.fold(weights, moving, 1e-3, x, weights[1], run)
            results += ops_batch_normalization.fold(weights, moving, 1e-3, None, None, run)[:2]
        return [*results, ops_normalization.scale_gradient(dy, x, per_channel[0], run)]

    return compute


def merged(n, dtype):
    a, b = inputs(dtype, (n,), (n,))

    def compute(run):
        results = [ops_merging.negative(a, run=run), ops_merging.divide_by(a, 3.0, run=run)]
        for name in MERGED:
            results.append(getattr(ops_merging, name)(a, b, run=run))
            over = a.copy()
            results.append(getattr(ops_merging, name)(over, b, over, run))
        return results

    return compute


def row_normalization(m, n, dtype):
    x, dy, gamma, beta = inputs(dtype, (m, n), (m, n), (n,), (n,))

    def compute(run):
        results = []
        for name in ops_layer_normalization.RULES:
            rule = ops_layer_normalization.Rule(name, 1e-3)
            for factors, offsets in ((gamma, beta), (None, None)):
                y, statistics = ops_layer_normalization.normalize(x, factors, offsets, rule, run)
                back = dy, x, factors, statistics, rule, run
                results += [y, statistics, *ops_layer_normalization.normalize_gradients(*back)]
                results.append(ops_layer_normalization.normalize_backward(*back))
        return results

    return compute


def channels_merged(n, pixels, channels, dtype):
    x, dy, scale = inputs(dtype, (n, pixels, channels), (n, pixels, channels), (n, channels))
    rows = n * pixels

    def compute(run):
        whole = run.empty("whole", (rows, 2 * channels + 1), dtype)
        pieces = [
            x.reshape(rows, channels),
            dy.reshape(rows, channels),
            x.reshape(-1)[:rows].reshape(rows, 1),
        ]
        for at, piece in zip((1, channels + 1, 0), pieces, strict=True):
            ops_merging.copy_columns(piece, 0, whole, at, piece.shape[1], run)
        back = run.empty("back", (rows, channels), dtype)
        ops_merging.copy_columns(whole, channels + 1, back, 0, channels, run)
        y = ops_merging.scale_channels(x, scale, run=run)
        return [whole, back, y, ops_merging.product_sums(dy, x, run=run)]

    return compute


def group_normalization(n, m, groups, each, dtype):
    c = groups * each
    x, dy, gamma, beta = inputs(dtype, (n, m, c), (n, m, c), (c,), (c,))

    def compute(run):
        results = []
        for factors, offsets in ((gamma, beta), (None, None)):
            y, *kept = ops_group_normalization.normalize(x, factors, offsets, groups, 1e-3, run)
            results += [y, *kept]
            results += ops_group_normalization.normalize_backward(dy, x, factors, *kept, run)
        return results

    return compute


def noise(m, a, b, c, dtype):
    x, kept = inputs(dtype, (m, a, b, c), (m, a, c))

    def compute(run):
        drawn = normal_noise((m, a * b * c), 1.0, 2.0, 3, np.dtype(dtype), run)
        return [drawn, keep(x, kept, 2.0, 1.0, 0.5, run)]

    return compute


def optimizers(n, dtype):
    param, grad, *all_states = inputs(dtype, *[(n,)] * 5)
    rules = {
        "sgd": (0, 0.1),
        "momentum": (1, 0.1, 0.9),
        "nesterov": (1, 0.1, 0.9),
        "adagrad": (1, 0.1, 1e-7),
        "rmsprop": (1, 0.1, 0.9, 1e-7),
        "adadelta": (2, 0.1, 0.9, 1e-7),
        "adam": (2, 0.1, 0.9, 0.999, 1e-7, 3),
        "amsgrad": (3, 0.1, 0.9, 0.999, 1e-7, 3),
        "nadam": (2, 0.1, 0.9, 0.999, 1e-7, 3, 0.25),
        "adamax": (2, 0.1, 0.9, 0.999, 1e-7, 3),
        "lion": (1, 0.1, 0.9, 0.99),
        "rmsprop_momentum": (2, 0.1, 0.9, 1e-7, 0.5),
        "rmsprop_centered": (2, 0.1, 0.9, 100.0),
        "rmsprop_centered_momentum": (3, 0.1, 0.9, 100.0, 0.5),
        "ftrl": (2, 0.1, -0.75, 0.1, 0.2, 0.3, 0.4),
    }

    def compute(_):
        results = []
        for name, (states, *options) in rules.items():
            changed = [param.copy(), *(np.abs(state) for state in all_states[:states])]
            group = ops_optimizers.Group([(changed[0], grad, *changed[1:])], [0.01])
            getattr(ops_optimizers, f"{name}_update")(group, *options)
            results += changed
        group = ops_optimizers.Group([(changed[0], grad, param)], [0.01])
        for step, *options in (
            ("accumulate",),
            ("penalize",),
            ("scale", 0.5),
            ("clip", 0.5),
            ("average", 0.9),
        ):
            getattr(ops_optimizers, step)(group, *options)
            results.append(changed[0].copy())
        results.append(ops_optimizers.square_sums(group))
        # Their steps take the memory that they are given, and none of their own.
        m, v, matrix, vector = param.copy(), np.abs(grad), param.copy(), param.copy()
        ops_optimizers.lamb_update(ops_optimizers.Group([(matrix, grad, m, v)]), 0.1, 0.9, 0.999, 1e-7, 3)
        r, c, kept = np.abs(param[:1]), np.abs(grad), np.abs(grad)
        entries = [(matrix.reshape(1, n), grad.reshape(1, n), r, c), (vector, grad, kept)]
        entries.append((m.reshape(n, 1), grad.reshape(n, 1), v, r.copy()))
        group = adafactor.TiledGroup(entries)
        adafactor.adafactor_update(group, 0.1, -0.8, 1e-30, 1e-3, 1.0, 3)
        return [*results, matrix, vector, m, v, r, c, kept]

    return compute


def lengths(dtype):
    for i, n in enumerate(LENGTHS):
        yield elementwise, n, dtype
        yield merged, n, dtype
        yield optimizers, n, dtype
        yield rows, (1, 2, 3, 5)[i % 4], n, dtype
    for m, n in itertools.product((63, 64, 65, 200), CHANNELS):
        yield rows, m, n, dtype
        yield normalization, m, n, dtype
    for pixels, channels in itertools.product((1, 2, 63, 64, 65, 200), CHANNELS):
        yield channels_merged, 1 + channels % 3, pixels, channels, dtype
    item = np.dtype(dtype).itemsize
    yield merged, (16 << 20) // item + 3, dtype
    for channels in (33, 1200):
        yield channels_merged, 2, (8 << 20) // item // channels + 1, channels, dtype
        yield row_normalization, m, n, dtype
    for m, channels in ((1200, 33), (40_000, 1), (3, 20_000)):
        yield normalization, m, channels, dtype
        yield row_normalization, m, channels, dtype
    for i, n in enumerate(LENGTHS):
        yield row_normalization, (1, 2, 3, 17)[i % 4], n, dtype
        yield noise, 1 + i % 2, 1 + i % 3, (1, 2, 9)[i % 3], n, dtype
    for i, (groups, each) in enumerate(itertools.product((1, 2, 5), CHANNELS)):
        yield group_normalization, 1 + i % 3, (1, 2, 9, 1200)[i % 4], groups, each, dtype
    yield large, ((16 << 20) // np.dtype(dtype).itemsize // 33 + 1, 33), dtype


def gathers(n, shape, kind, dtype):
    source = (np.arange(n * int(np.prod(shape))).reshape(n, *shape) % 100).astype(kind)
    source.setflags(write=False)
    memory, order = ops_images.rows_of(source), np.arange(n)[::-1].copy()
    order.setflags(write=False)

    def compute(run):
        def batch(order, rescale, channels):
            out = run.empty("batch", (n, int(np.prod(shape))), dtype)
            return ops_images.gather_rows(memory, source.dtype, order, out, rescale, channels)

        return [batch(order, None, 1), batch(None, (0.5, 1.0), 1), batch(order, (0.5, 0.0), shape[0])]

    return compute


def sampled(n, size, channels, fill_mode, interpolation, dtype):
    (x,) = inputs(dtype, (n, *size, channels))
    at = normal(1, np.float64, (n, 2, sum(size)))[0] * 9
    at.setflags(write=False)
    flips = (np.arange(2 * n, dtype=np.uint8) // 2 % 2).reshape(n, 2)
    flips.setflags(write=False)
    how = ops_images.Sampling((1.5, 2.5), fill_mode, interpolation, 0.5)

    def compute(run):
        return [
            ops_images.flip(x, flips, "y", run),
            ops_images.sample(x, at, how, run),
            ops_images.sample_backward(x, at, how, run),
        ]

    return compute


def changed(n, size, channels, dtype):
    """Images brightened, mixed, pasted into each other and cut."""
    (x,) = inputs(dtype, (n, *size, channels))
    height, width = size
    each = np.arange(n)
    partner, numbers = each[::-1].copy(), np.linspace(0.25, 1.5, n)
    box = np.tile([height // 3, height, width // 2, width], (n, 1)).astype(np.int64)
    part = (height - height // 3, width - width // 2)
    corner, limits = np.ascontiguousarray(box[:, ::2]), (-1.0, 0.75)
    for array in (partner, numbers, box, corner):
        array.setflags(write=False)

    def compute(run):
        y = ops_images.brighten(x, numbers, limits, run)
        cut = ops_images.crop(x, corner, part, run)
        return [
            ops_images.brighten_backward(x, y, limits, run),
            ops_images.contrast(x, numbers, limits, "y", run),
            ops_images.mix(x, partner, numbers, run),
            ops_images.paste(x, x, partner, box, "y", run),
            ops_images.crop_backward(cut, corner, size, run),
        ]

    return compute


def images(dtype):
    shapes = [(c, p) for c, p in itertools.product((1, 2, 3, 17), (*WIDTHS, 15, 16, 17, 511, 512, 513))]
    for (i, shape), kind in itertools.product(enumerate(shapes), ("?", *ops_images.KINDS)):
        yield gathers, 1 + i % 3, shape, kind, dtype
    ways = itertools.product(
        ops_images.FILLS, ops_images.INTERPOLATIONS, (1, 2, 3, 5), (*WIDTHS, 63, 64, 65, 129)
    )
    for i, (fill_mode, interpolation, channels, width) in enumerate(ways):
        yield sampled, 1 + i % 3, (1 + i % 4, width), channels, fill_mode, interpolation, dtype
    for i, (channels, width) in enumerate(itertools.product((1, 2, 3, 16, 17, 33), (*WIDTHS, 63, 64, 65))):
        yield changed, 1 + i % 3, (1 + i % 4, width), channels, dtype
    yield changed, 1, (64, 65), 1, dtype  # several chains of a sum


def bits(results):
    return [np.asarray(result).tobytes() for result in results]


FAMILIES = (
    convolutions,
    mobile_blocks,
    averages,
    winograds,
    tiled,
    sweeps,
    larger,
    denses,
    poolings,
    lengths,
    images,
)


def cases(dtype):
    for family in FAMILIES:
        yield from family(dtype)


SIDES = {"end": True, "start": False, "neither": None}


def runs(sides, number):
    """Return side, threads and fill of the two runs of a case: sides have one thread and three in turns."""
    odd = number % 2
    if len(sides) == 1:
        return [("neither", 1, 0), (*sides, (1, 3)[odd], 0xFF)]
    first, second = sides[::-1] if odd else sides
    return [(first, 1, 0), (second, 3, 0xFF)]


def main(name, *sides):
    done, calls = 0, {}
    with guarded_kernels(None, calls) as guard:
        for case, *arguments in cases(getattr(np, name)):
            said = " ".join(map(str, (case.__name__, *arguments)))
            compute, found = case(*arguments), []
            for side, threads, fill in runs(sides, done):
                print(f"{side} {said}\n", end="", flush=True)  # one write
                cconv.set_num_threads(threads)
                guard.at_end = SIDES[side]
                found.append(bits(compute(Filled(fill=fill))))
                guard.at_end = None
            assert found[0] == found[1], "a result depends on bytes that no kernel wrote, or on threads"
            done += 1
    never = [name for name, count in calls.items() if count == 0]
    assert not never, f"kernels that no case calls: {never}"
    print(f"{done} cases, {sum(calls.values())} calls of {len(calls)} kernels")


if __name__ == "__main__":
    with parallel_at_any_size(), rows_tiled():
        main(*sys.argv[1:])
