"""The digits of scikit-learn: 1,797 images of 8x8 pixels (Alpaydin & Kaynak 1998; CC BY 4.0)."""

import numpy as np

from cconv.datasets._idx import Split

CLASSES = tuple("0123456789")

N_TRAIN = 1437  # four fifths


def load_data() -> tuple[Split, Split]:
    """Load the handwritten digits that come with scikit-learn; no file or network is needed.

    The last fifth is the test set. The images are in the order of their writers, so most of the test digits
    are by people who wrote none of the training digits.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images uint8 (1437, 8, 8) and (360, 8, 8), from 0 (paper) to 16 (ink), not 255; labels uint8
        (1437,) and (360,), the digits 0 to 9.

    Examples
    --------
    >>> from cconv.datasets import digits
    >>> (x_train, y_train), (x_test, y_test) = digits.load_data()
    >>> x_train.shape, x_test.shape, int(x_train.max())
    ((1437, 8, 8), (360, 8, 8), 16)
    """
    # Imported here, so that the other data sets do not load scikit-learn.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x, y = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    return (x[:N_TRAIN], y[:N_TRAIN]), (x[N_TRAIN:], y[N_TRAIN:])
