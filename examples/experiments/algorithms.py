"""The course's network for MNIST with direct and with Winograd convolutions: the same accuracy.

python examples/experiments/algorithms.py [--quick]
"""

from common import accuracy, digits, mnist_network, options, table, train

chosen = options("Algorithms of convolution.", epochs=2, seeds=[0, 1, 2, 3, 4])
data = digits(chosen.quick)
rows = []
for seed in chosen.seeds:
    row: list[object] = [seed]
    for algorithm in ("direct", "winograd"):
        model = mnist_network(seed, algorithm)
        history, seconds = train(model, data, "adam", 128, chosen)
        row += [accuracy(model, *data[1]), seconds]
    rows.append(row)
titles = ["seed", "direct", "seconds", "winograd", "seconds"]
table(titles, rows, "mean test accuracies that differ by less than the seeds do")
