"""summary, as lines of text, and counts of parameters."""

import re

import cconv as keras
from cconv import layers

model = keras.Sequential(
    [
        keras.Input(shape=(28, 28, 1)),
        layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ],
    name="mnist",
)
model.layers[0].trainable = False
lines = []
model.summary(print_fn=lambda line, **kwargs: lines.append(line))
text = "\n".join(lines)

RESULT = {
    "totals": {
        kind: re.search(rf"{kind} params: ([\d,]+)", text)[1]
        for kind in ("Total", "Trainable", "Non-trainable")
    },
    "shapes": [shape in text for shape in ("(None, 26, 26, 32)", "(None, 13, 13, 32)", "(None, 5408)")],
    "numbers": [number in text.replace(",", "") for number in ("320", "128", "54090")],
    "names": [layer.name in text for layer in model.layers],
    "count": model.count_params(),
    "of layers": [layer.count_params() for layer in model.layers],
}
