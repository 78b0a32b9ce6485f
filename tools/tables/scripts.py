"""Write tests/data/keras_scripts.json: what the scripts of tests/keras_scripts give with Keras.

    KERAS_BACKEND=jax python tools/tables/scripts.py [01 02 …]

With numbers, only those scripts are run anew. It needs keras, jax and pillow, and cconv for its
images of MNIST. The table was made with keras 3.15.1 on jax 0.10.2.
"""

import json
import sys
import traceback
from pathlib import Path

import keras

ROOT = Path(__file__).parents[2]
PATH = ROOT / "tests" / "data" / "keras_scripts.json"
sys.path.insert(0, str(ROOT / "tests"))

from keras_scripts.run import SCRIPTS, play_alone  # noqa: E402


def main(wanted: list[str]) -> int:
    """Run the scripts, keep what they give, and return how many failed."""
    table = json.loads(PATH.read_text(encoding="utf-8"))["results"] if PATH.exists() else {}
    results = {path.stem: table[path.stem] for path in SCRIPTS if path.stem in table}
    failed = 0
    for path in SCRIPTS:
        if wanted and path.stem[:2] not in wanted:
            continue
        keras.utils.clear_session()
        try:
            results[path.stem], _ = play_alone(path, "keras")
        except Exception:
            failed += 1
            print(f"{path.stem}: {traceback.format_exc()}")
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(results[name])}" for name in sorted(results))
    text = f'{{"keras": "{keras.__version__}", "results": {{\n{lines}\n}}}}\n'
    PATH.write_text(text, encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
