"""MNIST: 60,000 + 10,000 handwritten digits (LeCun, Cortes & Burges; CC BY-SA 3.0)."""

from cconv.datasets._idx import Split, load, sources

CLASSES = tuple("0123456789")

FILES = sources(
    dataset="mnist",
    folder="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    sha256={
        "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    unpacked=True,
)


def load_data() -> tuple[Split, Split]:
    """Load MNIST, from this machine or, the first time, from the network.

    The four files are looked for in the folder ``mnist`` of ``CCONV_DATA_DIR`` and of the user's cache.
    Otherwise they are downloaded (11 MB; needs the extra ``data``) from one of two mirrors, and kept only if
    the SHA-256 of the content is right.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images uint8 (60000, 28, 28) and (10000, 28, 28), 0 is paper and 255 ink; labels uint8
        (60000,) and (10000,), the digits 0 to 9.

    Raises
    ------
    FileNotFoundError
        If a file cannot be found or downloaded; the message says what to do.
    ValueError
        If a file is damaged or of another kind.

    See Also
    --------
    cconv.datasets.mnist_small : 6,000 of these images, shipped with cconv.

    Notes
    -----
    Files on this machine are checked for their format, but not for their SHA-256, so shorter or changed files
    of your own are accepted.
    """
    return load(FILES)
