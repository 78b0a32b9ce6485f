"""Write tests/data/keras_activations.json: what Keras 3 computes with activations, constraints and penalties.

    python tools/keras_activations.py

It is run by a Python that has Keras and JAX, in float64; the tests read the file, so that they need neither.
Every case is random: arguments, input, output, and the gradients of the sum of the output times `dy`.
"""

import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"], os.environ["JAX_ENABLE_X64"] = "jax", "1"

import jax  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

TARGET = Path(__file__).parents[1] / "tests" / "data" / "keras_activations.json"
PLAIN = (
    *("linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax", "silu", "swish"),
    *("gelu", "elu", "selu", "softplus", "softsign", "mish", "hard_sigmoid", "hard_silu", "hard_swish"),
    "exponential",
)
rng = np.random.default_rng(5)


def numbers(*shape):
    """Return random numbers, short to write."""
    return (rng.standard_normal(shape) * rng.choice([0.3, 1.5, 4.0])).round(4) + 1e-5


def plain(value):
    """Return arrays as lists."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return np.asarray(value).tolist() if hasattr(value, "shape") else value


def with_gradient(function, x, **more):
    """Return the case of a function of one array."""
    x = jax.numpy.asarray(x)  # NumPy's arrays become float32 in some
    y = function(x)
    dy = numbers(*np.shape(y))
    dx = jax.grad(lambda v: (function(v) * dy).sum())(x)
    return {**more, "x": x, "y": y, "dy": dy, "dx": dx}


def activation_cases():
    """Yield every activation by its name, and some with arguments."""
    for name in PLAIN:
        yield with_gradient(getattr(keras.activations, name), numbers(3, 7), name=name, arguments={})
    for _ in range(3):
        some = [
            ("relu", {"negative_slope": 0.25, "threshold": 0.5}),
            ("relu", {"max_value": round(rng.uniform(1, 4), 2), "threshold": round(rng.uniform(0, 1), 2)}),
            ("relu", {"negative_slope": 0.1, "max_value": 2.0}),
            ("leaky_relu", {"negative_slope": round(rng.uniform(0, 1), 2)}),
            ("elu", {"alpha": round(rng.uniform(-1, 3), 2)}),
            ("gelu", {"approximate": True}),
            ("softmax", {"axis": int(rng.integers(-3, 3))}),
            ("log_softmax", {"axis": int(rng.integers(-3, 3))}),
        ]
        for name, options in some:
            function = getattr(keras.activations, name)
            x = numbers(2, 3, 4)
            yield with_gradient(lambda v, f=function, o=options: f(v, **o), x, name=name, arguments=options)


def layer_cases():
    """Yield the layers, with the gradients of their weights."""
    cases = [
        ("ELU", {}, (4, 3)),
        ("ELU", {"alpha": 0.3}, (5,)),
        ("LeakyReLU", {"negative_slope": 0.45}, (5,)),
        ("ReLU", {"max_value": 3.0, "negative_slope": 0.2, "threshold": 0.7}, (6,)),
        ("ReLU", {"max_value": 1.0}, (6,)),
        ("Softmax", {"axis": 1}, (4, 3, 2)),
        ("Softmax", {"axis": [1, 2]}, (4, 3, 2)),
        ("Softmax", {"axis": [2, 3]}, (4, 3, 2)),
        ("PReLU", {}, (4, 3, 2)),
        ("PReLU", {"shared_axes": [1, 2]}, (4, 3, 2)),
        ("PReLU", {"shared_axes": [2]}, (4, 3, 2)),
        ("PReLU", {"shared_axes": [1, 3]}, (4, 3, 2)),
        ("PReLU", {"shared_axes": [1, 2, 3]}, (4, 3, 2)),
        ("PReLU", {"shared_axes": [1]}, (6,)),
    ]
    for name, options, shape in cases:
        layer = getattr(keras.layers, name)(**options)
        layer.build((None, *shape))
        weights = [numbers(*w.shape) for w in layer.weights]
        layer.set_weights(weights)
        x = numbers(5, *shape)
        dy = numbers(5, *shape)

        def total(trained, v, layer=layer, dy=dy):
            y, _ = layer.stateless_call(trained, [], v)
            return (y * dy).sum()

        grads, dx = jax.grad(total, argnums=(0, 1))([np.asarray(w) for w in weights], x)
        yield {
            **{"name": name, "arguments": options, "weights": [plain(w) for w in weights]},
            **{"x": x, "y": layer(x), "dy": dy, "dx": dx, "grads": [plain(g) for g in grads]},
        }


def constraint_cases():
    """Yield the constraints on weights of several shapes."""
    for shape in ((5, 3), (2, 3, 2, 4), (6,)):
        for axis in (0, -1, [0, 1, 2] if len(shape) == 4 else [0]):
            bounds = sorted(rng.uniform(0.1, 3, 2).round(2).tolist())
            rate = round(rng.uniform(0, 1), 2)
            for name, options in (
                ("MaxNorm", {"max_value": bounds[0], "axis": axis}),
                ("UnitNorm", {"axis": axis}),
                ("MinMaxNorm", {"min_value": bounds[0], "max_value": bounds[1], "rate": rate, "axis": axis}),
                ("NonNeg", {}),
            ):
                w = numbers(*shape)
                y = getattr(keras.constraints, name)(**options)(w)
                yield {"name": name, "arguments": options, "x": w, "y": y}


def regularizer_cases():
    """Yield the penalties and their gradients."""
    cases = [
        ("L1", {"l1": 0.3}, (4, 3)),
        ("L2", {"l2": 0.2}, (4, 3)),
        ("L1L2", {"l1": 0.1, "l2": 0.02}, (2, 2, 3)),
        ("OrthogonalRegularizer", {}, (5, 3)),
        ("OrthogonalRegularizer", {"factor": 0.7, "mode": "columns"}, (5, 3)),
        ("OrthogonalRegularizer", {"factor": 1.5, "mode": "rows"}, (3, 6)),
    ]
    for name, options, shape in cases:
        penalty = getattr(keras.regularizers, name)(**options)
        w = jax.numpy.asarray(numbers(*shape))  # of NumPy's arrays Keras' normalize takes the wrong axis
        yield {
            **{"name": name, "arguments": options, "x": w},
            **{"y": float(penalty(w)), "dx": jax.grad(lambda v, p=penalty: p(v))(w)},
        }


def training_cases():
    """Yield weights after some steps of a small network with constraints, penalties and PReLU."""
    for optimizer in ("sgd", "adam"):
        model = keras.Sequential(
            [
                keras.layers.Input((5, 4, 2)),
                keras.layers.Conv2D(
                    3, 2, activation="silu", kernel_constraint=keras.constraints.MaxNorm(0.8, axis=[0, 1, 2])
                ),
                keras.layers.PReLU("ones", alpha_constraint="non_neg", shared_axes=[1, 2]),
                keras.layers.BatchNormalization(gamma_constraint="unit_norm", beta_constraint="non_neg"),
                keras.layers.Flatten(),
                keras.layers.Dense(4, "gelu", kernel_constraint="unit_norm", bias_constraint="non_neg"),
                keras.layers.Dense(
                    2,
                    kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.3, "columns"),
                    kernel_constraint=keras.constraints.MinMaxNorm(0.5, 0.9, 0.5),
                ),
            ]
        )
        first = [numbers(*w.shape) * 0.3 for w in model.get_weights()]
        first[6] = np.abs(first[6]) + 0.5  # a variance
        model.set_weights(first)
        x, y = numbers(8, 5, 4, 2), numbers(8, 2)
        rule = keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": 0.05}})
        model.compile(rule, "mse")
        losses = [float(model.train_on_batch(x, y)) for _ in range(4)]
        yield {
            **{"optimizer": optimizer, "first": [plain(w) for w in first], "x": x, "target": y},
            **{"losses": losses, "last": [plain(w) for w in model.get_weights()]},
        }


def main():
    """Write the file."""
    keras.config.set_floatx("float64")
    kinds = {
        "activations": activation_cases,
        "layers": layer_cases,
        "constraints": constraint_cases,
        "regularizers": regularizer_cases,
        "training": training_cases,
    }
    lines = [f' "keras": {json.dumps(keras.__version__)}']
    for kind, cases in kinds.items():
        rows = ",\n".join("  " + json.dumps(plain(case)) for case in cases())
        lines.append(f" {json.dumps(kind)}: [\n{rows}\n ]")
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
