"""The course's network for MNIST (two convolutions, dropout, 1,199,882 parameters), trained with Adam.

python examples/experiments/mnist_cnn.py [--quick]
"""

from common import accuracy, digits, mnist_network, options, table, train

chosen = options("The course's network for MNIST.", epochs=12, seeds=[0])
data = digits(chosen.quick)
rows = []
for seed in chosen.seeds:
    model = mnist_network(seed)
    history, seconds = train(model, data, "adam", 128, chosen)
    rows.append([seed, accuracy(model, *data[0]), accuracy(model, *data[1]), seconds])
aim = f"test accuracy >= 0.99 after 12 epochs; {chosen.epochs} were run"
table(["seed", "training", "test", "seconds"], rows, aim)
