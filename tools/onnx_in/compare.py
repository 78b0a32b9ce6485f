"""Load all ONNX files of a folder; say which are read, and how far off the predictions are.

The error is the largest difference over the largest value::

    python tools/onnx_in/compare.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np

from cconv import io

if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.onnx")):
        arrays = np.load(path.with_suffix(".npz"))
        try:
            y = io.onnx.load(path).predict(arrays["x"], verbose=0)
        except ValueError as error:
            print(f"| {path.stem} | {str(error).removeprefix(str(path))} |")
            continue
        error = np.abs(y - arrays["y"]).max() / np.abs(arrays["y"]).max()
        print(f"| {path.stem} | {error:.0e} |")
