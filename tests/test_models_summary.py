"""The summaries of the course's three models, text for text, and what else the table can show."""

import io
import re
import sys

import numpy as np
import pytest

from cconv.datasets import mnist_small
from cconv.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
)
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


def test_classic_columns_of_another_width_and_the_one_for_trainable():
    model = Sequential(
        [Dense(3, input_shape=(2,), trainable=False, name="a"), Flatten(name="b"), Dense(1, name="c")]
    )
    lines = printed(model, line_length=50, positions=[0.4, 0.8, 1.0], show_trainable=True).splitlines()
    assert lines[1] == "Layer (type)        Output Shape        Param #   Trainable  "
    assert [line[50:].strip() for line in lines[3:8:2]] == ["N", "-", "Y"]
    assert lines[3].startswith("a (Dense)           (None, 3)           9         N")
    assert {len(line) for line in lines if line[0] in "_=abc"} == {61}


def boxed_model():
    return Sequential(
        [
            Conv2D(32, 3, input_shape=(28, 28, 1), name="conv2d"),
            MaxPooling2D(2, name="max_pooling2d"),
            BatchNormalization(name="a_very_long_name_of_a_layer_that_is_longer"),
            GlobalAveragePooling2D(name="global_average_pooling2d"),
            Dense(10, name="dense", trainable=False),
        ],
        name="sequential",
    )


# What Keras 3.15 prints of the same model: the first in 80 columns, the second with line_length=60 and
# show_trainable (where it cuts the class, which goes on here), the third after a step of Adam.
KERAS_3 = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ conv2d (Conv2D)                 │ (None, 26, 26, 32)     │           320 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d (MaxPooling2D)    │ (None, 13, 13, 32)     │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ a_very_long_name_of_a_layer_th… │ (None, 13, 13, 32)     │           128 │
│ (BatchNormalization)            │                        │               │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ global_average_pooling2d        │ (None, 32)             │             0 │
│ (GlobalAveragePooling2D)        │                        │               │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 10)             │           330 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 778 (3.04 KB)
 Trainable params: 384 (1.50 KB)
 Non-trainable params: 394 (1.54 KB)
"""
KERAS_3_NARROW = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━┳━━━━━┓
┃ Layer (type)          ┃ Output Shape     ┃ Param # ┃ Tr… ┃
┡━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━╇━━━━━┩
│ conv2d (Conv2D)       │ (None, 26, 26,   │     320 │  Y  │
│                       │ 32)              │         │     │
├───────────────────────┼──────────────────┼─────────┼─────┤
│ max_pooling2d         │ (None, 13, 13,   │       0 │  -  │
│ (MaxPooling2D)        │ 32)              │         │     │
├───────────────────────┼──────────────────┼─────────┼─────┤
│ a_very_long_name_of_… │ (None, 13, 13,   │     128 │  Y  │
│ (BatchNormalization)  │ 32)              │         │     │
├───────────────────────┼──────────────────┼─────────┼─────┤
│ global_average_pooli… │ (None, 32)       │       0 │  -  │
│ (GlobalAveragePooling │                  │         │     │
│ 2D)                   │                  │         │     │
├───────────────────────┼──────────────────┼─────────┼─────┤
│ dense (Dense)         │ (None, 10)       │     330 │  N  │
└───────────────────────┴──────────────────┴─────────┴─────┘
 Total params: 778 (3.04 KB)
 Trainable params: 384 (1.50 KB)
 Non-trainable params: 394 (1.54 KB)
"""
KERAS_3_TRAINED = """\
 Total params: 1,548 (6.05 KB)
 Trainable params: 384 (1.50 KB)
 Non-trainable params: 394 (1.54 KB)
 Optimizer params: 770 (3.01 KB)
"""


