"""Write tests/data/losses.json: losses with their gradients, values of each sample, and metrics, by Keras.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python tools/tables/losses.py

It needs keras and jax, and not cconv. The table was made with keras 3.15.1 on jax, in float64, and has ten
digits. Cases name their inputs, which are written once.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import losses, metrics
from keras.src.backend.common import dtypes

keras.config.set_floatx("float64")
# On JAX Keras would take means in float32.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
PATH = Path(__file__).parents[2] / "tests" / "data" / "losses.json"


def rows(*shape, seed=0):
    """Return numbers between -2 and 2, none of them twice in a row."""
    places = np.arange(int(np.prod(shape))) + seed
    return ((places * 37 % 41) / 10.0 - 2.0).reshape(shape)


def shares(x):
    """Return softmax along the last axis, to three digits."""
    e = np.exp(x)
    return (e / e.sum(axis=-1, keepdims=True)).round(3)


CLASSES = np.array([2, 0, 3, 3, 1, 2])
PIXELS = (np.arange(12) * 7 % 5 % 4).reshape(2, 2, 3)
INPUTS = {
    "numbers": rows(6, 4, seed=3) + 0.03,
    "others": rows(6, 4, seed=20),
    "logits": rows(6, 4, seed=3) * 2,
    "chances": (1 / (1 + np.exp(-rows(6, 4, seed=5) * 2))).round(3),
    "bits": (rows(6, 4, seed=11) > 0).astype(float),
    "signs": np.sign(rows(6, 4, seed=11) + 0.05),
    "shares": shares(rows(6, 4, seed=7)),
    "classes": CLASSES,
    "column": CLASSES[:, np.newaxis],
    "one_hot": np.eye(4)[CLASSES],
    "soft": (0.75 * np.eye(4)[CLASSES] + 0.0625) * 1.5,
    "pixels": PIXELS,
    "pixel_shares": shares(rows(2, 2, 3, 4, seed=2)),
    "pixel_numbers": rows(2, 2, 3, 4, seed=9),
    "pixel_others": rows(2, 2, 3, 4, seed=30),
    "pixel_weights": (np.arange(12) % 4 / 2.0).reshape(2, 2, 3),
    "sample_weights": np.array([1.0, 0.0, 2.0, -0.5, 3.0, 0.25]),
    "column_weights": np.array([[1.0], [0.0], [2.0], [0.5], [3.0], [0.25]]),
    "guesses": np.array([2, 1, 3, 3, 0, 2]),
    "one_chance": (1 / (1 + np.exp(-rows(6, 1, seed=5) * 2))).round(3),
    "one_bit": (rows(6, 1, seed=11) > 0).astype(float),
    "flat_chance": (1 / (1 + np.exp(-rows(6, seed=5) * 2))).round(3),
    "flat_bit": (rows(6, seed=11) > 0).astype(float),
    "units": (rows(6, 4, seed=3) / np.sqrt((rows(6, 4, seed=3) ** 2).sum(axis=1, keepdims=True))).round(3),
    "pixel_bits": (rows(2, 2, 3, 4, seed=30) > 0).astype(float),
    "image_weights": np.array([0.5, 2.0]),
}
PLAIN = [
    *("MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError"),
    *("LogCosh", "CosineSimilarity", "Huber", "CategoricalHinge", "Hinge", "SquaredHinge"),
]
LOSSES = [
    *((name, {}, "others", "numbers") for name in PLAIN),
    ("Huber", {"delta": 0.3}, "others", "numbers"),
    ("Huber", {"delta": 0.3}, "pixel_others", "pixel_numbers"),
    ("MeanSquaredError", {}, "pixel_others", "pixel_numbers"),
    ("Hinge", {}, "bits", "numbers"),
    ("SquaredHinge", {}, "signs", "numbers"),
    ("CategoricalHinge", {}, "one_hot", "numbers"),
    ("KLDivergence", {}, "shares", "chances"),
    ("Poisson", {}, "bits", "chances"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "bits", "chances"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2, "from_logits": True}, "bits", "logits"),
    ("BinaryFocalCrossentropy", {}, "bits", "chances"),
    ("BinaryFocalCrossentropy", {"gamma": 1.5, "label_smoothing": 0.1}, "bits", "chances"),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "alpha": 0.4, "gamma": 3.0, "from_logits": True},
        "bits",
        "logits",
    ),
    ("CategoricalCrossentropy", {}, "soft", "shares"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.25}, "one_hot", "chances"),
    ("CategoricalCrossentropy", {"from_logits": True}, "soft", "logits"),
    ("CategoricalCrossentropy", {"from_logits": True}, "others", "logits"),
    ("CategoricalFocalCrossentropy", {}, "one_hot", "shares"),
    ("CategoricalFocalCrossentropy", {"gamma": 0.5, "label_smoothing": 0.1}, "one_hot", "chances"),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.2, 0.3, 0.4], "from_logits": True}, "soft", "logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 3}, "classes", "shares"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 3, "from_logits": True}, "classes", "logits"),
    ("SparseCategoricalCrossentropy", {}, "pixels", "pixel_shares"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 0}, "pixels", "pixel_shares"),
    ("Dice", {}, "bits", "chances"),
    ("Dice", {"axis": [1]}, "bits", "chances"),
    ("Dice", {"axis": [1, 2, 3]}, "pixel_bits", "pixel_shares"),
    ("Dice", {"axis": -1}, "one_hot", "shares"),
    ("Tversky", {}, "bits", "chances"),
    ("Tversky", {"alpha": 0.25, "beta": 0.75}, "bits", "chances"),
    ("Tversky", {"alpha": 0.3, "beta": 0.9, "axis": [1, 2, 3]}, "pixel_bits", "pixel_shares"),
    ("Tversky", {"alpha": 0.3, "axis": [0]}, "flat_bit", "flat_chance"),
    ("Circle", {}, "classes", "units"),
    ("Circle", {"gamma": 2.0, "margin": 0.25}, "column", "units"),
    ("Circle", {"gamma": 4.0, "remove_diagonal": False}, "classes", "units"),
    ("Circle", {"gamma": 8.0}, "classes", "units"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.5}, "classes", "shares"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.125}, "classes", "shares"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.75}, "pixels", "pixel_shares"),
]
FUNCTION = {"KLDivergence": "kl_divergence", "LogCosh": "log_cosh"}
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight")


def plain(values):
    """Return nested lists of floats, each with ten digits."""
    if isinstance(values, list):
        return [plain(value) for value in values]
    return float(f"{values:.10g}")


def name_of(kind):
    """Return the function of a class."""
    return FUNCTION.get(kind, keras.src.utils.naming.to_snake_case(kind))


def one_loss(number, kind, options, true, pred):
    """Return a loss with its gradient, for each kind of weights that suits, with a reduction in turn."""
    pixels = INPUTS[pred].ndim > 2
    suiting = ["pixel_weights"] if pixels else ["sample_weights", "column_weights"]
    if kind in ("Dice", "Tversky"):
        suiting = ["image_weights"] if pixels else ["sample_weights"]
    for weight in (None, *suiting):
        reduction = REDUCTIONS[number % 4 if weight else number // 4 % 4]
        made = getattr(losses, kind)(**options, reduction=reduction, dtype="float64")
        weights = None if weight is None else INPUTS[weight]

        def value(p, made=made, weights=weights):
            return made(jnp.asarray(INPUTS[true]), p, sample_weight=weights)

        loss, gradient = jax.value_and_grad(value)(jnp.asarray(INPUTS[pred]))
        entry = {"name": kind, "options": options | {"reduction": reduction}, "true": true, "pred": pred}
        entry |= {"weight": weight, "loss": plain(float(loss))}
        yield entry | {"gradient": plain(np.asarray(gradient).ravel().tolist())}


def all_losses():
    """Return all losses."""
    return [entry for number, case in enumerate(LOSSES) for entry in one_loss(number, *case)]


def all_functions():
    """Return the values of each sample."""
    found = []
    for kind, options, true, pred in LOSSES:
        function = getattr(losses, name_of(kind))
        values = function(jnp.asarray(INPUTS[true]), jnp.asarray(INPUTS[pred]), **options)
        entry = {"name": name_of(kind), "options": options, "true": true, "pred": pred}
        found.append(entry | {"values": plain(np.asarray(values).ravel().tolist())})
    return found


BINARY = [("bits", "chances"), ("one_bit", "one_chance"), ("flat_bit", "flat_chance")]
METRICS = [
    ("Accuracy", {}, "classes", "guesses"),
    *(("BinaryAccuracy", options, *pair) for options in ({}, {"threshold": 0.3}) for pair in BINARY),
    ("CategoricalAccuracy", {}, "one_hot", "shares"),
    ("CategoricalAccuracy", {}, "column", "shares"),
    ("SparseCategoricalAccuracy", {}, "classes", "shares"),
    ("SparseCategoricalAccuracy", {}, "column", "shares"),
    ("SparseCategoricalAccuracy", {}, "pixels", "pixel_shares"),
    *(("TopKCategoricalAccuracy", {"k": k}, "one_hot", "shares") for k in (1, 2, 3)),
    *(("SparseTopKCategoricalAccuracy", {"k": k}, "classes", "shares") for k in (1, 2, 3)),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "pixels", "pixel_shares"),
    *((kind, {}, *pair) for kind in ("Precision", "Recall", "AUC") for pair in BINARY),
    *((kind, {"thresholds": 0.3}, "bits", "chances") for kind in ("Precision", "Recall")),
    *((kind, {"thresholds": [0.0, 0.5, 1.0]}, "bits", "chances") for kind in ("Precision", "Recall")),
    *((kind, {"class_id": 1}, "bits", "chances") for kind in ("Precision", "Recall")),
    *((kind, {"top_k": 2}, "one_hot", "shares") for kind in ("Precision", "Recall")),
    *((kind, {}, "bits", "chances") for kind in ("TruePositives", "TrueNegatives")),
    *((kind, {}, "bits", "chances") for kind in ("FalsePositives", "FalseNegatives")),
    *(
        ("AUC", {"curve": curve, "summation_method": way, "num_thresholds": 12}, "bits", "chances")
        for curve in ("ROC", "PR")
        for way in ("interpolation", "minoring", "majoring")
    ),
    ("AUC", {"curve": "PR"}, "bits", "chances"),
    ("AUC", {"thresholds": [0.1, 0.4, 0.9]}, "bits", "chances"),
    ("AUC", {"from_logits": True}, "bits", "logits"),
    ("AUC", {"multi_label": True}, "bits", "chances"),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 2.0, 0.5, 0.25]}, "bits", "chances"),
    *(("F1Score", {"average": way}, "one_hot", "shares") for way in (None, "micro", "macro", "weighted")),
    ("F1Score", {"average": "macro", "threshold": 0.4}, "bits", "chances"),
    ("FBetaScore", {"average": "macro", "beta": 2.0, "threshold": 0.4}, "bits", "chances"),
    ("MeanIoU", {"num_classes": 4}, "classes", "guesses"),
    ("MeanIoU", {"num_classes": 5, "ignore_class": 3}, "classes", "guesses"),
    ("MeanIoU", {"num_classes": 4, "sparse_y_pred": False}, "pixels", "pixel_shares"),
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, "classes", "guesses"),
    ("OneHotMeanIoU", {"num_classes": 4}, "one_hot", "shares"),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [1, 3]}, "one_hot", "shares"),
    ("BinaryIoU", {"threshold": 0.4}, "bits", "chances"),
    *((kind, {}, "others", "numbers") for kind in PLAIN[:4]),
    ("RootMeanSquaredError", {}, "others", "numbers"),
    ("RootMeanSquaredError", {}, "pixel_others", "pixel_numbers"),
    ("CosineSimilarity", {}, "others", "numbers"),
    ("LogCoshError", {}, "others", "numbers"),
    ("Hinge", {}, "signs", "numbers"),
    ("SquaredHinge", {}, "signs", "numbers"),
    ("CategoricalHinge", {}, "one_hot", "numbers"),
    ("KLDivergence", {}, "shares", "chances"),
    ("Poisson", {}, "bits", "chances"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "bits", "chances"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "one_hot", "shares"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "classes", "logits"),
]
WHOLE = ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "BinaryIoU")  # whose weights are whole numbers


def one_metric(kind, options, true, pred):
    """Return a metric of two batches of different sizes, without weights and with those that suit."""
    pixels = INPUTS[pred].ndim > 2
    cut = 1 if pixels else 2
    weights = [None, "pixel_weights" if pixels else "sample_weights"]
    if kind in WHOLE or options.get("multi_label"):
        weights = [None]
    for weight in weights:
        made = getattr(metrics, kind)(**options) if kind in WHOLE else None
        made = made or getattr(metrics, kind)(**options, dtype="float64")
        for part in (slice(0, cut), slice(cut, None)):
            more = {} if weight is None else {"sample_weight": INPUTS[weight][part]}
            made.update_state(jnp.asarray(INPUTS[true][part]), jnp.asarray(INPUTS[pred][part]), **more)
        result = plain(np.asarray(made.result()).tolist())
        entry = {"name": kind, "options": options, "true": true, "pred": pred, "weight": weight}
        yield entry | {"cut": cut, "result": result}


def all_metrics():
    """Return all metrics."""
    return [entry for case in METRICS for entry in one_metric(*case)]


if __name__ == "__main__":
    table = {
        "inputs": {name: plain(np.asarray(value, float).tolist()) for name, value in INPUTS.items()},
        "losses": all_losses(),
        "functions": all_functions(),
        "metrics": all_metrics(),
    }
    sections = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in table.items())
    PATH.write_text("{\n" + sections.replace('}, {"name"', '},\n{"name"') + "\n}\n")
    print({key: len(value) for key, value in table.items()}, PATH.stat().st_size)
