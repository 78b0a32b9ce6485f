"""The summaries of the course's three models, text for text, and what else the table can show."""

import numpy as np
import pytest

from cconv.datasets import mnist_small
from cconv.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from cconv.models import Sequential
from cconv.optimizers import Adam
from cconv.utils import set_random_seed, to_categorical

THIN = "_" * 65
THICK = "=" * 65
HEADER = "Layer (type)                 Output Shape              Param #   "


def printed(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines) + "\n"


def table(total, *rows):
    """The text that the course shows: rows of 29, 26 and 10 characters, and rules between them."""
    body = f"\n{THIN}\n".join(rows)
    return (
        f"{THIN}\n{HEADER}\n{THICK}\n{body}\n{THICK}\n"
        f"Total params: {total}\nTrainable params: {total}\nNon-trainable params: 0\n{THIN}\n"
    )


def named(kind, number, *args, **options):
    """A layer with the name that the course's session had given it."""
    layer = kind(*args, **options)
    return kind(*args, **options, name=f"{layer.name}_{number}")


def model_a():
    return Sequential(
        [
            named(Conv2D, 5, input_shape=(28, 28, 1), filters=32, kernel_size=(2, 2), padding="same"),
            named(MaxPooling2D, 5, pool_size=(2, 2), strides=(1, 1)),
            named(Conv2D, 6, filters=32, kernel_size=(2, 2), strides=(1, 1), padding="same"),
            named(MaxPooling2D, 6, pool_size=(2, 2), strides=(1, 1)),
            named(Flatten, 3),
            named(Dense, 7, 256),
            named(Activation, 7, "sigmoid"),
            named(Dense, 8, 128),
            named(Activation, 8, "sigmoid"),
            named(Dense, 9, 10),
            named(Activation, 9, "softmax"),
        ]
    )


def model_b():
    return Sequential(
        [
            named(Conv2D, 7, filters=32, kernel_size=(3, 3), input_shape=(28, 28, 1)),
            named(Activation, 10, "relu"),
            named(Conv2D, 8, filters=64, kernel_size=(3, 3)),
            named(Activation, 11, "relu"),
            named(MaxPooling2D, 7, pool_size=(2, 2)),
            named(Dropout, 1, 0.25),
            named(Flatten, 4),
            named(Dense, 10, 128),
            named(Activation, 12, "relu"),
            named(Dropout, 2, 0.5),
            named(Dense, 11, 10),
            named(Activation, 13, "softmax"),
        ]
    )


def model_c():
    return Sequential(
        [
            named(Conv2D, 13, 32, (3, 3), padding="same", input_shape=(32, 32, 3)),
            named(Activation, 19, "relu"),
            named(Conv2D, 14, 32, (3, 3)),
            named(Activation, 20, "relu"),
            named(MaxPooling2D, 7, pool_size=(2, 2)),
            named(Dropout, 10, 0.25),
            named(Conv2D, 15, 64, (3, 3), padding="same"),
            named(Activation, 21, "relu"),
            named(Conv2D, 16, 64, (3, 3)),
            named(Activation, 22, "relu"),
            named(MaxPooling2D, 8, pool_size=(2, 2)),
            named(Dropout, 11, 0.25),
            named(Flatten, 4),
            named(Dense, 7, 512),
            named(Activation, 23, "relu"),
            named(Dropout, 12, 0.5),
            named(Dense, 8, 10),
            named(Activation, 24, "softmax"),
        ]
    )


