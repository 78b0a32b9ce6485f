"""What Keras' callbacks do with made-up histories of a figure, for tests/test_callbacks_keras.py.

Run where Keras 3 is installed, which the tests need not be:

    KERAS_BACKEND=jax python tools/keras_histories.py > tests/keras_histories.json

Figures are eighths, so that it does not matter in which dtype they are compared. The first figure that is
looked at is never NaN: Keras takes that for the best for ever, cconv does not.
"""

import json
import math
import random
import sys
import warnings

CASES = 240


def history(draw: random.Random, start: int) -> list[float | None]:
    """Return figures; None where the logs do not have it."""
    values = [draw.randrange(1, 40) / 8 for _ in range(draw.randrange(1, 14))]
    for i in range(len(values)):
        values[i] = draw.choices(
            [values[i], values[i - 1], math.nan, math.inf, -math.inf, None], [20, 4, 4, 1, 0.3, 1]
        )[0]
    seen = [i for i, value in enumerate(values) if value is not None and i >= start]
    if seen and math.isnan(values[seen[0]]):
        values[seen[0]] = 2.0
    return values


def case(draw: random.Random) -> dict[str, object]:
    """Return a callback's name and arguments, and a history."""
    name = draw.choice(["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"])
    options: dict[str, object] = {"mode": draw.choice(["auto", "min", "max"])}
    if name != "ModelCheckpoint":
        options |= {"patience": draw.randrange(4), "min_delta": draw.choice([0, 0.125, 0.5, -0.25])}
    if name == "EarlyStopping":
        options |= {
            "baseline": draw.choice([None, None, 1.5, 3.0]),
            "restore_best_weights": draw.random() < 0.5,
            "start_from_epoch": draw.choice([0, 0, 0, 2, 5]),
        }
    elif name == "ModelCheckpoint":
        options |= {"initial_value_threshold": draw.choice([None, 1.5, 3.0]), "save_best_only": True}
    else:
        options |= {
            "factor": 0.5,
            "cooldown": draw.randrange(4),
            "min_lr": draw.choice([0.0, 0.25, 0.375, 2.0]),
        }
    start = options.get("start_from_epoch", 0)
    return {"callback": name, "options": options, "values": history(draw, start)}


class Puppet:
    """A model that notes what is done to it."""

    def __init__(self) -> None:
        self.stop_training = False
        self.optimizer = self
        self.learning_rate = 1.0
        self.epoch = 0
        self.restored: int | None = None
        self.saved: list[int] = []

    def get_weights(self) -> int:
        """Return the epoch in place of weights."""
        return self.epoch

    def set_weights(self, epoch: int) -> None:
        """Note which epoch's weights are given back."""
        self.restored = epoch

    def save(self, path: object, overwrite: bool = True) -> None:
        """Note the epoch."""
        self.saved.append(self.epoch)


def play(callback: object, values: list[float | None]) -> dict[str, object]:
    """Give a callback, Keras' or cconv's, one epoch after the other; return what it did."""
    model, rates, warned = Puppet(), [], []
    callback.set_model(model)
    callback.set_params({"epochs": len(values), "steps": 1, "verbose": 0})
    callback.on_train_begin({})
    for epoch, value in enumerate(values):
        model.epoch = epoch
        callback.on_epoch_begin(epoch, {})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            callback.on_epoch_end(epoch, {} if value is None else {"val_loss": value})
        if any("not among" in str(w.message) or "available" in str(w.message) for w in caught):
            warned.append(epoch)
        rates.append(model.learning_rate)
        if model.stop_training:
            break
    callback.on_train_end({})
    return {
        "epochs": len(rates),
        "stopped": model.stop_training,
        "rates": rates,
        "restored": model.restored,
        "saved": model.saved,
        "warned": warned,
    }


def main() -> None:
    """Write the cases with what Keras did."""
    import keras

    draw = random.Random(0)
    cases = []
    for _ in range(CASES):
        entry = case(draw)
        first = ["m.keras"] if entry["callback"] == "ModelCheckpoint" else []
        made = getattr(keras.callbacks, entry["callback"])(*first, **entry["options"])
        cases.append(entry | {"did": play(made, entry["values"])})
    print(f"Keras {keras.__version__}", file=sys.stderr)
    json.dump({"keras": keras.__version__, "cases": cases}, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
