"""Models with several inputs and outputs, and how they are trained: for cconv, and for Keras alike.

Nothing of either is imported here: tools/tables/ends.py gives Keras' `layers` and `Model`, the tests cconv's.
"""

import numpy as np

SAMPLES, BATCH, EPOCHS = 40, 10, 5


def two_ends(layers, model, form):
    """An image and a vector in; a number and a class out."""
    image, vector = layers.Input((6, 6, 2), name="image"), layers.Input((3,), name="vector")
    seen = layers.Conv2D(3, 3, activation="relu", name="conv")(image)
    seen = layers.GlobalAveragePooling2D(name="pool")(seen)
    both = layers.Concatenate(name="both")([seen, layers.Dense(4, activation="tanh", name="wide")(vector)])
    size = layers.Dense(1, name="size")(both)
    kind = layers.Dense(3, activation="softmax", name="kind")(both)
    if form == "dict":
        return model({"image": image, "vector": vector}, {"size": size, "kind": kind})
    return model([image, vector], [size, kind])


def siamese(layers, model, form):
    """Two vectors through the same layer; whether they belong together."""
    one, two = layers.Input((3,), name="one"), layers.Input((3,), name="two")
    shared = layers.Dense(4, activation="tanh", name="shared")
    apart = layers.Subtract(name="apart")([shared(one), shared(two)])
    return model([one, two], layers.Dense(1, activation="sigmoid", name="same")(apart))


def middle(layers, model, form):
    """An output that is also the input of the rest."""
    vector = layers.Input((3,), name="vector")
    hidden = layers.Dense(4, activation="tanh", name="hidden")(vector)
    size = layers.Dense(1, name="size")(hidden)
    both = layers.Concatenate(name="both")([hidden, size])
    return model(vector, [size, layers.Dense(3, activation="softmax", name="kind")(both)])


def arrays(seed=0):
    """Return what goes in and what shall come out, by name: multiples of 1/8."""
    draw = np.random.default_rng(seed)

    def eighths(*shape):
        return draw.integers(-12, 13, shape) / 8

    return {
        "image": eighths(SAMPLES, 6, 6, 2),
        "vector": eighths(SAMPLES, 3),
        "one": eighths(SAMPLES, 3),
        "two": eighths(SAMPLES, 3),
        "size": eighths(SAMPLES, 1),
        "kind": draw.integers(0, 3, SAMPLES),
        "same": draw.integers(0, 2, (SAMPLES, 1)),
        "first": draw.integers(0, 9, SAMPLES) / 8,
        "second": draw.integers(0, 9, SAMPLES) / 8,
    }


def set_weights(model, seed=1):
    """Give every layer weights of its own by its name, in the order of the names."""
    draw = np.random.default_rng(seed)
    for layer in sorted(model.layers, key=lambda layer: layer.name):
        layer.set_weights([draw.integers(-8, 9, w.shape) / 8 for w in layer.get_weights()])


