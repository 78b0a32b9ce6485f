"""Winograd's minimal filtering, written with its matrices.

A 4x4 tile of the output of a 3x3 convolution takes 144 products. The tile is a product of two polynomials of
low degree, and its values at 6 points in each direction determine it. That takes 6x6 = 36 products; the
rest are fixed linear maps. ::

    y  = A^T [(G g G^T) * (B^T d B)] A          d (n, n) of the input, g (taps, taps) the kernel
    dg = P^T [(Q e Q^T) * (B^T d B)] P          e (out, out) of dy, summed over all tiles
    d' = B [(G g G^T) * (Q e Q^T)] B^T          what e adds to the gradient of d; tiles overlap and add up

with n = out + taps - 1 points, the last of which is infinity. 2x2 tiles take 16 products in place of 36. So
do 3x3 tiles of a 2x2 convolution: each of the two is the weight gradient of the other.

With few channels, the cost of A and B in both directions is shared by too few sums; and 5x5 kernels need
too many points. Along the rows alone, kernel rows and channels are summed before the transform
back, and four outputs of a 5x5 convolution take 8 products for each kernel row in place of 20::

    y  = A^T sum over u, c of (G g[u, :, c]) * (B^T d[i + u, :, c])

The rounding errors of a tile's largest value reach all its outputs. Where they would be too large
(`cconv.reference.uneven`), direct sums replace the algorithm.

Sources: Winograd 1980, "Arithmetic complexity of computations"; Lavin & Gray 2016, "Fast algorithms
for convolutional neural networks". The points 0, +-1/sqrt(2), +-sqrt(2) and infinity keep the
entries, and with them the rounding errors, small (Barabasz et al. 2020, "Error analysis and
improving the accuracy of Winograd convolution for deep neural networks"). Along the rows they are
0, +-1, +-2, +-1/2 and infinity: exact in binary, and at 1 the bias is added to every output.
"""

from dataclasses import dataclass

import numpy as np

from cconv.geometry.algorithms import ROW_TILE, winograd_tile
from cconv.geometry.shapes import Window
from cconv.reference.uneven import plain_sums, stands_apart, weak_outputs
from cconv.reference.windows import pad, unpad

# Infinity is the last point, and not listed.
POINTS: dict[int, tuple[float, ...]] = {
    4: (0.0, 1.0, -1.0),
    6: (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)),
}
# The points along the rows, by the side of the kernel.
ROW_POINTS: dict[int, tuple[float, ...]] = {
    3: (0.0, 1.0, -1.0, 2.0, -2.0),
    5: (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5),
}


@dataclass(frozen=True)
class Matrices:
    """The matrices of F(out x out, taps x taps), named as in the module's formulas."""

    b_t: np.ndarray
    g: np.ndarray
    a_t: np.ndarray
    q: np.ndarray
    p_t: np.ndarray


def _powers(points: tuple[float, ...], count: int) -> np.ndarray:
    """Row p is (1, p, p^2, ...); the row of infinity has only the highest power."""
    rows = np.vander(points, count, increasing=True)
    return np.vstack([rows, np.eye(count)[-1]])


def _scales(points: tuple[float, ...]) -> np.ndarray:
    """1 / N(p), where N(p) is the product of p - q over the other points q; 1 for infinity."""
    products = [np.prod([p - q for q in points if q != p]) for p in points]
    return np.array([1 / product for product in products] + [1.0])


def _input_matrix(points: tuple[float, ...]) -> np.ndarray:
    """B^T: row p holds the coefficients of M(x) / (x - p), the last row those of M(x)."""
    n = len(points) + 1
    rows = np.zeros((n, n))
    for number, p in enumerate(points):
        rows[number, : n - 1] = np.poly([q for q in points if q != p])[::-1]
    rows[-1] = np.poly(points)[::-1]
    return rows


def matrices(out: int, taps: int) -> Matrices:
    """Return the matrices of F(out x out, taps x taps).

    Examples
    --------
    >>> matrices(2, 3).a_t
    array([[ 1.,  1.,  1.,  0.],
           [ 0.,  1., -1.,  1.]])
    """
    points = POINTS[out + taps - 1]
    g = _powers(points, taps) * _scales(points)[:, None]
    q = _powers(points, out)
    return Matrices(_input_matrix(points), g, q.T, q, g.T)


