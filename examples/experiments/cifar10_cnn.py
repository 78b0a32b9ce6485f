"""The course's network for CIFAR-10 (four convolutions, dropout, 1,250,858 parameters), trained with Adam.

On a part of the images the network overfits them, which is what this experiment shows: with the
4,660 training images of five short files it knows nearly all of them, and half of the others.

python examples/experiments/cifar10_cnn.py [--quick]
"""

from common import accuracy, cifar10_network, options, table, train

from cconv.datasets import cifar10

chosen = options("The course's network for CIFAR-10.", epochs=40, seeds=[0])
(x, y), (x_test, y_test) = cifar10.load_data()
if chosen.quick:
    x, y, x_test, y_test = x[:300], y[:300], x_test[:100], y_test[:100]
data = (x, y.ravel()), (x_test, y_test.ravel())
rows = []
for seed in chosen.seeds:
    model = cifar10_network(seed)
    history, seconds = train(model, data, "adam", 32, chosen)
    rows.append([seed, accuracy(model, *data[0]), accuracy(model, *data[1]), seconds])
titles = ["seed", f"training ({len(x):,})", f"test ({len(x_test):,})", "seconds"]
table(titles, rows, "training >= 0.95 and test >= 0.50 with the 4,660 and 846 images of short files")
