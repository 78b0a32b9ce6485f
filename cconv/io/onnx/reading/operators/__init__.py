"""What each operator of ONNX becomes, by subject: importing a module notes its functions in the table."""

import importlib

SUBJECTS = (
    *("activations", "convolution", "dense", "elementwise", "merging", "moving", "normalization"),
    *("padding", "pooling", "products", "reductions", "resizing", "shapes"),
)


def define() -> None:
    """Let the table of operators know all of them."""
    for subject in SUBJECTS:
        importlib.import_module(f"{__name__}.{subject}")
