"""Translators of ONNX' operators, by subject: importing a module registers its functions in the table."""

import importlib

SUBJECTS = (
    *("activations", "convolution", "dense", "elementwise", "merging", "moving", "normalization"),
    *("padding", "pooling", "products", "reductions", "resizing", "shapes"),
)


def define() -> None:
    """Register all operators in the table."""
    for subject in SUBJECTS:
        importlib.import_module(f"{__name__}.{subject}")
