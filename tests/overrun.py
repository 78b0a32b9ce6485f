"""Let a kernel write past an output that is smaller than its input: a sanitizer must stop it."""

import numpy as np

from cconv.kernels import dense

# Large enough that NumPy hands it on to malloc, whose limits the sanitizer knows.
x, kernel = np.ones((600, 8)), np.ones((8, 8))
dense.dense_forward(x, kernel, None, None, np.ones((500, 8)), False, None, 0, 0.0, None, None, 1)
