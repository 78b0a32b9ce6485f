"""LeNet-5 on all of MNIST: 3 epochs of Adam, batches of 128, three seeds.

python examples/experiments/lenet5.py [--quick]
"""

from common import accuracy, digits, options, table, train

from cconv.applications import LeNet5

chosen = options("LeNet-5 on MNIST.", epochs=3, seeds=[0, 1, 2])
data = digits(chosen.quick)
rows = []
for seed in chosen.seeds:
    model = LeNet5((28, 28, 1), rescale=1 / 255, seed=seed)
    history, seconds = train(model, data, "adam", 128, chosen)
    rows.append([seed, accuracy(model, *data[0]), accuracy(model, *data[1]), seconds])
table(["seed", "training", "test", "seconds"], rows, "test accuracy >= 0.985 after 3 epochs, for every seed")
