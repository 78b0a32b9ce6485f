"""Train named networks with dropout and augmentation and print the bits of what comes out, as JSON.

Run as a program under one instruction set (``CCONV_ISA``); the arguments are numbers of threads. With
several, every training is also saved after its first epoch, loaded and gone on with: the same bits.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from bits import arrays
from strategies import parallel_at_any_size

import cconv
from cconv.applications import MobileNetV2, ResNet20, UNet
from cconv.layers import Dense, Dropout, Input, RandomFlip, RandomTranslation
from cconv.models import Model

SAMPLES, BATCH = 20, 8  # a short last batch


def augmented(shape):
    image = Input(shape)
    return image, RandomTranslation(0.1, 0.1)(RandomFlip("horizontal")(image))


def classifier(function, shape, **more):
    """A network behind augmentation, with dropout in front of its classes."""
    image, x = augmented(shape)
    base = function(include_top=False, input_tensor=x, pooling="avg", seed=5, **more)
    y = Dense(10, activation="softmax")(Dropout(0.3)(base.output))
    return Model(image, y, seed=5)


def unet():
    image, x = augmented((16, 16, 3))
    return Model(image, UNet(input_tensor=x, depth=2, filters=6, classes=3, seed=5).output, seed=5)


CASES = {
    "ResNet20": (lambda: classifier(ResNet20, (16, 16, 3)), (16, 16, 3)),
    "MobileNetV2": (lambda: classifier(MobileNetV2, (32, 32, 3), alpha=0.35), (32, 32, 3)),
    "UNet": (unet, (16, 16, 3)),
}


def digest(model, x):
    found = hashlib.sha256()
    for array in (*model.get_weights(), model.predict(x, verbose=0)):
        found.update(array.tobytes())
    return found.hexdigest()


def trained(make, shape, folder=None):
    """The digest of two epochs; with a folder, through a file between them."""
    (x,) = arrays((SAMPLES, *shape), dtype=np.float32)
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    several = len(model.output_shape) == 4
    y = (np.abs(x[..., 0]) * 10).astype(np.int64) % (3 if several else 10)
    y = y if several else y[:, 3, 3]
    for _ in range(2):
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
        if folder is not None:
            path = Path(folder) / "model.safetensors"
            model.save(path)
            model = cconv.models.load_model(path)
    return digest(model, x)


def main(threads):
    """Print the digests for each number of threads, and of trainings that went through a file."""
    found = {}
    for number in threads:
        cconv.set_num_threads(number)
        with parallel_at_any_size():
            found[str(number)] = {name: trained(*case) for name, case in CASES.items()}
    if len(threads) > 1:
        with tempfile.TemporaryDirectory() as folder:
            found["resumed"] = {name: trained(*case, folder) for name, case in CASES.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
