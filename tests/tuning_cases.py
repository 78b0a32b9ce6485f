"""Print what this process was told of the processor, and the bits of what is cut by that, as JSON.

Run as a program under one tuning (``CCONV_TUNE``). The cases are those whose tiles or places in the cache
differ from one tuning to another: `product.h`, `dense.pyx`.
"""

import hashlib
import json

import numpy as np

import cconv
from cconv import _kernels
from cconv import functional as F
from cconv.kernels import dense
from cconv.utils.config import configuration

# Columns of which the last are more than a vector of 64 bytes and at most one and a half: 16 and 8 of
# float32, 8 and 4 of float64.
RAGGED = (9, 12, 20, 24, 56, 100)
# Samples, inputs, outputs: rows of the kernel of 1 to 8 kB.
PLACED = ((16, 200, 256), (40, 200, 512), (130, 200, 1000), (40, 30, 2048))


def arrays(*shapes, dtype):
    draw = np.random.default_rng(7)
    return [draw.standard_normal(shape).astype(dtype) for shape in shapes]


def cases(dtype):
    """Yield (case, results)."""
    for columns in RAGGED:
        x, kernel, bias, dy = arrays((37, 200), (200, columns), (columns,), (37, columns), dtype=dtype)
        yield f"dense {columns}", (F.dense(x, kernel, bias), *F.dense_backward(dy, x, kernel))
        images, taps, dy = arrays((2, 9, 8, 32), (3, 3, 32, columns), (2, 9, 8, columns), dtype=dtype)
        for algorithm in ("direct", "winograd"):
            options = {"padding": "same", "algorithm": algorithm}
            y = F.conv2d(images, taps, bias, **options)
            yield f"{algorithm} {columns}", (y, *F.conv2d_backward(dy, images, taps, **options))
    for m, inputs, outputs in PLACED:
        x, kernel, bias, dy = arrays((m, inputs), (inputs, outputs), (outputs,), (m, outputs), dtype=dtype)
        yield f"dense {m} {outputs}", (F.dense(x, kernel, bias), *F.dense_backward(dy, x, kernel))


def digests():
    """Digest of the bits of every case."""
    found = {}
    for dtype in (np.float32, np.float64):
        for name, results in cases(dtype):
            digest = hashlib.sha256()
            for part in results:
                digest.update(np.ascontiguousarray(part).tobytes())
            found[f"{name} {dtype.__name__}"] = digest.hexdigest()
    return found


if __name__ == "__main__":
    cconv.set_num_threads(2)
    places = [dense.dense_in_place(m, outputs, 4) for m, _, outputs in PLACED]
    told = {"tuning": _kernels.tuning(), "info": configuration()["tuning"], "places": places}
    print(json.dumps(told | {"bits": digests()}))
