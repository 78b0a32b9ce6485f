"""Damaged Keras files, hundreds in a process of their own: each is refused with one clear error, or is whole.

    python tests/keras_attacks.py FOLDER CASES SEED

Case i of a seed is the same file on every machine. The last line printed says how many were refused and how
many loaded; a crash, a hang or another error ends the process otherwise.
"""

import random
import sys
import time
from pathlib import Path

import numpy as np

from cconv.models import load_model

DATA = Path(__file__).parent / "data" / "keras_files.npz"
SECONDS = 5  # a hang, and no measurement: these machines may be busy
LARGEST = (2**64 - 1, 2**63, 2**40, 2**31, 2**20, 0, 1)


def damaged(rng, data):
    """Return a file with some bytes changed, cut, doubled or made large numbers."""
    mutant = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(mutant)) if rng.random() < 0.5 else rng.randrange(min(len(mutant), 4096))
        kind = rng.random()
        if kind < 0.4:
            mutant[place] = rng.randrange(256)
        elif kind < 0.75:
            place -= place % 8
            mutant[place : place + 8] = rng.choice(LARGEST).to_bytes(8, "little")
        elif kind < 0.85:
            other = rng.randrange(len(mutant))
            mutant[place : place + 8] = mutant[other : other + 8]
        elif kind < 0.95:
            mutant[place] ^= 1 << rng.randrange(8)
        else:
            del mutant[place : place + rng.choice((1, 8, 1000))]
    return bytes(mutant)


def check(path, case, error):
    """See that an error is one clear sentence."""
    text = str(error)
    assert type(error) in (ValueError, OSError), (case, text)
    assert path in text, (case, text)
    assert "\n" not in text, (case, text)
    assert len(text) < 2500, (case, text)


def main(folder, cases, seed):
    """Read the damaged files; return what became of them."""
    table = np.load(DATA)
    names = ["sgd.keras", "graph.keras", "sgd.h5", "graph.h5", "sgd.weights.h5"]
    whole = {name: table[name].tobytes() for name in names}
    refused = loaded = 0
    Path(folder, "whole.keras").write_bytes(whole["sgd.keras"])
    model = load_model(Path(folder, "whole.keras"))
    for case in range(cases):
        rng = random.Random(f"{seed} {case}")
        name = names[case % len(names)]
        path = Path(folder, f"case-{name}")
        path.write_bytes(damaged(rng, whole[name]))
        before, begin = model.get_weights(), time.process_time()
        try:
            model.load_weights(path) if "weights" in name else load_model(path)
            loaded += 1
        except (ValueError, OSError) as error:
            check(str(path), case, error)
            refused += 1
            for one, other in zip(before, model.get_weights(), strict=True):
                np.testing.assert_array_equal(one, other)
        except BaseException:
            print("case", case, name)
            raise
        assert time.process_time() - begin < SECONDS, case
    print(refused, loaded)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
