"""ResNet-20 on all of MNIST, its digits shifted by up to two pixels: 6 epochs of SGD, batches of 128.

python examples/experiments/resnet20_mnist.py [--quick]
"""

from common import accuracy, descent, digits, options, table, train

from cconv.applications import ResNet20
from cconv.layers import Input, RandomTranslation, Rescaling

BATCH = 128

chosen = options("ResNet-20 on MNIST.", epochs=6, seeds=[0])
data = digits(chosen.quick)
rows = []
for seed in chosen.seeds:
    image = Rescaling(1 / 64, -0.5)(Input((28, 28, 1)))
    shifted = RandomTranslation(2 / 28, 2 / 28, "nearest", "nearest")(image)
    model = ResNet20(input_tensor=shifted, seed=seed)
    steps = -(-len(data[0][0]) // BATCH) * chosen.epochs
    history, seconds = train(model, data, descent(steps, 0.1, decay=2e-3, warmup=steps // 10), BATCH, chosen)
    rows.append([seed, accuracy(model, *data[0]), accuracy(model, *data[1]), seconds])
table(["seed", "training", "test", "seconds"], rows, "test accuracy >= 0.995 after 6 epochs")