def _tiles(x: np.ndarray, size: int, step: int, window: Window) -> np.ndarray:
    """Return the tiles (n, down, across, size, size, c), `step` pixels apart, zeros behind the image."""
    down, across = (-(-extent // step) for extent in window.output_size)
    room = ((0, 0), (0, down * step + size), (0, across * step + size), (0, 0))
    x = np.pad(x, room)
    starts = [(i * step, j * step) for i in range(down) for j in range(across)]
    tiles = np.stack([x[:, i : i + size, j : j + size] for i, j in starts], axis=1)
    return tiles.reshape(len(x), down, across, size, size, x.shape[3])


def _transform(matrix: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    """M t M^T for tiles (..., rows, columns, channels)."""
    return np.einsum("pi,...ijc,qj->...pqc", matrix.astype(tiles.dtype), tiles, matrix.astype(tiles.dtype))


def winograd_conv2d(x: np.ndarray, kernel: np.ndarray, window: Window) -> np.ndarray:
    """Return y (n, oh, ow, f) for x (n, h, w, c), kernel (taps, taps, c, f), strides 1, without bias."""
    taps, out = len(kernel), winograd_tile(window, window.output_size)
    m = matrices(out, taps)
    tiles = _tiles(pad(x, window), out + taps - 1, out, window)
    v = _transform(m.b_t, tiles)
    g = m.g.astype(kernel.dtype)
    u = np.einsum("pi,ijcf,qj->pqcf", g, kernel, g)
    y = _transform(m.a_t, np.einsum("nabpqc,pqcf->nabpqf", v, u))
    y = np.where(weak_outputs(tiles, taps)[..., None], plain_sums(tiles, kernel), y)
    n, down, across, _, _, filters = y.shape
    whole = y.transpose(0, 1, 3, 2, 4, 5).reshape(n, down * out, across * out, filters)
    return whole[:, : window.output_size[0], : window.output_size[1]]


def winograd_weight_gradient(dy: np.ndarray, x: np.ndarray, window: Window) -> np.ndarray:
    """Return dkernel (taps, taps, c, f) for dy (n, oh, ow, f), x (n, h, w, c), strides 1."""
    taps, out = window.kernel_size[0], winograd_tile(window, window.output_size)
    m = matrices(out, taps)
    tiles, dtiles = _tiles(pad(x, window), out + taps - 1, out, window), _tiles(dy, out, out, window)
    apart = _apart(tiles, dtiles, window)
    v, w = _transform(m.b_t, tiles[~apart]), _transform(m.q, dtiles[~apart])
    s = np.einsum("tpqc,tpqf->pqcf", v, w)
    p = m.p_t.astype(dy.dtype)
    dkernel = np.einsum("ip,pqcf,jq->ijcf", p, s, p)
    for tile, dtile in zip(tiles[apart], dtiles[apart], strict=True):
        for u in range(taps):
            for j in range(taps):
                seen = tile[u : u + out, j : j + out]
                dkernel[u, j] += np.einsum("ijc,ijf->cf", seen, dtile)
    return dkernel


def _apart(tiles: np.ndarray, dtiles: np.ndarray, window: Window) -> np.ndarray:
    """Return which tiles (n, down, across) the sum leaves out; kernels decide for 64 channels at once."""
    n, down, across, size = tiles.shape[:4]
    out = dtiles.shape[3]
    image = np.ones((1, *window.input_size, 1))
    inside = _tiles(pad(image, window), size, out, window)[0, ..., 0] > 0
    apart = np.zeros((n, down, across), bool)
    for k, i, j in np.ndindex(n, down, across):
        apart[k, i, j] = stands_apart(tiles[k, i, j], dtiles[k, i, j], inside[i, j])
    return apart


def winograd_input_gradient(dy: np.ndarray, kernel: np.ndarray, window: Window) -> np.ndarray:
    """Return dx (n, h, w, c) for dy (n, oh, ow, f), kernel (taps, taps, c, f), strides 1, by tiles of dy."""
    taps, out = len(kernel), winograd_tile(window, window.output_size)
    m, size = matrices(out, taps), out + taps - 1
    dtiles = _tiles(dy, out, out, window)
    w = _transform(m.q, dtiles)
    g = m.g.astype(kernel.dtype)
    u = np.einsum("pi,ijcf,qj->pqcf", g, kernel, g)
    given = _transform(m.b_t.T, np.einsum("nabpqf,pqcf->nabpqc", w, u))
    # What a pixel of x sees of a tile of dy, with zeros around the tile.
    margin = (taps - 1, taps - 1)
    around = np.pad(dtiles, ((0, 0), (0, 0), (0, 0), margin, margin, (0, 0)))
    shares = plain_sums(around, kernel[::-1, ::-1].swapaxes(2, 3))
    given = np.where(weak_outputs(around, taps)[..., None], shares, given)
    n, down, across, _, _, channels = given.shape
    whole = np.zeros((n, down * out + taps - 1, across * out + taps - 1, channels), dy.dtype)
    for i in range(down):
        for j in range(across):
            whole[:, i * out : i * out + size, j * out : j * out + size] += given[:, i, j]
    return unpad(whole, window)


def winograd_rows_conv2d(x: np.ndarray, kernel: np.ndarray, window: Window) -> np.ndarray:
    """Return y (n, oh, ow, f) for x (n, h, w, c), kernel (taps, taps, c, f), strides 1, without bias.

    By tiles of a row: the forward pass of 5x5 convolutions, and of 3x3 convolutions of few channels.
    """
    taps, (rows, columns) = kernel.shape[1], window.output_size
    points, across = ROW_POINTS[taps], -(-columns // ROW_TILE)
    x = np.pad(pad(x, window), ((0, 0), (0, 0), (0, ROW_TILE), (0, 0)))
    starts = range(0, across * ROW_TILE, ROW_TILE)
    tiles = np.stack([x[:, :, j : j + ROW_TILE + taps - 1] for j in starts], axis=2)
    v = np.einsum("pj,nhajc->nhapc", _input_matrix(points).astype(x.dtype), tiles)
    g = (_powers(points, taps) * _scales(points)[:, None]).astype(x.dtype)
    u = np.einsum("pv,uvcf->upcf", g, kernel)
    m = sum(np.einsum("nhapc,pcf->nhapf", v[:, i : i + rows], u[i]) for i in range(taps))
    y = np.einsum("pi,nhapf->nhaif", _powers(points, ROW_TILE).astype(x.dtype), m)
    # A tile is the part of the input that four outputs of a row see.
    seen = np.stack([tiles[:, i : i + taps] for i in range(rows)], axis=1).swapaxes(2, 3)
    plain = plain_sums(seen, kernel)[..., 0, :, :]
    y = np.where(weak_outputs(seen, taps)[..., 0, :, None], plain, y)
    return y.reshape(len(x), rows, across * ROW_TILE, -1)[:, :, :columns]