TABLE_A = table(
    "5,576,522",
    "conv2d_5 (Conv2D)            (None, 28, 28, 32)        160       ",
    "max_pooling2d_5 (MaxPooling2 (None, 27, 27, 32)        0         ",
    "conv2d_6 (Conv2D)            (None, 27, 27, 32)        4128      ",
    "max_pooling2d_6 (MaxPooling2 (None, 26, 26, 32)        0         ",
    "flatten_3 (Flatten)          (None, 21632)             0         ",
    "dense_7 (Dense)              (None, 256)               5538048   ",
    "activation_7 (Activation)    (None, 256)               0         ",
    "dense_8 (Dense)              (None, 128)               32896     ",
    "activation_8 (Activation)    (None, 128)               0         ",
    "dense_9 (Dense)              (None, 10)                1290      ",
    "activation_9 (Activation)    (None, 10)                0         ",
)
# The course's table of (b) has one row more, an activation that is not in its program.
TABLE_B = table(
    "1,199,882",
    "conv2d_7 (Conv2D)            (None, 26, 26, 32)        320       ",
    "activation_10 (Activation)   (None, 26, 26, 32)        0         ",
    "conv2d_8 (Conv2D)            (None, 24, 24, 64)        18496     ",
    "activation_11 (Activation)   (None, 24, 24, 64)        0         ",
    "max_pooling2d_7 (MaxPooling2 (None, 12, 12, 64)        0         ",
    "dropout_1 (Dropout)          (None, 12, 12, 64)        0         ",
    "flatten_4 (Flatten)          (None, 9216)              0         ",
    "dense_10 (Dense)             (None, 128)               1179776   ",
    "activation_12 (Activation)   (None, 128)               0         ",
    "dropout_2 (Dropout)          (None, 128)               0         ",
    "dense_11 (Dense)             (None, 10)                1290      ",
    "activation_13 (Activation)   (None, 10)                0         ",
)
TABLE_C = table(
    "1,250,858",
    "conv2d_13 (Conv2D)           (None, 32, 32, 32)        896       ",
    "activation_19 (Activation)   (None, 32, 32, 32)        0         ",
    "conv2d_14 (Conv2D)           (None, 30, 30, 32)        9248      ",
    "activation_20 (Activation)   (None, 30, 30, 32)        0         ",
    "max_pooling2d_7 (MaxPooling2 (None, 15, 15, 32)        0         ",
    "dropout_10 (Dropout)         (None, 15, 15, 32)        0         ",
    "conv2d_15 (Conv2D)           (None, 15, 15, 64)        18496     ",
    "activation_21 (Activation)   (None, 15, 15, 64)        0         ",
    "conv2d_16 (Conv2D)           (None, 13, 13, 64)        36928     ",
    "activation_22 (Activation)   (None, 13, 13, 64)        0         ",
    "max_pooling2d_8 (MaxPooling2 (None, 6, 6, 64)          0         ",
    "dropout_11 (Dropout)         (None, 6, 6, 64)          0         ",
    "flatten_4 (Flatten)          (None, 2304)              0         ",
    "dense_7 (Dense)              (None, 512)               1180160   ",
    "activation_23 (Activation)   (None, 512)               0         ",
    "dropout_12 (Dropout)         (None, 512)               0         ",
    "dense_8 (Dense)              (None, 10)                5130      ",
    "activation_24 (Activation)   (None, 10)                0         ",
)


@pytest.mark.parametrize(
    ("make", "text", "total"),
    [(model_a, TABLE_A, 5576522), (model_b, TABLE_B, 1199882), (model_c, TABLE_C, 1250858)],
    ids=["a", "b", "c"],
)
def test_course_models_have_the_course_tables(make, text, total):
    model = make()
    assert printed(model) == text
    assert model.count_params() == total


def test_summary_prints(capsys):
    model = Sequential([Dense(3, input_shape=(2,))])
    model.summary()
    assert capsys.readouterr().out == printed(model)


def test_frozen_weights_are_not_trainable():
    model = Sequential([Dense(3, input_shape=(2,), trainable=False), Dense(1)])
    assert "Total params: 13\nTrainable params: 4\nNon-trainable params: 9\n" in printed(model)


def test_details():
    model = Sequential(
        [Conv2D(4, 3, strides=2, input_shape=(9, 9, 2)), MaxPooling2D(2), Conv2D(5, 2), Flatten(), Dense(7)]
    )
    rows = [line for line in printed(model, details=True).splitlines() if "(None" in line]
    # 4·4 pixels × 3·3·2·4 taps; then after pooling one pixel × 2·2·4·5 taps; then 5 × 7.
    assert [row.split()[-4:] for row in rows] == [
        ["1,152", "256", "B", "3x3"],
        ["0", "64", "B", "5x5"],
        ["80", "20", "B", "9x9"],
        ["0", "20", "B", "all"],
        ["35", "28", "B", "all"],
    ]
    assert "Total mult-adds: 1,267" in printed(model, details=True)


def test_an_unbuilt_model_has_no_summary():
    with pytest.raises(ValueError, match="not built"):
        Sequential([Dense(3)]).summary()


@pytest.mark.parametrize("make", [model_a, model_b, model_c], ids=["a", "b", "c"])
def test_course_models_train_on_300_images(make):
    """On the digits that come with cconv, in colour and with a margin for (c)."""
    (x, y), (x_test, y_test) = mnist_small.load_data()
    x, y, x_test, y_test = x[:300, ..., np.newaxis], y[:300], x_test[:100, ..., np.newaxis], y_test[:100]
    if make is model_c:
        x, x_test = (np.pad(a, ((0, 0), (2, 2), (2, 2), (0, 0))).repeat(3, axis=3) for a in (x, x_test))
    set_random_seed(3)
    model = make()
    model.compile(loss="categorical_crossentropy", optimizer=Adam(lr=0.001), metrics=["accuracy"])
    history = model.fit(x / 255, to_categorical(y), batch_size=32, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    loss, accuracy = model.evaluate(x_test / 255, to_categorical(y_test), verbose=0)
    assert loss < np.log(10)
    assert accuracy >= 0.3
    predicted = np.argmax(model.predict(x_test[:10] / 255, verbose=0), axis=1)
    assert predicted.shape == (10,)
