"""What tests of clusters send to workers, which import it from here."""

import os
import signal

import numpy as np

from cconv import layers as L

shipped = []  # in each process, the models that came here


class Counted(L.Layer):
    """Adds one, and counts how often it is unpickled."""

    def forward(self, x):
        return x + 1

    def backward(self, dy):
        return dy

    def __setstate__(self, state):
        shipped.append(os.getpid())
        self.__dict__.update(state)


def models_shipped():
    return len(shipped)


class Kills:
    """A score that ends the process of the worker that computes it, the first few times."""

    def __init__(self, folder, times=1):
        self.folder, self.times = folder, times

    def __call__(self, estimator, x, y):
        for number in range(self.times):
            try:
                (self.folder / f"killed-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        return estimator.score(x, y)


class KillsOnce(L.Layer):
    """Ends the process that computes the first batch."""

    def __init__(self, path):
        super().__init__()
        self.path, self.parent = path, os.getpid()

    def forward(self, x):
        if os.getpid() != self.parent and not self.path.exists():
            self.path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.tanh(x)

    def backward(self, dy):
        return dy
