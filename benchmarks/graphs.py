"""Residual, dense, inverted-residual and U-shaped networks, beside other frameworks, milliseconds a step.

As benchmarks/models.py measures layers in a row. U-Net with the paper's 64 filters, whose training moves
gigabytes, only predicts one image; the one with half as many does all. Where a framework has the network
ready, it is that framework's; `peers/torch_graphs.py` and `peers/keras_graphs.py` have the others.
"""

from benchmarks.machine import cores
from benchmarks.models import FULL, Task, run

GRAPHS = ["resnet18", "resnet50", "mobilenetv2", "densenet121", "efficientnetb0", "resnet20", "unet32"]
TASKS: list[Task] = [
    *((name, batch, FULL[batch == 1 :], "graphs") for name in GRAPHS for batch in (1, 8)),
    ("unet", 1, ["predict"], "graphs"),
]

if __name__ == "__main__":
    run("graphs", __doc__.splitlines()[0], TASKS, [cores()], fresh=True)
