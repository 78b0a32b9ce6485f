"""What newcomers try first, names of others and one image for a batch, is answered with what to do."""

import numpy as np
import pytest

import cconv
from cconv import CNNClassifier, plotting
from cconv.layers import Add, Conv2D, Dense, Flatten, Input
from cconv.models import Sequential

RNG = np.random.default_rng(0)
X, Y = RNG.random((6, 8, 8, 1), dtype=np.float32), np.arange(6) % 3
WORDS = np.array(["cat", "dog", "owl"])[Y]


def network(*end, loss="sparse_categorical_crossentropy"):
    layers = [Conv2D(2, 3, input_shape=(8, 8, 1)), *(end or (Flatten(), Dense(3, activation="softmax")))]
    model = Sequential(layers, seed=0)
    model.compile("adam", loss)
    return model


def fitted():
    return CNNClassifier(max_epochs=1, tol=None).fit(X, WORDS)


GUESSES = {
    "a layer in place of a list": (
        lambda: Sequential(Conv2D(2, 3)),
        TypeError,
        "Sequential: layers must be one list of layers, got <conv2d",
    ),
    "layers one by one": (
        lambda: Sequential(Conv2D(2, 3), Flatten()),
        TypeError,
        "Sequential: layers must be one list of layers, got <conv2d",
    ),
    "a name in place of layers": (
        lambda: Sequential("lenet"),
        TypeError,
        "Sequential: layers must be one list of layers, got 'lenet'",
    ),
    "a slip in a name": (
        lambda: network().compile("adm", "mse"),
        ValueError,
        r"optimizer must be one of .*, got 'adm'; did you mean 'adam'",
    ),
    "half of a name": (
        lambda: network().compile("adam", "crossentropy"),
        ValueError,
        "got 'crossentropy'; did you mean 'binary_crossentropy' or 'categorical_crossentropy'",
    ),
    "an activation": (lambda: Conv2D(2, 3, activation="rleu"), ValueError, "got 'rleu'; did you mean 'relu'"),
    "sizes without a tuple": (
        lambda: Input(28, 28, 1),
        TypeError,
        r"Input: shape must be a tuple of positive ints, such as \(28, 28, 1\), got 28",
    ),
    "a shape without channels": (
        lambda: Conv2D(2, 3, input_shape=(8, 8)),
        ValueError,
        r"must be a tuple of 3 positive ints, without the batch, got \(8, 8\)",
    ),
    "two tensors for a merging layer": (
        lambda: Add()(Input((3,)), Input((3,))),
        TypeError,
        r"Add: x must be one argument, a list for layers that merge: Add\(\)\(\[a, b\]\)",
    ),
    "one image": (
        lambda: network().predict(X[0], verbose=0),
        ValueError,
        r"got \(8, 8, 1\); x looks like one sample: x\[np.newaxis\] is a batch of it",
    ),
    "one image without channels": (
        lambda: network().predict(X[0, ..., 0], verbose=0),
        ValueError,
        r"got \(8, 8\); x looks like one sample",
    ),
    "labels that are text": (
        lambda: network().fit(X, WORDS, verbose=0),
        TypeError,
        r"Sequential.fit: y must hold real numbers .*, got text such as 'cat': class numbers are np.unique",
    ),
    "labels that are text in a list": (
        lambda: network().fit(X, WORDS.tolist(), verbose=0),
        TypeError,
        "got text such as 'cat': class numbers are np.unique",
    ),
    "images that are text": (
        lambda: network().fit(["a.png"] * 6, Y, verbose=0),
        TypeError,
        r"x must hold real numbers .*, got text such as 'a.png'$",
    ),
    "images of different sizes": (
        lambda: network().fit([np.ones((8, 8)), np.ones((9, 8))], Y[:2], verbose=0),
        ValueError,
        "x must be an array, all rows of one shape, got rows of the shapes .8, 8. and .9, 8.",
    ),
    "samples that are (x, y)": (
        lambda: network().fit((X, Y), verbose=0),
        ValueError,
        r"x must be an array, all rows of one shape, got rows of the shapes \(6, 8, 8, 1\) and \(6,\)",
    ),
    "no Flatten": (
        lambda: network(Dense(3, activation="softmax")).fit(X, Y, verbose=0),
        ValueError,
        r"got \(6,\); the output is \(6, 6, 3\) for each sample: is a Flatten missing",
    ),
    "validation images without labels": (
        lambda: network().fit(X, Y, validation_data=X, verbose=0),
        ValueError,
        r"validation_data must be \(x, y\) or \(x, y, sample_weight\), got ndarray",
    ),
    "a validation tuple too long": (
        lambda: network().fit(X, Y, validation_data=(X, Y, Y, Y), verbose=0),
        ValueError,
        "got tuple of 4",
    ),
    "paths to the classifier": (
        lambda: CNNClassifier().fit(["a.png", "b.png"], [0, 1]),
        ValueError,
        "X must be images as arrays, got text such as 'a.png': cconv.utils.FolderImages",
    ),
    "one image to the classifier": (
        lambda: fitted().predict(X[0]),
        ValueError,
        r"X must hold images of input_shape \(8, 8, 1\), got images \(8, 1, 1\); X looks like one image",
    ),
    "other images to the classifier": (
        lambda: fitted().predict(X[:, :6]),
        ValueError,
        r"X must hold images of input_shape \(8, 8, 1\), got images \(6, 8, 1\)$",
    ),
    "the model for the images": (
        lambda: plotting.predictions(network(), Y, X),
        TypeError,
        "predictions: x must hold real numbers .*, got one Sequential",
    ),
    "predictions for the truth": (
        lambda: plotting.predictions(X, np.full((6, 3), 1 / 3), Y),
        ValueError,
        "predictions: y must be class numbers or one-hot rows, got rows of other numbers: the truth",
    ),
    "an array for a layer": (
        lambda: plotting.filters(np.ones((5, 5, 1, 9))),
        TypeError,
        r"filters: layer must be a convolution, got array\((.|\n){0,80}$",
    ),
}


@pytest.mark.parametrize("guess", GUESSES)
def test_a_guess_is_answered(guess):
    call, error, words = GUESSES[guess]
    with pytest.raises(error, match=words):
        call()


def test_what_is_right_is_not_taken_for_a_guess():
    network().fit(X[..., 0], Y, verbose=0)  # the channel of grey images may be missing
    assert Sequential(iter([Conv2D(2, 3), Flatten()]), seed=0).layers[1].name == "flatten"
    assert Sequential(None).layers == Sequential([]).layers == []
    assert fitted().predict(X[:1, ..., 0]).shape == (1,)
    square = network(loss="sparse_categorical_crossentropy")
    assert square.predict(RNG.random((8, 8, 8)), verbose=0).shape == (8, 3)  # 8 images, and no image of 8×8
    one_hot = np.eye(3)[Y]
    assert plotting.predictions(X, one_hot, one_hot).axes
    assert cconv.functional.conv2d(X, np.ones((3, 3, 1, 2), np.float32)).shape == (6, 6, 6, 2)
