"""Fashion-MNIST: 60,000 + 10,000 pictures of clothes (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747; MIT)."""

from cconv.datasets._idx import Split, load, sources

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

FILES = sources(
    dataset="fashion_mnist",
    folder="fashion-mnist",
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    sha256={
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    unpacked=False,
)


def load_data() -> tuple[Split, Split]:
    """Load Fashion-MNIST, from this machine or, the first time, from the network.

    As `cconv.datasets.mnist.load_data`, from the folder ``fashion-mnist`` (31 MB).

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images uint8 (60000, 28, 28) and (10000, 28, 28); labels uint8 (60000,) and (10000,), indices of
        `CLASSES`.

    Raises
    ------
    FileNotFoundError
        If a file cannot be found or downloaded; the message says what to do.
    ValueError
        If a file is damaged or of another kind.
    """
    return load(FILES)
