"""image_dataset_from_directory: a folder of pictures a class, read, trained on and evaluated."""

from pathlib import Path

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(57)
for label in ("cats", "dogs"):
    Path("pictures", label).mkdir(parents=True)
    for number in range(6):
        picture = rng.integers(0, 256, size=(12, 12, 3)).astype("uint8")
        keras.utils.save_img(f"pictures/{label}/{number}.png", picture, scale=False)

options = {"image_size": (12, 12), "batch_size": 4}
train = keras.utils.image_dataset_from_directory("pictures", shuffle=False, **options)
binary = keras.utils.image_dataset_from_directory(
    "pictures", label_mode="binary", color_mode="grayscale", shuffle=False, **options
)
part = keras.utils.image_dataset_from_directory(
    "pictures", validation_split=0.25, subset="validation", seed=1, **options
)
images, labels = next(iter(train))
greys, ones = next(iter(binary))
model = keras.Sequential(
    [
        keras.Input((12, 12, 3)),
        layers.Rescaling(1.0 / 255),
        layers.Flatten(),
        layers.Dense(2, activation="softmax"),
    ]
)
model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(train, epochs=2, validation_data=train, shuffle=False, verbose=0)

RESULT = {
    "classes": train.class_names,
    "first": np.asarray(images)[0, 0, 0],
    "labels": np.asarray(labels),
    "greys": [np.asarray(greys).shape, np.asarray(ones).shape],
    "part": sum(len(np.asarray(y)) for _, y in part),
    "history": history.history,
}
