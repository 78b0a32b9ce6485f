"""to_categorical and normalize."""

import numpy as np

from cconv.utils import normalize, to_categorical

x = np.array([[3.0, 4.0], [1.0, -1.0], [0.0, 0.0]])

RESULT = {
    "one-hot": to_categorical([0, 2, 1]),
    "of ten": to_categorical(np.array([[9], [0]]), 10),
    "of four": to_categorical([1, 0], num_classes=4).shape,
    "of images": to_categorical(np.zeros((2, 3, 3), int), 5).shape,
    "l2": normalize(x),
    "l1": normalize(x, axis=-1, order=1),
    "rows": normalize(x, axis=1),
}
