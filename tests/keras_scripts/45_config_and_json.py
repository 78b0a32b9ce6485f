"""get_config, from_config, to_json, model_from_json and clone_model: the same architecture again."""

import json

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(50)
x = rng.normal(size=(3, 8, 8, 2)).astype("float32")
model = keras.Sequential(
    [
        keras.Input((8, 8, 2)),
        layers.Conv2D(4, (3, 3), strides=(2, 2), padding="same", activation="relu", name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.Flatten(name="flat"),
        layers.Dense(3, activation="softmax", name="out"),
    ],
    name="small",
)
model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
config = model.get_config()
predictions = {}
for name, twin in {
    "config": keras.Sequential.from_config(config),
    "json": keras.models.model_from_json(model.to_json()),
    "clone": keras.models.clone_model(model),
}.items():
    twin.set_weights(model.get_weights())
    predictions[name] = twin.predict(x, verbose=0)
layer = layers.Conv2D.from_config(model.get_layer("conv").get_config())
wanted = ["name", "filters", "kernel_size", "strides", "padding", "activation", "use_bias", "dilation_rate"]

RESULT = {
    "name": config["name"],
    "conv": {key: layer.get_config()[key] for key in wanted},
    "class": json.loads(model.to_json())["class_name"],
    "classes": [entry["class_name"] for entry in config["layers"][-4:]],
    "predictions": predictions,
    "optimizer": keras.optimizers.SGD(0.25, momentum=0.5).get_config()["momentum"],
}