def test_the_boxes_are_those_of_keras_3(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    model = boxed_model()
    model.compile("adam", "mse")
    assert printed(model, style="keras3") == KERAS_3
    assert printed(model, style="keras3", line_length=60, show_trainable=True) == KERAS_3_NARROW
    model.fit(np.zeros((4, 28, 28, 1)), np.zeros((4, 10)), verbose=0)
    assert printed(model, style="keras3").endswith(KERAS_3_TRAINED)
    monkeypatch.setenv("COLUMNS", "200")
    for more, width in ((False, 88), (True, 100)):
        assert len(printed(model, style="keras3", show_trainable=more).splitlines()[1]) == width


@pytest.mark.parametrize("length", [40, 45, 61, 77, 100])
@pytest.mark.parametrize("positions", [None, [0.3, 0.6, 1.0], [0.2, 0.5, 0.7]])
def test_boxes_are_as_wide_as_asked_and_cut_no_class(length, positions):
    lines = printed(boxed_model(), style="keras3", line_length=length, positions=positions).splitlines()
    table = [line for line in lines if line[0] not in " M"]
    assert {len(line) for line in table} == {length}
    first = "".join(line.split("│")[1].strip() for line in table if line[0] == "│")
    for name in ("(Conv2D)", "(MaxPooling2D)", "(BatchNormalization)", "(GlobalAveragePooling2D)"):
        assert name in first


@pytest.mark.parametrize("style", ["classic", "keras3"])
def test_a_range_of_layers_is_counted_as_the_whole(style):
    for names in (["max", "global"], ["global", "max"]):
        text = printed(boxed_model(), style=style, line_length=100, layer_range=names)
        assert [name in text for name in ("conv2d (", "max_p", "a_very", "global", "dense (")] == [
            0,
            1,
            1,
            1,
            0,
        ]
        assert "Total params: 778" in text


def test_boxes_on_a_screen_that_has_none(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, "ascii"))
    boxed_model().summary(60, style="keras3")
    sys.stdout.flush()
    lines = raw.getvalue().decode().splitlines()
    assert lines[1] == "+--------------------------+-------------------+-----------+"
    assert lines[2] == "| Layer (type)             | Output Shape      |   Param # |"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"line_length": True}, TypeError, "line_length must be a positive int, got True"),
        ({"line_length": 0}, ValueError, "line_length must be a positive int, got 0"),
        ({"line_length": 5}, ValueError, "must give columns of at least 2"),
        ({"line_length": 12, "style": "keras3"}, ValueError, "3 columns of at least 4 characters"),
        ({"positions": 3}, TypeError, "positions must be 3 growing numbers up to 1, got 3"),
        ({"positions": [0.5, 0.4, 1.0]}, ValueError, "positions must be 3 growing numbers"),
        ({"positions": [20, 40, 60]}, ValueError, "positions must be 3 growing numbers"),
        ({"style": "keras"}, ValueError, "style must be one of 'classic', 'keras3', got 'keras'"),
        ({"show_trainable": 1}, TypeError, "show_trainable must be True or False, got 1"),
        ({"expand_nested": 1}, TypeError, "expand_nested must be True or False, got 1"),
        ({"layer_range": "conv"}, TypeError, "layer_range must be two names of layers, got 'conv'"),
        ({"layer_range": ["conv"]}, ValueError, "layer_range must be two names of layers"),
        ({"layer_range": ["conv", "no"]}, ValueError, "layer_range must match names of layers"),
        ({"style": "keras3", "details": True}, ValueError, "details are columns of style='classic'"),
    ],
)
def test_arguments_that_do_not_fit(options, error, message):
    with pytest.raises(error, match=f"Sequential.summary: .*{re.escape(message)}"):
        printed(boxed_model(), **options)


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


@pytest.mark.parametrize("style", ["classic", "keras3"])
def test_a_frozen_model_has_no_trainable_weights(style):
    model = Sequential([Dense(4, input_shape=(3,))], trainable=False)
    model.layers[0].trainable = True  # the model does not learn, whatever its layers say
    text = re.sub(r"\x1b\[[0-9;]*m", "", printed(model, style=style, show_trainable=True))
    assert re.search(r"Trainable params: 0\b", text)
    assert re.search(r"Non-trainable params: 16\b", text)
    assert re.search(r"\b16\b.*\bN\b", text)
