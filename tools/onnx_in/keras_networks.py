"""Write ONNX files of keras.applications by tf2onnx, each with what onnxruntime predicts.

For `compare.py` and the table in docs/bring-your-model.md; needs keras, tensorflow, tf2onnx and onnxruntime::

    python tools/onnx_in/keras_networks.py FOLDER
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

SIZES = {
    **dict.fromkeys(("VGG16", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2", "MobileNetV3Small"), 64),
    **dict.fromkeys(("EfficientNetV2B0", "DenseNet121", "NASNetMobile", "ConvNeXtTiny"), 64),
    **dict.fromkeys(("Xception", "InceptionV3"), 96),
}


def export(name, size, path):
    """Write the file, and beside it the input and what onnxruntime gives for it."""
    keras.utils.set_random_seed(1)
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([draw.random(array.shape) * 0.5 + 0.75 for array in layer.get_weights()])
    signature = (tf.TensorSpec((None, size, size, 3), tf.float32, name="x"),)
    function = tf.function(lambda x: model(x, training=False), input_signature=signature)
    tf2onnx.convert.from_function(function, input_signature=signature, opset=17, output_path=str(path))
    x = draw.standard_normal((2, size, size, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.savez(path.with_suffix(".npz"), x=x, y=session.run(None, {"x": x})[0])


if __name__ == "__main__":
    for name, size in SIZES.items():
        export(name, size, Path(sys.argv[1]) / f"keras_{name}.onnx")
