"""Write tests/data/ends.json: trainings of models with several inputs and outputs, by Keras.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python tools/tables/ends.py

It needs keras and jax, and not cconv. The table was made with keras 3.15.1 on jax, in float64, and has ten
digits. The cases are those of tests/ends_cases.py.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import ends_cases  # noqa: E402

keras.config.set_floatx("float64")
LIBRARY = keras.layers, keras.Model, keras.optimizers
PATH = ROOT / "tests" / "data" / "ends.json"


def digits(value: Any) -> Any:
    """Return figures with ten digits."""
    if isinstance(value, dict):
        return {key: digits(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [digits(entry) for entry in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


def main() -> None:
    """Write the table, a case a line."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(digits(ends_cases.play(name, *LIBRARY)))}"
        for name in ends_cases.CASES
    ]
    text = f'{{"keras": "{keras.__version__}", "cases": {{\n' + ",\n".join(lines) + "\n}}\n"
    PATH.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
