"""Pictures in files: save_img, load_img with a size and a colour mode, img_to_array, array_to_img."""

import numpy as np

import cconv as keras
from cconv.utils import array_to_img, img_to_array, load_img, save_img

rng = np.random.default_rng(56)
picture = rng.integers(0, 256, size=(10, 14, 3)).astype("uint8")
save_img("picture.png", picture, scale=False)
img = load_img("picture.png")
array = img_to_array(img)
grey = img_to_array(load_img("picture.png", color_mode="grayscale"))
small = img_to_array(keras.utils.load_img("picture.png", target_size=(5, 7)))
scaled = img_to_array(array_to_img(np.linspace(-1, 1, 12).reshape(2, 2, 3)))

RESULT = {
    "size": img.size,
    "dtype": str(array.dtype),
    "same": bool((array == picture).all()),
    "grey": grey[0, :5, 0],
    "small": small[:2, :3],
    "scaled": scaled,
    "batch": np.expand_dims(array, 0).shape,
    "first": img_to_array(img, data_format="channels_first").shape,
}
