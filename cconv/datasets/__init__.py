"""Data sets: images as uint8 arrays, labels as integers, each from `load_data()`.

Two need neither network nor files: `mnist_small` comes with cconv, `digits` with scikit-learn (and `circle`
is drawn). The others are looked for in the folder ``CCONV_DATA_DIR`` and in the user's cache folder (or
``CCONV_CACHE_DIR``), and are downloaded to the cache the first time.
"""

from cconv.arguments.keras_names import refusing
from cconv.datasets import cifar10, circle, digits, fashion_mnist, mnist, mnist_small

__all__ = ["cifar10", "circle", "digits", "fashion_mnist", "mnist", "mnist_small"]


refusing(globals())
