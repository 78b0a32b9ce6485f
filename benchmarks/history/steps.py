"""Training steps, predictions, peak memory and import of cconv alone.

asv installs cconv of each commit into an environment of its own; the checkout is last on the path,
so that it gives these benchmarks and nothing else.
"""

import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.models import TASKS, task_of

USERS = {f"{network}, {batch}": (network, batch) for network, batch, _, kind in TASKS if kind == "users"}


class Steps:
    params = (list(USERS), [1, 2])
    param_names = ("network and batch", "threads")

    def setup(self, title, threads):
        from benchmarks.peers import with_cconv

        with_cconv.prepare("", threads, "float32")
        self.steps = with_cconv.network(task_of(*USERS[title], ["train", "predict"]))

    def time_train(self, title, threads):
        self.steps["train"]()

    def time_predict(self, title, threads):
        self.steps["predict"]()

    def peakmem_train(self, title, threads):
        self.steps["train"]()


class Import:
    def time_import(self):
        subprocess.run([sys.executable, "-c", "import cconv.models"], check=True)
