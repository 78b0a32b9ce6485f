"""Winograd's minimal filtering, written as the matrices it is made of.

A 4x4 tile of the output of a 3x3 convolution takes 144 products. As polynomials, the tile is a
product of low degree, which is known once its values at 6 points are: 6x6 = 36 products, the rest
being fixed linear maps. ::

    y  = A^T [(G g G^T) * (B^T d B)] A          d (6, 6) of the input, g (3, 3) the kernel, y (4, 4)
    dg = P^T [(Q e Q^T) * (B^T d B)] P          e (4, 4) of dy, summed over all tiles

Sources: Winograd 1980, "Arithmetic complexity of computations"; Lavin & Gray 2016, "Fast algorithms
for convolutional neural networks". The points 0, +-1/sqrt(2), +-sqrt(2) and infinity keep the
entries, and with them the rounding errors, small (Barabasz et al. 2020, "Error analysis and
improving the accuracy of Winograd convolution for deep neural networks").
"""

import numpy as np

from cconv.reference.windows import pad
from cconv.shapes import Window

POINTS = (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))  # and infinity
OUT, TAPS = 4, 3
TILE = OUT + TAPS - 1


def _powers(count: int) -> np.ndarray:
    """Row p is (1, p, p^2, ...); the row of infinity has only the highest power."""
    rows = np.vander(POINTS, count, increasing=True)
    return np.vstack([rows, np.eye(count)[-1]])


def _scales() -> np.ndarray:
    """1 / N(p), N(p) the product of p - q over the other points q; 1 for infinity."""
    products = [np.prod([p - q for q in POINTS if q != p]) for p in POINTS]
    return np.array([1 / product for product in products] + [1.0])


def _input_matrix() -> np.ndarray:
    """B^T: row p holds the coefficients of M(x) / (x - p), the last row those of M(x)."""
    rows = np.zeros((TILE, TILE))
    for number, p in enumerate(POINTS):
        rows[number, : TILE - 1] = np.poly([q for q in POINTS if q != p])[::-1]
    rows[-1] = np.poly(POINTS)[::-1]
    return rows


B_T = _input_matrix()
G = _powers(TAPS) * _scales()[:, None]
A_T = _powers(OUT).T
Q = _powers(OUT)
P_T = (_powers(TAPS) * _scales()[:, None]).T


def _tiles(x: np.ndarray, size: int, window: Window) -> np.ndarray:
    """Return the tiles (n, down, across, size, size, c), a step of OUT apart, zeros behind the image."""
    down, across = (-(-extent // OUT) for extent in window.output_size)
    room = ((0, 0), (0, down * OUT + size), (0, across * OUT + size), (0, 0))
    x = np.pad(x, room)
    starts = [(i * OUT, j * OUT) for i in range(down) for j in range(across)]
    tiles = np.stack([x[:, i : i + size, j : j + size] for i, j in starts], axis=1)
    return tiles.reshape(len(x), down, across, size, size, x.shape[3])


def _transform(matrix: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    """M t M^T for tiles (..., rows, columns, channels)."""
    return np.einsum("pi,...ijc,qj->...pqc", matrix.astype(tiles.dtype), tiles, matrix.astype(tiles.dtype))


def winograd_conv2d(x: np.ndarray, kernel: np.ndarray, window: Window) -> np.ndarray:
    """Return y (n, oh, ow, f) for x (n, h, w, c), kernel (3, 3, c, f), strides 1, without bias."""
    v = _transform(B_T, _tiles(pad(x, window), TILE, window))
    g = G.astype(kernel.dtype)
    u = np.einsum("pi,ijcf,qj->pqcf", g, kernel, g)
    y = _transform(A_T, np.einsum("nabpqc,pqcf->nabpqf", v, u))
    n, down, across, _, _, filters = y.shape
    whole = y.transpose(0, 1, 3, 2, 4, 5).reshape(n, down * OUT, across * OUT, filters)
    return whole[:, : window.output_size[0], : window.output_size[1]]


def winograd_weight_gradient(dy: np.ndarray, x: np.ndarray, window: Window) -> np.ndarray:
    """Return dkernel (3, 3, c, f) for dy (n, oh, ow, f), x (n, h, w, c), strides 1."""
    v = _transform(B_T, _tiles(pad(x, window), TILE, window))
    w = _transform(Q, _tiles(dy, OUT, window))
    s = np.einsum("nabpqc,nabpqf->pqcf", v, w)
    p = P_T.astype(dy.dtype)
    return np.einsum("ip,pqcf,jq->ijcf", p, s, p)