CLASSES = "sparse_categorical_crossentropy"
LISTS = {"x": ["image", "vector"], "y": ["size", "kind"]}
NAMES = {"x": {"image": "image", "vector": "vector"}, "y": {"kind": "kind", "size": "size"}}
MIDDLE = {"x": "vector", "y": ["size", "kind"]}
# By name: the model, its form, what `compile` is told, and what `fit` is, with names in place of arrays.
CASES = {
    "one loss each": (two_ends, "list", {"loss": ["mse", CLASSES]}, LISTS),
    "by name": (two_ends, "list", {"loss": {"kind": CLASSES, "size": "mae"}}, NAMES),
    "weights": (two_ends, "list", {"loss": ["mse", CLASSES], "loss_weights": [0.25, 2.0]}, LISTS),
    "weights by name": (
        two_ends,
        "dict",
        {"loss": {"size": "mse", "kind": CLASSES}, "loss_weights": {"size": 0.5, "kind": 3.0}},
        NAMES,
    ),
    "metrics": (
        two_ends,
        "list",
        {"optimizer": "adam", "loss": ["mse", CLASSES], "metrics": [["mae", "mse"], ["accuracy"]]},
        LISTS,
    ),
    "metrics by name": (
        two_ends,
        "list",
        {
            "loss": ["mse", CLASSES],
            "metrics": {"kind": "accuracy"},
            "weighted_metrics": {"kind": ["accuracy", "sparse_categorical_crossentropy"], "size": "mae"},
        },
        {**LISTS, "sample_weight": ["first", "second"]},
    ),
    "everything": (
        two_ends,
        "dict",
        {
            "optimizer": "adam",
            "loss": {"size": "huber", "kind": CLASSES},
            "loss_weights": {"size": 0.5, "kind": 1.5},
            "metrics": {"kind": ["accuracy"], "size": ["mae"]},
            "weighted_metrics": {"kind": ["accuracy"], "size": []},
        },
        {**NAMES, "sample_weight": {"size": "first", "kind": "second"}, "validation_split": 0.25},
    ),
    "one weight for both": (
        two_ends,
        "list",
        {"loss": ["mse", CLASSES]},
        {**LISTS, "sample_weight": "first"},
    ),
    "an output without a loss": (
        two_ends,
        "list",
        {"loss": [None, CLASSES], "metrics": [["mae"], ["accuracy"]]},
        LISTS,
    ),
    "siamese": (
        siamese,
        "list",
        {"loss": "binary_crossentropy", "metrics": ["accuracy"]},
        {
            "x": ["one", "two"],
            "y": "same",
            "validation_split": 0.5,
        },
    ),
    "siamese, weighted": (
        siamese,
        "list",
        {"loss": "binary_crossentropy", "loss_weights": [0.5]},
        {
            "x": ["one", "two"],
            "y": "same",
            "sample_weight": "second",
        },
    ),
    "in the middle": (middle, "list", {"loss": ["mse", CLASSES], "metrics": [[], ["accuracy"]]}, MIDDLE),
    "only the middle": (middle, "list", {"loss": ["mse", None]}, MIDDLE),
}


def filled(names, found):
    """Return arrays in the place of their names."""
    if isinstance(names, dict):
        return {name: filled(entry, found) for name, entry in names.items()}
    if isinstance(names, list):
        return [filled(entry, found) for entry in names]
    return found[names] if isinstance(names, str) else names


def play(name, layers, model, optimizers, **options):
    """Return what a case gives: the history, evaluation, one batch, and the sums of the predictions."""
    make, form, told, given = CASES[name]
    made = make(layers, lambda *ends: model(*ends, **options), form)
    set_weights(made)
    # Rates that float32 has too.
    rates = {"sgd": optimizers.SGD(1 / 128), "adam": optimizers.Adam(1 / 1024)}
    made.compile(**{**told, "optimizer": rates[told.get("optimizer", "sgd")]})
    data = filled(given, arrays())
    history = made.fit(**data, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    kept = {key: value for key, value in data.items() if key != "validation_split"}
    evaluated = made.evaluate(**kept, batch_size=BATCH, verbose=0)
    by_name = made.evaluate(**kept, batch_size=BATCH, verbose=0, return_dict=True)
    batch = made.train_on_batch(**kept)
    outputs = made.predict(data["x"], verbose=0)
    named = dict(sorted(outputs.items())) if isinstance(outputs, dict) else {}
    several = list(named.values()) or (outputs if isinstance(outputs, list) else [outputs])
    return {
        "history": {key: [float(value) for value in values] for key, values in history.history.items()},
        "evaluate": np.ravel(evaluated).tolist(),
        "by_name": {key: float(value) for key, value in by_name.items()},
        "batch": np.ravel(batch).tolist(),
        "predict": [np.asarray(y)[:3].ravel().tolist() for y in several],
        "form": type(outputs).__name__,
    }
